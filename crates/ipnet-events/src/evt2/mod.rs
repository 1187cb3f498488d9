//! EVT 2.0, RAW files of Prophesee: a `%` header, then little-endian 32-bit words. Bits 28..31 are the type: 0 OFF, 1 ON
//! (bits 22..27 low time, 11..21 x, 0..10 y), 8 time high (bits 0..27: time bits 6..33), 10 external trigger, 14 and 15
//! others. Time in microseconds, origin upper left. Events before the first time word have no time and are dropped.
//! Source: Prophesee, Metavision SDK documentation, "EVT 2.0 format".

mod decoder;
mod encoder;

pub use decoder::Evt2Reader;
pub use encoder::Evt2Writer;

/// Bytes of a word.
const WORD_BYTES: usize = 4;
/// Bits of the time in an event, and in all.
const LOW_BITS: u32 = 6;
const TIME_BITS: u32 = 34;
