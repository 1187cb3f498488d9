//! Records of 8 bytes with a 32-bit clock that wraps: the body of AEDAT 2.0 and of DAT.

use crate::columns::Run;
use crate::intake::{Intake, Raw};
use crate::source::Source;
use crate::{Error, Events, Shortfall};

/// Bytes of a record.
pub(crate) const RECORD_BYTES: usize = 8;
/// A record.
pub(crate) type Record = [u8; RECORD_BYTES];

/// The records of a recording, from front to back.
pub(crate) struct Clock32 {
    source: Source,
    pub intake: Intake,
    last_time: u32,
    /// Offset before which records do not go the fast way, as they did not just now.
    slow_until: u64,
}

impl Clock32 {
    /// The records that `source` has next.
    pub fn new(source: Source, sensor: Option<(u16, u16)>, shortfall: Shortfall) -> Self {
        let mut intake = Intake::new(sensor, shortfall);
        intake.ledger.bytes = source.offset();
        Self { source, intake, last_time: 0, slow_until: 0 }
    }

    /// Appends up to `limit` events to `out` and says how many. `time` is a record's clock, `decode` makes an event of it
    /// and the time \[us\] of the clock's last wrap, whose low 32 bits are zero.
    pub fn read_into(
        &mut self,
        out: &mut Events,
        limit: usize,
        time: impl Fn(&Record) -> u32 + Copy,
        decode: impl Fn(&Record, u64) -> Raw + Copy + Sync,
    ) -> Result<usize, Error> {
        let before = out.len();
        while out.len() - before < limit {
            let left = limit - (out.len() - before);
            if left.min(self.events_left_estimate()) >= STRETCH && self.read_stretch(out, decode)? {
                continue;
            }
            self.source.fill_records::<RECORD_BYTES>(left)?;
            let records = self.source.records::<RECORD_BYTES>(left);
            if records.is_empty() {
                if !self.source.bytes().is_empty() {
                    self.intake.cut_short(&mut self.source, "event", RECORD_BYTES as u64)?;
                }
                break;
            }
            let mut count = wrap_position(records, self.last_time, time);
            if count == 0 {
                self.intake.ledger.wraps += 1;
                count = 1;
            }
            let run = Run { records: &records[..count], base_us: self.intake.ledger.wraps << 32 };
            let last_time = time(&records[count - 1]);
            self.intake.take(out, run, &self.source, decode)?;
            self.last_time = last_time;
            self.source.consume(count * RECORD_BYTES);
            self.intake.ledger.bytes = self.source.offset();
        }
        Ok(out.len() - before)
    }

    /// Takes the next [`STRETCH`] records from the file, if there is nothing in them to drop and no wrap.
    fn read_stretch(
        &mut self,
        out: &mut Events,
        decode: impl Fn(&Record, u64) -> Raw + Copy + Sync,
    ) -> Result<bool, Error> {
        let offset = self.source.offset();
        let Some(direct) = self.source.direct().filter(|_| offset >= self.slow_until) else {
            return Ok(false);
        };
        let base_us = self.intake.ledger.wraps << 32;
        let read = |first, records: &mut [Record]| direct.read(first, records);
        if !self.intake.take_read(out, STRETCH, base_us, read, decode) {
            self.slow_until = offset + (SLOW_STRETCHES * STRETCH * RECORD_BYTES) as u64;
            return Ok(false);
        }
        // In order and none wrapped: the last event's time holds the clock's.
        self.last_time = self.intake.last_t as u32;
        self.source.step_over((STRETCH * RECORD_BYTES) as u64)?;
        self.intake.ledger.bytes = self.source.offset();
        Ok(true)
    }

    /// As [`EventReader::events_left_estimate`](crate::EventReader::events_left_estimate).
    pub fn events_left_estimate(&self) -> usize {
        self.source.items_left(RECORD_BYTES)
    }
}

/// Where among `records` the clock wraps: the index of the first record whose time lies more than half the clock's
/// range before the one ahead of it (`last` for the first), or the number of records.
///
/// Smaller steps back are left to [`Intake`].
fn wrap_position(records: &[Record], last: u32, time: impl Fn(&Record) -> u32) -> usize {
    let wraps = |before: u32, now: u32| before > now && before - now > 1 << 31;
    let mut before = last;
    for (i, block) in records.chunks(BLOCK).enumerate() {
        // A wrap is a step back, and in most blocks there is none; the largest and last time are found without a branch.
        let (mut largest, mut smallest) = (before, before);
        for record in block {
            largest = largest.max(time(record));
            smallest = smallest.min(time(record));
        }
        if wraps(largest, smallest) {
            for (j, record) in block.iter().enumerate() {
                if wraps(before, time(record)) {
                    return i * BLOCK + j;
                }
                before = time(record);
            }
        }
        before = block.last().map_or(before, &time);
    }
    records.len()
}

/// Records that threads read together from a file.
const STRETCH: usize = 1 << 20;
/// Stretches that are not tried after one that held something to drop, so that trying costs little.
const SLOW_STRETCHES: usize = 4;
/// Records looked at together for a wrap.
const BLOCK: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wrap_is_found_wherever_it_is() {
        let time = |r: &Record| u32::from_le_bytes([r[0], r[1], r[2], r[3]]);
        let record = |t: u32| -> Record { (u64::from(t)).to_le_bytes() };
        let high = u32::MAX - 5000;
        for at in [0usize, 1, 1023, 1024, 1025, 2999] {
            let times = (0..3000).map(|i| if i < at { high + i as u32 } else { i as u32 });
            let records: Vec<Record> = times.map(record).collect();
            assert_eq!(wrap_position(&records, high, time), at);
        }
        let none: Vec<Record> = (0..3000).map(|i| record(high + i)).collect();
        assert_eq!(wrap_position(&none, 0, time), 3000);
        let small_step_back: Vec<Record> = [9, 5, 1 << 31, 5].map(record).to_vec();
        assert_eq!(wrap_position(&small_step_back, 0, time), 4);
    }
}
