//! DDD recordings, read packet by packet.

use super::cells::Cells;
use super::{CHUNK_ROWS, DDD20_SENSOR, FRAME, FRAME_HEAD_BYTES, Frame, GROUP};
use crate::aedat31::decoder::{base_after_reset, decode_event, is_time_reset};
use crate::aedat31::header::{EVENT_BYTES, PACKET_HEADER_BYTES, POLARITY, Packet, SPECIAL};
use crate::columns::Run;
use crate::hdf5_file::{Column, Rows, fault, library, open};
use crate::intake::Intake;
use crate::source::{Place, i32_le};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use std::path::{Path, PathBuf};

/// What a packet held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Events, appended to the caller's run.
    Events,
    /// A frame (asked for with [`Ddd20Reader::with_frames`]).
    Frame(Frame),
    /// Anything else, counted in the ledger.
    Other,
}

/// A reader of DDD-17 and DDD-20 recordings. As an [`EventReader`] it gives device times.
pub struct Ddd20Reader {
    path: PathBuf,
    cells: Cells,
    intake: Intake,
    rows: usize,
    next: usize,
    block: Vec<Vec<u8>>,
    block_start: usize,
    frames: bool,
    overflow: u32,
    base_us: u64,
    pending: Events,
    taken: usize,
}

/// A payload's place, for errors.
struct Row<'a> {
    path: &'a Path,
    row: usize,
    what: &'static str,
}

impl Place for Row<'_> {
    fn fault_at(&self, relative: u64, expected: String, found: String) -> Error {
        let item = format!("/{GROUP}/data row {}, {} byte {relative}", self.row, self.what);
        fault(self.path, item, expected, found)
    }
}

impl Ddd20Reader {
    /// Opens the recording at `path`.
    pub fn open(path: impl AsRef<Path>, shortfall: Shortfall) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = open(path)?;
        let item = format!("/{GROUP}/data");
        let Ok(data) = file.dataset(&format!("{GROUP}/data")) else {
            return Err(fault(path, item, "a dataset", "none"));
        };
        let shape = data.shape();
        let &[stored, 3] = shape.as_slice() else {
            return Err(fault(path, item, "shape [N, 3]", format!("{shape:?}")));
        };
        let group = file.group(GROUP).map_err(library(path, GROUP))?;
        let rows = used_rows(path, &Column::find(path, &group, &["timestamp"])?, stored)?;
        Ok(Self {
            path: path.to_path_buf(),
            cells: Cells::new(path, data)?,
            intake: Intake::new(Some(DDD20_SENSOR), shortfall),
            rows,
            next: 0,
            block: Vec::new(),
            block_start: 0,
            frames: false,
            overflow: 0,
            base_us: 0,
            pending: Events::default(),
            taken: 0,
        })
    }

    /// Decodes frames too, instead of counting them as other items.
    pub fn with_frames(mut self) -> Self {
        self.frames = true;
        self
    }

    /// Reads the next packet: its host time \[us\] and what it held; events are appended to `out`.
    pub fn next_packet(&mut self, out: &mut Events) -> Result<Option<(i64, Item)>, Error> {
        if self.next == self.rows {
            return Ok(None);
        }
        self.load_block()?;
        let row = self.next;
        self.next += 1;
        let cells = &self.block[3 * (row - self.block_start)..][..3];
        let place = |what| Row { path: &self.path, row, what };
        let digits = std::str::from_utf8(&cells[0]).ok().and_then(|text| text.parse::<i64>().ok());
        let Some(host_us) = digits.filter(|&t| t > 0) else {
            let found = String::from_utf8_lossy(&cells[0]).escape_default().to_string();
            return Err(place("host time").fault_at(0, "a time in digits".into(), format!("'{found}'")));
        };
        let Some(head) = cells[1].first_chunk::<PACKET_HEADER_BYTES>().filter(|_| cells[1].len() == 28)
        else {
            let found = format!("{} bytes", cells[1].len());
            return Err(place("header").fault_at(0, "28 bytes".into(), found));
        };
        let packet = Packet::parse(head, &place("header"))?;
        let payload = &cells[2];
        let expected = packet.capacity * packet.event_bytes;
        if payload.len() as u64 != expected {
            let found = format!("{} bytes", payload.len());
            return Err(place("payload").fault_at(0, format!("{expected} bytes"), found));
        }
        let ledger = &mut self.intake.ledger;
        ledger.packets += 1;
        ledger.bytes += cells.iter().map(|c| c.len() as u64).sum::<u64>();
        if packet.overflow < self.overflow && self.intake.shortfall == Shortfall::Refuse {
            let expected = format!("a time overflow of at least {}", self.overflow);
            return Err(place("header").fault_at(12, expected, packet.overflow.to_string()));
        }
        ledger.wraps += u64::from(packet.overflow.saturating_sub(self.overflow));
        self.overflow = packet.overflow;
        let time_us = self.base_us + (u64::from(packet.overflow) << 31);
        let item = match packet.kind {
            POLARITY => {
                let (records, _) = payload.as_chunks::<EVENT_BYTES>();
                let records = &records[..packet.number as usize];
                let run = Run { records, base_us: time_us };
                self.intake.take(out, run, &place("payload"), decode_event)?;
                Item::Events
            }
            FRAME if self.frames && packet.number > 0 => {
                Item::Frame(decode_frame(payload, time_us, &place("payload"))?)
            }
            kind => {
                if kind == SPECIAL {
                    let (records, _) = payload.as_chunks::<EVENT_BYTES>();
                    if records.iter().any(is_time_reset) && ledger.events > 0 {
                        self.base_us = base_after_reset(self.intake.last_t, &place("payload"))?;
                        self.overflow = 0;
                        ledger.resets += 1;
                    }
                }
                self.intake.ledger.skipped_other += packet.number;
                Item::Other
            }
        };
        Ok(Some((host_us, item)))
    }

    /// Makes sure that the block with the next row is in memory.
    fn load_block(&mut self) -> Result<(), Error> {
        if self.next < self.block_start + self.block.len() / 3 {
            return Ok(());
        }
        // Blocks are read one after the other, so each starts with a chunk.
        self.block = self.cells.read(self.next, self.rows.min(self.next + CHUNK_ROWS))?;
        self.block_start = self.next;
        Ok(())
    }
}

