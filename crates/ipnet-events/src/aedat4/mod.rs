//! AEDAT 4, the format of iniVation's DV.
//!
//! `#!AER-DAT4.0\r\n`; a size-prefixed flatbuffer `IOHE` (compression, place of the data table, an XML text that
//! names the streams); then packets: `i32` stream, `i32` size, and a block that is an LZ4 or Zstandard frame or plain,
//! holding a size-prefixed flatbuffer: `EVTS` events, `FRME` frames, `IMUS`, `TRIG`. An event is 16 bytes: `i64` Unix
//! time \[us\], `i16` x, `i16` y (origin upper left), `u8` ON, padding. At the end a block `FTAB` lists every packet
//! with its number of elements; here it is compared with what was read.
//!
//! Design decision: flatbuffers are read by a few bounds-checked accessors (`flat`) instead of generated code, so no
//! byte of a damaged file is followed unchecked. A packet may hold up to 32 MiB when unpacked and 16 packets are
//! unpacked at a time, in parallel, which bounds the memory to 512 MiB for any file.
//! Source: iniVation, "AEDAT 4 file format"; the schemas of dv-processing.

mod decoder;
mod encoder;
mod flat;
mod header;
mod lz4;
mod unpack;

pub use decoder::Aedat4Reader;
pub use encoder::Aedat4Writer;
pub use header::Compression;

/// What every AEDAT 4 file starts with.
pub(crate) const MAGIC: &[u8] = b"#!AER-DAT4.0\r\n";
/// Bytes of an event.
const EVENT_BYTES: usize = 16;
/// Bytes before a packet's block.
const PACKET_HEADER_BYTES: usize = 8;
/// Bytes of a packet when unpacked, at most.
const MAX_UNPACKED_BYTES: usize = 32 << 20;
