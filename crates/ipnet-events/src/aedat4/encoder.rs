//! AEDAT 4, written: packets of up to 16384 events, and the data table at the end.

use super::{Compression, EVENT_BYTES, MAGIC};
use crate::writer::{EventWriter, PartialFile, check_end, check_order_and_bounds, check_sensor};
use crate::{Error, Events};
use std::io::Write;
use std::path::Path;

const PACKET_EVENTS: usize = 1 << 14;
/// Level of Zstandard; higher ones gain little on events.
const ZSTD_LEVEL: i32 = 3;

/// A writer of AEDAT 4.
pub struct Aedat4Writer {
    file: PartialFile,
    sensor: (u16, u16),
    compression: Compression,
    last_t: u64,
    pending: Events,
    /// Where the header starts, to write it again when the table's place is known.
    offset: u64,
    table: Vec<Entry>,
}

/// A packet in the data table.
struct Entry {
    offset: u64,
    size: i32,
    events: usize,
    first_us: u64,
    last_us: u64,
}

impl Aedat4Writer {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    ///
    /// # Errors
    /// A sensor wider or higher than the format's 15 bits, or a file that cannot be made.
    pub fn create(
        path: impl AsRef<Path>,
        sensor: (u16, u16),
        compression: Compression,
    ) -> Result<Self, Error> {
        check_sensor(sensor, 0x7fff)?;
        let mut file = PartialFile::create(path.as_ref())?;
        let header = header(sensor, compression, -1);
        file.write(&header)?;
        let offset = header.len() as u64;
        let (pending, table) = (Events::default(), Vec::new());
        Ok(Self { file, sensor, compression, last_t: 0, pending, offset, table })
    }

    fn flush_packet(&mut self) -> Result<(), Error> {
        let count = self.pending.len();
        if count == 0 {
            return Ok(());
        }
        let mut packet = Vec::with_capacity(32 + count * EVENT_BYTES);
        // Size, root table at 20, name, vtable (6 bytes, padded) at 12, table at 20, vector at 28.
        push_u32(&mut packet, 28 + count * EVENT_BYTES);
        push_u32(&mut packet, 16);
        packet.extend(b"EVTS\x06\x00\x08\x00\x04\x00\x00\x00");
        push_u32(&mut packet, 8);
        push_u32(&mut packet, 4);
        push_u32(&mut packet, count);
        for i in 0..count {
            packet.extend(self.pending.t[i].to_le_bytes());
            packet.extend(self.pending.x[i].to_le_bytes());
            packet.extend(self.pending.y[i].to_le_bytes());
            packet.extend([self.pending.polarity[i].into(), 0, 0, 0]);
        }
        let block = self.pack(&packet)?;
        let size = block.len() as i32;
        self.file.write(&0i32.to_le_bytes())?;
        self.file.write(&size.to_le_bytes())?;
        self.file.write(&block)?;
        self.table.push(Entry {
            offset: self.offset + 8,
            size,
            events: count,
            first_us: self.pending.t[0],
            last_us: self.pending.t[count - 1],
        });
        self.offset += 8 + block.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn pack(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let error = |e: std::io::Error| Error::io(self.file.path(), e);
        match self.compression {
            Compression::None => Ok(bytes.to_vec()),
            Compression::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).map_err(error)?;
                encoder.finish().map_err(|e| error(e.into()))
            }
            Compression::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL).map_err(error),
        }
    }
}

impl EventWriter for Aedat4Writer {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.sensor, &mut self.last_t)?;
        check_end(self.last_t, 63)?;
        let mut start = 0;
        while start < events.len() {
            let end = events.len().min(start + PACKET_EVENTS - self.pending.len());
            self.pending.extend_from(events, start..end);
            start = end;
            if self.pending.len() == PACKET_EVENTS {
                self.flush_packet()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.flush_packet()?;
        let table = self.pack(&table(&self.table))?;
        self.file.write(&table)?;
        let header = header(self.sensor, self.compression, self.offset as i64);
        self.file.overwrite(0, &header)?;
        self.file.finish()
    }
}

