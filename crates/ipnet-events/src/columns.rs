//! Records of fixed size into columns: the inner loop of most readers.
//!
//! Design decision: a block of records is decoded field by field into the room behind the columns' ends, in loops
//! without a branch that the compiler vectorises, compiled a second time for AVX2; what it is checked by (marks, largest
//! column and row, order) is gathered in the same loops. Nothing is appended unless every check of every record holds:
//! the rules for records to drop are written once, in [`Intake`](crate::intake::Intake), for which this is the fast way in.
//! Many records are shared out over the threads of the current rayon pool; the result does not depend on their number.

use crate::Events;
use crate::intake::{Mark, Raw};
use std::mem::MaybeUninit;
use std::ops::Range;

/// Records that are decoded and checked together; their output stays in the first-level cache.
pub(crate) const BLOCK: usize = 1024;
/// Records of this size are decoded one at a time: vectors of their fields would have to be put together from too far apart.
const WIDE: usize = 16;
/// From this many records on they are shared out over threads.
const PARALLEL_RECORDS: usize = 1 << 17;

/// Records that follow each other in memory, and the time \[us\] from which theirs count.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a, const N: usize> {
    pub records: &'a [[u8; N]],
    pub base_us: u64,
}

/// The limits that columns must keep to.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Columns and rows of the sensor, 65536 where it is not known.
    pub width: u32,
    pub height: u32,
    /// Time \[us\] of the event before.
    pub last_t: u64,
}

/// Appends the decoded `runs` to `out` and gives the last event's time, if every record is an event within `limits`
/// and no time steps back; else leaves `out` as it is.
pub(crate) fn append<const N: usize>(
    out: &mut Events,
    runs: &[Run<'_, N>],
    limits: Limits,
    decode: impl Fn(&[u8; N], u64) -> Raw + Copy + Sync,
) -> Option<u64> {
    let total = runs.iter().map(|run| run.records.len()).sum();
    append_with(out, total, limits, |range, room, limits| {
        let (mut filling, mut seen) = (Filling::new(room, limits), 0);
        for run in runs {
            // The part of the run that lies in `range`.
            let [first, end] =
                [range.start, range.end].map(|at| at.saturating_sub(seen).min(run.records.len()));
            seen += run.records.len();
            for block in run.records[first..end].chunks(BLOCK) {
                let decode = |record: &[u8; N]| decode(record, run.base_us);
                filling.take(block.len(), |room| fill_records(room, block, decode, limits))?;
            }
        }
        filling.times()
    })
}

/// Appends `total` records that `read` brings in, all counting from `base_us`; otherwise as [`append`].
///
/// Each thread reads its own records into a buffer that stays in its cache: they are not written to memory and read again.
pub(crate) fn append_read<const N: usize>(
    out: &mut Events,
    total: usize,
    base_us: u64,
    limits: Limits,
    read: impl Fn(usize, &mut [[u8; N]]) -> Option<()> + Sync,
    decode: impl Fn(&[u8; N], u64) -> Raw + Copy + Sync,
) -> Option<u64> {
    append_with(out, total, limits, |range, room, limits| {
        let (mut filling, mut buffer) =
            (Filling::new(room, limits), vec![[0; N]; BLOCK_ROWS.min(range.len())]);
        for start in range.clone().step_by(BLOCK_ROWS) {
            let records = &mut buffer[..BLOCK_ROWS.min(range.end - start)];
            read(start, records)?;
            for block in records.chunks(BLOCK) {
                let decode = |record: &[u8; N]| decode(record, base_us);
                filling.take(block.len(), |room| fill_records(room, block, decode, limits))?;
            }
        }
        filling.times()
    })
}

/// Columns of little-endian bytes; times and polarities may be signed, and -1 is OFF.
#[cfg(feature = "hdf5")]
pub(crate) struct ByteColumns<'a> {
    pub t: &'a [[u8; 8]],
    pub x: &'a [[u8; 2]],
    pub y: &'a [[u8; 2]],
    pub on: &'a [u8],
}

