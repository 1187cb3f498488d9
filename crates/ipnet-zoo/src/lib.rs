//! Networks of the comparison: one shared backbone, every rival memory, at every placement.
//!
//! Design decision: time is folded into the batch. A frame sequence `[T, B, C, H, W]` goes through convolutions as
//! `[T B, C, H, W]`, and only the memory sees the time axis, in one scan over `[T, ...]`. So the networks of a comparison
//! run the same code but for one layer, and a training step has a few dozen graph nodes instead of thousands.

mod backbone;
mod counts;
mod error;
mod layers;
mod memory;
mod net;
mod params;
mod spec;

pub use counts::{LayerCounts, OpCounts, Role};
pub use error::Error;
pub use memory::{INITIAL_BIAS, INITIAL_GAIN, sensor_gain_v};
pub use net::{Mode, Network, Readout, TemporalNet, Watch};
pub use params::Parameters;
pub use spec::{Backbone, Firing, InputShape, Memory, NetSpec, Placement};
