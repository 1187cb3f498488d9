//! Real recordings decode to their known counts, with nothing dropped.

use crate::support::real;
use ipnet_events::{Aedat31Reader, EventReader, Shortfall, nmnist_bin};

#[test]
fn dvs_gesture_has_its_events() {
    let Some(path) = real("dvs_gesture/user00_rebuilt.aedat") else { return };
    let mut reader = Aedat31Reader::open(&path, Shortfall::Refuse).unwrap();
    assert_eq!(reader.sensor_size(), Some((128, 128)));
    let events = reader.read_to_end().unwrap();
    let ledger = reader.ledger();
    assert_eq!(events.len(), 1_206_710);
    assert_eq!(ledger.events, 1_206_710);
    assert_eq!((ledger.packets, ledger.skipped_other), (1451, 1));
    assert_eq!((ledger.dropped(), ledger.truncated_bytes), (0, 0));
    assert_eq!(ledger.bytes, std::fs::metadata(&path).unwrap().len());
}

#[test]
fn every_nmnist_recording_is_read_whole() {
    let Some(folder) = real("nmnist/Train") else { return };
    let mut files = 0;
    for digit in 0..10 {
        for entry in std::fs::read_dir(folder.join(digit.to_string())).unwrap() {
            let path = entry.unwrap().path();
            let events = nmnist_bin::read(&path).unwrap();
            assert_eq!(events.len() as u64 * 5, std::fs::metadata(&path).unwrap().len());
            files += 1;
        }
    }
    assert_eq!(files, 1000);
}