/// Appends `total` events that `read` gives as columns of up to [`BLOCK_ROWS`] rows; otherwise as [`append`].
/// `read` may be called by several threads, each with rows and buffers of its own.
#[cfg(feature = "hdf5")]
pub(crate) fn append_columns<B: Default>(
    out: &mut Events,
    total: usize,
    limits: Limits,
    read: impl for<'b> Fn(Range<usize>, &'b mut B) -> Option<ByteColumns<'b>> + Sync,
) -> Option<u64> {
    append_with(out, total, limits, |range, room, limits| {
        let (mut filling, mut buffer) = (Filling::new(room, limits), B::default());
        for start in range.clone().step_by(BLOCK_ROWS) {
            let rows = start..range.end.min(start + BLOCK_ROWS);
            let columns = read(rows.clone(), &mut buffer)?;
            filling.take(rows.len(), |room| fill_columns(room, &columns, limits))?;
        }
        filling.times()
    })
}

/// Rows or records that a thread reads together.
const BLOCK_ROWS: usize = 1 << 14;

/// Appends `total` events, which `fill` writes piece by piece on as many threads as there are.
fn append_with(
    out: &mut Events,
    total: usize,
    limits: Limits,
    fill: impl Fn(Range<usize>, Room<'_>, Limits) -> Option<Times> + Sync,
) -> Option<u64> {
    if total == 0 {
        return Some(limits.last_t);
    }
    let len = out.len();
    out.reserve(total);
    let room = Room {
        t: &mut out.t.spare_capacity_mut()[..total],
        x: &mut out.x.spare_capacity_mut()[..total],
        y: &mut out.y.spare_capacity_mut()[..total],
        on: &mut out.polarity.spare_capacity_mut()[..total],
    };
    let pieces = if total >= PARALLEL_RECORDS { rayon::current_num_threads() } else { 1 };
    let times = fill_pieces(0..total, room, limits, &fill, pieces)?;
    // SAFETY: every piece has been filled, and `Filling::times` gives something only for a piece of which each entry of
    // each column has been written; `reserve` has made sure that the room is there.
    unsafe {
        out.t.set_len(len + total);
        out.x.set_len(len + total);
        out.y.set_len(len + total);
        out.polarity.set_len(len + total);
    }
    Some(times.last)
}

/// Fills `room`, which is that of the events `range`, in `pieces` on as many threads.
fn fill_pieces(
    range: Range<usize>,
    room: Room<'_>,
    limits: Limits,
    fill: &(impl Fn(Range<usize>, Room<'_>, Limits) -> Option<Times> + Sync),
    pieces: usize,
) -> Option<Times> {
    if pieces < 2 {
        return fill(range, room, limits);
    }
    let left_pieces = pieces / 2;
    let at = range.len() * left_pieces / pieces;
    let (left, right) = room.split_at(at);
    let middle = range.start + at;
    // The right half is held to the left one's last time below.
    let free = Limits { last_t: 0, ..limits };
    let (left, right) = rayon::join(
        || fill_pieces(range.start..middle, left, limits, fill, left_pieces),
        || fill_pieces(middle..range.end, right, free, fill, pieces - left_pieces),
    );
    let (left, right) = (left?, right?);
    (left.last <= right.first).then_some(Times { first: left.first, last: right.last })
}

/// Room behind the ends of the four columns.
struct Room<'a> {
    t: &'a mut [MaybeUninit<u64>],
    x: &'a mut [MaybeUninit<u16>],
    y: &'a mut [MaybeUninit<u16>],
    on: &'a mut [MaybeUninit<bool>],
}

impl<'a> Room<'a> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (t, t_rest) = self.t.split_at_mut(at);
        let (x, x_rest) = self.x.split_at_mut(at);
        let (y, y_rest) = self.y.split_at_mut(at);
        let (on, on_rest) = self.on.split_at_mut(at);
        (Room { t, x, y, on }, Room { t: t_rest, x: x_rest, y: y_rest, on: on_rest })
    }
}

/// Times \[us\] of the first and the last of some events.
#[derive(Clone, Copy)]
struct Times {
    first: u64,
    last: u64,
}

/// Room being filled block by block, each not before the last.
struct Filling<'a> {
    room: Option<Room<'a>>,
    first: Option<u64>,
    last: u64,
}

impl<'a> Filling<'a> {
    fn new(room: Room<'a>, limits: Limits) -> Self {
        Self { room: Some(room), first: None, last: limits.last_t }
    }

