//! Operation counts against counts made by hand for the plain backbone on 16 frames of 1 x 34 x 34, 20 outputs.
//!
//! ```text
//! stage1   16 x 1 x 9 weights, 2 x 16 norm      34 x 34 pixels
//! stage2   32 x 16 x 9, 2 x 32                  17 x 17
//! stage3   32 x 32 x 9, 2 x 32                  8 x 8    -> 32 x 4 x 4 = 512 features
//! hidden   512 x 64 + 64,  readout 64 x 20 + 20
//! ```

use ipnet_device::DeviceSet;
use ipnet_zoo::{
    Backbone, Firing, InputShape, LayerCounts, Memory, NetSpec, Network, OpCounts, Placement, Role,
    TemporalNet,
};
use std::sync::Arc;

const INPUT: InputShape = InputShape { steps: 16, channels: 1, height: 34, width: 34 };

fn network(memory: Memory, placement: Placement) -> (Network, OpCounts) {
    build(&NetSpec::plain(memory, placement), INPUT)
}

fn build(spec: &NetSpec, input: InputShape) -> (Network, OpCounts) {
    let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
    let net = Network::new(spec, input, 20, Some(&law), 1).unwrap();
    let counts = net.op_counts().unwrap();
    assert_eq!(counts.total(|layer| layer.parameters), net.parameters().count() as u64);
    (net, counts)
}

const STAGES: u64 = (144 + 32) + (4608 + 64) + (9216 + 64);
const STAGE_MACS: u64 = 16 * (34 * 34 * 144 + 17 * 17 * 4608 + 8 * 8 * 9216);

#[test]
fn no_memory() {
    let (_, counts) = network(Memory::None, Placement::None);
    assert_eq!(counts.total(|layer| layer.parameters), STAGES + 512 * 64 + 64 + 64 * 20 + 20);
    assert_eq!(counts.total(|layer| layer.macs), STAGE_MACS + 16 * (512 * 64 + 64 * 20));
    assert_eq!(counts.total(|layer| layer.state_values), 0);
    assert_eq!(counts.total_of(Role::Memory, |layer| layer.parameters), 0);
}

/// What the energy bill reads: operations beside the products, weights, activations in and out, state in and out.
fn accesses(counts: &OpCounts, role: Role) -> [u64; 6] {
    let of = |count: fn(&LayerCounts) -> u64| counts.total_of(role, count);
    let [other, weights, reads] = [of(|l| l.other_ops), of(|l| l.weight_reads), of(|l| l.activation_reads)];
    [other, weights, reads, of(|l| l.activation_writes), of(|l| l.state_reads), of(|l| l.state_writes)]
}

/// A step, layer by layer:
/// ```text
///           other operations                                   weights           in             out
/// stage1    34 x 34 x 16 x 3 (scale, shift, ReLU)              144 + 32          34 x 34        16 x 17 x 17
///           + 17 x 17 x 16 x 4 (a pool's sum)
/// stage2    17 x 17 x 32 x 3 + 8 x 8 x 32 x 4                  4608 + 64         16 x 17 x 17   32 x 8 x 8
/// stage3    8 x 8 x 32 x 3 + 4 x 4 x 32 x 4                    9216 + 64         32 x 8 x 8     512
/// hidden    64 (bias) + 64 (ReLU)                              512 x 64 + 64     512            64
/// readout   20 (bias) + 20 (mean over time)                    64 x 20 + 20      64             20
/// sum       55488 + 18496 + 27744 + 8192 + 6144 + 2048         48260             8404           7268
///           + 128 + 40 = 118280
/// ```
#[test]
fn accesses_without_memory() {
    let (_, counts) = network(Memory::None, Placement::None);
    let expected = [16 * 118_280, 16 * 48_260, 16 * 8404, 16 * 7268, 0, 0];
    assert_eq!(accesses(&counts, Role::Backbone), expected);
    assert_eq!(accesses(&counts, Role::Memory), [0; 6]);
}

