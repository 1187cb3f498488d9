//! Event-camera recordings: formats, data sets, slices, representations, synthetic scenes.
//!
//! Design decision: this crate knows nothing of tensors or devices. It gives plain slices of numbers, and every
//! read keeps a [`Ledger`], so that "all events were read" is a statement that can be checked.

pub mod augment;
pub mod cache;
pub mod datasets;
pub mod filter;
pub mod represent;
pub mod synth;

mod dataset;
mod error;
mod events;

pub use dataset::{Dataset, Part, Sample, SampleInfo};
pub use error::Error;
pub use events::Events;

// Formats: what they share, then one module each.
mod clock32;
mod columns;
mod format;
#[cfg(feature = "hdf5")]
mod hdf5_file;
mod intake;
mod raw_header;
mod reader;
mod source;
mod writer;

pub mod aedat2;
pub mod aedat31;
pub mod aedat4;
pub mod csv_text;
pub mod dat;
pub mod ddd20;
pub mod evt2;
pub mod evt3;
#[cfg(feature = "hdf5")]
pub mod h5;
pub mod nmnist_bin;

pub use aedat4::{Aedat4Reader, Aedat4Writer};
pub use aedat31::{Aedat31Reader, Aedat31Writer};
pub use format::{Format, OpenOptions, open};
pub use reader::{CHUNK_EVENTS, EventReader, Ledger, Shortfall};
pub use writer::{EventWriter, PartialFile};
