//! AEDAT 3.1, written: packets of up to 4096 polarity events, a new one wherever the 31-bit time wraps.

use super::header::{EVENT_BYTES, PACKET_HEADER_BYTES, POLARITY, SIZE_LINE, sensor_name};
use crate::writer::{EventWriter, PartialFile, check_end, check_order_and_bounds, check_sensor};
use crate::{Error, Events};
use std::path::Path;

const PACKET_EVENTS: usize = 4096;
const MAX_SIDE: u16 = 0x7fff;

/// A writer of AEDAT 3.1.
pub struct Aedat31Writer {
    file: PartialFile,
    sensor: (u16, u16),
    last_t: u64,
    packet: Vec<u8>,
    overflow: u64,
}

impl Aedat31Writer {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    ///
    /// # Errors
    /// A sensor wider or higher than the format's 15 bits, or a file that cannot be made.
    pub fn create(path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Self, Error> {
        check_sensor(sensor, MAX_SIDE)?;
        let mut file = PartialFile::create(path.as_ref())?;
        let mut header = String::from("#!AER-DAT3.1\r\n#Format: RAW\r\n");
        header += &format!("#Source 1: {}\r\n", sensor_name(sensor).unwrap_or("unknown"));
        header += &format!("{SIZE_LINE}{}x{}\r\n", sensor.0, sensor.1);
        header += "#Start-Time: 1970-01-01 00:00:00 (TZ+0000)\r\n#!END-HEADER\r\n";
        file.write(header.as_bytes())?;
        let packet = Vec::with_capacity(PACKET_HEADER_BYTES + PACKET_EVENTS * EVENT_BYTES);
        Ok(Self { file, sensor, last_t: 0, packet, overflow: 0 })
    }

    fn flush_packet(&mut self) -> Result<(), Error> {
        if self.packet.is_empty() {
            return Ok(());
        }
        let count = ((self.packet.len() - PACKET_HEADER_BYTES) / EVENT_BYTES) as i32;
        let mut header = Vec::with_capacity(PACKET_HEADER_BYTES);
        header.extend(POLARITY.to_le_bytes());
        header.extend(1i16.to_le_bytes());
        for field in [EVENT_BYTES as i32, 4, self.overflow as i32, count, count, count] {
            header.extend(field.to_le_bytes());
        }
        self.packet[..PACKET_HEADER_BYTES].copy_from_slice(&header);
        self.file.write(&self.packet)?;
        self.packet.clear();
        Ok(())
    }
}

impl EventWriter for Aedat31Writer {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.sensor, &mut self.last_t)?;
        check_end(self.last_t, 62)?;
        let full = PACKET_HEADER_BYTES + PACKET_EVENTS * EVENT_BYTES;
        for i in 0..events.len() {
            let t = events.t[i];
            if self.packet.len() >= full || t >> 31 != self.overflow {
                self.flush_packet()?;
                self.overflow = t >> 31;
            }
            if self.packet.is_empty() {
                self.packet.resize(PACKET_HEADER_BYTES, 0);
            }
            let (x, y, on) = (u32::from(events.x[i]), u32::from(events.y[i]), u32::from(events.polarity[i]));
            self.packet.extend((x << 17 | y << 2 | on << 1 | 1).to_le_bytes());
            self.packet.extend(((t & 0x7fff_ffff) as u32).to_le_bytes());
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.flush_packet()?;
        self.file.finish()
    }
}
