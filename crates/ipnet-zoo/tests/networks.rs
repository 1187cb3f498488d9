//! What every network of the zoo must do: take its input's shape and no other, reach every parameter with a gradient,
//! start equal where the backbone is equal, and learn.

use candle_core::{Device, Tensor};
use ipnet_device::DeviceSet;
use ipnet_rng::Stream;
use ipnet_zoo::{Backbone, InputShape, Memory, Mode, NetSpec, Network, Placement, Readout, TemporalNet};
use std::sync::Arc;

const INPUT: InputShape = InputShape { steps: 4, channels: 2, height: 9, width: 11 };
const OUTPUTS: usize = 3;

/// Every memory at every place where it can stand, on the plain backbone.
fn all() -> Vec<NetSpec> {
    let memories = [
        Memory::None,
        Memory::Ip,
        Memory::Lif,
        Memory::Alif,
        Memory::Plif,
        Memory::Ema,
        Memory::Rnn,
        Memory::Gru,
        Memory::Lstm,
        Memory::Elm,
        Memory::ConvLstm,
        Memory::Conv3d,
        Memory::Conv2plus1d,
    ];
    let places = [
        Placement::None,
        Placement::Sensor,
        Placement::Stage1,
        Placement::Stage2,
        Placement::Stage3,
        Placement::Head,
        Placement::All,
    ];
    let specs = memories.iter().flat_map(|&memory| places.map(|place| NetSpec::plain(memory, place)));
    let specs: Vec<_> = specs.filter(|spec| spec.validate().is_ok()).collect();
    // none; 5 that work on values x 6 places; 4 for the head; ConvLSTM at 5 places; 2 convolutions in 3 stages or all.
    assert_eq!(specs.len(), 1 + 5 * 6 + 4 + 5 + 2 * 4);
    specs
}

fn build(spec: &NetSpec) -> Network {
    let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
    Network::new(spec, INPUT, OUTPUTS, Some(&law), 5).unwrap()
}

fn network(memory: Memory, placement: Placement) -> Network {
    build(&NetSpec::plain(memory, placement))
}

fn input(batch: usize) -> Tensor {
    let InputShape { steps, channels, height, width } = INPUT;
    let mut stream = Stream::named(9, "input");
    let values: Vec<f32> = (0..steps * batch * channels * height * width)
        .map(|_| (stream.poisson(0.4) as f32).ln_1p())
        .collect();
    Tensor::from_vec(values, (steps, batch, channels, height, width), &Device::Cpu).unwrap()
}

/// The gradients of all parameters of one training step, which must be there, finite, and somewhere not zero.
fn gradients_of(spec: &NetSpec, net: &Network, x: &Tensor) {
    let logits = net.forward(x, Mode::train(1)).unwrap();
    assert_eq!(logits.dims(), [6, OUTPUTS]);
    let grads = ipnet_nn::cross_entropy(&logits, &[0, 1, 2, 0, 1, 2], 0.0).unwrap().backward().unwrap();
    for (name, var) in net.parameters().vars() {
        let grad = grads.get(var).unwrap_or_else(|| panic!("{spec:?}: `{name}` is cut off"));
        let grad = grad.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(grad.iter().all(|g| g.is_finite()), "{spec:?}: {name}");
        assert!(grad.iter().any(|&g| g != 0.0), "{spec:?}: the gradient of `{name}` is zero");
    }
}

#[test]
fn every_parameter_of_every_network_has_a_finite_gradient() {
    for spec in all() {
        gradients_of(&spec, &build(&spec), &input(6));
    }
}

/// A measured table replaces the formula and with it the spread of the barrier; such a device trains like any other.
#[test]
fn a_device_with_a_measured_table_trains() {
    let text = "extends = \"default\"\n[table]\nu_range_v = [0.0, 1.0]\nrise_range_k = [0.0, 100.0]\n\
                p = [[0.0, 0.5], [0.2, 1.0]]\nsource = \"bench\"\n";
    let set = DeviceSet::from_toml("t.toml", text).unwrap();
    assert!(set.parameters.values().any(|parameter| parameter.sigma_d2d > 0.0));
    let law = Arc::new(set.reduce().unwrap().law);
    let spec = NetSpec::plain(Memory::Ip, Placement::Sensor);
    gradients_of(&spec, &Network::new(&spec, INPUT, OUTPUTS, Some(&law), 5).unwrap(), &input(6));
}

