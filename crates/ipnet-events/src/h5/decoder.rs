//! Plain HDF5, read slab by slab; slabs follow the stored chunks, so that each is decompressed once. Columns that stand in
//! the file as they are need no library (`plain`).

use super::GROUP;
use super::plain::Plain;
use crate::hdf5_file::{Column, Rows, fault, library, open};
use crate::intake::{Intake, Mark, Raw};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::path::{Path, PathBuf};

/// Rows read together, at least and at most.
const SLAB_ROWS: usize = 1 << 16;
/// Rows that are worth a thread of their own.
const PLAIN_ROWS: usize = 1 << 15;
const MAX_SLAB_ROWS: usize = 1 << 22;

/// A reader of plain HDF5 recordings.
pub struct H5Reader {
    path: PathBuf,
    columns: [Column; 4],
    plain: Option<Plain>,
    intake: Intake,
    rows: usize,
    next: usize,
    slab: usize,
    pending: Events,
    taken: usize,
}

impl H5Reader {
    /// Opens the recording at `path`.
    ///
    /// # Errors
    /// A missing dataset, datasets of different lengths (unless allowed), or types that are not numbers.
    pub fn open(path: impl AsRef<Path>, shortfall: Shortfall) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = open(path)?;
        let group = file.group(GROUP).map_err(|_| fault(path, GROUP, "a group", "none"))?;
        let columns = [
            Column::find(path, &group, &["t", "ts", "timestamps", "timestamp"])?,
            Column::find(path, &group, &["x", "xs"])?,
            Column::find(path, &group, &["y", "ys"])?,
            Column::find(path, &group, &["p", "ps", "polarity", "polarities", "on"])?,
        ];
        let side = |name: &str| -> Result<Option<u16>, Error> {
            match group.attr_names().is_ok_and(|names| names.iter().any(|n| n == name)) {
                true => group
                    .attr(name)
                    .and_then(|a| a.read_scalar())
                    .map(Some)
                    .map_err(library(path, &format!("{GROUP}@{name}"))),
                false => Ok(None),
            }
        };
        let sensor = side("width")?.zip(side("height")?);
        let mut intake = Intake::new(sensor, shortfall);
        let rows = columns.iter().map(|c| c.len).min().unwrap_or(0);
        for column in &columns {
            if column.len > rows {
                if shortfall == Shortfall::Refuse {
                    let lengths: Vec<_> =
                        columns.iter().map(|c| format!("{} rows in {}", c.len, c.name())).collect();
                    return Err(fault(path, GROUP, "datasets of one length", lengths.join(", ")));
                }
                intake.ledger.truncated_bytes += (column.len - rows) as u64;
            }
        }
        let chunk = columns[0].chunk.unwrap_or(SLAB_ROWS).clamp(1, MAX_SLAB_ROWS);
        let slab = chunk * SLAB_ROWS.div_ceil(chunk).min(MAX_SLAB_ROWS);
        Ok(Self {
            path: path.to_path_buf(),
            plain: Plain::find(path, &columns),
            columns,
            intake,
            rows,
            next: 0,
            slab: slab.min(MAX_SLAB_ROWS),
            pending: Events::default(),
            taken: 0,
        })
    }

    /// Takes up to `limit` rows of plain columns, if there is nothing in them to drop.
    fn read_plain(&mut self, out: &mut Events, limit: usize) -> bool {
        let Some(plain) = &self.plain else { return false };
        let (first, rows) = (self.next, limit.min(self.rows - self.next).min(MAX_SLAB_ROWS));
        let taken = self.intake.take_byte_columns(out, rows, |part, buffers| {
            plain.read(first + part.start..first + part.end, buffers)
        });
        if !taken {
            // From here on by the library, which says where the fault is.
            self.plain = None;
            return false;
        }
        self.intake.ledger.bytes += (rows * 13) as u64;
        self.next += rows;
        true
    }

    /// Decodes the next slab into `out`.
    fn read_slab(&mut self, out: &mut Events) -> Result<(), Error> {
        let first = self.next;
        let range = first..self.rows.min(first + self.slab);
        let [t, x, y, p] = &self.columns;
        let [ct, cx, cy, cp] =
            [t.rows(range.clone())?, x.rows(range.clone())?, y.rows(range.clone())?, p.rows(range.clone())?];
        self.intake.ledger.bytes += (range.len() * 13) as u64;
        self.next = range.end;
        if let (Rows::I64(t), Rows::U16(x), Rows::U16(y), Rows::I8(p)) = (&ct, &cx, &cy, &cp)
            && self.intake.take_signed(out, t, x, y, p)
        {
            return Ok(());
        }
        for i in 0..range.len() {
            let raw = Raw {
                t: time_us(&ct, i).unwrap_or(0),
                x: pixel(&cx, i).unwrap_or(0),
                y: pixel(&cy, i).unwrap_or(0),
                polarity: on(&cp, i).unwrap_or(false),
                mark: Mark::Event,
            };
            let sound = time_us(&ct, i).is_some()
                && pixel(&cx, i).is_some()
                && pixel(&cy, i).is_some()
                && on(&cp, i).is_some();
            let raw = if sound { raw } else { Raw { mark: Mark::Unsound, ..raw } };
            let path = &self.path;
            self.intake.take_one(out, raw, |expected, found| {
                fault(path, format!("/{GROUP} row {}", first + i), expected, found)
            })?;
        }
        Ok(())
    }
}

