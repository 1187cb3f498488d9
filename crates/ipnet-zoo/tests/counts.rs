//! Operation counts against counts made by hand for the plain backbone on 16 frames of 1 x 34 x 34, 20 outputs.
//!
//! ```text
//! stage1   16 x 1 x 9 weights, 2 x 16 norm      34 x 34 pixels
//! stage2   32 x 16 x 9, 2 x 32                  17 x 17
//! stage3   32 x 32 x 9, 2 x 32                  8 x 8    -> 32 x 4 x 4 = 512 features
//! hidden   512 x 64 + 64,  readout 64 x 20 + 20
//! ```

use ipnet_device::DeviceSet;
use ipnet_zoo::{InputShape, LayerCounts, Memory, NetSpec, Network, OpCounts, Placement, Role, TemporalNet};
use std::sync::Arc;

const INPUT: InputShape = InputShape { steps: 16, channels: 1, height: 34, width: 34 };

fn network(memory: Memory, placement: Placement) -> (Network, OpCounts) {
    let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
    let net = Network::new(&NetSpec::plain(memory, placement), INPUT, 20, Some(&law), 1).unwrap();
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