    /// Fills the room of the next `count` events, at least one. `fill` must write all of it if it gives something.
    fn take(&mut self, count: usize, fill: impl FnOnce(Room<'_>) -> Option<Times>) -> Option<()> {
        let (here, rest) = self.room.take()?.split_at(count);
        let times = fill(here)?;
        if times.first < self.last {
            return None;
        }
        self.first = self.first.or(Some(times.first));
        self.last = times.last;
        self.room = Some(rest);
        Some(())
    }

    /// The times of all, if all the room has been filled.
    fn times(self) -> Option<Times> {
        let full = self.room.is_some_and(|room| room.t.is_empty());
        full.then_some(Times { first: self.first?, last: self.last })
    }
}

/// Compiles `$body` for any processor and for AVX2, and calls the one that the processor has.
macro_rules! with_avx2 {
    ($(#[$doc:meta])* fn $name:ident $([$($generic:tt)*])? ($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[inline(always)]
        fn $name$(<$($generic)*>)?($($arg: $type),*) -> Option<Times> {
            #[inline(always)]
            fn any$(<$($generic)*>)?($($arg: $type),*) -> Option<Times> $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2$(<$($generic)*>)?($($arg: $type),*) -> Option<Times> {
                any($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2.
                return unsafe { avx2($($arg),*) };
            }
            any($($arg),*)
        }
    };
}

with_avx2! {
/// Fills `room` with a block of records that is not empty.
fn fill_records[const N: usize, F: Fn(&[u8; N]) -> Raw + Copy](
    room: Room<'_>, block: &[[u8; N]], decode: F, limits: Limits,
) {
    let times = Times { first: decode(block.first()?).t, last: decode(block.last()?).t };
    // Below 2^63 a step back is a difference with its highest bit set.
    let (mut before, mut high_bits) = (times.first, 0);
    if N >= WIDE {
        let (mut right, mut bottom, mut marks) = (0, 0, 0);
        let to = room.t.iter_mut().zip(room.x).zip(room.y.iter_mut().zip(room.on));
        let mut count = 0;
        for (((t, x), (y, on)), record) in to.zip(block) {
            let raw = decode(record);
            high_bits |= raw.t | raw.t.wrapping_sub(before);
            before = raw.t;
            right = right.max(raw.x);
            bottom = bottom.max(raw.y);
            marks |= raw.mark as u8;
            t.write(raw.t);
            x.write(raw.x);
            y.write(raw.y);
            on.write(raw.polarity);
            count += 1;
        }
        let fits = (high_bits >> 63 == 0) & (marks == Mark::Event as u8) & (count == block.len());
        return (fits & limits.hold(right, bottom)).then_some(times);
    }
    for (to, record) in room.t.iter_mut().zip(block) {
        let t = decode(record).t;
        high_bits |= t | t.wrapping_sub(before);
        before = t;
        to.write(t);
    }
    let (mut right, mut bottom, mut marks) = (0, 0, 0);
    for (to, record) in room.x.iter_mut().zip(block) {
        let x = decode(record).x;
        right = right.max(x);
        to.write(x);
    }
    for (to, record) in room.y.iter_mut().zip(block) {
        let y = decode(record).y;
        bottom = bottom.max(y);
        to.write(y);
    }
    for (to, record) in room.on.iter_mut().zip(block) {
        to.write(decode(record).polarity);
    }
    for record in block {
        marks |= decode(record).mark as u8;
    }
    let whole = room.t.len() == block.len();
    let fits = (high_bits >> 63 == 0) & (marks == Mark::Event as u8);
    (whole & fits & limits.hold(right, bottom)).then_some(times)
}
}

#[cfg(feature = "hdf5")]
with_avx2! {
/// Fills `room` with columns that are not empty.
fn fill_columns(room: Room<'_>, columns: &ByteColumns<'_>, limits: Limits) {
    let first = u64::from_le_bytes(*columns.t.first()?);
    let last = u64::from_le_bytes(*columns.t.last()?);
    let (mut before, mut high_bits) = (first, 0);
    for (to, bytes) in room.t.iter_mut().zip(columns.t) {
        let t = u64::from_le_bytes(*bytes);
        high_bits |= t | t.wrapping_sub(before);
        before = t;
        to.write(t);
    }
    let (mut right, mut bottom, mut odd) = (0, 0, false);
    for (to, bytes) in room.x.iter_mut().zip(columns.x) {
        let x = u16::from_le_bytes(*bytes);
        right = right.max(x);
        to.write(x);
    }
    for (to, bytes) in room.y.iter_mut().zip(columns.y) {
        let y = u16::from_le_bytes(*bytes);
        bottom = bottom.max(y);
        to.write(y);
    }
    for (to, &on) in room.on.iter_mut().zip(columns.on) {
        // 0, 1 and -1 have no other place after a step up.
        odd |= on.wrapping_add(1) > 2;
        to.write(on == 1);
    }
    let rows = room.t.len();
    let whole = [columns.t.len(), columns.x.len(), columns.y.len(), columns.on.len()] == [rows; 4];
    let fits = !odd & (high_bits >> 63 == 0);
    (whole & fits & limits.hold(right, bottom)).then_some(Times { first, last })
}
}

impl Limits {
    /// Whether the largest column and row are inside the sensor.
    #[inline(always)]
    fn hold(&self, right: u16, bottom: u16) -> bool {
        (u32::from(right) < self.width) & (u32::from(bottom) < self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of one byte each: the time steps by the low bits, 0xff is no event.
    fn decode(record: &[u8; 1], base_us: u64) -> Raw {
        let mark = if record[0] == 0xff { Mark::Other } else { Mark::Event };
        let v = u16::from(record[0]);
        Raw { t: base_us + u64::from(v >> 3), x: v, y: v >> 1, polarity: v & 1 == 1, mark }
    }

    fn limits(last_t: u64) -> Limits {
        Limits { width: 255, height: 200, last_t }
    }

    #[test]
    fn any_number_of_threads_and_runs_gives_the_events_one_by_one() {
        let total = 3 * PARALLEL_RECORDS + 77;
        let bytes: Vec<[u8; 1]> = (0..total).map(|i| [(i % 250) as u8]).collect();
        let mut runs = Vec::new();
        for (i, records) in bytes.chunks(50_001).enumerate() {
            runs.push(Run { records, base_us: 100 * i as u64 });
        }
        // Within a run times must not step back.
        let sorted: Vec<Vec<[u8; 1]>> = runs
            .iter()
            .map(|run| {
                let mut records = run.records.to_vec();
                records.sort_unstable();
                records
            })
            .collect();
        for (run, records) in runs.iter_mut().zip(&sorted) {
            run.records = records;
        }
        let mut expected = Events::default();
        for run in &runs {
            for record in run.records {
                let raw = decode(record, run.base_us);
                expected.push(raw.t, raw.x, raw.y, raw.polarity);
            }
        }
        for threads in [1, 2, 3, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = Events::default();
            out.push(0, 1, 2, true);
            let last = pool.install(|| append(&mut out, &runs, limits(0), decode));
            assert_eq!(last, expected.t.last().copied());
            assert_eq!((out.len(), out.t[0], out.x[0]), (total + 1, 0, 1));
            let mut tail = Events::default();
            tail.extend_from(&out, 1..total + 1);
            assert!(tail == expected, "{threads} threads");
        }
    }

    #[test]
    fn one_record_that_does_not_fit_keeps_all_out() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let total = 2 * PARALLEL_RECORDS;
        let good: Vec<[u8; 1]> = (0..total).map(|i| [80 + (i / (total / 8)) as u8]).collect();
        let append_all = |records: &[[u8; 1]], last_t: u64| {
            let mut out = Events::default();
            let run = Run { records, base_us: 0 };
            let last = pool.install(|| append(&mut out, &[run], limits(last_t), decode));
            assert_eq!(last.is_some(), !out.is_empty());
            last
        };
        assert_eq!(append_all(&good, 10), Some(10));
        assert_eq!(append_all(&good, 11), None, "steps back from the event before");
        for at in [0, 1, BLOCK, total / 3, total / 2, total - 1] {
            let mut bad = good.clone();
            bad[at] = [0xff];
            assert_eq!(append_all(&bad, 0), None, "no event at {at}");
            // Earlier than what is before it, or, for the first, later than what is after it.
            bad[at] = [if at == 0 { 120 } else { 16 }];
            assert_eq!(append_all(&bad, 0), None, "step back at {at}");
        }
        let far = Run { records: &good, base_us: 1 << 63 };
        assert_eq!(append(&mut Events::default(), &[far], limits(0), decode), None);
    }
}