impl EventReader for H5Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        loop {
            let left = limit - (out.len() - before);
            let here = left.min(self.pending.len() - self.taken);
            out.extend_from(&self.pending, self.taken..self.taken + here);
            self.taken += here;
            let left = left - here;
            if left == 0 || self.next == self.rows {
                break;
            }
            if left >= PLAIN_ROWS && self.read_plain(out, left) {
                continue;
            }
            if left >= self.slab {
                out.reserve(left.min(self.rows - self.next));
                self.read_slab(out)?;
            } else {
                let mut pending = std::mem::take(&mut self.pending);
                pending.clear();
                self.taken = 0;
                let result = self.read_slab(&mut pending);
                self.pending = pending;
                result?;
            }
        }
        Ok(out.len() - before)
    }

    fn events_left_estimate(&self) -> usize {
        // A dataset may claim rows that are not stored; plain columns have been seen to be inside the file.
        let believed = if self.plain.is_some() { usize::MAX } else { MAX_SLAB_ROWS };
        (self.rows - self.next).min(believed)
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}

fn time_us(rows: &Rows, i: usize) -> Option<u64> {
    match rows {
        Rows::F64(v) => {
            let us = (v[i] * 1e6).round();
            // 2^53 us is 285 years; beyond it a double does not hold whole microseconds.
            (0.0..9_007_199_254_740_992.0).contains(&us).then_some(us as u64)
        }
        Rows::U64(v) => Some(v[i]),
        _ => integer(rows, i).and_then(|v| u64::try_from(v).ok()),
    }
}

fn pixel(rows: &Rows, i: usize) -> Option<u16> {
    integer(rows, i).and_then(|v| u16::try_from(v).ok())
}

fn on(rows: &Rows, i: usize) -> Option<bool> {
    match integer(rows, i)? {
        1 => Some(true),
        0 | -1 => Some(false),
        _ => None,
    }
}

fn integer(rows: &Rows, i: usize) -> Option<i64> {
    match rows {
        Rows::I8(v) => Some(v[i].into()),
        Rows::U16(v) => Some(v[i].into()),
        Rows::I64(v) => Some(v[i]),
        Rows::U64(v) => i64::try_from(v[i]).ok(),
        Rows::F64(v) => (v[i].fract() == 0.0 && v[i].abs() < 1e15).then_some(v[i] as i64),
    }
}
