//! AEDAT 3.1, read.
//!
//! Polarity packets that are whole in the buffer are decoded together, unless one has something in it to drop. Else a
//! packet is decoded in pieces as its bytes arrive, so it may be of any size. Packets of other
//! types are stepped over by their stated size and counted. After a time reset (a special event) the recording's
//! time goes on from the last event's instead of starting again at 0.

use super::header::{self, EVENT_BYTES, PACKET_HEADER_BYTES, POLARITY, Packet, SPECIAL};
use crate::columns::Run;
use crate::intake::{Intake, Mark, Raw};
use crate::source::{Place, Source, u32_le};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// Records looked at together.
const STEP: usize = 8192;
/// Resets move a recording's time on; past this one (in us, 146,000 years) it is not a time.
const TIME_LIMIT: u64 = 1 << 62;
/// The kind of a special event that says that the device's clock starts again at 0.
const TIMESTAMP_RESET: u32 = 1;

/// A reader of AEDAT 3.1.
pub struct Aedat31Reader {
    source: Source,
    intake: Intake,
    packet: Option<Open>,
    overflow: u32,
    base_us: u64,
    /// Offset in the file up to which packets are gone through one by one.
    careful_up_to: u64,
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
        Ok(Self { source, intake, packet: None, overflow: 0, base_us: 0, careful_up_to: 0 })
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

    /// Takes the polarity packets that are whole in the buffer, if there is nothing in them to drop.
    fn take_packets(&mut self, out: &mut Events, limit: usize) -> Result<(), Error> {
        self.source.fill_records::<EVENT_BYTES>(limit)?;
        let bytes = self.source.bytes();
        let (mut runs, mut at, mut left, mut overflow) = (Vec::new(), 0, limit, self.overflow);
        while let Some(head) = bytes.get(at..).and_then(|b| b.first_chunk::<PACKET_HEADER_BYTES>()) {
            let Ok(packet) = Packet::parse(head, &self.source) else { break };
            let number = usize::try_from(packet.number).unwrap_or(usize::MAX);
            let start = at + PACKET_HEADER_BYTES;
            let plain = packet.kind == POLARITY
                && packet.capacity == packet.number
                && packet.overflow >= overflow
                && number <= left;
            let Some(payload) = bytes.get(start..).filter(|b| plain && number <= b.len() / EVENT_BYTES)
            else {
                break;
            };
            let (records, _) = payload[..number * EVENT_BYTES].as_chunks();
            runs.push(Run { records, base_us: self.base_us + (u64::from(packet.overflow) << 31) });
            overflow = packet.overflow;
            left -= number;
            at = start + number * EVENT_BYTES;
        }
        if self.intake.take_runs(out, &runs, decode_event) {
            self.intake.ledger.packets += runs.len() as u64;
            self.intake.ledger.wraps += u64::from(overflow - self.overflow);
            self.overflow = overflow;
            self.source.consume(at);
            self.intake.ledger.bytes = self.source.offset();
        } else {
            self.careful_up_to = self.source.offset() + at as u64;
        }
        Ok(())
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
            let run = Run { records, base_us: time_us };
            self.intake.take(out, run, &self.source, decode_event)?;
        } else {
            if records.iter().any(is_time_reset) && self.intake.ledger.events > 0 {
                self.base_us = base_after_reset(self.intake.last_t, &self.source)?;
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
                    if self.source.offset() >= self.careful_up_to {
                        self.take_packets(out, limit - (out.len() - before))?;
                    }
                    if out.len() - before < limit && !self.next_packet()? {
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

    fn events_left_estimate(&self) -> usize {
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
        // Both are below 2^63.
        t: time_us.wrapping_add(u64::from(time)),
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

/// The time \[us\] from which a clock that starts again at `place` counts, after an event at `last_t`.
pub(crate) fn base_after_reset(last_t: u64, place: &impl Place) -> Result<u64, Error> {
    if last_t < TIME_LIMIT {
        return Ok(last_t);
    }
    Err(place.fault_at(
        0,
        format!("a clock that starts again before {TIME_LIMIT} us"),
        format!("{last_t} us"),
    ))
}
