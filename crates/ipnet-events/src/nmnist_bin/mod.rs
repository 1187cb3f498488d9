//! The `.bin` recordings of N-MNIST and N-Caltech101.
//!
//! No header; 5 bytes an event: x, y (origin upper left), then 24 bits big-endian: bit 23 ON, bits 22..0 time \[us\].
//! A row of 240 is not an event: it says that the sensor's counter wrapped, and 8192 us are added to all later times.
//! Source: Orchard et al. 2015 (Frontiers in Neuroscience 9:437) and the Matlab reader published with it.

mod decoder;
mod encoder;

pub use decoder::{NmnistReader, read};
pub use encoder::NmnistWriter;

/// Bytes of an event.
pub(crate) const EVENT_BYTES: usize = 5;
/// The row that marks a wrap of the sensor's counter.
const WRAP_ROW: u8 = 240;
/// What a wrap adds \[us\].
const WRAP_US: u64 = 1 << 13;
/// Size of the N-MNIST sensor window `(width, height)`.
pub const NMNIST_SENSOR: (u16, u16) = (34, 34);
