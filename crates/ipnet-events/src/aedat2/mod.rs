//! AEDAT 2.0, the format of jAER.
//!
//! Text lines that start with `#`, the first `#!AER-DAT2.0`; newer files end them with `#End Of ASCII Header`, older ones
//! just begin with the data. Then big-endian `u32` address and `u32` time \[us\] (the text says signed; recordings run
//! past 2^31). Addresses by the chip, y upwards:
//! - DVS128 (also where no chip is named): bits 1..7 x from the right, bits 8..14 y, bit 0 clear for ON, bit 15 external.
//! - DAVIS: bit 31 set for frames and IMU, bit 10 external, bit 11 ON, bits 12..21 x from the right, bits 22..30 y.
//!
//! iniVation's text says that bit 0 of a DVS128 is set for ON; jAER's own extractor and recordings of a dark box that
//! moves say the opposite. Source: jAER, `DVS128.java` and `DavisBaseCamera.java`.

mod decoder;
mod encoder;
mod header;

pub use decoder::Aedat2Reader;
pub use encoder::Aedat2Writer;

/// What every AEDAT 2.0 file starts with.
pub(crate) const MAGIC: &[u8] = b"#!AER-DAT2.0";
/// The line that ends the header of newer files.
const END_LINE: &str = "#End Of ASCII Header";
