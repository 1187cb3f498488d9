//! Synthetic recordings: scenes drawn at a high frame rate and seen by one model of a DVS pixel.
//!
//! Scene ([`gestures`], [`driving`]) -> [`Canvas`] (linear intensity) -> [`Sensor`] (log-intensity threshold pixels with
//! mismatch, refractory period, leak, shot noise and hot pixels) -> events, written in the official file formats.
//! Design decision: synthetic recordings go through files and through the loaders of the real data, so that a
//! benchmark on them tests the same path.

mod canvas;
pub mod driving;
pub mod gestures;
mod pixel;

pub use canvas::{Canvas, Capsule, Surface};
pub use pixel::{PixelModel, Sensor};
