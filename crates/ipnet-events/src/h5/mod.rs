//! Plain HDF5: one dataset per field in a group `events`.
//!
//! Names met in the wild are taken: `t`, `ts`, `timestamps`; `x`, `xs`; `y`, `ys`; `p`, `ps`, `polarity`, `on`.
//! Integer times are microseconds, floating-point times are seconds. Polarity is 0 or 1, or -1 or 1. Written are
//! `t` (i64, us), `x`, `y` (u16), `p` (u8), with the sensor's `width` and `height` as attributes of the group.

mod decoder;
mod encoder;
mod plain;

pub use decoder::H5Reader;
pub use encoder::H5Writer;

/// The group that holds the fields.
const GROUP: &str = "events";
