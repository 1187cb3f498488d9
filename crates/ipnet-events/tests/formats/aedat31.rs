//! AEDAT 3.1: what is written is read again, and what is cut is refused.

use ipnet_events::{Aedat31Reader, Aedat31Writer, Error, EventReader, EventWriter, Events, Shortfall};
use std::path::Path;

/// Six events, two of them after the 31-bit time has wrapped.
fn events() -> Events {
    let mut events = Events::default();
    for i in 0..4u16 {
        events.push(1000 * u64::from(i), 2 * i, 63 - i, i % 2 == 0);
    }
    events.push(1 << 31, 0, 0, false);
    events.push((1 << 31) + 5, 63, 47, true);
    events
}

fn write(path: &Path, events: &Events) {
    let mut writer = Box::new(Aedat31Writer::create(path, (64, 64)).unwrap());
    writer.write(events).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_time_wrap_survives_the_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.aedat");
    write(&path, &events());
    let mut reader = Aedat31Reader::open(&path, Shortfall::Refuse).unwrap();
    assert_eq!(reader.read_to_end().unwrap(), events());
    assert_eq!(reader.sensor_size(), Some((64, 64)));
    assert_eq!((reader.ledger().wraps, reader.ledger().packets), (1, 2));
}

#[test]
fn a_cut_is_refused_with_its_place_or_entered_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.aedat");
    write(&path, &events());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();

    let error = Aedat31Reader::open(&path, Shortfall::Refuse).unwrap().read_to_end().unwrap_err();
    let Error::Format { offset, expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!(*offset, bytes.len() as u64 - 8, "{error}");
    assert_eq!((expected.as_str(), found.as_str()), ("8 bytes of the packet's events", "5 bytes"));

    let mut reader = Aedat31Reader::open(&path, Shortfall::Allow).unwrap();
    assert_eq!(reader.read_to_end().unwrap().len(), 5);
    assert_eq!(reader.ledger().truncated_bytes, 5);
}
