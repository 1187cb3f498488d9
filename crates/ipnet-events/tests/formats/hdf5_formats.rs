//! The HDF5 formats: round trips, and the real DDD-20 packets.

use crate::hdf5_damage::{read_bytes, small};
use crate::support::real;
use ipnet_events::ddd20::{Ddd20Reader, Ddd20Writer, Frame, Item, Signal, signal_names};
use ipnet_events::h5::{H5Reader, H5Writer};
use ipnet_events::{EventReader, EventWriter, Events, Format, Shortfall};
use std::path::Path;

fn events(count: u64) -> Events {
    let mut events = Events::default();
    for i in 0..count {
        // The last third lies after a wrap of the 31-bit time.
        let t = if 3 * i < 2 * count { i } else { (1 << 31) + i };
        events.push(t, (i * 7 % 346) as u16, (i * 5 % 260) as u16, i % 3 == 0);
    }
    events
}

#[test]
fn plain_hdf5_survives_the_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    for count in [0, 1, 65_536, 200_001] {
        let path = folder.path().join(format!("{count}.h5"));
        let mut writer = Box::new(H5Writer::create(&path, (346, 260)).unwrap());
        writer.write(&events(count)).unwrap();
        writer.finish().unwrap();
        let mut reader = H5Reader::open(&path, Shortfall::Refuse).unwrap();
        assert_eq!(reader.sensor_size(), Some((346, 260)));
        let (mut all, mut chunk) = (Events::default(), Events::default());
        while reader.next_chunk(&mut chunk).unwrap() {
            all.extend_from(&chunk, 0..chunk.len());
        }
        assert_eq!(all, events(count));
        assert_eq!(reader.ledger().events, count);
        assert_eq!(H5Reader::open(&path, Shortfall::Refuse).unwrap().read_to_end().unwrap(), events(count));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "no partial file is left");
}

#[test]
fn a_driving_recording_survives_the_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rec.hdf5");
    let start = 1_499_023_757_000_000;
    let frame = Frame { exposure_us: [10, 20], pixels: (0..346 * 260).map(|i| i as u16).collect() };
    let mut writer = Box::new(Ddd20Writer::create(&path, start).unwrap());
    writer.write_frame(30, &frame).unwrap();
    let written = {
        let mut shifted = events(30_000);
        shifted.t.iter_mut().for_each(|t| *t += 30);
        shifted
    };
    writer.write(&written).unwrap();
    for i in 0..300 {
        writer.write_signal("steering_wheel_angle", start + 18_000 * i, 0.5 * i as f64).unwrap();
    }
    writer.finish().unwrap();

    let mut reader = Ddd20Reader::open(&path, Shortfall::Refuse).unwrap().with_frames();
    let mut read = Events::default();
    let first = reader.next_packet(&mut read).unwrap().unwrap();
    assert_eq!(first, (start + 30, Item::Frame(frame)));
    while let Some((host_us, _)) = reader.next_packet(&mut read).unwrap() {
        assert_eq!(host_us, start + *read.t.last().unwrap() as i64);
    }
    assert_eq!(read, written);
    assert_eq!(reader.ledger().wraps, 1);
    let mut reader = Ddd20Reader::open(&path, Shortfall::Refuse).unwrap();
    assert_eq!(reader.read_to_end().unwrap(), written);

    assert_eq!(signal_names(&path).unwrap(), ["steering_wheel_angle"]);
    let steering = Signal::read(&path, "steering_wheel_angle").unwrap();
    assert_eq!(steering.host_us.len(), 300);
    assert_eq!(steering.at(start - 1), None);
    assert_eq!(steering.at(start + 18_000 * 7 + 1), Some(3.5));
}

#[test]
fn ddd20_has_its_events_and_signals() {
    let Some(path) = real("ddd20/rec_fixture.hdf5") else { return };
    let mut reader = Ddd20Reader::open(&path, Shortfall::Refuse).unwrap().with_frames();
    let (mut events, mut frames, mut hosts) = (Events::default(), 0, Vec::new());
    while let Some((host_us, item)) = reader.next_packet(&mut events).unwrap() {
        frames += u64::from(matches!(item, Item::Frame(_)));
        hosts.push(host_us);
    }
    assert_eq!(events.len(), 75_383);
    assert_eq!((reader.ledger().packets, frames, reader.ledger().dropped()), (512, 57, 0));
    assert_eq!((hosts[0], hosts[511]), (1_499_023_756_999_999, 1_499_023_759_273_554));
    let steering = Signal::read(&path, "steering_wheel_angle").unwrap();
    assert!((steering.value[1] - 2.940_514_21).abs() < 1e-8);
    assert_eq!(signal_names(&path).unwrap().len(), 5);
}

/// An HDF5 file says where it ends, so no cut passes.
#[test]
fn a_cut_hdf5_file_is_refused() {
    for format in [Format::H5, Format::Ddd20] {
        let (bytes, events) = small(format);
        assert_eq!(read_bytes(&bytes, format, Shortfall::Refuse).unwrap().0, events);
        for cut in (0..bytes.len()).step_by(bytes.len() / 150).chain(bytes.len() - 20..bytes.len()) {
            for shortfall in [Shortfall::Refuse, Shortfall::Allow] {
                assert!(read_bytes(&bytes[..cut], format, shortfall).is_err(), "{format} cut at {cut}");
            }
        }
    }
}

/// Columns without chunks are read past the library; they give the same events and find the same faults.
#[test]
fn plain_columns_are_read_past_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &Path, bad: Option<(usize, i8)>| {
        let expected = events(300_000);
        let file = hdf5::File::create(path).unwrap();
        let group = file.create_group("events").unwrap();
        let t: Vec<i64> = expected.t.iter().map(|&t| t as i64).collect();
        let mut p: Vec<i8> = expected.polarity.iter().map(|&on| if on { 1 } else { -1 }).collect();
        if let Some((at, value)) = bad {
            p[at] = value;
        }
        group.new_dataset_builder().with_data(&t).create("ts").unwrap();
        group.new_dataset_builder().with_data(&expected.x).create("xs").unwrap();
        group.new_dataset_builder().with_data(&expected.y).create("ys").unwrap();
        group.new_dataset_builder().with_data(&p).create("ps").unwrap();
        expected
    };
    let path = folder.path().join("plain.h5");
    let expected = write(&path, None);
    let mut reader = H5Reader::open(&path, Shortfall::Refuse).unwrap();
    let mut read = Events::default();
    reader.read_into(&mut read, 40_000).unwrap();
    reader.read_into(&mut read, usize::MAX).unwrap();
    assert!(read == expected);
    assert_eq!((reader.ledger().events, reader.ledger().bytes), (300_000, 13 * 300_000));

    let path = folder.path().join("faulty.h5");
    write(&path, Some((250_123, 2)));
    let error = H5Reader::open(&path, Shortfall::Refuse).unwrap().read_to_end().unwrap_err().to_string();
    assert!(error.contains("row 250123"), "{error}");
    let mut reader = H5Reader::open(&path, Shortfall::Allow).unwrap();
    assert_eq!(reader.read_to_end().unwrap().len(), 299_999);
    assert_eq!(reader.ledger().dropped_invalid, 1);
}