/// A step of each memory: 34 x 34 = 1156 values at the sensor, 512 features at the head in and 64 units out.
/// ```text
/// ip     no digital state and no other operation (the clamp is the driver's); gain, bias
/// lif    comparison and reset of each value; gain, bias; a membrane each            alif: an adaptation too
/// plif   as lif, and one time constant                                              ema: one decay, nothing beside the products
/// rnn    a bias and a tanh per unit;                                                64 x 576 + 64
/// gru    6 biases, 3 nonlinearities, r n and (1 - z) n + z h (5): 14 per unit       3 (64 x 576 + 2 x 64)
/// lstm   4 biases, 4 nonlinearities, f c + i g and o tanh(c) (5): 13 per unit       4 (64 x 576 + 64); h and c
/// elm    bias and ReLU of 128 hidden; bias, two scalings and tanh of 64             512 + 576 x 128 + 128 + 128 x 64 + 64 trained,
///        (256 + 256); a trace per feature, a memory per unit                        and the constants: 512 + 2 x 64
/// ```
#[test]
fn accesses_of_the_memories() {
    let step = |memory, placement| {
        let (_, counts) = network(memory, placement);
        accesses(&counts, Role::Memory).map(|count| {
            assert_eq!(count % 16, 0, "{memory}");
            count / 16
        })
    };
    let at_sensor = |memory| step(memory, Placement::Sensor);
    assert_eq!(at_sensor(Memory::Ip), [0, 2, 1156, 1156, 0, 0]);
    assert_eq!(at_sensor(Memory::Lif), [2312, 2, 1156, 1156, 1156, 1156]);
    assert_eq!(at_sensor(Memory::Alif), [2312, 2, 1156, 1156, 2312, 2312]);
    assert_eq!(at_sensor(Memory::Plif), [2312, 3, 1156, 1156, 1156, 1156]);
    assert_eq!(at_sensor(Memory::Ema), [0, 1, 1156, 1156, 1156, 1156]);
    let at_head = |memory| step(memory, Placement::Head);
    assert_eq!(at_head(Memory::Rnn), [2 * 64, 36_928, 512, 64, 64, 64]);
    assert_eq!(at_head(Memory::Gru), [14 * 64, 110_976, 512, 64, 64, 64]);
    assert_eq!(at_head(Memory::Lstm), [13 * 64, 147_712, 512, 64, 128, 128]);
    assert_eq!(at_head(Memory::Elm), [512, 82_624 + 640, 512, 64, 576, 576]);
    // Per hidden value 4 biases, 4 nonlinearities and the LSTM's 5, 32 x 4 x 4 of them; h and c.
    let weights = 2 * 4 * 32 * 32 * 9 + 4 * 32;
    assert_eq!(step(Memory::ConvLstm, Placement::Stage3), [13 * 512, weights, 512, 512, 1024, 1024]);
}

#[test]
fn ip_at_the_sensor_adds_one_gain_and_bias_and_no_digital_state() {
    let (_, none) = network(Memory::None, Placement::None);
    let (_, counts) = network(Memory::Ip, Placement::Sensor);
    let memory = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Memory, count);
    assert_eq!(memory(|layer| layer.parameters), 2);
    assert_eq!(memory(|layer| layer.device_slots), 16 * 34 * 34);
    assert_eq!(memory(|layer| layer.macs), 16 * 34 * 34);
    assert_eq!(memory(|layer| layer.state_values), 0);
    let backbone = |counts: &OpCounts| counts.total_of(Role::Backbone, |layer| layer.macs);
    assert_eq!(backbone(&counts), backbone(&none));
}

#[test]
fn lstm_at_the_head() {
    let (_, counts) = network(Memory::Lstm, Placement::Head);
    let memory = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Memory, count);
    assert_eq!(memory(|layer| layer.parameters), 4 * 64 * (512 + 64) + 4 * 64);
    assert_eq!(memory(|layer| layer.macs), 16 * 4 * 64 * (512 + 64));
    assert_eq!(memory(|layer| layer.state_values), 2 * 64);
    assert_eq!(memory(|layer| layer.state_writes), 16 * 2 * 64);
    assert_eq!(
        counts.total(|layer| layer.parameters),
        STAGES + 4 * 64 * 577 + (64 * 64 + 64) + (64 * 20 + 20)
    );
}

