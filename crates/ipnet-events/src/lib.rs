//! Event-camera recordings: formats, data sets, slices, representations, synthetic scenes.
//!
//! Design decision: this crate knows nothing of tensors or devices. It gives plain slices of numbers, and every
//! read keeps a [`Ledger`], so that "all events were read" is a statement that can be checked.

pub mod augment;
pub mod represent;

mod dataset;
mod error;
mod events;
mod reader;

pub use dataset::{Dataset, Part, Sample, SampleInfo};
pub use error::Error;
pub use events::Events;
pub use reader::{EventReader, Ledger, Shortfall};
