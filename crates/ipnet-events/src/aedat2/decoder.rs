//! AEDAT 2.0, read.

use super::header::{self, Chip};
use crate::clock32::{Clock32, Record};
use crate::intake::{Mark, Raw};
use crate::source::Source;
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// A reader of AEDAT 2.0. Frame and IMU words are counted as other items.
pub struct Aedat2Reader {
    body: Clock32,
    chip: Chip,
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
        Ok(Self { body: Clock32::new(source, Some(chip.size()), shortfall), chip })
    }
}

impl EventReader for Aedat2Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        Some(self.chip.size())
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        match self.chip {
            Chip::Dvs128 => self.body.read_into(out, limit, time, decode_dvs128),
            Chip::Davis { width, height } => self
                .body
                .read_into(out, limit, time, |record, base_us| decode_davis(record, base_us, width, height)),
        }
    }

    fn events_left_estimate(&self) -> usize {
        self.body.events_left_estimate()
    }

    fn ledger(&self) -> &Ledger {
        &self.body.intake.ledger
    }
}

#[inline(always)]
fn address(record: &Record) -> u32 {
    u32::from_be_bytes([record[0], record[1], record[2], record[3]])
}

#[inline(always)]
fn time(record: &Record) -> u32 {
    u32::from_be_bytes([record[4], record[5], record[6], record[7]])
}

#[inline(always)]
fn decode_dvs128(record: &Record, base_us: u64) -> Raw {
    let address = address(record);
    Raw {
        t: base_us | u64::from(time(record)),
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
fn decode_davis(record: &Record, base_us: u64, width: u16, height: u16) -> Raw {
    let address = address(record);
    Raw {
        t: base_us | u64::from(time(record)),
        x: (width - 1).wrapping_sub((address >> 12 & 0x3ff) as u16),
        y: (height - 1).wrapping_sub((address >> 22 & 0x1ff) as u16),
        polarity: address >> 11 & 1 == 1,
        mark: if address & (1 << 31 | 1 << 10) == 0 { Mark::Event } else { Mark::Other },
    }
}
