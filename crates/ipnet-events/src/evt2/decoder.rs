//! EVT 2.0, read.

use super::{LOW_BITS, TIME_BITS, WORD_BYTES};
use crate::intake::{Intake, Stage};
use crate::raw_header::RawHeader;
use crate::source::{Place, Source};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::Path;

/// Words looked at together.
const STEP: usize = 8192;

/// A reader of EVT 2.0.
pub struct Evt2Reader {
    source: Source,
    intake: Intake,
    stage: Box<Stage>,
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
        Ok(Self { source, intake, stage: Stage::new(), base_us: None })
    }
}

impl EventReader for Evt2Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        while out.len() - before < limit {
            let want = STEP.min(limit - (out.len() - before));
            self.source.fill(want * WORD_BYTES)?;
            let (words, _) = self.source.bytes().as_chunks::<WORD_BYTES>();
            let words = &words[..words.len().min(want)];
            let count = words.len();
            if count == 0 {
                if !self.source.bytes().is_empty() {
                    self.intake.cut_short(&mut self.source, "word", WORD_BYTES as u64)?;
                }
                break;
            }
            let mut base_us = self.base_us;
            for (i, word) in words.iter().enumerate() {
                let word = u32::from_le_bytes(*word);
                match word >> 28 {
                    kind @ (0 | 1) => {
                        let Some(base_us) = base_us else {
                            self.intake.ledger.dropped_invalid += 1;
                            continue;
                        };
                        let t = base_us | u64::from(word >> 22 & 0x3f);
                        let (x, y) = ((word >> 11) as u16 & 0x7ff, word as u16 & 0x7ff);
                        self.stage.push(t, x, y, kind == 1, (i * WORD_BYTES) as u32);
                        if self.stage.room() == 0 {
                            self.stage.flush(&mut self.intake, out, &self.source)?;
                        }
                    }
                    8 => {
                        let low = u64::from(word & 0x0fff_ffff) << LOW_BITS;
                        let last = base_us.unwrap_or(low);
                        let turn = last >> TIME_BITS << TIME_BITS;
                        let range = 1 << TIME_BITS;
                        let wraps = low + range / 2 < last - turn;
                        self.intake.ledger.wraps += u64::from(wraps);
                        base_us = Some(turn + low + if wraps { range } else { 0 });
                    }
                    10 | 14 | 15 => self.intake.ledger.skipped_other += 1,
                    kind if self.intake.shortfall == Shortfall::Refuse => {
                        let expected = "a word of type 0, 1, 8, 10, 14 or 15".into();
                        return Err(self.source.fault_at(
                            (i * WORD_BYTES) as u64,
                            expected,
                            kind.to_string(),
                        ));
                    }
                    _ => self.intake.ledger.dropped_invalid += 1,
                }
            }
            self.base_us = base_us;
            self.stage.flush(&mut self.intake, out, &self.source)?;
            self.source.consume(count * WORD_BYTES);
            self.intake.ledger.bytes = self.source.offset();
        }
        Ok(out.len() - before)
    }

    fn events_left_at_most(&self) -> usize {
        self.source.items_left(WORD_BYTES)
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}
