//! DAT, written; times below 2^32 us.

use super::{EVENT_BYTES, EVENT_TYPES};
use crate::writer::{EventWriter, PartialFile, check_end, check_order_and_bounds};
use crate::{Error, Events};
use std::path::Path;

/// A writer of DAT files.
pub struct DatWriter {
    file: PartialFile,
    sensor: (u16, u16),
    last_t: u64,
}

impl DatWriter {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    ///
    /// # Errors
    /// A sensor wider or higher than the format's 14 bits, or a file that cannot be made.
    pub fn create(path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Self, Error> {
        crate::writer::check_sensor(sensor, 1 << 14)?;
        let mut file = PartialFile::create(path.as_ref())?;
        let (width, height) = sensor;
        let header =
            format!("% Data file containing CD events.\n% Version 2\n% Height {height}\n% Width {width}\n");
        file.write(header.as_bytes())?;
        file.write(&[EVENT_TYPES[1], EVENT_BYTES as u8])?;
        Ok(Self { file, sensor, last_t: 0 })
    }
}

impl EventWriter for DatWriter {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.sensor, &mut self.last_t)?;
        check_end(self.last_t, 32)?;
        for i in 0..events.len() {
            let (x, y) = (u32::from(events.x[i]), u32::from(events.y[i]));
            self.file.write(&(events.t[i] as u32).to_le_bytes())?;
            self.file.write(&(u32::from(events.polarity[i]) << 28 | y << 14 | x).to_le_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.finish()
    }
}
