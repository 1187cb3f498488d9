//! DAT, read.

use super::{EVENT_BYTES, EVENT_TYPES};
use crate::clock32::{Clock32, Record};
use crate::intake::{Mark, Raw};
use crate::raw_header::RawHeader;
use crate::source::{Source, u32_le};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// A reader of DAT files.
pub struct DatReader {
    body: Clock32,
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
        Ok(Self { body: Clock32::new(source, header.sensor(), shortfall) })
    }
}

impl EventReader for DatReader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.body.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        self.body.read_into(out, limit, |record| u32_le(record, 0), decode_event)
    }

    fn events_left_estimate(&self) -> usize {
        self.body.events_left_estimate()
    }

    fn ledger(&self) -> &Ledger {
        &self.body.intake.ledger
    }
}

#[inline(always)]
fn decode_event(record: &Record, base_us: u64) -> Raw {
    let data = u32_le(record, 4);
    Raw {
        t: base_us | u64::from(u32_le(record, 0)),
        x: data as u16 & 0x3fff,
        y: (data >> 14) as u16 & 0x3fff,
        polarity: data >> 28 == 1,
        mark: if data >> 28 <= 1 { Mark::Event } else { Mark::Unsound },
    }
}
