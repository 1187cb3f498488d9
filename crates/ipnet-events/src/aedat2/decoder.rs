//! AEDAT 2.0, read.

use super::EVENT_BYTES;
use super::header::{self, Chip};
use crate::intake::{Intake, Mark, Raw, wrap_position};
use crate::source::Source;
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// Records looked at together.
const STEP: usize = 8192;

/// A reader of AEDAT 2.0. Frame and IMU words are counted as other items.
pub struct Aedat2Reader {
    source: Source,
    intake: Intake,
    chip: Chip,
    last_time: u32,
}

impl Aedat2Reader {
    /// Opens the recording at `path` and reads its header.
    pub fn open(path: impl AsRef<Path>, shortfall: Shortfall) -> Result<Self, Error> {
        Self::start(Source::open(path.as_ref())?, shortfall)
    }

    /// Reads a recording from `input`; `name` stands for its path in errors.
    pub fn new(
        input: Box<dyn Read + Send>,
        name: impl AsRef<Path>,
        shortfall: Shortfall,
    ) -> Result<Self, Error> {
        Self::start(Source::new(input, name.as_ref()), shortfall)
    }

    fn start(mut source: Source, shortfall: Shortfall) -> Result<Self, Error> {
        let chip = header::read(&mut source)?;
        let mut intake = Intake::new(Some(chip.size()), shortfall);
        intake.ledger.bytes = source.offset();
        Ok(Self { source, intake, chip, last_time: 0 })
    }
}

impl EventReader for Aedat2Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        while out.len() - before < limit {
            let want = STEP.min(limit - (out.len() - before));
            self.source.fill(want * EVENT_BYTES)?;
            let (records, _) = self.source.bytes().as_chunks::<EVENT_BYTES>();
            let records = &records[..records.len().min(want)];
            if records.is_empty() {
                if !self.source.bytes().is_empty() {
                    self.intake.cut_short(&mut self.source, "event", EVENT_BYTES as u64)?;
                }
                break;
            }
            let mut count = wrap_position(records, self.last_time, time);
            if count == 0 {
                self.intake.ledger.wraps += 1;
                count = 1;
            }
            let base_us = self.intake.ledger.wraps << 32;
            let place = &self.source;
            let records = &records[..count];
            match self.chip {
                Chip::Dvs128 => self.intake.take(out, records, place, |r| decode_dvs128(r, base_us))?,
                Chip::Davis { width, height } => {
                    self.intake.take(out, records, place, |r| decode_davis(r, base_us, width, height))?;
                }
            }
            self.last_time = time(&records[count - 1]);
            self.source.consume(count * EVENT_BYTES);
            self.intake.ledger.bytes = self.source.offset();
        }
        Ok(out.len() - before)
    }

    fn events_left_at_most(&self) -> usize {
        self.source.items_left(EVENT_BYTES)
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}

#[inline(always)]
fn address(record: &[u8; EVENT_BYTES]) -> u32 {
    u32::from_be_bytes([record[0], record[1], record[2], record[3]])
}

#[inline(always)]
fn time(record: &[u8; EVENT_BYTES]) -> u32 {
    u32::from_be_bytes([record[4], record[5], record[6], record[7]])
}

#[inline(always)]
fn decode_dvs128(record: &[u8; EVENT_BYTES], base_us: u64) -> Raw {
    let address = address(record);
    Raw {
        t: base_us + u64::from(time(record)),
        x: 127 - (address >> 1 & 0x7f) as u16,
        y: 127 - (address >> 8 & 0x7f) as u16,
        polarity: address & 1 == 0,
        mark: match (address >> 16, address >> 15 & 1) {
            (0, 0) => Mark::Event,
            (0, _) => Mark::Other,
            _ => Mark::Unsound,
        },
    }
}

/// Rows and columns beyond the sensor come out as large numbers, which the intake refuses.
#[inline(always)]
fn decode_davis(record: &[u8; EVENT_BYTES], base_us: u64, width: u16, height: u16) -> Raw {
    let address = address(record);
    Raw {
        t: base_us + u64::from(time(record)),
        x: (width - 1).wrapping_sub((address >> 12 & 0x3ff) as u16),
        y: (height - 1).wrapping_sub((address >> 22 & 0x1ff) as u16),
        polarity: address >> 11 & 1 == 1,
        mark: if address & (1 << 31 | 1 << 10) == 0 { Mark::Event } else { Mark::Other },
    }
}
