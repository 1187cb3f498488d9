//! AEDAT 4, read: packets are unpacked several at a time, in parallel, and decoded in order.

use super::flat::{Flaw, Table};
use super::header::{self, Compression, Header};
use super::unpack::{Unpacker, unpack_up_to};
use super::{EVENT_BYTES, MAX_UNPACKED_BYTES, PACKET_HEADER_BYTES};
use crate::columns::Run;
use crate::intake::{Intake, Mark, Raw};
use crate::source::{Place, Source, i32_le};
use crate::{Error, EventReader, Events, Ledger, Shortfall};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;

/// Packets and packed bytes that are read before they are unpacked together.
const BATCH_PACKETS: usize = 16;
const BATCH_BYTES: usize = 4 << 20;

/// A reader of AEDAT 4. Other streams than the chosen one are stepped over, but events in them are refused.
pub struct Aedat4Reader {
    source: Source,
    intake: Intake,
    header: Header,
    stream: Option<i32>,
    others_allowed: bool,
    batch: VecDeque<Block>,
    spare: Vec<Block>,
    bad: Option<Error>,
    elements: i64,
    done: bool,
    at_table: bool,
}

/// One packet of events, packed and unpacked.
#[derive(Default)]
struct Block {
    offset: u64,
    unpacker: Unpacker,
    packed: Vec<u8>,
    /// The events' bytes in what is unpacked, those left to decode.
    start: usize,
    end: usize,
}

/// An unpacked packet's place, for errors: the file's offset is that of the packed packet.
struct InPacket<'a> {
    source: &'a Source,
    offset: u64,
    at: usize,
}

impl Place for InPacket<'_> {
    fn fault_at(&self, relative: u64, expected: String, found: String) -> Error {
        let at = self.at as u64 + relative;
        self.source.fault(self.offset, format!("{expected} (byte {at} of the unpacked packet)"), found)
    }
}

impl Aedat4Reader {
    /// Opens the recording at `path`; its one stream of events is read.
    pub fn open(path: impl AsRef<Path>, shortfall: Shortfall) -> Result<Self, Error> {
        Self::start(Source::open(path.as_ref())?, shortfall, None)
    }

    /// As [`Aedat4Reader::open`], for stream `stream` of a recording with several.
    pub fn open_stream(path: impl AsRef<Path>, stream: i32, shortfall: Shortfall) -> Result<Self, Error> {
        Self::start(Source::open(path.as_ref())?, shortfall, Some(stream))
    }

    /// Reads a recording from `input`; `name` stands for its path in errors.
    pub fn new(
        input: Box<dyn Read + Send>,
        name: impl AsRef<Path>,
        shortfall: Shortfall,
    ) -> Result<Self, Error> {
        Self::start(Source::new(input, name.as_ref()), shortfall, None)
    }

    fn start(mut source: Source, shortfall: Shortfall, wanted: Option<i32>) -> Result<Self, Error> {
        let header = header::read(&mut source)?;
        let events = |s: &&header::Stream| s.kind == "EVTS" && wanted.is_none_or(|id| id == s.id);
        let stream = header.streams.iter().find(events);
        if let (None, Some(id)) = (stream, wanted) {
            let known: Vec<_> = header.streams.iter().map(|s| format!("{} ({})", s.id, s.kind)).collect();
            return Err(source.fault(0, format!("a stream {id} of events"), known.join(", ")));
        }
        let sensor = stream.and_then(|s| s.width.zip(s.height));
        let stream = stream.map(|s| s.id);
        let mut intake = Intake::new(sensor, shortfall);
        intake.ledger.bytes = source.offset();
        Ok(Self {
            source,
            intake,
            header,
            stream,
            others_allowed: wanted.is_some(),
            batch: VecDeque::new(),
            spare: Vec::new(),
            bad: None,
            elements: 0,
            done: false,
            at_table: false,
        })
    }

    /// Reads and unpacks the next packets.
    ///
    /// A fault is kept until the packets before it have been handed out.
    fn fill_batch(&mut self) {
        let mut bytes = 0;
        while self.batch.len() < BATCH_PACKETS && bytes < BATCH_BYTES && !self.done {
            match self.next_block() {
                Ok(Some(block)) => {
                    bytes += block.packed.len();
                    self.batch.push_back(block);
                }
                Ok(None) => {}
                Err(e) => {
                    self.done = true;
                    self.bad = Some(e);
                }
            }
            self.intake.ledger.bytes = self.source.offset();
        }
        let compression = self.header.compression;
        let flaws: Vec<_> = self.batch.par_iter_mut().map(|block| block.unpack(compression).err()).collect();
        if let Some((i, flaw)) = flaws.into_iter().enumerate().find_map(|(i, f)| f.map(|f| (i, f))) {
            let place = InPacket { source: &self.source, offset: self.batch[i].offset, at: flaw.at };
            self.bad = Some(place.fault_at(0, flaw.expected.into(), flaw.found));
            self.batch.truncate(i);
            self.done = true;
        }
        self.elements += self.batch.iter().map(|b| ((b.end - b.start) / EVENT_BYTES) as i64).sum::<i64>();
    }