#[test]
fn ip_everywhere_has_a_neuron_per_value() {
    let (_, counts) = network(Memory::Ip, Placement::All);
    let neurons = 34 * 34 + 16 * 17 * 17 + 32 * 8 * 8 + 32 * 4 * 4 + 512;
    assert_eq!(counts.total(|layer| layer.device_slots), 16 * neurons);
}

/// Values at the sensor, after stage 1, 2 and 3.
const VALUES: [u64; 4] = [34 * 34, 16 * 17 * 17, 32 * 8 * 8, 32 * 4 * 4];

#[test]
fn rnn_gru_and_elm_at_the_head() {
    let memory = |memory: Memory| {
        let (_, counts) = network(memory, Placement::Head);
        let of = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Memory, count);
        [of(|l| l.parameters), of(|l| l.macs), of(|l| l.state_values)]
    };
    assert_eq!(memory(Memory::Rnn), [64 * 576 + 64, 16 * 64 * 576, 64]);
    // Two biases: the reset gate multiplies the second.
    assert_eq!(memory(Memory::Gru), [3 * (64 * 576 + 2 * 64), 16 * 3 * 64 * 576, 64]);
    // Synapses 512; 512 + 64 -> 128 -> 64 with biases; a trace per synapse and a memory per unit.
    let products = 576 * 128 + 128 * 64;
    let parameters = 512 + products + 128 + 64;
    assert_eq!(memory(Memory::Elm), [parameters, 16 * (products + 2 * 512 + 2 * 64), 512 + 64]);
}

#[test]
fn conv_lstm_after_stage_2() {
    let (_, counts) = network(Memory::ConvLstm, Placement::Stage2);
    let of = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Memory, count);
    // 32 channels in, 32 hidden, four gates, 3x3, on 8 x 8 pixels.
    assert_eq!(of(|l| l.parameters), 4 * 32 * (32 + 32) * 9 + 4 * 32);
    assert_eq!(of(|l| l.macs), 16 * 64 * 4 * 32 * (32 + 32) * 9);
    assert_eq!(of(|l| l.state_values), 2 * VALUES[2]);
    assert_eq!(of(|l| l.state_reads + l.state_writes), 2 * 16 * 2 * VALUES[2]);
}

/// A 3x3 convolution becomes 3x3x3: twice its weights more, and 2 T - 2 further frames under its taps, for the first frame
/// has no past and the last no future.
#[test]
fn conv3d_in_every_stage() {
    let (_, none) = network(Memory::None, Placement::None);
    let (net, counts) = network(Memory::Conv3d, Placement::All);
    let of = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Memory, count);
    let weights = 144 + 4608 + 9216;
    assert_eq!(of(|l| l.parameters), 2 * weights);
    assert_eq!(net.parameters().count() as u64, none.total(|l| l.parameters) + 2 * weights);
    let frame = 34 * 34 * 144 + 17 * 17 * 4608 + 8 * 8 * 9216;
    assert_eq!(of(|l| l.macs), 30 * frame);
    assert_eq!(counts.total(|l| l.macs), none.total(|l| l.macs) + 30 * frame);
    // The clip's maps at the input of each stage, held by the parallel form, read once by each further tap; the first is written
    // for that, the others by the stage before.
    let maps = VALUES[0] + VALUES[1] + VALUES[2];
    assert_eq!(of(|l| l.state_values), 16 * maps);
    assert_eq!(of(|l| l.state_reads), 30 * maps);
    assert_eq!(of(|l| l.state_writes), 16 * VALUES[0]);
    assert_eq!(of(|l| l.weight_reads), 30 * weights);
    assert_eq!(counts.total_of(Role::Backbone, |l| l.macs), none.total(|l| l.macs));
}

/// M = floor(3 * 9 C O / (9 C + 3 O)) channels in between: 3 * 9 * 16 * 32 / (9 * 16 + 3 * 32) = 57.6.
#[test]
fn conv2plus1d_in_stage_2() {
    let (_, counts) = network(Memory::Conv2plus1d, Placement::Stage2);
    let of = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Memory, count);
    assert_eq!(of(|l| l.parameters), 57 * 32 * 3);
    assert_eq!(of(|l| l.macs), 289 * 57 * 32 * (3 * 16 - 2));
    assert_eq!(of(|l| l.state_values), 16 * 57 * 289);
    assert_eq!(of(|l| l.state_reads), (3 * 16 - 2) * 57 * 289);
    let spatial: u64 = counts.layers.iter().filter(|l| l.name == "stage2").map(|l| l.parameters).sum();
    assert_eq!(spatial, 16 * 57 * 9 + 2 * 57 + 2 * 32);
    // As many weights as the volume's 27 * 16 * 32, rounded down to whole channels.
    assert_eq!(27 * 16 * 32 / (16 * 9 + 32 * 3), 57);
}

