//! The HDF5 formats: round trips, and the real DDD-20 packets.

use crate::support::real;
use ipnet_events::ddd20::{Ddd20Reader, Ddd20Writer, Frame, Item, Signal, signal_names};
use ipnet_events::h5::{H5Reader, H5Writer};
use ipnet_events::{EventReader, EventWriter, Events, Shortfall};

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
