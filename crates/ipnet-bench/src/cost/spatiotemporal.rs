//! Counts of the parallel 3D convolution: the same backbone, all frames at once.
//!
//! Every 3x3 convolution becomes 3x3x3 over time (same padding, so two of three taps fall outside at either end of the
//! clip). Its memory is what the frame-wise backbone does not have: the two further taps in time (MACs and weights), and the
//! feature maps of the whole clip, which must lie somewhere until the last frame: written once and read by each tap.

use ipnet_zoo::{LayerCounts, OpCounts, Role};

/// Taps in time.
const TAPS: u64 = 3;

/// The counts of the parallel 3D network on the backbone of `plain`, the counts of the network without a memory.
///
/// Layers named `stage...` are its convolutions; everything else stays as it is.
pub fn spatiotemporal(plain: &OpCounts) -> OpCounts {
    let steps = plain.steps;
    // Of steps x TAPS (frame, tap) pairs, the first frame lacks its past and the last its future.
    let pairs = (steps * TAPS).saturating_sub(TAPS - 1);
    let mut layers = plain.layers.clone();
    for stage in plain.layers.iter().filter(|layer| layer.name.starts_with("stage")) {
        let frame_macs = stage.macs / steps;
        let frame_inputs = stage.activation_reads / steps;
        layers.push(LayerCounts {
            name: format!("{}.time", stage.name),
            role: Role::Memory,
            parameters: stage.parameters * (TAPS - 1),
            macs: frame_macs * (pairs - steps),
            accumulates: 0,
            other_ops: 0,
            weight_reads: stage.weight_reads * (TAPS - 1),
            activation_reads: 0,
            activation_writes: 0,
            // The clip's maps at this stage's input.
            state_values: frame_inputs * steps,
            state_reads: frame_inputs * pairs,
            state_writes: frame_inputs * steps,
            device_slots: 0,
        });
    }
    OpCounts { steps, layers }
}