#[test]
fn every_backbone_takes_memories_at_its_stages() {
    let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
    for (backbone, width, side) in
        [(Backbone::Resnet18, 4, 9), (Backbone::Resnet32, 3, 11), (Backbone::PlifNet, 3, 33)]
    {
        let last = Placement::after_stage(backbone.stages()).unwrap();
        for (memory, placement) in [
            (Memory::None, Placement::None),
            (Memory::Ip, Placement::All),
            (Memory::Plif, last),
            (Memory::Conv3d, Placement::All),
            (Memory::Conv2plus1d, last),
            (Memory::Lstm, Placement::Head),
        ] {
            let spec = NetSpec { backbone, width: Some(width), ..NetSpec::plain(memory, placement) };
            let shape = InputShape { steps: 2, channels: 2, height: side, width: side };
            let net = Network::new(&spec, shape, OUTPUTS, Some(&law), 5).unwrap();
            let mut stream = Stream::named(9, "input");
            let values: Vec<f32> = (0..2 * 6 * 2 * side * side).map(|_| stream.poisson(0.4) as f32).collect();
            gradients_of(
                &spec,
                &net,
                &Tensor::from_vec(values, (2, 6, 2, side, side), &Device::Cpu).unwrap(),
            );
            let counted = net.op_counts().unwrap().total(|layer| layer.parameters);
            assert_eq!(counted, net.parameters().count() as u64, "{spec:?}");
        }
    }
}

/// The watch sees the layers in the order of computation, so the first whose values are not finite is the one at fault.
#[test]
fn a_trace_names_the_layers_in_order() {
    let net = network(Memory::Ip, Placement::All);
    let mut names = Vec::new();
    let mut watch = |name: &str, _: &Tensor| {
        names.push(name.to_owned());
        Ok(())
    };
    net.trace(&input(1), Mode::eval(1, 0), &mut watch).unwrap();
    let expected = [
        "memory at sensor",
        "stage1",
        "memory at stage1",
        "stage2",
        "memory at stage2",
        "stage3",
        "memory at stage3",
        "memory at head",
        "hidden",
        "readout",
    ];
    assert_eq!(names, expected);
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
            // Statistics of the batch, so that what leaves a convolution reaches a neuron's working range.
            net.forward(x, Mode::train(1)).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        y(&x).iter().zip(y(&reversed)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    for spec in all() {
        let difference = difference(spec.memory, spec.placement);
        assert_eq!(difference < 2e-6, spec.memory == Memory::None, "{spec:?}: {difference}");
    }
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

/// Read at the last step, a network without memory is the network of one frame, shown the last one: outputs and gradients (of
/// the loss sum of squares) agree. With a memory the frames before that one count too. Of hidden layer and readout one step is
/// paid for.
#[test]
fn read_at_the_last_step_only_memory_sees_what_was_before() {
    let x = input(6);
    let mode = Mode::eval(1, 0);
    let run = |net: &Network, x: &Tensor| {
        let y = net.forward(x, mode).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let grads: Vec<Vec<f32>> = (net.parameters().vars())
            .map(|(_, var)| grads.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap())
            .collect();
        (y.to_vec2::<f32>().unwrap(), grads)
    };
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + b.abs()));
    let one = Network::new(
        &NetSpec::plain(Memory::None, Placement::None),
        InputShape { steps: 1, ..INPUT },
        OUTPUTS,
        None,
        5,
    );
    let (expected, slopes) =
        run(&one.unwrap(), &x.narrow(0, INPUT.steps - 1, 1).unwrap().contiguous().unwrap());
    let (found, found_slopes) = run(&network(Memory::None, Placement::None).read(Readout::Last), &x);
    assert!(expected.iter().zip(&found).all(|(a, b)| near(a, b)), "{expected:?} {found:?}");
    assert_eq!(slopes.len(), found_slopes.len());
    assert!(slopes.iter().zip(&found_slopes).all(|(a, b)| a.len() == b.len() && near(a, b)));

    let silent =
        Tensor::cat(&[&x.narrow(0, 0, 3).unwrap().zeros_like().unwrap(), &x.narrow(0, 3, 1).unwrap()], 0);
    for (memory, place) in [(Memory::Ip, Placement::Sensor), (Memory::Lstm, Placement::Head)] {
        let net = network(memory, place).read(Readout::Last);
        let (all, _) = run(&net, &x);
        let (last, _) = run(&net, silent.as_ref().unwrap());
        assert!(!all.iter().zip(&last).all(|(a, b)| near(a, b)), "{memory}");
    }

    let macs = |net: &Network| net.op_counts().unwrap().total(|layer| layer.macs);
    let none = || network(Memory::None, Placement::None);
    // 32 maps of 1 x 1 are left of 9 x 11 pixels.
    let head = 32 * 64 + 64 * OUTPUTS as u64;
    assert_eq!(macs(&none()) - macs(&none().read(Readout::Last)), (INPUT.steps as u64 - 1) * head);
}
