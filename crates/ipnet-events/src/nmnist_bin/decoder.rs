//! N-MNIST `.bin`, read.

use super::{EVENT_BYTES, NMNIST_SENSOR, WRAP_ROW, WRAP_US};
use crate::columns::Run;
use crate::intake::{Intake, Mark, Raw};
use crate::source::Source;
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// All events of the N-MNIST recording at `path`.
///
/// # Errors
/// As [`NmnistReader`] with [`Shortfall::Refuse`]: nothing may be missing, out of bounds or out of order.
pub fn read(path: impl AsRef<Path>) -> Result<Events, Error> {
    NmnistReader::open(path, NMNIST_SENSOR, Shortfall::Refuse)?.read_to_end()
}

/// A reader of `.bin` recordings.
pub struct NmnistReader {
    source: Source,
    intake: Intake,
    base_us: u64,
}

impl NmnistReader {
    /// Opens the recording at `path`; the format does not say its sensor's size `(width, height)`.
    pub fn open(path: impl AsRef<Path>, sensor: (u16, u16), shortfall: Shortfall) -> Result<Self, Error> {
        Ok(Self::start(Source::open(path.as_ref())?, sensor, shortfall))
    }

    /// Reads a recording from `input`; `name` stands for its path in errors.
    pub fn new(
        input: Box<dyn Read + Send>,
        name: impl AsRef<Path>,
        sensor: (u16, u16),
        shortfall: Shortfall,
    ) -> Self {
        Self::start(Source::new(input, name.as_ref()), sensor, shortfall)
    }

    fn start(source: Source, sensor: (u16, u16), shortfall: Shortfall) -> Self {
        Self { source, intake: Intake::new(Some(sensor), shortfall), base_us: 0 }
    }
}

impl EventReader for NmnistReader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        while out.len() - before < limit {
            let left = limit - (out.len() - before);
            self.source.fill_records::<EVENT_BYTES>(left)?;
            let records = self.source.records::<EVENT_BYTES>(left);
            if records.is_empty() {
                if !self.source.bytes().is_empty() {
                    self.intake.cut_short(&mut self.source, "event", EVENT_BYTES as u64)?;
                }
                break;
            }
            let count = records.iter().position(|r| r[1] == WRAP_ROW).unwrap_or(records.len());
            let wrapped = count < records.len();
            let run = Run { records: &records[..count], base_us: self.base_us };
            self.intake.take(out, run, &self.source, decode_event)?;
            if wrapped {
                self.base_us += WRAP_US;
                self.intake.ledger.wraps += 1;
            }
            self.source.consume((count + usize::from(wrapped)) * EVENT_BYTES);
            self.intake.ledger.bytes = self.source.offset();
        }
        Ok(out.len() - before)
    }

    fn events_left_estimate(&self) -> usize {
        self.source.items_left(EVENT_BYTES)
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}

#[inline(always)]
fn decode_event(record: &[u8; EVENT_BYTES], base_us: u64) -> Raw {
    let [x, y, high, middle, low] = *record;
    Raw {
        t: base_us.wrapping_add(u64::from(u32::from_be_bytes([0, high & 0x7f, middle, low]))),
        x: x.into(),
        y: y.into(),
        polarity: high >> 7 != 0,
        mark: Mark::Event,
    }
}
