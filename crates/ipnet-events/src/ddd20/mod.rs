//! DDD-17 and DDD-20: hours of driving with a DAVIS346, as HDF5.
//!
//! - `/dvs/data` `[N, 3]` of variable-length bytes: the host's Unix time \[us\] in ASCII digits, the 28-byte header of
//!   a cAER packet (as in AEDAT 3.1), its payload. `/dvs/timestamp` `[N]` i64: the host time again.
//! - `/<signal>/data` `[N, 2]` f64: host time \[us\] and value; `/<signal>/timestamp` `[N]` i64.
//!
//! There are two clocks: events carry the device's microseconds, signals only the host's; a packet's host time is the
//! only link between them. Recordings grow by 2048 rows, so their ends are empty rows. Of a packet the first
//! `eventNumber` events are there (the data set's own Python takes all `eventCapacity`, and ignores the valid bit).
//! Source: `record.py`, `datasets.py` and `interfaces/caer.py` of the data set. Reading and writing need the feature `hdf5`.

#[cfg(feature = "hdf5")]
mod cells;
#[cfg(feature = "hdf5")]
mod decoder;
#[cfg(feature = "hdf5")]
mod encoder;
#[cfg(feature = "hdf5")]
mod header;
mod signal;

#[cfg(feature = "hdf5")]
pub use decoder::{Ddd20Reader, Item};
#[cfg(feature = "hdf5")]
pub use encoder::Ddd20Writer;
#[cfg(feature = "hdf5")]
pub use header::signal_names;
pub use signal::Signal;

/// Size of the sensor `(width, height)`.
pub const DDD20_SENSOR: (u16, u16) = (346, 260);

/// The host's time at the start of recordings that have no other [Unix us]: 2 July 2017, as the first of DDD-20.
pub const DEFAULT_HOST_START_US: i64 = 1_499_023_757_000_000;

/// A frame of the DAVIS346, 260 rows of 346 pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Start and end of the exposure, device time \[us\].
    pub exposure_us: [u64; 2],
    /// Pixels as 16-bit greys `[height, width]`, row by row from the top.
    pub pixels: Vec<u16>,
}

/// The group and the two datasets of the packets.
#[cfg(feature = "hdf5")]
const GROUP: &str = "dvs";
/// Event types of a packet beyond those of events.
#[cfg(feature = "hdf5")]
const FRAME: i16 = 2;
/// Bytes of a frame's head before its pixels.
#[cfg(feature = "hdf5")]
const FRAME_HEAD_BYTES: usize = 36;
/// Rows of a stored chunk.
#[cfg(feature = "hdf5")]
const CHUNK_ROWS: usize = 128;
