//! AEDAT 2.0, written; times below 2^32 us, as every reader of the format takes them.

use super::END_LINE;
use super::header::Chip;
use crate::writer::{EventWriter, PartialFile, check_end, check_order_and_bounds};
use crate::{Error, Events};
use std::path::Path;

/// A writer of AEDAT 2.0.
pub struct Aedat2Writer {
    file: PartialFile,
    chip: Chip,
    last_t: u64,
}

impl Aedat2Writer {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    ///
    /// # Errors
    /// A size that is no DVS128's and no DAVIS's, as the address's layout is the chip's, or a file that cannot be made.
    pub fn create(path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Self, Error> {
        let Some((chip, name)) = Chip::of_size(sensor) else {
            return Err(Error::Argument {
                what: "sensor size".into(),
                expected: "that of a DVS128 or DAVIS: 128x128, 208x192, 240x180, 346x260, 640x480".into(),
                found: format!("{}x{}", sensor.0, sensor.1),
            });
        };
        let mut file = PartialFile::create(path.as_ref())?;
        let header = format!(
            "#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n\
             # Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n\
             # Timestamps tick is 1 us\r\n# AEChip: {name}\r\n{END_LINE}\r\n"
        );
        file.write(header.as_bytes())?;
        Ok(Self { file, chip, last_t: 0 })
    }
}

impl EventWriter for Aedat2Writer {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.chip.size(), &mut self.last_t)?;
        check_end(self.last_t, 32)?;
        let (width, height) = self.chip.size();
        for i in 0..events.len() {
            let x = u32::from(width - 1 - events.x[i]);
            let y = u32::from(height - 1 - events.y[i]);
            let on = u32::from(events.polarity[i]);
            let address = match self.chip {
                Chip::Dvs128 => y << 8 | x << 1 | (1 - on),
                Chip::Davis { .. } => y << 22 | x << 12 | on << 11,
            };
            self.file.write(&address.to_be_bytes())?;
            self.file.write(&(events.t[i] as u32).to_be_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.finish()
    }
}