#[test]
fn spiking_neurons_turn_the_next_layers_products_into_accumulates() {
    for (memory, parameters, states, macs) in
        [(Memory::Lif, 2 * 16, 1, 2), (Memory::Plif, 2 * 16 + 1, 1, 2), (Memory::Alif, 2 * 16, 2, 4)]
    {
        let (_, counts) = network(memory, Placement::Stage1);
        let of = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Memory, count);
        assert_eq!(of(|l| l.parameters), parameters);
        assert_eq!(of(|l| l.state_values), states * VALUES[1]);
        assert_eq!(of(|l| l.macs), 16 * macs * VALUES[1]);
        assert_eq!(counts.total(|l| l.accumulates), 16 * 17 * 17 * 4608);
        let backbone = counts.total_of(Role::Backbone, |l| l.macs);
        assert_eq!(backbone, STAGE_MACS - 16 * 17 * 17 * 4608 + 16 * (512 * 64 + 64 * 20));
    }
    let (_, expected) = network(Memory::Ip, Placement::Head);
    assert_eq!(expected.total(|l| l.accumulates), 0);
    let sampled = NetSpec { firing: Firing::Sampled, ..NetSpec::plain(Memory::Ip, Placement::Head) };
    assert_eq!(build(&sampled, INPUT).1.total(|l| l.accumulates), 16 * 512 * 64);
}

#[test]
fn ema_has_one_decay_per_channel() {
    let (_, counts) = network(Memory::Ema, Placement::Stage3);
    let of = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Memory, count);
    assert_eq!(
        [of(|l| l.parameters), of(|l| l.macs), of(|l| l.state_values)],
        [32, 2 * 16 * VALUES[3], VALUES[3]]
    );
}

/// ```text
/// stem      64 x 1 x 9 + 2 x 64
/// stage 1   4 convolutions 64 -> 64
/// stage k   64 2^(k-1) = o: one 9 o^2 / 2 + 3 of 9 o^2, shortcut o^2 / 2; each with its normalisation
/// readout   512 x 20 + 20
/// ```
#[test]
fn resnet18() {
    let spec = NetSpec { backbone: Backbone::Resnet18, ..NetSpec::default() };
    let (_, counts) = build(&spec, INPUT);
    let mut parameters = 64 * 9 + 128 + 4 * (9 * 64 * 64 + 128);
    let mut macs = 34 * 34 * (64 * 9 + 4 * 9 * 64 * 64);
    for (o, side) in [(128, 17), (256, 9), (512, 5)] {
        let weights = 9 * o * o / 2 + 3 * 9 * o * o + o * o / 2;
        parameters += weights + 5 * 2 * o;
        macs += side * side * weights;
    }
    parameters += 512 * 20 + 20;
    // torchvision's ResNet-18 has 11,689,512 with its 7x7 stem of three channels and 1000 classes.
    assert_eq!(parameters, 11_689_512 - 64 * (3 * 49 - 9) - (1000 - 20) * (512 + 1));
    assert_eq!(counts.total(|l| l.parameters), parameters);
    assert_eq!(counts.total(|l| l.macs), 16 * (macs + 512 * 20));
}

/// 31 convolutions and one layer: stem 1 -> 16 on 34 x 34, stages of 10 convolutions on 17, 9 and 5 pixels a side, the
/// shortcut of each first block 1x1 with a bias.
#[test]
fn resnet32() {
    let spec = NetSpec { backbone: Backbone::Resnet32, ..NetSpec::default() };
    let (_, counts) = build(&spec, INPUT);
    let (mut parameters, mut macs, mut inputs) = (16 * 9 + 32, 34 * 34 * 16 * 9, 16);
    for (o, side) in [(16, 17), (32, 9), (64, 5)] {
        let weights = 9 * inputs * o + 9 * 9 * o * o + inputs * o;
        parameters += weights + 10 * 2 * o + o;
        macs += side * side * weights;
        inputs = o;
    }
    parameters += 2 * 64 + 64 * 20 + 20;
    assert_eq!(counts.total(|l| l.parameters), parameters);
    assert_eq!(counts.total(|l| l.macs), 16 * (macs + 64 * 20));
}

