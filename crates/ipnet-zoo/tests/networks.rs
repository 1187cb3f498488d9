//! What every network of the zoo must do: take its input's shape and no other, reach every parameter with a gradient,
//! start equal where the backbone is equal, and learn.

use candle_core::{Device, Tensor};
use ipnet_device::DeviceSet;
use ipnet_rng::Stream;
use ipnet_zoo::{InputShape, Memory, Mode, NetSpec, Network, Placement, TemporalNet};
use std::sync::Arc;

const INPUT: InputShape = InputShape { steps: 4, channels: 2, height: 9, width: 11 };
const OUTPUTS: usize = 3;

const ALL: [(Memory, Placement); 14] = [
    (Memory::None, Placement::None),
    (Memory::Ip, Placement::Sensor),
    (Memory::Ip, Placement::Stage1),
    (Memory::Ip, Placement::Stage2),
    (Memory::Ip, Placement::Stage3),
    (Memory::Ip, Placement::Head),
    (Memory::Ip, Placement::All),
    (Memory::Lif, Placement::Sensor),
    (Memory::Lif, Placement::All),
    (Memory::Ema, Placement::Sensor),
    (Memory::Ema, Placement::Head),
    (Memory::Rnn, Placement::Head),
    (Memory::Gru, Placement::Head),
    (Memory::Lstm, Placement::Head),
];

fn network(memory: Memory, placement: Placement) -> Network {
    let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
    Network::new(&NetSpec::plain(memory, placement), INPUT, OUTPUTS, Some(&law), 5).unwrap()
}

fn input(batch: usize) -> Tensor {
    let InputShape { steps, channels, height, width } = INPUT;
    let mut stream = Stream::named(9, "input");
    let values: Vec<f32> =
        (0..steps * batch * channels * height * width).map(|_| stream.poisson(0.4) as f32).collect();
    Tensor::from_vec(values, (steps, batch, channels, height, width), &Device::Cpu).unwrap()
}

#[test]
fn every_parameter_of_every_network_has_a_finite_gradient() {
    for (memory, placement) in ALL {
        let net = network(memory, placement);
        let logits = net.forward(&input(6), Mode::train(1)).unwrap();
        assert_eq!(logits.dims(), [6, OUTPUTS]);
        let grads = ipnet_nn::cross_entropy(&logits, &[0, 1, 2, 0, 1, 2], 0.0).unwrap().backward().unwrap();
        for (name, var) in net.parameters().vars() {
            let grad = grads.get(var).unwrap_or_else(|| panic!("{memory} {placement}: `{name}` is cut off"));
            let grad = grad.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(grad.iter().all(|g| g.is_finite()), "{memory} {placement}: {name}");
        }
    }
}

#[test]
fn equal_backbones_start_equal() {
    let (none, ip) = (network(Memory::None, Placement::None), network(Memory::Ip, Placement::Sensor));
    let ip = ip.parameters().snapshot().unwrap();
    for (name, var) in none.parameters().vars() {
        let (a, b) = (var.flatten_all().unwrap(), ip[name].flatten_all().unwrap());
        assert_eq!(a.to_vec1::<f32>().unwrap(), b.to_vec1::<f32>().unwrap(), "{name}");
    }
}

#[test]
fn a_network_without_memory_does_not_see_the_order_of_frames_and_one_with_memory_does() {
    let x = input(2);
    let reversed =
        Tensor::cat(&(0..4).rev().map(|t| x.narrow(0, t, 1).unwrap()).collect::<Vec<_>>(), 0).unwrap();
    let difference = |memory, placement| {
        let net = network(memory, placement);
        let y = |x: &Tensor| {
            net.forward(x, Mode::eval(1, 0)).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        y(&x).iter().zip(y(&reversed)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(difference(Memory::None, Placement::None) < 1e-6);
    assert!(difference(Memory::Ip, Placement::Sensor) > 1e-6);
    assert!(difference(Memory::Lstm, Placement::Head) > 1e-6);
}

#[test]
fn a_snapshot_gives_the_outputs_back_and_a_foreign_one_changes_nothing() {
    let (net, other) = (network(Memory::Ip, Placement::Sensor), network(Memory::None, Placement::None));
    let x = input(3);
    let outputs = |net: &Network| net.forward(&x, Mode::eval(1, 0)).unwrap().to_vec2::<f32>().unwrap();
    let (before, snapshot) = (outputs(&net), net.parameters().snapshot().unwrap());
    net.forward(&x, Mode::train(1)).unwrap();
    assert_ne!(outputs(&net), before, "training mode moves the running statistics");
    net.parameters().restore(&snapshot).unwrap();
    assert_eq!(outputs(&net), before);
    let error = net.parameters().restore(&other.parameters().snapshot().unwrap()).unwrap_err().to_string();
    assert!(error.contains("ip.sensor.bias"), "{error}");
    assert_eq!(outputs(&net), before);
}

#[test]
fn another_shape_is_refused_with_both_shapes() {
    let error = network(Memory::None, Placement::None)
        .forward(
            &Tensor::zeros((4, 2, 1, 9, 11), candle_core::DType::F32, &Device::Cpu).unwrap(),
            Mode::eval(0, 0),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "input [T, B, C, H, W]: expected shape [4, 2, 2, 9, 11], found [4, 2, 1, 9, 11]"
    );
}

#[test]
fn frames_too_small_for_the_backbone_are_refused() {
    let input = InputShape { steps: 2, channels: 1, height: 6, width: 6 };
    let error = Network::new(&NetSpec::default(), input, 2, None, 0).unwrap_err().to_string();
    assert!(error.contains("at least 8 x 8"), "{error}");
}
