//! EVT 2.0, read: words of time cut the words of events into runs, which are decoded together.

use super::{LOW_BITS, TIME_BITS, WORD_BYTES};
use crate::columns::Run;
use crate::intake::{Intake, Mark, Raw};
use crate::raw_header::RawHeader;
use crate::source::{Place, Source};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// Words looked at together for one that is no event.
const BLOCK: usize = 32;

/// A reader of EVT 2.0.
pub struct Evt2Reader {
    source: Source,
    intake: Intake,
    /// Time of the last time word \[us\], wraps included; none before the first.
    base_us: Option<u64>,
}

impl Evt2Reader {
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
        if !header.evt.as_deref().is_some_and(|v| v.starts_with('2')) {
            let found = header.evt.map_or("none".into(), |v| format!("'% evt {v}'"));
            return Err(source.fault(0, "a header with '% evt 2.0'", found));
        }
        let mut intake = Intake::new(header.sensor(), shortfall);
        intake.ledger.bytes = source.offset();
        Ok(Self { source, intake, base_us: None })
    }
}

impl EventReader for Evt2Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        while out.len() - before < limit {
            let left = limit - (out.len() - before);
            self.source.fill_records::<WORD_BYTES>(left)?;
            let words = self.source.records::<WORD_BYTES>(left);
            if words.is_empty() {
                if !self.source.bytes().is_empty() {
                    self.intake.cut_short(&mut self.source, "word", WORD_BYTES as u64)?;
                }
                break;
            }
            let (mut runs, mut at) = (Vec::new(), 0);
            let mut unknown = None;
            while at < words.len() && unknown.is_none() {
                let count = events_at_start(&words[at..]);
                match self.base_us {
                    Some(base_us) if count > 0 => {
                        runs.push((at, Run { records: &words[at..at + count], base_us }));
                    }
                    _ => self.intake.ledger.dropped_invalid += count as u64,
                }
                at += count;
                let Some(&word) = words.get(at) else { break };
                let word = u32::from_le_bytes(word);
                match word >> 28 {
                    8 => {
                        let (base_us, wrapped) = time_after(self.base_us, word);
                        self.base_us = Some(base_us);
                        self.intake.ledger.wraps += u64::from(wrapped);
                    }
                    10 | 14 | 15 => self.intake.ledger.skipped_other += 1,
                    kind if self.intake.shortfall == Shortfall::Refuse => unknown = Some(kind),
                    _ => self.intake.ledger.dropped_invalid += 1,
                }
                at += 1;
            }
            let all: Vec<Run<'_, WORD_BYTES>> = runs.iter().map(|(_, run)| *run).collect();
            if !self.intake.take_runs(out, &all, decode_event) {
                for (first, run) in runs {
                    let place = self.source.part(first * WORD_BYTES);
                    self.intake.take(out, run, &place, decode_event)?;
                }
            }
            if let Some(kind) = unknown {
                let expected = "a word of type 0, 1, 8, 10, 14 or 15".into();
                return Err(self.source.fault_at(((at - 1) * WORD_BYTES) as u64, expected, kind.to_string()));
            }
            self.source.consume(at * WORD_BYTES);
            self.intake.ledger.bytes = self.source.offset();
        }
        Ok(out.len() - before)
    }

    fn events_left_estimate(&self) -> usize {
        self.source.items_left(WORD_BYTES)
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}

/// How many words are events before the first that is none.
fn events_at_start(words: &[[u8; WORD_BYTES]]) -> usize {
    let is_event = |word: &[u8; WORD_BYTES]| u32::from_le_bytes(*word) >> 28 < 2;
    let (blocks, rest) = words.as_chunks::<BLOCK>();
    let whole = blocks.iter().position(|block| !block.iter().fold(true, |all, word| all & is_event(word)));
    let (start, block) = match whole {
        Some(i) => (i * BLOCK, &blocks[i][..]),
        None => (blocks.len() * BLOCK, rest),
    };
    start + block.iter().position(|word| !is_event(word)).unwrap_or(block.len())
}

/// The time \[us\] that the time word `word` sets after that of the last one, and whether the clock has wrapped.
fn time_after(last: Option<u64>, word: u32) -> (u64, bool) {
    let low = u64::from(word & 0x0fff_ffff) << LOW_BITS;
    let last = last.unwrap_or(low);
    let turn = last >> TIME_BITS << TIME_BITS;
    let range = 1 << TIME_BITS;
    let wrapped = low + range / 2 < last - turn;
    (turn + low + if wrapped { range } else { 0 }, wrapped)
}

#[inline(always)]
fn decode_event(word: &[u8; WORD_BYTES], base_us: u64) -> Raw {
    let word = u32::from_le_bytes(*word);
    Raw {
        t: base_us | u64::from(word >> 22 & 0x3f),
        x: (word >> 11) as u16 & 0x7ff,
        y: word as u16 & 0x7ff,
        polarity: word >> 28 == 1,
        mark: Mark::Event,
    }
}
