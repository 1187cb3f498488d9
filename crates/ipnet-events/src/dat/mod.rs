//! DAT, version 2, of Prophesee: a `%` header, two bytes (event type, event size 8), then little-endian `u32` time
//! \[us\] and `u32` with bits 0..13 x, 14..27 y, 28..31 polarity. Origin upper left.
//! Source: Prophesee, Metavision SDK documentation, "DAT file format".

mod decoder;
mod encoder;

pub use decoder::DatReader;
pub use encoder::DatWriter;

/// Bytes of an event.
const EVENT_BYTES: usize = crate::clock32::RECORD_BYTES;
/// The event types that mean change detection.
const EVENT_TYPES: [u8; 2] = [0x00, 0x0c];
