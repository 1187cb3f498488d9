//! Text, written: a line of names, then `t,x,y,p` with p as 0 or 1.

use crate::writer::{EventWriter, PartialFile, check_order_and_bounds};
use crate::{Error, Events};
use std::path::Path;

/// A writer of text.
pub struct CsvWriter {
    file: PartialFile,
    sensor: (u16, u16),
    last_t: u64,
}

impl CsvWriter {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    pub fn create(path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Self, Error> {
        let mut file = PartialFile::create(path.as_ref())?;
        file.write(b"t,x,y,p\n")?;
        Ok(Self { file, sensor, last_t: 0 })
    }
}

impl EventWriter for CsvWriter {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.sensor, &mut self.last_t)?;
        for i in 0..events.len() {
            let (t, x, y) = (events.t[i], events.x[i], events.y[i]);
            let line = format!("{t},{x},{y},{}\n", u8::from(events.polarity[i]));
            self.file.write(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.finish()
    }
}