/// The header; its length does not depend on `table_offset`.
fn header(sensor: (u16, u16), compression: Compression, table_offset: i64) -> Vec<u8> {
    let (code, name) = match compression {
        Compression::None => (0i32, "NONE"),
        Compression::Lz4 => (1, "LZ4"),
        Compression::Zstd => (3, "ZSTD"),
    };
    let attribute =
        |key: &str, kind: &str, value: &str| format!("<attr key=\"{key}\" type=\"{kind}\">{value}</attr>\n");
    let mut text = String::from("<dv version=\"2.0\">\n<node name=\"outInfo\" path=\"/outInfo/\">\n");
    text += "<node name=\"0\" path=\"/outInfo/0/\">\n";
    text += &attribute("compression", "string", name);
    text += &attribute("originalModuleName", "string", "ipnet");
    text += &attribute("originalOutputName", "string", "events");
    text += &attribute("typeDescription", "string", "Array of events (polarity ON/OFF).");
    text += &attribute("typeIdentifier", "string", "EVTS");
    text += "<node name=\"info\" path=\"/outInfo/0/info/\">\n";
    text += &attribute("sizeX", "int", &sensor.0.to_string());
    text += &attribute("sizeY", "int", &sensor.1.to_string());
    text += &attribute("source", "string", "ipnet");
    text += "</node>\n</node>\n</node>\n</dv>\n";
    // The text and its closing zero, up to a multiple of 8 bytes for the whole buffer (48 bytes before the text).
    while (text.len() + 1) % 8 != 0 {
        text.push('\n');
    }
    let mut bytes = MAGIC.to_vec();
    // Size, root table at 24, name, vtable (10 bytes, padded) at 12: compression at 16, table offset at 8, text at 4.
    push_u32(&mut bytes, 44 + text.len() + 1);
    push_u32(&mut bytes, 20);
    bytes.extend(b"IOHE\x0a\x00\x14\x00\x10\x00\x08\x00\x04\x00\x00\x00");
    push_u32(&mut bytes, 12);
    push_u32(&mut bytes, 16);
    bytes.extend(table_offset.to_le_bytes());
    bytes.extend(code.to_le_bytes());
    push_u32(&mut bytes, text.len());
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

/// The data table: a vector of 48-byte tables with one vtable for all.
fn table(entries: &[Entry]) -> Vec<u8> {
    const ENTRY_BYTES: usize = 48;
    const ENTRY_VTABLE: usize = 28;
    // Size, root table at 20, name, root's vtable at 12, root table at 20; the entries' vtable (14 bytes, padded) at 28;
    // the vector's length at 44, its offsets from 48, then the entries from the next multiple of 8.
    let vector = 44;
    let first = (vector + 4 + 4 * entries.len()).next_multiple_of(8);
    let mut bytes = Vec::with_capacity(first + ENTRY_BYTES * entries.len());
    push_u32(&mut bytes, first + ENTRY_BYTES * entries.len() - 4);
    push_u32(&mut bytes, 16);
    bytes.extend(b"FTAB\x06\x00\x08\x00\x04\x00\x00\x00");
    push_u32(&mut bytes, 8);
    push_u32(&mut bytes, vector - 24);
    // Of 48 bytes: the block's place at 16, the packet header at 4, elements at 24, first time at 32, last at 40.
    bytes.extend(b"\x0e\x00\x30\x00\x10\x00\x04\x00\x18\x00\x20\x00\x28\x00\x00\x00");
    push_u32(&mut bytes, entries.len());
    for i in 0..entries.len() {
        let at = vector + 4 + 4 * i;
        push_u32(&mut bytes, first + ENTRY_BYTES * i - at);
    }
    bytes.resize(first, 0);
    for (i, entry) in entries.iter().enumerate() {
        push_u32(&mut bytes, first + ENTRY_BYTES * i - ENTRY_VTABLE);
        bytes.extend(0i32.to_le_bytes());
        bytes.extend(entry.size.to_le_bytes());
        bytes.extend([0; 4]);
        for field in [entry.offset, entry.events as u64, entry.first_us, entry.last_us] {
            bytes.extend(field.to_le_bytes());
        }
    }
    bytes
}

fn push_u32(bytes: &mut Vec<u8>, value: usize) {
    bytes.extend((value as u32).to_le_bytes());
}
