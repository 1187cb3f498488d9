//! The contract of every format: chunks of events and a ledger that accounts for each byte and event.

use crate::{Error, Events};

/// What a read has met so far. `events` are those handed out; every other event of the file is in a drop count.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Ledger {
    /// Bytes consumed, the header included.
    pub bytes: u64,
    /// Packets consumed, of any type (formats without packets: 0).
    pub packets: u64,
    /// Events handed out.
    pub events: u64,
    /// Dropped because the file marks them invalid.
    pub dropped_invalid: u64,
    /// Dropped because they lie outside the sensor.
    pub dropped_out_of_bounds: u64,
    /// Dropped because their time steps back.
    pub dropped_non_monotone: u64,
    /// Items of other kinds (frames, IMU samples, triggers), skipped.
    pub skipped_other: u64,
    /// Restarts of the device's clock in the middle; `t` goes on from the last event.
    pub resets: u64,
    /// Wraps of the time counter, undone in `t`.
    pub wraps: u64,
    /// Bytes at the end that make no whole item (allowed only on request).
    pub truncated_bytes: u64,
}

impl Ledger {
    /// Events dropped, for any reason.
    pub fn dropped(&self) -> u64 {
        self.dropped_invalid + self.dropped_out_of_bounds + self.dropped_non_monotone
    }
}

/// What a reader does where a file falls short of its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shortfall {
    /// Return an error (the default).
    #[default]
    Refuse,
    /// Enter it in the ledger and go on.
    Allow,
}

/// An iterator of chunks over one recording.
pub trait EventReader {
    /// Sensor size `(width, height)`, where the format states it or implies it.
    fn sensor_size(&self) -> Option<(u16, u16)>;

    /// Appends up to `limit` events to `out` and says how many; fewer than `limit` only at the end of the file.
    ///
    /// After an error the reader's place is not defined: give it up.
    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error>;

    /// About how many events are left, by the bytes that are there: room to reserve. 0 where nothing is known.
    fn events_left_estimate(&self) -> usize {
        0
    }

    /// What the read has met so far.
    fn ledger(&self) -> &Ledger;

    /// Replaces `chunk` by the next events of the file and says whether there were any.
    ///
    /// Chunks are bounded, so memory does not grow with the file.
    fn next_chunk(&mut self, chunk: &mut Events) -> Result<bool, Error> {
        chunk.clear();
        Ok(self.read_into(chunk, CHUNK_EVENTS)? > 0)
    }

    /// All events that are left.
    fn read_to_end(&mut self) -> Result<Events, Error> {
        let mut all = Events::with_capacity(self.events_left_estimate());
        self.read_into(&mut all, usize::MAX)?;
        Ok(all)
    }
}

/// Events in a chunk of [`EventReader::next_chunk`], at most.
pub const CHUNK_EVENTS: usize = 1 << 16;
