//! AEDAT 4: real files, round trips, and agreement with the `aedat` crate's generated flatbuffer readers.

use crate::sample::some_events;
use crate::support::real;
use aedat::events_generated::size_prefixed_root_as_event_packet;
use ipnet_events::aedat4::Compression;
use ipnet_events::{Aedat4Reader, Aedat4Writer, EventReader, EventWriter, Events, Shortfall};
use std::path::Path;

/// The events of stream `stream` by the `aedat` crate, which reads whole files well.
fn by_aedat_crate(path: &Path, stream: u32) -> Events {
    let mut events = Events::default();
    for packet in aedat::base::Decoder::new_from_file(path).unwrap() {
        let packet = packet.unwrap();
        if packet.stream_id == stream {
            for e in size_prefixed_root_as_event_packet(&packet.buffer).unwrap().elements().unwrap() {
                events.push(e.t() as u64, e.x() as u16, e.y() as u16, e.on());
            }
        }
    }
    events
}

#[test]
fn real_recordings_have_their_events() {
    for (name, sensor, count) in [
        ("davis346_aestream", (346, 260), 117_667),
        ("davis346_frames_imu", (346, 260), 9_193),
        ("dvs128_handwave", (128, 128), 149_629),
        ("dvxplorer_class1", (320, 240), 111_954),
        ("empty_stereo", (100, 100), 0),
    ] {
        let Some(path) = real(&format!("aedat4/{name}.aedat4")) else { return };
        let mut reader = Aedat4Reader::open(&path, Shortfall::Refuse).unwrap();
        assert_eq!(reader.sensor_size(), Some(sensor), "{name}");
        let events = reader.read_to_end().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(events.len(), count, "{name}");
        assert_eq!(reader.ledger().dropped(), 0);
        assert_eq!(reader.ledger().bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!(events, by_aedat_crate(&path, 0), "{name}");
    }
}

#[test]
fn every_compression_survives_the_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        for count in [0, 1, 16_384, 50_001] {
            let path = folder.path().join("r.aedat4");
            let written = some_events(count, (346, 260));
            let mut writer = Box::new(Aedat4Writer::create(&path, (346, 260), compression).unwrap());
            writer.write(&written).unwrap();
            writer.finish().unwrap();
            let mut reader = Aedat4Reader::open(&path, Shortfall::Refuse).unwrap();
            assert_eq!(reader.read_to_end().unwrap(), written);
            assert_eq!(reader.sensor_size(), Some((346, 260)));
            assert_eq!(by_aedat_crate(&path, 0), written);
        }
    }
}

#[test]
fn a_packet_that_the_table_lists_may_not_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.aedat4");
    let mut writer = Box::new(Aedat4Writer::create(&path, (346, 260), Compression::None).unwrap());
    writer.write(&some_events(20_000, (346, 260))).unwrap();
    writer.finish().unwrap();
    // Take the last packet out and move the table's place with it: only the table's own list tells.
    let mut bytes = std::fs::read(&path).unwrap();
    let packet = 8 + 32 + 16 * (20_000 - 16_384);
    let table = i64::from_le_bytes(bytes[46..54].try_into().unwrap());
    bytes.drain(table as usize - packet..table as usize);
    bytes[46..54].copy_from_slice(&(table - packet as i64).to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let error = Aedat4Reader::open(&path, Shortfall::Refuse).unwrap().read_to_end().unwrap_err().to_string();
    assert!(error.contains("the 2 packets and 20000 events"), "{error}");
    let mut reader = Aedat4Reader::open(&path, Shortfall::Allow).unwrap();
    assert_eq!(reader.read_to_end().unwrap().len(), 16_384);
}
