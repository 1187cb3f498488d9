//! A network trained some updates on the CPU and on a GPU from equal weights: losses, weights and checkpoints. Without a GPU the
//! test says that it is skipped, or fails where `IPNET_NEEDS_CUDA` is set.
#![cfg(feature = "cuda")]

mod bars;

use bars::{BATCH, task};
use candle_core::Device;
use ipnet_bench::Backend;
use ipnet_bench::task::{Classification, Task};
use ipnet_bench::train::{Optimiser, TrainConfig};
use ipnet_device::DeviceSet;
use ipnet_zoo::{Backbone, Memory, Mode, NetSpec, Network, Placement, TemporalNet};
use std::sync::Arc;

const UPDATES: usize = 8;

fn network(task: &Classification, spec: &NetSpec, on: &Device) -> Network {
    let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
    Network::on(on, spec, task.input(), task.outputs(), Some(&law), 1).unwrap()
}

/// Outputs of the test part.
fn outputs(task: &Classification, net: &Network) -> Vec<Vec<f32>> {
    let batch = task.batch(&task.splits().test, None).unwrap().on(net.parameters().device()).unwrap();
    net.forward(&batch.x, Mode::eval(1, 0)).unwrap().to_vec2::<f32>().unwrap()
}

/// The network after some updates, and its losses.
fn trained(task: &Classification, spec: &NetSpec, on: &Device) -> (Network, Vec<f32>) {
    let net = network(task, spec, on);
    let config = TrainConfig::default();
    let mut optimiser = Optimiser::new(net.parameters(), &config);
    let train = &task.splits().train;
    let mut losses = Vec::new();
    for update in 0..UPDATES {
        let samples: Vec<usize> = (0..BATCH).map(|i| train[(update * BATCH + i) % train.len()]).collect();
        let batch = task.batch(&samples, None).unwrap().on(on).unwrap();
        let loss = net.forward(&batch.x, Mode::train(update as u64)).unwrap();
        let loss = task.loss(&loss, &batch, 0.1).unwrap();
        losses.push(loss.to_scalar::<f32>().unwrap());
        optimiser.step(net.parameters(), &loss.backward().unwrap(), 1e-3, config.clip_norm).unwrap();
    }
    (net, losses)
}

#[test]
fn a_network_trains_on_a_gpu_as_on_the_cpu() {
    let gpu = match Backend::Cuda.device() {
        Ok(gpu) => gpu,
        Err(why) => {
            assert!(std::env::var_os("IPNET_NEEDS_CUDA").is_none(), "{why}");
            println!("skipped: {why}");
            return;
        }
    };
    let task = task();
    for (backbone, memory, placement) in [
        (Backbone::Plain, Memory::Ip, Placement::All),
        (Backbone::Plain, Memory::Alif, Placement::Sensor),
        (Backbone::Plain, Memory::Ema, Placement::Stage1),
        (Backbone::Plain, Memory::Lstm, Placement::Head),
        (Backbone::Plain, Memory::Elm, Placement::Head),
        (Backbone::Plain, Memory::ConvLstm, Placement::Stage2),
        (Backbone::Plain, Memory::Conv3d, Placement::All),
        (Backbone::Plain, Memory::Conv2plus1d, Placement::All),
        (Backbone::Resnet18, Memory::Ip, Placement::Sensor),
    ] {
        let spec = NetSpec { backbone, width: Some(4), ..NetSpec::plain(memory, placement) };
        let (_, expected) = trained(&task, &spec, &Device::Cpu);
        let (net, found) = trained(&task, &spec, &gpu);
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-3, "{spec:?}: {found:?}, on the CPU {expected:?}");
        }
        // What was trained on the GPU is evaluated on the CPU.
        let moved = network(&task, &spec, &Device::Cpu);
        moved.parameters().restore(&net.parameters().snapshot().unwrap()).unwrap();
        let pairs = outputs(&task, &net).concat().into_iter().zip(outputs(&task, &moved).concat());
        for (a, b) in pairs {
            assert!((a - b).abs() < 1e-3 * b.abs().max(1.0), "{spec:?}: {a}, on the CPU {b}");
        }
    }
}