    /// The next packet: `Some` with its bytes if it holds events of the stream, `None` if not or at the end.
    fn next_block(&mut self) -> Result<Option<Block>, Error> {
        let offset = self.source.offset();
        if let Some(table) = self.header.table_offset {
            if offset == table {
                self.done = true;
                self.at_table = true;
                return Ok(None);
            }
            if offset > table {
                return Err(self.source.fault(table, "the data table", "the middle of a packet"));
            }
        }
        self.source.fill(PACKET_HEADER_BYTES)?;
        let Some(head) = self.source.bytes().first_chunk::<PACKET_HEADER_BYTES>().copied() else {
            self.done = true;
            if self.source.bytes().is_empty() && self.header.table_offset.is_none() {
                return Ok(None);
            }
            let item = "packet header (the data table comes later)";
            self.intake.cut_short(&mut self.source, item, PACKET_HEADER_BYTES as u64)?;
            return Ok(None);
        };
        let (stream, size) = (i32_le(&head, 0), i32_le(&head, 4));
        if size < 0 || self.header.table_offset.is_some_and(|table| offset + 8 + size as u64 > table) {
            return Err(self.source.fault(
                offset + 4,
                "a packet size up to the data table",
                size.to_string(),
            ));
        }
        if !self.header.streams.iter().any(|s| s.id == stream) {
            return Err(self.source.fault(offset, "a stream that the header names", stream.to_string()));
        }
        let size = size as usize;
        if size > MAX_UNPACKED_BYTES {
            let expected = format!("a packet of up to {MAX_UNPACKED_BYTES} bytes");
            return Err(self.source.fault(offset + 4, expected, size.to_string()));
        }
        self.source.fill(PACKET_HEADER_BYTES + size)?;
        let found = self.source.bytes().len() - PACKET_HEADER_BYTES;
        if found < size {
            self.done = true;
            let rest = self.source.skip_rest()?;
            self.intake.ledger.truncated_bytes += rest;
            return self.cut(offset, size, found).map(|()| None);
        }
        if self.stream != Some(stream) {
            self.check_other(offset, stream, size)?;
            self.source.consume(PACKET_HEADER_BYTES + size);
            self.intake.ledger.packets += 1;
            self.intake.ledger.skipped_other += 1;
            return Ok(None);
        }
        let mut block = self.spare.pop().unwrap_or_default();
        block.offset = offset + PACKET_HEADER_BYTES as u64;
        block.packed.clear();
        block.packed.extend_from_slice(&self.source.bytes()[PACKET_HEADER_BYTES..][..size]);
        self.source.consume(PACKET_HEADER_BYTES + size);
        self.intake.ledger.packets += 1;
        Ok(Some(block))
    }

    /// Checks a packet of another stream than the chosen one: it must hold what the header says of its stream, and
    /// events only if they may be left out.
    fn check_other(&self, offset: u64, stream: i32, size: usize) -> Result<(), Error> {
        let kind = self.header.streams.iter().find(|s| s.id == stream).map_or("", |s| s.kind.as_str());
        if self.intake.shortfall == Shortfall::Allow {
            return Ok(());
        }
        if kind == "EVTS" && !self.others_allowed {
            let expected = "events in one stream only, or a stream to be named";
            return Err(self.source.fault(offset, expected, format!("events of stream {stream}")));
        }
        let mut head = Vec::new();
        let packed = &self.source.bytes()[PACKET_HEADER_BYTES..][..size];
        let name = match unpack_up_to(self.header.compression, packed, &mut head, 12) {
            Ok(()) if head.len() == 12 => head[8..].escape_ascii().to_string(),
            _ => "no whole compressed frame".into(),
        };
        if name == kind {
            return Ok(());
        }
        let place = InPacket { source: &self.source, offset: offset + PACKET_HEADER_BYTES as u64, at: 8 };
        Err(place.fault_at(
            0,
            format!("'{kind}', as the header says of stream {stream}"),
            format!("'{name}'"),
        ))
    }

    /// Decodes up to `limit` events of the unpacked packets.
    fn take_batch(&mut self, out: &mut Events, limit: usize) -> Result<(), Error> {
        let mut left = limit;
        let mut runs = Vec::with_capacity(self.batch.len());
        for block in &self.batch {
            let records = block.events(left);
            left -= records.len();
            runs.push(Run { records, base_us: 0 });
        }
        if !self.intake.take_runs(out, &runs, decode_event) {
            for (block, run) in self.batch.iter().zip(&runs) {
                let place = InPacket { source: &self.source, offset: block.offset, at: block.start };
                self.intake.take(out, *run, &place, decode_event)?;
            }
        }
        let taken: Vec<usize> = runs.iter().map(|run| run.records.len() * EVENT_BYTES).collect();
        for (block, taken) in self.batch.iter_mut().zip(taken) {
            block.start += taken;
        }
        while self.batch.front().is_some_and(|block| block.start == block.end) {
            self.spare.extend(self.batch.pop_front());
        }
        Ok(())
    }

