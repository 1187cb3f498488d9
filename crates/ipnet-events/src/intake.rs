//! The one gate through which every decoded event passes: bounds, order, marks, and the ledger.
//!
//! Design decision: records of fixed size come in blocks. A block is decoded field by field, which the compiler
//! vectorises, and checked as a whole; only a block with something to drop is gone through event by event. So the
//! checks cost little where there is nothing to find, and the drop rules are written once for all formats.

use crate::source::{Place, Source};
use crate::{Error, Events, Ledger, Shortfall};

/// Records that are decoded and checked together; their output stays in the first-level cache.
const BLOCK: usize = 1024;

/// One record as its format states it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw {
    /// Time \[us\], wraps undone.
    pub t: u64,
    /// Column.
    pub x: u16,
    /// Row, from the top.
    pub y: u16,
    /// ON.
    pub polarity: bool,
    /// What the record is.
    pub mark: Mark,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mark {
    /// An event.
    Event = 0,
    /// The file itself marks the event invalid.
    Invalid = 1,
    /// A field holds what the format never writes.
    Unsound = 2,
    /// Not an event of the sensor's pixels.
    Other = 4,
}

/// The rules and the account of one read.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Sensor size `(width, height)`; events outside are a shortfall.
    pub sensor: Option<(u16, u16)>,
    /// What to do about one.
    pub shortfall: Shortfall,
    /// Time of the last event taken \[us\].
    pub last_t: u64,
    /// The account.
    pub ledger: Ledger,
}

impl Intake {
    /// An empty account.
    pub fn new(sensor: Option<(u16, u16)>, shortfall: Shortfall) -> Self {
        Self { sensor, shortfall, last_t: 0, ledger: Ledger::default() }
    }

    /// Appends `records` to `out`, decoded; they lie at `place`.
    #[inline(always)]
    pub fn take<const N: usize>(
        &mut self,
        out: &mut Events,
        records: &[[u8; N]],
        place: &impl Place,
        decode: impl Fn(&[u8; N]) -> Raw + Copy,
    ) -> Result<(), Error> {
        for (i, block) in records.chunks(BLOCK).enumerate() {
            let before = out.len();
            out.t.extend(block.iter().map(|r| decode(r).t));
            out.x.extend(block.iter().map(|r| decode(r).x));
            out.y.extend(block.iter().map(|r| decode(r).y));
            out.polarity.extend(block.iter().map(|r| decode(r).polarity));
            let marks = block.iter().fold(0, |marks, r| marks | decode(r).mark as u8);
            if marks == Mark::Event as u8 && self.block_fits(out, before) {
                self.ledger.events += block.len() as u64;
                continue;
            }
            out.truncate(before);
            for (j, record) in block.iter().enumerate() {
                let at = ((i * BLOCK + j) * N) as u64;
                self.take_one(out, decode(record), |expected, found| place.fault_at(at, expected, found))?;
            }
        }
        Ok(())
    }

    /// Appends events that come as columns, if not one of them is to be dropped; else leaves `out` as it is and
    /// says false, for the caller to go through them one by one.
    pub fn take_columns(&mut self, out: &mut Events, t: &[u64], x: &[u16], y: &[u16], on: &[bool]) -> bool {
        let before = out.len();
        out.t.extend_from_slice(t);
        out.x.extend_from_slice(x);
        out.y.extend_from_slice(y);
        out.polarity.extend_from_slice(on);
        if !self.block_fits(out, before) {
            out.truncate(before);
            return false;
        }
        self.ledger.events += t.len() as u64;
        true
    }

    /// As [`Intake::take_columns`], for columns as HDF5 files hold them.
    #[cfg(feature = "hdf5")]
    pub fn take_signed(&mut self, out: &mut Events, t: &[i64], x: &[u16], y: &[u16], p: &[i8]) -> bool {
        let before = out.len();
        let sound = t.iter().fold(true, |ok, &t| ok & (t >= 0))
            & p.iter().fold(true, |ok, &p| ok & (-1..=1).contains(&p));
        if !sound {
            return false;
        }
        out.t.extend(t.iter().map(|&t| t as u64));
        out.x.extend_from_slice(x);
        out.y.extend_from_slice(y);
        out.polarity.extend(p.iter().map(|&p| p == 1));
        if !self.block_fits(out, before) {
            out.truncate(before);
            return false;
        }
        self.ledger.events += t.len() as u64;
        true
    }

    /// Whether all events of `out` from `before` on are inside the sensor and in order; moves `last_t` if so.
    fn block_fits(&mut self, out: &Events, before: usize) -> bool {
        let t = &out.t[before..];
        let (Some(&first), Some(&last)) = (t.first(), t.last()) else { return true };
        let ordered = first >= self.last_t && t.windows(2).fold(true, |ok, w| ok & (w[0] <= w[1]));
        let inside = self.sensor.is_none_or(|(width, height)| {
            let x = out.x[before..].iter().fold(true, |ok, &x| ok & (x < width));
            let y = out.y[before..].iter().fold(true, |ok, &y| ok & (y < height));
            x & y
        });
        if ordered && inside {
            self.last_t = last;
        }
        ordered && inside
    }