impl EventReader for Ddd20Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        loop {
            let here = (limit - (out.len() - before)).min(self.pending.len() - self.taken);
            out.extend_from(&self.pending, self.taken..self.taken + here);
            self.taken += here;
            if out.len() - before == limit {
                break;
            }
            let mut pending = std::mem::take(&mut self.pending);
            pending.clear();
            self.taken = 0;
            let result = self.next_packet(&mut pending);
            self.pending = pending;
            if result?.is_none() {
                break;
            }
        }
        Ok(out.len() - before)
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}

/// Rows before the empty tail, by the host times, which are 0 there.
fn used_rows(path: &Path, times: &Column, stored: usize) -> Result<usize, Error> {
    const STEP: usize = 1 << 16;
    if times.len != stored {
        let found = format!("{} rows and {stored} in /{GROUP}/data", times.len);
        return Err(fault(path, times.name(), "as many rows as packets", found));
    }
    let mut used = None;
    for start in (0..stored).step_by(STEP) {
        let Rows::I64(rows) = times.rows(start..stored.min(start + STEP))? else {
            return Err(fault(path, times.name(), "64-bit integers", "another type"));
        };
        for (i, &t) in rows.iter().enumerate() {
            match used {
                None if t == 0 => used = Some(start + i),
                Some(_) if t != 0 => {
                    let item = format!("{} row {}", times.name(), start + i);
                    return Err(fault(path, item, "an empty row after the first one", t.to_string()));
                }
                _ => {}
            }
        }
    }
    Ok(used.unwrap_or(stored))
}

/// One frame: nine i32 (info, start and end of the frame, start and end of its exposure, width, height, x, y), then
/// its pixels.
fn decode_frame(payload: &[u8], time_us: u64, place: &impl Place) -> Result<Frame, Error> {
    let (width, height) = DDD20_SENSOR;
    let pixels = usize::from(width) * usize::from(height);
    if payload.len() != FRAME_HEAD_BYTES + 2 * pixels {
        let expected = format!("one frame of {} bytes", FRAME_HEAD_BYTES + 2 * pixels);
        return Err(place.fault_at(0, expected, format!("{} bytes", payload.len())));
    }
    let size = (i32_le(payload, 20), i32_le(payload, 24));
    if size != (i32::from(width), i32::from(height)) {
        return Err(place.fault_at(
            20,
            format!("{width} x {height} pixels"),
            format!("{} x {}", size.0, size.1),
        ));
    }
    let exposure = [i32_le(payload, 12), i32_le(payload, 16)];
    if exposure[0] < 0 || exposure[1] < exposure[0] {
        let found = format!("{} to {}", exposure[0], exposure[1]);
        return Err(place.fault_at(12, "an exposure of positive times in order".into(), found));
    }
    let (pairs, _) = payload[FRAME_HEAD_BYTES..].as_chunks::<2>();
    Ok(Frame {
        exposure_us: exposure.map(|t| time_us + t as u64),
        pixels: pairs.iter().map(|&b| u16::from_le_bytes(b)).collect(),
    })
}