/// Five blocks of 128 channels, 34 -> 17 -> 8 -> 4 -> 2 -> 1 pixels a side.
#[test]
fn plif_net() {
    let spec = NetSpec { backbone: Backbone::PlifNet, ..NetSpec::plain(Memory::Plif, Placement::All) };
    let (_, counts) = build(&spec, INPUT);
    let backbone = |count: fn(&LayerCounts) -> u64| counts.total_of(Role::Backbone, count);
    let parameters = 128 * 9 + 4 * 128 * 128 * 9 + 5 * 256 + (128 * 512 + 512) + (512 * 20 + 20);
    assert_eq!(backbone(|l| l.parameters), parameters);
    // Every convolution and the hidden layer see spikes; the readout sees the hidden layer's ReLU.
    assert_eq!(backbone(|l| l.macs), 16 * 512 * 20);
    let convolutions = 34 * 34 * 128 * 9 + (17 * 17 + 8 * 8 + 4 * 4 + 2 * 2) * 128 * 128 * 9;
    assert_eq!(backbone(|l| l.accumulates), 16 * (convolutions + 128 * 512));
    // Gain and bias per channel and one time constant per layer: sensor, five stages, head (128 features).
    let memory = counts.total_of(Role::Memory, |l| l.parameters);
    assert_eq!(memory, (2 + 1) + 5 * (2 * 128 + 1) + (2 * 128 + 1));
}

/// The table of docs/zoo.md, row by row.
#[test]
fn the_documented_table_is_what_is_counted() {
    let plain = |memory, placement| NetSpec::plain(memory, placement);
    let mut specs = vec![
        plain(Memory::None, Placement::None),
        plain(Memory::Ip, Placement::Sensor),
        plain(Memory::Ip, Placement::Stage1),
        plain(Memory::Ip, Placement::Stage3),
        plain(Memory::Ip, Placement::Head),
        plain(Memory::Ip, Placement::All),
    ];
    specs.extend([Memory::Lif, Memory::Alif, Memory::Plif, Memory::Ema].map(|m| plain(m, Placement::Sensor)));
    specs.extend([Memory::Rnn, Memory::Gru, Memory::Lstm, Memory::Elm].map(|m| plain(m, Placement::Head)));
    specs.push(plain(Memory::ConvLstm, Placement::Stage3));
    specs.extend([Memory::Conv2plus1d, Memory::Conv3d].map(|m| plain(m, Placement::All)));
    for backbone in [Backbone::Resnet18, Backbone::Resnet32, Backbone::PlifNet] {
        specs.push(NetSpec { backbone, ..NetSpec::default() });
    }
    specs.push(NetSpec { backbone: Backbone::PlifNet, ..plain(Memory::Plif, Placement::All) });
    let rows: String = specs.iter().map(documented).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/zoo.md");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(&rows), "docs/zoo.md must hold these rows:\n{rows}");
}

fn documented(spec: &NetSpec) -> String {
    let (_, counts) = build(spec, INPUT);
    let mut name = match spec.memory {
        Memory::None => "no memory".to_owned(),
        memory => format!("`{memory}` at {}", spec.placement),
    };
    if spec.backbone != Backbone::Plain {
        name = format!("`{}`, {name}", spec.backbone);
    }
    let cells = [
        counts.total(|l| l.parameters),
        counts.total_of(Role::Memory, |l| l.parameters),
        counts.total(|l| l.macs),
        counts.total(|l| l.accumulates),
        counts.total(|l| l.state_values),
        counts.total(|l| l.state_reads + l.state_writes),
        counts.total(|l| l.device_slots),
    ];
    format!("| {name} | {} |\n", cells.map(|cell| cell.to_string()).join(" | "))
}
