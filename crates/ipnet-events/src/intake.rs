//! The one gate through which every decoded event passes: bounds, order, marks, and the ledger.
//!
//! Design decision: records of fixed size come in blocks. A block goes in as a whole, by vectors (`columns`), if
//! there is nothing in it to drop; only a block with something to drop is gone through event by event. So the checks
//! cost little where there is nothing to find, and the drop rules are written once for all formats.

#[cfg(feature = "hdf5")]
use crate::columns::ByteColumns;
use crate::columns::{self, BLOCK, Limits, Run};
use crate::source::{Place, Source};
use crate::{Error, Events, Ledger, Shortfall};
#[cfg(feature = "hdf5")]
use std::ops::Range;

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

    /// Appends all `runs` to `out`, decoded, if not one record of them is to be dropped; else leaves `out` as it is and
    /// says false, for the caller to go through the runs with [`Intake::take`].
    pub fn take_runs<const N: usize>(
        &mut self,
        out: &mut Events,
        runs: &[Run<'_, N>],
        decode: impl Fn(&[u8; N], u64) -> Raw + Copy + Sync,
    ) -> bool {
        let total = runs.iter().map(|run| run.records.len()).sum();
        let limits = self.limits();
        self.take_all(total, columns::append(out, runs, limits, decode))
    }

    /// Appends `run` to `out`, decoded, but for the events to be dropped; it lies at `place`.
    pub fn take<const N: usize>(
        &mut self,
        out: &mut Events,
        run: Run<'_, N>,
        place: &impl Place,
        decode: impl Fn(&[u8; N], u64) -> Raw + Copy + Sync,
    ) -> Result<(), Error> {
        if self.take_runs(out, &[run], decode) {
            return Ok(());
        }
        for (i, records) in run.records.chunks(BLOCK).enumerate() {
            if self.take_runs(out, &[Run { records, ..run }], decode) {
                continue;
            }
            for (j, record) in records.iter().enumerate() {
                let at = ((i * BLOCK + j) * N) as u64;
                let fault = |expected, found| place.fault_at(at, expected, found);
                self.take_one(out, decode(record, run.base_us), fault)?;
            }
        }
        Ok(())
    }

    /// As [`Intake::take_runs`], for `total` records that `read` brings in, by several threads, all counting from `base_us`.
    pub fn take_read<const N: usize>(
        &mut self,
        out: &mut Events,
        total: usize,
        base_us: u64,
        read: impl Fn(usize, &mut [[u8; N]]) -> Option<()> + Sync,
        decode: impl Fn(&[u8; N], u64) -> Raw + Copy + Sync,
    ) -> bool {
        let limits = self.limits();
        self.take_all(total, columns::append_read(out, total, base_us, limits, read, decode))
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

    /// As [`Intake::take_runs`], for `total` events that `read` gives as columns of bytes.
    #[cfg(feature = "hdf5")]
    pub fn take_byte_columns<B: Default>(
        &mut self,
        out: &mut Events,
        total: usize,
        read: impl for<'b> Fn(Range<usize>, &'b mut B) -> Option<ByteColumns<'b>> + Sync,
    ) -> bool {
        let limits = self.limits();
        self.take_all(total, columns::append_columns(out, total, limits, read))
    }

    fn limits(&self) -> Limits {
        let side = |side: Option<u16>| side.map_or(1 << 16, u32::from);
        let (width, height) = (side(self.sensor.map(|s| s.0)), side(self.sensor.map(|s| s.1)));
        Limits { width, height, last_t: self.last_t }
    }

    /// Enters `total` events up to the time `last_t`, if there is one.
    fn take_all(&mut self, total: usize, last_t: Option<u64>) -> bool {
        self.last_t = last_t.unwrap_or(self.last_t);
        self.ledger.events += last_t.map_or(0, |_| total as u64);
        last_t.is_some()
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
