//! Text, read.

use crate::intake::{Intake, Mark, Raw};
use crate::source::Source;
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::io::Read;
use std::path::{Path, PathBuf};

/// No line of events is longer.
const LINE_LIMIT: usize = 4096;
/// What the fields are called, in the order t, x, y, p.
const NAMES: [&[&str]; 4] = [
    &["t", "ts", "time", "timestamp", "timestamps", "t_us"],
    &["x", "col", "column"],
    &["y", "row"],
    &["p", "pol", "polarity", "on"],
];

/// A reader of text.
pub struct CsvReader {
    path: PathBuf,
    source: Source,
    intake: Intake,
    line: u64,
    order: Option<[usize; 4]>,
    seconds: Option<bool>,
}

impl CsvReader {
    /// Opens the recording at `path`; text does not say its sensor's size `(width, height)`.
    pub fn open(
        path: impl AsRef<Path>,
        sensor: Option<(u16, u16)>,
        shortfall: Shortfall,
    ) -> Result<Self, Error> {
        Ok(Self::start(Source::open(path.as_ref())?, path.as_ref(), sensor, shortfall))
    }

    /// Reads a recording from `input`; `name` stands for its path in errors.
    pub fn new(
        input: Box<dyn Read + Send>,
        name: impl AsRef<Path>,
        sensor: Option<(u16, u16)>,
        shortfall: Shortfall,
    ) -> Self {
        Self::start(Source::new(input, name.as_ref()), name.as_ref(), sensor, shortfall)
    }

    fn start(source: Source, path: &Path, sensor: Option<(u16, u16)>, shortfall: Shortfall) -> Self {
        let intake = Intake::new(sensor, shortfall);
        Self { path: path.to_path_buf(), source, intake, line: 0, order: None, seconds: None }
    }

    fn fault(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Line {
            path: self.path.clone(),
            line: self.line,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Decodes one line.
    fn take_line(&mut self, line: &[u8], out: &mut Events) -> Result<(), Error> {
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            return Ok(());
        }
        let mut fields: [&[u8]; 16] = [&[]; 16];
        let mut count = 0;
        for field in split(line) {
            if count < fields.len() {
                fields[count] = field;
            }
            count += 1;
        }
        let Some(order) = self.order else {
            let names = line[0].is_ascii_alphabetic();
            self.order = Some(if names { self.named_order(&fields[..count.min(16)])? } else { [0, 1, 2, 3] });
            return if names { Ok(()) } else { self.take_line(line, out) };
        };
        let needed = order.iter().max().map_or(4, |&last| last + 1);
        if count < needed {
            return Err(self.fault(format!("{needed} fields"), format!("{count}: '{}'", line.escape_ascii())));
        }
        let field = |i: usize| fields[order[i]];
        let seconds = *self.seconds.get_or_insert_with(|| field(0).contains(&b'.'));
        let t = if seconds { seconds_to_us(field(0)) } else { whole(field(0)) };
        let polarity = match field(3) {
            b"1" | b"true" | b"True" | b"+1" => Some(true),
            b"0" | b"-1" | b"false" | b"False" => Some(false),
            _ => None,
        };
        let pixel = |i| whole(field(i)).and_then(|v| u16::try_from(v).ok());
        let (Some(t), Some(x), Some(y), Some(polarity)) = (t, pixel(1), pixel(2), polarity) else {
            return Err(
                self.fault("a time, two pixel coordinates and a polarity", line.escape_ascii().to_string())
            );
        };
        let (path, line) = (&self.path, self.line);
        self.intake.take_one(out, Raw { t, x, y, polarity, mark: Mark::Event }, |expected, found| {
            Error::Line { path: path.clone(), line, expected, found }
        })
    }

    /// Where the four fields stand by their names.
    fn named_order(&self, names: &[&[u8]]) -> Result<[usize; 4], Error> {
        let mut order = [0; 4];
        for (place, known) in order.iter_mut().zip(NAMES) {
            let found = names.iter().position(|name| {
                let name = name.trim_ascii();
                known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            });
            let Some(found) = found else {
                let names = names.join(&b", "[..]).escape_ascii().to_string();
                return Err(self.fault(format!("a field named {}", known.join(" or ")), names));
            };
            *place = found;
        }
        Ok(order)
    }
}

impl EventReader for CsvReader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        let mut line = Vec::new();
        while out.len() - before < limit {
            self.line += 1;
            self.source.fill(LINE_LIMIT)?;
            let bytes = self.source.bytes();
            if bytes.is_empty() {
                break;
            }
            let end = bytes.iter().take(LINE_LIMIT).position(|&b| b == b'\n');
            if end.is_none() && bytes.len() >= LINE_LIMIT {
                return Err(self.fault(format!("a line of less than {LINE_LIMIT} bytes"), "a longer one"));
            }
            line.clear();
            line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            let step = end.map_or(bytes.len(), |end| end + 1);
            self.take_line(&line, out)?;
            self.source.consume(step);
            self.intake.ledger.bytes = self.source.offset();
        }
        Ok(out.len() - before)
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}

/// The fields of a line: between commas or semicolons, or else between blanks.
fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let marks = line.iter().any(|&b| b == b',' || b == b';');
    line.split(move |&b| if marks { b == b',' || b == b';' } else { b == b' ' || b == b'\t' })
        .map(<[u8]>::trim_ascii)
        .filter(move |field| marks || !field.is_empty())
}

/// A whole number.
fn whole(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A decimal number of seconds, in microseconds, rounded to the nearest.
fn seconds_to_us(text: &[u8]) -> Option<u64> {
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    let fraction = text.get(point + 1..).unwrap_or(&[]);
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |i: usize| u64::from(fraction.get(i).map_or(0, |d| d - b'0'));
    let us = (0..6).fold(0, |us, i| 10 * us + digit(i)) + u64::from(digit(6) >= 5);
    whole(&text[..point])?.checked_mul(1_000_000)?.checked_add(us)
}
