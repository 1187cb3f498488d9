//! AEDAT 3.1, the format of cAER and of the DVS128 Gesture recordings.
//!
//! A text header that ends with `#!END-HEADER`, then packets, all little-endian: 28 bytes of header (`i16` type,
//! `i16` source, `i32` event size, time offset, time overflow, capacity, number, valid), then `capacity * size`
//! bytes. A polarity event is `u32` data (bit 0 valid, bit 1 ON, bits 2..16 y, bits 17..31 x, origin upper left) and
//! `i32` time; the full time is `(overflow << 31) | time` \[us\].
//! Source: iniVation, "AEDAT file formats"; the DVS128 Gesture data set's own README.

pub(crate) mod decoder;
mod encoder;
pub(crate) mod header;

pub use decoder::Aedat31Reader;
pub use encoder::Aedat31Writer;

/// What every AEDAT 3.1 file starts with.
pub(crate) const MAGIC: &[u8] = b"#!AER-DAT3.1";
