//! EVT 3.0, read: stretches of words of row, event and low time, which are nearly all words of most recordings, become
//! records without a branch; everything else goes through one word at a time.

use super::{LOW_BITS, TIME_BITS, WORD_BYTES};
use crate::columns::Run;
use crate::intake::{Intake, Mark, Raw, STAGE, Stage};
use crate::raw_header::RawHeader;
use crate::source::{Place, Source};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// Words looked at together.
const STEP: usize = 8192;
/// Words that are of the three common kinds together, or are gone through one by one.
const BLOCK: usize = 64;
/// Events that one word can hold, at most.
const VECTOR: usize = 12;

/// A reader of EVT 3.0.
pub struct Evt3Reader {
    source: Source,
    intake: Intake,
    stage: Box<Stage>,
    /// Events of common words: bits 0 to 10 x, 11 ON, 16 to 26 y, 32 to 43 low time.
    records: Box<[[u8; 8]; STEP]>,
    state: State,
    early: Vec<Early>,
    pending: Events,
    taken: usize,
}

/// An event before the first time word: row, column, ON, offset from its words' start.
type Early = (u16, u16, bool, u32);
/// Events before the first time word that are kept until it comes.
const MAX_EARLY: usize = STAGE / 2;

/// What the words so far have set.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Time \[us\] with wraps; valid after a high and then a low word.
    t: u64,
    has_high: bool,
    has_low: bool,
    row: Option<u16>,
    base_x: u16,
    base_on: bool,
}

impl Evt3Reader {
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
        if !header.evt.as_deref().is_some_and(|v| v.starts_with('3')) {
            let found = header.evt.map_or("none".into(), |v| format!("'% evt {v}'"));
            return Err(source.fault(0, "a header with '% evt 3.0'", found));
        }
        let mut intake = Intake::new(header.sensor(), shortfall);
        intake.ledger.bytes = source.offset();
        let (stage, state) = (Stage::new(), State::default());
        let early = Vec::new();
        let (records, pending) = (Box::new([[0; 8]; STEP]), Events::default());
        Ok(Self { source, intake, stage, records, state, early, pending, taken: 0 })
    }

    /// Decodes up to `want` words into `out`; false at the end of the file.
    fn decode(&mut self, out: &mut Events, want: usize) -> Result<bool, Error> {
        self.source.fill(want * WORD_BYTES)?;
        let (words, _) = self.source.bytes().as_chunks::<WORD_BYTES>();
        let mut words = &words[..words.len().min(want)];
        if let (Some(row), true) = (self.state.row, self.state.has_low) {
            let common = common_at_start(words);
            let before = State { row: Some(row), ..self.state };
            let (state, count) = gather(&words[..common], before, &mut self.records);
            let run = Run { records: &self.records[..count], base_us: self.state.t >> LOW_BITS << LOW_BITS };
            if common > 0 && self.intake.take_runs(out, &[run], decode_record) {
                self.state = state;
                self.source.consume(common * WORD_BYTES);
                self.intake.ledger.bytes = self.source.offset();
                return Ok(true);
            }
            words = &words[..words.len().min(common.max(BLOCK))];
        }
        let count = words.len();
        if count == 0 {
            if !self.source.bytes().is_empty() {
                self.intake.cut_short(&mut self.source, "word", WORD_BYTES as u64)?;
            }
            self.intake.ledger.dropped_invalid += self.early.drain(..).count() as u64;
            return Ok(false);
        }
        let mut state = self.state;
        for (i, word) in words.iter().enumerate() {
            let word = u16::from_le_bytes(*word);
            let low = word & 0x0fff;
            let at = (i * WORD_BYTES) as u32;
            match word >> 12 {
                2 => {
                    let (Some(y), true) = (state.row, state.has_low) else {
                        match state.row {
                            Some(y) if !state.has_high && self.early.len() < MAX_EARLY => {
                                self.early.push((y, low & 0x7ff, low >> 11 == 1, at));
                            }
                            _ => self.intake.ledger.dropped_invalid += 1,
                        }
                        continue;
                    };
                    self.stage.push(state.t, low & 0x7ff, y, low >> 11 == 1, at);
                    if self.stage.room() < VECTOR {
                        self.stage.flush(&mut self.intake, out, &self.source)?;
                    }
                }
                0 => state.row = Some(low & 0x7ff),
                6 => {
                    state.t = state.t >> LOW_BITS << LOW_BITS | u64::from(low);
                    state.has_low = state.has_high;
                }
                8 => {
                    // Writers that start their clock at 0 say nothing of it before it moves.
                    for (y, x, on, at) in self.early.drain(..) {
                        if low == 0 {
                            self.stage.push(0, x, y, on, at);
                        } else {
                            self.intake.ledger.dropped_invalid += 1;
                        }
                    }
                    if self.stage.room() < VECTOR {
                        self.stage.flush(&mut self.intake, out, &self.source)?;
                    }
                    self.intake.ledger.wraps += u64::from(state.set_high(low));
                }
                3 => (state.base_x, state.base_on) = (low & 0x7ff, low >> 11 == 1),
                kind @ (4 | 5) => {
                    let width = if kind == 4 { 12 } else { 8 };
                    let mut bits = low & ((1 << width) - 1);
                    match (state.row, state.has_low) {
                        (Some(y), true) => {
                            while bits != 0 {
                                let x = state.base_x + bits.trailing_zeros() as u16;
                                self.stage.push(state.t, x, y, state.base_on, at);
                                bits &= bits - 1;
                            }
                        }
                        _ => self.intake.ledger.dropped_invalid += u64::from(bits.count_ones()),
                    }
                    // Beyond the 11 bits of a column there is no sensor; staying there keeps the events refused.
                    state.base_x = (state.base_x + width).min(0x7fff);
                    if self.stage.room() < VECTOR {
                        self.stage.flush(&mut self.intake, out, &self.source)?;
                    }
                }
                7 | 10 | 14 | 15 => self.intake.ledger.skipped_other += 1,
                kind if self.intake.shortfall == Shortfall::Refuse => {
                    let expected = "a word of type 0, 2 to 8, 10, 14 or 15".into();
                    return Err(self.source.fault_at(at.into(), expected, kind.to_string()));
                }
                _ => self.intake.ledger.dropped_invalid += 1,
            }
        }
        self.state = state;
        self.stage.flush(&mut self.intake, out, &self.source)?;
        self.source.consume(count * WORD_BYTES);
        self.intake.ledger.bytes = self.source.offset();
        Ok(true)
    }
}

