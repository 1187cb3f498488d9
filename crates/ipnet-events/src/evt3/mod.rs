//! EVT 3.0, RAW files of Prophesee: a `%` header, then little-endian 16-bit words that change a state. Bits 12..15 are the
//! type: 0 row, 2 event (bits 0..10 x, 11 ON), 3 base of vectors (x, ON), 4 and 5 vectors of 12 and 8 events (one bit
//! each, the base moves on), 6 time low (bits 0..11), 8 time high (time bits 12..23), 10 external trigger, 7, 14 and 15
//! others. Time in microseconds in 24 bits, so it wraps every 16.8 s. Origin upper left. Events before the
//! first low time have time 0 if the first high time is 0, and else, or without a row, are dropped.
//! Source: Prophesee, Metavision SDK documentation, "EVT 3.0 format".

mod decoder;
mod encoder;

pub use decoder::Evt3Reader;
pub use encoder::Evt3Writer;

/// Bytes of a word.
const WORD_BYTES: usize = 2;
/// Bits of the time in a low word, and in all.
const LOW_BITS: u32 = 12;
const TIME_BITS: u32 = 24;
