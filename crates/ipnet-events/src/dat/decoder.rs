//! DAT, read.

use super::{EVENT_BYTES, EVENT_TYPES};
use crate::intake::{Intake, Mark, Raw, wrap_position};
use crate::raw_header::RawHeader;
use crate::source::{Source, u32_le};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// Records looked at together.
const STEP: usize = 8192;

/// A reader of DAT files.
pub struct DatReader {
    source: Source,
    intake: Intake,
    last_time: u32,
}

impl DatReader {
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
        let header = RawHeader::read(&mut source)?;
        match header.dat.as_deref() {
            Some("2") => {}
            Some(other) => return Err(source.fault(0, "DAT version 2", format!("version {other}"))),
            None => return Err(source.fault(0, "a header with '% Version 2'", "none")),
        }
        let offset = source.offset();
        match source.peek(2)?.first_chunk::<2>().copied() {
            Some([kind, size]) if EVENT_TYPES.contains(&kind) && usize::from(size) == EVENT_BYTES => {}
            Some([kind, size]) => {
                let found = format!("type {kind} of {size} bytes");
                return Err(source.fault(offset, "event type 0 or 12 of 8 bytes", found));
            }
            None => {
                return Err(source.fault(offset, "2 bytes of event type and size", "the end of the file"));
            }
        }
        source.consume(2);
        let mut intake = Intake::new(header.sensor(), shortfall);
        intake.ledger.bytes = source.offset();
        Ok(Self { source, intake, last_time: 0 })
    }
}

impl EventReader for DatReader {
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
            let mut count = wrap_position(records, self.last_time, |r| u32_le(r, 0));
            if count == 0 {
                self.intake.ledger.wraps += 1;
                count = 1;
            }
            let base_us = self.intake.ledger.wraps << 32;
            self.intake.take(out, &records[..count], &self.source, |r| decode_event(r, base_us))?;
            self.last_time = u32_le(&records[count - 1], 0);
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
fn decode_event(record: &[u8; EVENT_BYTES], base_us: u64) -> Raw {
    let data = u32_le(record, 4);
    Raw {
        t: base_us + u64::from(u32_le(record, 0)),
        x: data as u16 & 0x3fff,
        y: (data >> 14) as u16 & 0x3fff,
        polarity: data >> 28 == 1,
        mark: if data >> 28 <= 1 { Mark::Event } else { Mark::Unsound },
    }
}