    /// Appends one event or drops it by the rules; `fault` makes the error at its place.
    pub fn take_one(
        &mut self,
        out: &mut Events,
        raw: Raw,
        fault: impl Fn(String, String) -> Error,
    ) -> Result<(), Error> {
        let refuse = self.shortfall == Shortfall::Refuse;
        if raw.mark == Mark::Other {
            self.ledger.skipped_other += 1;
        } else if raw.mark == Mark::Invalid {
            self.ledger.dropped_invalid += 1;
        } else if raw.mark == Mark::Unsound {
            if refuse {
                return Err(fault(
                    "an event with fields in their ranges".into(),
                    format!("time {} us, pixel ({}, {})", raw.t, raw.x, raw.y),
                ));
            }
            self.ledger.dropped_invalid += 1;
        } else if self.sensor.is_some_and(|(width, height)| raw.x >= width || raw.y >= height) {
            if refuse {
                let (width, height) = self.sensor.unwrap_or_default();
                return Err(fault(
                    format!("a pixel inside {width} x {height}"),
                    format!("({}, {})", raw.x, raw.y),
                ));
            }
            self.ledger.dropped_out_of_bounds += 1;
        } else if raw.t < self.last_t {
            if refuse {
                return Err(fault(
                    format!("a time of at least {} us, that of the event before", self.last_t),
                    format!("{} us", raw.t),
                ));
            }
            self.ledger.dropped_non_monotone += 1;
        } else {
            self.last_t = raw.t;
            self.ledger.events += 1;
            out.push(raw.t, raw.x, raw.y, raw.polarity);
        }
        Ok(())
    }

    /// Deals with an item at `source`'s place of which only `found` of `expected` bytes are there: an error, or the
    /// rest of the file goes to `truncated_bytes`.
    pub fn cut_short(&mut self, source: &mut Source, item: &str, expected: u64) -> Result<(), Error> {
        let offset = source.offset();
        let found = source.skip_rest()?;
        self.ledger.truncated_bytes += found;
        self.ledger.bytes = source.offset();
        match self.shortfall {
            Shortfall::Allow => Ok(()),
            Shortfall::Refuse => {
                Err(source.fault(offset, format!("{expected} bytes of {item}"), format!("{found} bytes")))
            }
        }
    }
}

/// Where among `records` a 32-bit clock wraps: the index of the first event whose time lies more than half the
/// clock's range before the one ahead of it (`last` for the first), or the number of records.
///
/// Smaller steps back are left to [`Intake`].
pub(crate) fn wrap_position<const N: usize>(
    records: &[[u8; N]],
    last: u32,
    time: impl Fn(&[u8; N]) -> u32,
) -> usize {
    let wraps = |before: u32, now: u32| before > now && before - now > 1 << 31;
    let Some(first) = records.first() else { return 0 };
    if wraps(last, time(first)) {
        return 0;
    }
    let any = records.windows(2).fold(false, |any, w| any | wraps(time(&w[0]), time(&w[1])));
    if !any {
        return records.len();
    }
    let at = records.windows(2).position(|w| wraps(time(&w[0]), time(&w[1])));
    at.map_or(records.len(), |i| i + 1)
}

/// Events of formats whose words are not all events, gathered in columns that stay in the first-level cache.
pub(crate) struct Stage {
    t: [u64; STAGE],
    x: [u16; STAGE],
    y: [u16; STAGE],
    on: [bool; STAGE],
    /// Offset of each event's word from the first of the words being decoded.
    at: [u32; STAGE],
    len: usize,
}

/// Events of a [`Stage`].
pub(crate) const STAGE: usize = 1024;

impl Stage {
    /// An empty stage.
    pub fn new() -> Box<Self> {
        Box::new(Self {
            t: [0; STAGE],
            x: [0; STAGE],
            y: [0; STAGE],
            on: [false; STAGE],
            at: [0; STAGE],
            len: 0,
        })
    }

    /// Events there is room for.
    pub fn room(&self) -> usize {
        STAGE - self.len
    }

    /// Adds an event; there must be room.
    #[inline(always)]
    pub fn push(&mut self, t: u64, x: u16, y: u16, on: bool, at: u32) {
        let i = self.len & (STAGE - 1);
        self.t[i] = t;
        self.x[i] = x;
        self.y[i] = y;
        self.on[i] = on;
        self.at[i] = at;
        self.len += 1;
    }

    /// Hands the events to `intake`.
    pub fn flush(&mut self, intake: &mut Intake, out: &mut Events, place: &impl Place) -> Result<(), Error> {
        let n = std::mem::take(&mut self.len);
        if intake.take_columns(out, &self.t[..n], &self.x[..n], &self.y[..n], &self.on[..n]) {
            return Ok(());
        }
        for i in 0..n {
            let (t, x, y, polarity) = (self.t[i], self.x[i], self.y[i], self.on[i]);
            let raw = Raw { t, x, y, polarity, mark: Mark::Event };
            let at = u64::from(self.at[i]);
            intake.take_one(out, raw, |expected, found| place.fault_at(at, expected, found))?;
        }
        Ok(())
    }
}
