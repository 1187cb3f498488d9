//! AEDAT 3.1, read.
//!
//! Polarity packets are decoded in pieces as their bytes arrive, so a packet may be of any size. Packets of other
//! types are stepped over by their stated size and counted. After a time reset (a special event) the recording's
//! time goes on from the last event's instead of starting again at 0.

use super::header::{self, EVENT_BYTES, PACKET_HEADER_BYTES, POLARITY, Packet, SPECIAL};
use crate::intake::{Intake, Mark, Raw};
use crate::source::{Source, u32_le};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// Records looked at together.
const STEP: usize = 8192;
/// The kind of a special event that says that the device's clock starts again at 0.
const TIMESTAMP_RESET: u32 = 1;

/// A reader of AEDAT 3.1.
pub struct Aedat31Reader {
    source: Source,
    intake: Intake,
    packet: Option<Open>,
    overflow: u32,
    base_us: u64,
}

/// A packet of which events are left.
struct Open {
    kind: i16,
    number: u64,
    spare_bytes: u64,
    time_us: u64,
}

impl Aedat31Reader {
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
        let sensor = header::read(&mut source)?;
        let mut intake = Intake::new(sensor, shortfall);
        intake.ledger.bytes = source.offset();
        Ok(Self { source, intake, packet: None, overflow: 0, base_us: 0 })
    }

    /// Steps to the next packet that holds events; false at the end of the file.
    fn next_packet(&mut self) -> Result<bool, Error> {
        let offset = self.source.offset();
        let bytes = self.source.peek(PACKET_HEADER_BYTES)?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let Some(bytes) = bytes.first_chunk::<PACKET_HEADER_BYTES>().copied() else {
            self.intake.cut_short(&mut self.source, "packet header", PACKET_HEADER_BYTES as u64)?;
            return Ok(false);
        };
        let packet = Packet::parse(&bytes, &self.source)?;
        self.source.consume(PACKET_HEADER_BYTES);
        self.intake.ledger.packets += 1;
        if matches!(packet.kind, SPECIAL | POLARITY) {
            if packet.overflow < self.overflow && self.intake.shortfall == Shortfall::Refuse {
                return Err(self.source.fault(
                    offset + 12,
                    format!("a time overflow of at least {}, that of the packet before", self.overflow),
                    packet.overflow.to_string(),
                ));
            }
            self.intake.ledger.wraps += u64::from(packet.overflow.saturating_sub(self.overflow));
            self.overflow = packet.overflow;
            self.packet = Some(Open {
                kind: packet.kind,
                number: packet.number,
                spare_bytes: (packet.capacity - packet.number) * packet.event_bytes,
                time_us: u64::from(packet.overflow) << 31,
            });
        } else {
            self.intake.ledger.skipped_other += packet.number;
            self.skip(packet.capacity * packet.event_bytes)?;
        }
        Ok(true)
    }

    /// Steps over `count` bytes of a packet.
    fn skip(&mut self, count: u64) -> Result<(), Error> {
        let (offset, skipped) = (self.source.offset(), self.source.skip(count)?);
        if skipped == count {
            return Ok(());
        }
        self.intake.ledger.truncated_bytes += skipped;
        match self.intake.shortfall {
            Shortfall::Allow => Ok(()),
            Shortfall::Refuse => {
                Err(self.source.fault(offset, format!("{count} bytes of packet"), format!("{skipped} bytes")))
            }
        }
    }

    /// Decodes up to `limit` events of the open packet.
    fn decode(&mut self, packet: &mut Open, out: &mut Events, limit: usize) -> Result<(), Error> {
        let want = packet.number.min(limit as u64).min(STEP as u64) as usize;
        self.source.fill(want * EVENT_BYTES)?;
        let (records, _) = self.source.bytes().as_chunks::<EVENT_BYTES>();
        let records = &records[..records.len().min(want)];
        let count = records.len();
        if count == 0 {
            let expected = packet.number * EVENT_BYTES as u64;
            self.intake.cut_short(&mut self.source, "the packet's events", expected)?;
            packet.number = 0;
            packet.spare_bytes = 0;
            return Ok(());
        }
        let time_us = self.base_us + packet.time_us;
        if packet.kind == POLARITY {
            self.intake.take(out, records, &self.source, |r| decode_event(r, time_us))?;
        } else {
            if records.iter().any(is_time_reset) && self.intake.ledger.events > 0 {
                self.base_us = self.intake.last_t;
                self.overflow = 0;
                self.intake.ledger.resets += 1;
            }
            self.intake.ledger.skipped_other += count as u64;
        }
        self.source.consume(count * EVENT_BYTES);
        packet.number -= count as u64;
        Ok(())
    }
}

impl EventReader for Aedat31Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        while out.len() - before < limit {
            match self.packet.take() {
                None => {
                    if !self.next_packet()? {
                        break;
                    }
                }
                Some(mut packet) if packet.number > 0 => {
                    let left = limit - (out.len() - before);
                    self.decode(&mut packet, out, left)?;
                    self.packet = Some(packet);
                }
                Some(packet) => self.skip(packet.spare_bytes)?,
            }
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

/// One polarity event of a packet whose times count from `time_us`.
#[inline(always)]
pub(crate) fn decode_event(record: &[u8; EVENT_BYTES], time_us: u64) -> Raw {
    let (data, time) = (u32_le(record, 0), u32_le(record, 4));
    let mark = match (data & 1, time >> 31) {
        (1, 0) => Mark::Event,
        (1, _) => Mark::Unsound,
        _ => Mark::Invalid,
    };
    Raw {
        t: time_us + u64::from(time),
        x: (data >> 17) as u16,
        y: (data >> 2) as u16 & 0x7fff,
        polarity: data & 2 != 0,
        mark,
    }
}

/// Whether a special event says that the device's clock starts again at 0.
pub(crate) fn is_time_reset(record: &[u8; EVENT_BYTES]) -> bool {
    (u32_le(record, 0) >> 1) & 0x7f == TIMESTAMP_RESET
}
