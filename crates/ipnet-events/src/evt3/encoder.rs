//! EVT 3.0, written; times below 2^34 us, as a wrap of the 24-bit time costs two words.

use super::{LOW_BITS, TIME_BITS};
use crate::raw_header::evt_header;
use crate::writer::{EventWriter, PartialFile, check_end, check_order_and_bounds, check_sensor};
use crate::{Error, Events};
use std::path::Path;

/// Bits of the times taken.
const END_BITS: u32 = 34;

/// A writer of EVT 3.0.
pub struct Evt3Writer {
    file: PartialFile,
    sensor: (u16, u16),
    last_t: u64,
    t: Option<u64>,
    row: Option<u16>,
}

impl Evt3Writer {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    ///
    /// # Errors
    /// A sensor wider or higher than the format's 11 bits, or a file that cannot be made.
    pub fn create(path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Self, Error> {
        check_sensor(sensor, 1 << 11)?;
        let mut file = PartialFile::create(path.as_ref())?;
        file.write(evt_header(3, sensor).as_bytes())?;
        Ok(Self { file, sensor, last_t: 0, t: None, row: None })
    }

    fn word(&mut self, kind: u16, low: u16) -> Result<(), Error> {
        self.file.write(&(kind << 12 | low).to_le_bytes())
    }

    /// Moves the time to `t`, through every wrap on the way.
    fn set_time(&mut self, t: u64) -> Result<(), Error> {
        let high = |t: u64| (t >> LOW_BITS & 0xfff) as u16;
        let last = self.t.unwrap_or(0);
        if self.t.is_none() {
            self.word(8, 0)?;
        }
        for turn in last >> TIME_BITS..t >> TIME_BITS {
            let from = if turn == last >> TIME_BITS { high(last) } else { 0 };
            if from < 0xfff {
                self.word(8, 0xfff)?;
            }
            self.word(8, 0)?;
        }
        let same_turn = last >> TIME_BITS == t >> TIME_BITS;
        if high(t) != if same_turn { high(last) } else { 0 } {
            self.word(8, high(t))?;
        }
        self.t = Some(t);
        self.word(6, (t & 0xfff) as u16)
    }
}

impl EventWriter for Evt3Writer {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.sensor, &mut self.last_t)?;
        check_end(self.last_t, END_BITS)?;
        for i in 0..events.len() {
            if self.t != Some(events.t[i]) {
                self.set_time(events.t[i])?;
            }
            if self.row != Some(events.y[i]) {
                self.word(0, events.y[i])?;
                self.row = Some(events.y[i]);
            }
            self.word(2, u16::from(events.polarity[i]) << 11 | events.x[i])?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.finish()
    }
}
