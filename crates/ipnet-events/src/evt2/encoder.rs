//! EVT 2.0, written; times below 2^34 us.

use super::{LOW_BITS, TIME_BITS};
use crate::raw_header::evt_header;
use crate::writer::{EventWriter, PartialFile, check_end, check_order_and_bounds, check_sensor};
use crate::{Error, Events};
use std::path::Path;

/// A writer of EVT 2.0.
pub struct Evt2Writer {
    file: PartialFile,
    sensor: (u16, u16),
    last_t: u64,
    high: Option<u32>,
}

impl Evt2Writer {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    ///
    /// # Errors
    /// A sensor wider or higher than the format's 11 bits, or a file that cannot be made.
    pub fn create(path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Self, Error> {
        check_sensor(sensor, 1 << 11)?;
        let mut file = PartialFile::create(path.as_ref())?;
        file.write(evt_header(2, sensor).as_bytes())?;
        Ok(Self { file, sensor, last_t: 0, high: None })
    }
}

impl EventWriter for Evt2Writer {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.sensor, &mut self.last_t)?;
        check_end(self.last_t, TIME_BITS)?;
        for i in 0..events.len() {
            let high = (events.t[i] >> LOW_BITS) as u32;
            if self.high != Some(high) {
                self.file.write(&(8 << 28 | high).to_le_bytes())?;
                self.high = Some(high);
            }
            let kind = u32::from(events.polarity[i]);
            let low = events.t[i] as u32 & 0x3f;
            let (x, y) = (u32::from(events.x[i]), u32::from(events.y[i]));
            self.file.write(&(kind << 28 | low << 22 | x << 11 | y).to_le_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.finish()
    }
}