    /// A packet at `offset` with `found` of its `size` bytes.
    fn cut(&self, offset: u64, size: usize, found: usize) -> Result<(), Error> {
        match self.intake.shortfall {
            Shortfall::Allow => Ok(()),
            Shortfall::Refuse => Err(self.source.fault(
                offset + PACKET_HEADER_BYTES as u64,
                format!("{size} bytes of packet"),
                format!("{found} bytes"),
            )),
        }
    }

    /// Compares the data table with what was read: as many packets, and as many events in them.
    fn check_table(&mut self) -> Result<(), Error> {
        let offset = self.source.offset();
        let mut packed = Vec::new();
        loop {
            self.source.fill(1)?;
            let here = self.source.bytes().len();
            if here == 0 {
                break;
            }
            packed.extend_from_slice(self.source.bytes());
            self.source.consume(here);
            if packed.len() > MAX_UNPACKED_BYTES {
                let expected = format!("a data table of up to {MAX_UNPACKED_BYTES} bytes");
                return Err(self.source.fault(offset, expected, "more"));
            }
        }
        self.intake.ledger.bytes = self.source.offset();
        if self.intake.shortfall == Shortfall::Allow {
            return Ok(());
        }
        let stream = self.stream;
        let mut unpacker = Unpacker::default();
        let listed = unpacker.unpack(self.header.compression, &mut packed).and_then(|()| {
            let (mut packets, mut events) = (0u64, 0i64);
            for entry in Table::root(unpacker.unpacked(), "FTAB")?.tables(0)? {
                let entry = entry?;
                packets += 1;
                if entry.inline::<8>(1)?.map(|info| i32_le(&info, 0)) == stream {
                    events = events.saturating_add(entry.i64(2, 0)?);
                }
            }
            Ok((packets, events))
        });
        let read = (self.intake.ledger.packets, self.elements);
        match listed {
            Ok(listed) if listed == read => Ok(()),
            Ok((packets, events)) => Err(self.source.fault(
                offset,
                format!("the {packets} packets and {events} events that the data table lists"),
                format!("{} and {}", read.0, read.1),
            )),
            Err(flaw) => {
                let place = InPacket { source: &self.source, offset, at: flaw.at };
                Err(place.fault_at(0, format!("in the data table, {}", flaw.expected), flaw.found))
            }
        }
    }
}

impl EventReader for Aedat4Reader {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.intake.sensor
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        let before = out.len();
        while out.len() - before < limit {
            if !self.batch.is_empty() {
                self.take_batch(out, limit - (out.len() - before))?;
            } else if let Some(bad) = self.bad.take() {
                return Err(bad);
            } else if !self.done {
                self.fill_batch();
            } else if std::mem::take(&mut self.at_table) {
                self.check_table()?;
            } else {
                break;
            }
        }
        Ok(out.len() - before)
    }

    fn events_left_estimate(&self) -> usize {
        // What a packed event takes in recordings of few events that have much in common.
        self.source.items_left(match self.header.compression {
            Compression::None => EVENT_BYTES,
            Compression::Lz4 => 7,
            Compression::Zstd => 4,
        })
    }

    fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }
}

impl Block {
    /// Unpacks the packet and finds its events.
    fn unpack(&mut self, compression: Compression) -> Result<(), Flaw> {
        self.unpacker.unpack(compression, &mut self.packed)?;
        let root = Table::root(self.unpacker.unpacked(), "EVTS")?;
        let (start, events) = root.vector(0, EVENT_BYTES)?.unwrap_or((0, &[]));
        (self.start, self.end) = (start, start + events.len());
        Ok(())
    }

    /// The events left to decode, up to `limit`.
    fn events(&self, limit: usize) -> &[[u8; EVENT_BYTES]] {
        let (records, _) = self.unpacker.unpacked()[self.start..self.end].as_chunks();
        &records[..records.len().min(limit)]
    }
}

#[inline(always)]
fn decode_event(record: &[u8; EVENT_BYTES], _base_us: u64) -> Raw {
    let [t0, t1, t2, t3, t4, t5, t6, t7, x0, x1, y0, y1, on, ..] = *record;
    let t = i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
    let (x, y) = (i16::from_le_bytes([x0, x1]), i16::from_le_bytes([y0, y1]));
    let sound = (t >= 0) & (x >= 0) & (y >= 0) & (on <= 1);
    Raw {
        t: t as u64,
        x: x as u16,
        y: y as u16,
        polarity: on == 1,
        mark: if sound { Mark::Event } else { Mark::Unsound },
    }
}