/// How many words, in whole blocks, are rows, events or low times.
fn common_at_start(words: &[[u8; WORD_BYTES]]) -> usize {
    let common = |word: &[u8; WORD_BYTES]| {
        let kind = u16::from_le_bytes(*word) >> 12;
        (kind == 0) | (kind == 2) | (kind == 6)
    };
    let (blocks, _) = words.as_chunks::<BLOCK>();
    let count = blocks.iter().position(|block| !block.iter().fold(true, |all, word| all & common(word)));
    count.unwrap_or(blocks.len()) * BLOCK
}

/// Where the low 12 bits of a common word go in a record, by the word's kind: a shift, and the bits that take them.
const PLACES: [(u32, u64); 8] = {
    let mut places = [(0, 0); 8];
    places[0] = (16, 0x7ff << 16);
    places[2] = (0, 0xfff);
    places[6] = (32, 0xfff << 32);
    places
};

/// Makes `records` of the events of `words`, which are rows, events and low times; gives the state after them and the number
/// of events.
///
/// Kinds follow each other as the scene will have it: a branch on them is foretold wrongly about once a word. So every
/// word goes into its place of one record, which is written each time and stays if the word was an event.
fn gather(words: &[[u8; WORD_BYTES]], mut state: State, records: &mut [[u8; 8]; STEP]) -> (State, usize) {
    debug_assert!(words.len() <= STEP);
    let mut record = u64::from(state.row.unwrap_or(0)) << 16 | (state.t & 0xfff) << 32;
    let mut count = 0;
    for word in words {
        let word = u16::from_le_bytes(*word);
        let (shift, place) = PLACES[usize::from(word >> 12 & 7)];
        record = record & !place | u64::from(word) << shift & place;
        records[count % STEP] = record.to_le_bytes();
        count += usize::from(word >> 12 == 2);
    }
    state.row = Some((record >> 16) as u16 & 0x7ff);
    state.t = state.t >> LOW_BITS << LOW_BITS | record >> 32;
    (state, count)
}

#[inline(always)]
fn decode_record(record: &[u8; 8], base_us: u64) -> Raw {
    let record = u64::from_le_bytes(*record);
    Raw {
        t: base_us | record >> 32,
        x: record as u16 & 0x7ff,
        y: (record >> 16) as u16 & 0x7ff,
        polarity: record >> 11 & 1 == 1,
        mark: Mark::Event,
    }
}

impl State {
    /// Takes a high word and says whether the 24-bit time has wrapped.
    fn set_high(&mut self, high: u16) -> bool {
        let high = u64::from(high);
        let turn = self.t >> TIME_BITS;
        let last = self.t >> LOW_BITS & 0xfff;
        let wraps = self.has_high && high + 0x800 < last;
        if !self.has_high || high != last {
            // A new high word starts at low time 0; a repeated one changes nothing.
            self.t = (turn + u64::from(wraps)) << TIME_BITS | high << LOW_BITS;
        }
        // A clock that starts at 0 has no low word before it moves either.
        self.has_low |= !self.has_high && high == 0;
        self.has_high = true;
        wraps
    }
}

impl EventReader for Evt3Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        loop {
            let here = (limit - (out.len() - before)).min(self.pending.len() - self.taken);
            out.extend_from(&self.pending, self.taken..self.taken + here);
            self.taken += here;
            let left = limit - (out.len() - before);
            if left == 0 {
                break;
            }
            // A word gives up to 12 events: near the limit they go through `pending`.
            let more = if left >= STEP * VECTOR {
                self.decode(out, STEP)?
            } else {
                let mut pending = std::mem::take(&mut self.pending);
                pending.clear();
                self.taken = 0;
                let result = self.decode(&mut pending, STEP);
                self.pending = pending;
                result?
            };
            if !more {
                break;
            }
        }
        Ok(out.len() - before)
    }

    fn events_left_estimate(&self) -> usize {
        // An event and its share of the words of time and row.
        self.source.items_left(2 * WORD_BYTES)
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}
