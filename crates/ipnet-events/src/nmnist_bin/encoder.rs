//! N-MNIST `.bin`, written; times up to 2^23 us, as the format holds.

use super::WRAP_ROW;
use crate::writer::{EventWriter, PartialFile, check_end, check_order_and_bounds};
use crate::{Error, Events};
use std::path::Path;

/// A writer of `.bin` recordings.
pub struct NmnistWriter {
    file: PartialFile,
    sensor: (u16, u16),
    last_t: u64,
}

impl NmnistWriter {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    ///
    /// # Errors
    /// A sensor of more than 256 columns or 240 rows (a row of 240 has another meaning), or a file that cannot be
    /// made.
    pub fn create(path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Self, Error> {
        if sensor.0 > 256 || sensor.1 > u16::from(WRAP_ROW) {
            return Err(Error::Argument {
                what: "sensor size".into(),
                expected: format!("up to 256 x {WRAP_ROW}"),
                found: format!("{} x {}", sensor.0, sensor.1),
            });
        }
        Ok(Self { file: PartialFile::create(path.as_ref())?, sensor, last_t: 0 })
    }
}

impl EventWriter for NmnistWriter {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.sensor, &mut self.last_t)?;
        check_end(self.last_t, 23)?;
        for i in 0..events.len() {
            let [_, high, middle, low] = (events.t[i] as u32).to_be_bytes();
            let high = high | u8::from(events.polarity[i]) << 7;
            self.file.write(&[events.x[i] as u8, events.y[i] as u8, high, middle, low])?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.finish()
    }
}
