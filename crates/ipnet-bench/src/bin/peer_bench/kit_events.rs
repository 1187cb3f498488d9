//! The kit's recording: `events_<n>.npy`, from which it makes the files of every format.

use crate::Refused;
use ipnet_events::Events;
use std::path::PathBuf;

/// Bytes of a record of the array: i64 t, i16 x, i16 y, u8 p, aligned.
const RECORD: usize = 16;

/// The folder of the kit's recordings.
pub fn folder() -> Result<PathBuf, Refused> {
    match (std::env::var_os("PEERS_DATA"), std::env::var_os("HOME")) {
        (Some(folder), _) => Ok(PathBuf::from(folder)),
        (None, Some(home)) => Ok(PathBuf::from(home).join(".cache/ipnet-peers")),
        (None, None) => Err("neither PEERS_DATA nor HOME is set".into()),
    }
}

/// The recording of `count` events, as it was before it was written in any format.
///
/// # Errors
/// A file that is not there (the kit's own peers write it) or not an array of that many events.
pub fn load(count: u64) -> Result<Events, Refused> {
    let path = folder()?.join(format!("events_{count}.npy"));
    let bytes =
        std::fs::read(&path).map_err(|e| format!("{}: {e}; the kit's peers write it", path.display()))?;
    // Layout of .npy 1.0: magic, version, u16 length of the header, header, records.
    let header = match bytes.first_chunk::<10>() {
        Some(head) if head.starts_with(b"\x93NUMPY\x01") => {
            10 + usize::from(u16::from_le_bytes([head[8], head[9]]))
        }
        _ => return Err(format!("{}: not an .npy file of version 1", path.display()).into()),
    };
    let (records, rest) = bytes.get(header..).unwrap_or_default().as_chunks::<RECORD>();
    if records.len() as u64 != count || !rest.is_empty() || count < 2 {
        return Err(format!("{}: {} bytes for {count} events", path.display(), bytes.len()).into());
    }
    let mut events = Events::with_capacity(records.len());
    for r in records {
        let t = u64::from_le_bytes([r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]]);
        events.push(t, u16::from_le_bytes([r[8], r[9]]), u16::from_le_bytes([r[10], r[11]]), r[12] != 0);
    }
    Ok(events)
}
