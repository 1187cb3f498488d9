//! Event files for TensorBoard.
//!
//! A file is a sequence of TFRecords, each a protobuf message `Event`:
//! ```text
//! record   length (u64), masked crc of its bytes (u32), data, masked crc of the data (u32), all little endian
//! mask     ((crc >> 15 | crc << 17) + 0xa282ead8) mod 2^32, crc = CRC-32C
//! Event    1: wall_time (double, s)   2: step (varint)   3: file_version (string)   5: summary
//! summary  1: value { 1: tag (string)   2: simple_value (float) }
//! ```
//! (tensorflow/core/lib/io/record_writer.cc, tensorflow/core/util/event.proto, framework/summary.proto.)
//!
//! Design decision: written here, on a maintained CRC-32C crate. The crates that write whole event files had their last
//! release in 2022 and 2023 and bring an image library or a protobuf compiler for what is three messages of scalars.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// One open event file; a job's metrics.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Creates a new file in `dir`/`run`. TensorBoard reads all files of a folder as one run, so a resumed job adds one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(dir: &Path, run: &str) -> Result<Self> {
        let dir = dir.join(run);
        fs::create_dir_all(&dir).map_err(Error::io(&dir, "create the folder"))?;
        let seconds = now() as u64;
        let path = dir.join(format!("events.out.tfevents.{seconds}.ipnet.{}", std::process::id()));
        let file = File::create(&path).map_err(Error::io(&path, "create"))?;
        let mut events = Self { path, file };
        events.write(&event(0, &bytes(3, b"brain.Event:2")))?;
        Ok(events)
    }

    /// Appends scalars of one step.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn scalars<'a>(&mut self, step: u64, values: impl IntoIterator<Item = (&'a str, f64)>) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut message = bytes(1, tag.as_bytes());
            message.push(2 << 3 | 5);
            message.extend((value as f32).to_le_bytes());
            summary.extend(bytes(1, &message));
        }
        self.write(&event(step, &bytes(5, &summary)))
    }

    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(&record(data)).map_err(Error::io(&self.path, "append to"))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn event(step: u64, what: &[u8]) -> Vec<u8> {
    let mut message = vec![1 << 3 | 1];
    message.extend(now().to_le_bytes());
    message.push(2 << 3);
    message.extend(varint(step));
    message.extend(what);
    message
}

/// A length-delimited protobuf field.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    out.extend(varint(content.len() as u64));
    out.extend(content);
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn record(data: &[u8]) -> Vec<u8> {
    let masked =
        |bytes: &[u8]| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What TensorBoard's own record writer (2.21) makes of the same event.
    #[test]
    fn a_record_is_what_tensorboard_writes() {
        let mut message = vec![0x09];
        message.extend(1.5e9_f64.to_le_bytes());
        message.extend(bytes(3, b"brain.Event:2"));
        let found: String = record(&message).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, EXPECTED);
    }

    const EXPECTED: &str = "1800000000000000a37f4b2209000000c00b5ad6411a0d627261696e2e4576656e743a324ca9a464";

    #[test]
    fn numbers_of_several_bytes_and_nested_messages() {
        assert_eq!(varint(300), [0xac, 0x02]);
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), "job").unwrap();
        events.scalars(300, [("loss", 0.5)]).unwrap();
        let written = fs::read(&events.path).unwrap();
        let tail =
            [0x10, 0xac, 0x02, 0x2a, 0x0d, 0x0a, 0x0b, 0x0a, 4, b'l', b'o', b's', b's', 0x15, 0, 0, 0, 0x3f];
        assert_eq!(written[written.len() - 4 - tail.len()..written.len() - 4], tail);
    }
}
