//! The text header and the 28-byte packet headers of AEDAT 3.1.

use crate::Error;
use crate::source::{Place, Source, i32_le};

/// Bytes of a packet header.
pub(crate) const PACKET_HEADER_BYTES: usize = 28;
/// Bytes of a polarity or special event.
pub(crate) const EVENT_BYTES: usize = 8;
/// Event types of a packet.
pub(crate) const SPECIAL: i16 = 0;
pub(crate) const POLARITY: i16 = 1;
/// The text before the size in the header line that this crate's writer adds for sensors without a known name.
pub(super) const SIZE_LINE: &str = "#Sensor-Size: ";

const LINE_LIMIT: usize = 1 << 16;
const SENSORS: [(&str, (u16, u16)); 6] = [
    ("DVS128", (128, 128)),
    ("DAVIS128", (128, 128)),
    ("DAVIS240", (240, 180)),
    ("DAVIS346", (346, 260)),
    ("DAVIS640", (640, 480)),
    ("DVXplorer", (640, 480)),
];

/// The name under which a sensor of `size` is written.
pub(super) fn sensor_name(size: (u16, u16)) -> Option<&'static str> {
    SENSORS.iter().find(|(_, known)| *known == size).map(|(name, _)| *name)
}

/// Reads the text header and gives the sensor's size where it names a known sensor.
pub(super) fn read(source: &mut Source) -> Result<Option<(u16, u16)>, Error> {
    let mut sensor = None;
    let version = source.line(b'#', LINE_LIMIT)?.unwrap_or_default();
    if !version.as_bytes().starts_with(super::MAGIC) {
        return Err(source.fault(0, "'#!AER-DAT3.1'", format!("'{}'", version.escape_default())));
    }
    loop {
        let offset = source.offset();
        let Some(line) = source.line(b'#', LINE_LIMIT)? else {
            return Err(source.fault(
                offset,
                "a header line up to '#!END-HEADER'",
                "a byte that is not '#', or the end",
            ));
        };
        if line == "#!END-HEADER" {
            return Ok(sensor);
        }
        if let Some(size) = line.strip_prefix(SIZE_LINE) {
            let parsed = size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
            let Some(size) = parsed.filter(|&(w, h)| w > 0 && h > 0) else {
                return Err(source.fault(offset, "a sensor size like 128x128", format!("'{size}'")));
            };
            sensor = Some(size);
        } else if sensor.is_none() && line.starts_with("#Source ") {
            let name = line.split(": ").nth(1).unwrap_or_default();
            sensor = SENSORS.iter().find(|(known, _)| name.starts_with(known)).map(|(_, size)| *size);
        }
    }
}

/// One packet's header, checked.
pub(crate) struct Packet {
    pub kind: i16,
    /// Bytes of one event.
    pub event_bytes: u64,
    /// Wraps of the 31-bit time before this packet.
    pub overflow: u32,
    /// Events of room, and events there.
    pub capacity: u64,
    pub number: u64,
}

impl Packet {
    /// Reads `bytes`, a packet header that starts at `place`.
    pub fn parse(bytes: &[u8; PACKET_HEADER_BYTES], place: &impl Place) -> Result<Self, Error> {
        let kind = i16::from_le_bytes([bytes[0], bytes[1]]);
        let [size, time_offset, overflow, capacity, number, valid] =
            std::array::from_fn(|i| i64::from(i32_le(bytes, 4 + 4 * i)));
        let check = |ok: bool, at: u64, expected: &str, found: i64| {
            if ok { Ok(()) } else { Err(place.fault_at(at, expected.into(), found.to_string())) }
        };
        check(kind >= 0, 0, "an event type of at least 0", kind.into())?;
        if matches!(kind, SPECIAL | POLARITY) {
            check(size == EVENT_BYTES as i64, 4, "an event size of 8 bytes", size)?;
            check(time_offset == 4, 8, "a time offset of 4 bytes", time_offset)?;
        }
        check(size > 0, 4, "an event size above 0", size)?;
        check(overflow >= 0, 12, "a time overflow of at least 0", overflow)?;
        check(capacity >= 0, 16, "a capacity of at least 0", capacity)?;
        check((0..=capacity).contains(&number), 20, "a number of events from 0 to the capacity", number)?;
        check((0..=number).contains(&valid), 24, "valid events from 0 to the number of events", valid)?;
        Ok(Self {
            kind,
            event_bytes: size as u64,
            overflow: overflow as u32,
            capacity: capacity as u64,
            number: number as u64,
        })
    }
}
