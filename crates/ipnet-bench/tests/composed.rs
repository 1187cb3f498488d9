//! The compositions that compute a network on a GPU train it as the CPU's own kernels do: ten losses of each network, both on the
//! CPU from equal weights and batches.

mod bars;

use bars::{BATCH, task};
use ipnet_bench::task::{Augment, Classification, Task};
use ipnet_bench::train::{Optimiser, TrainConfig};
use ipnet_device::DeviceSet;
use ipnet_nn::composed::forced;
use ipnet_zoo::{Backbone, Firing, Memory, Mode, NetSpec, Network, Placement, TemporalNet};
use std::sync::Arc;

const UPDATES: usize = 10;

/// The losses of the first updates of `spec`, and one of the evaluation mode behind them.
fn losses(task: &Classification, spec: &NetSpec) -> Vec<f32> {
    let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
    let net = Network::new(spec, task.input(), task.outputs(), Some(&law), 1).unwrap();
    let config = TrainConfig::default();
    let mut optimiser = Optimiser::new(net.parameters(), &config);
    let train = &task.splits().train;
    let mut losses = Vec::new();
    for update in 0..UPDATES {
        let samples: Vec<usize> = (0..BATCH).map(|i| train[(update * BATCH + i) % train.len()]).collect();
        let augment = Augment { max_shift_px: 1, max_warp: 0.0, drop_share: 0.0, seed: update as u64 };
        let batch = task.batch(&samples, Some(augment)).unwrap();
        let outputs = net.forward(&batch.x, Mode::train(update as u64)).unwrap();
        let loss = task.loss(&outputs, &batch, 0.1).unwrap();
        losses.push(loss.to_scalar::<f32>().unwrap());
        optimiser.step(net.parameters(), &loss.backward().unwrap(), 1e-3, config.clip_norm).unwrap();
    }
    let batch = task.batch(&task.splits().test, None).unwrap();
    let outputs = net.forward(&batch.x, Mode::eval(1, 0)).unwrap();
    losses.push(task.loss(&outputs, &batch, 0.0).unwrap().to_scalar::<f32>().unwrap());
    losses
}

fn same_losses(spec: NetSpec) {
    let task = task();
    let own = losses(&task, &spec);
    let composed = forced(|| losses(&task, &spec));
    assert_eq!(own.len(), UPDATES + 1);
    let worst = own.iter().zip(&composed).map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f32::max);
    eprintln!("{spec:?}: losses differ by {worst:.1e}; {:.4} to {:.4}", own[0], own[UPDATES - 1]);
    assert!(worst < 1e-4, "{spec:?}\n{own:?}\n{composed:?}");
    // Equal losses of a network that does not move would show little.
    assert!(own[0] != own[UPDATES - 1], "{own:?}");
}

#[test]
fn plain_networks_with_memories() {
    for (memory, placement) in [
        (Memory::None, Placement::None),
        (Memory::Ip, Placement::Sensor),
        (Memory::Ip, Placement::All),
        (Memory::Ema, Placement::Stage1),
        (Memory::Rnn, Placement::Head),
        (Memory::Gru, Placement::Head),
        (Memory::Lstm, Placement::Head),
        (Memory::Elm, Placement::Head),
        (Memory::ConvLstm, Placement::Stage2),
        (Memory::Conv3d, Placement::All),
        (Memory::Conv2plus1d, Placement::All),
    ] {
        same_losses(NetSpec { width: Some(6), ..NetSpec::plain(memory, placement) });
    }
}

#[test]
fn sampled_spikes_are_the_same_draws() {
    same_losses(NetSpec { firing: Firing::Sampled, ..NetSpec::plain(Memory::Ip, Placement::Sensor) });
}

#[test]
fn residual_networks_with_strides() {
    for (backbone, memory, placement) in [
        (Backbone::Resnet18, Memory::Ip, Placement::Sensor),
        (Backbone::Resnet18, Memory::Conv3d, Placement::Stage2),
        (Backbone::Resnet32, Memory::Lstm, Placement::Head),
    ] {
        let plain = NetSpec::plain(memory, placement);
        same_losses(NetSpec { backbone, width: Some(4), ..plain });
    }
}

/// Spiking memories at the sensor, where their drive is the same sum both ways: behind a convolution, rounding may move a spike.
#[test]
fn spiking_memories() {
    for memory in [Memory::Lif, Memory::Alif, Memory::Plif] {
        same_losses(NetSpec { width: Some(4), ..NetSpec::plain(memory, Placement::Sensor) });
    }
}
