//! What holds for every format: round trips, cuts at every byte, random damage, hostile headers.

use crate::sample::some_events;
use ipnet_events::{Error, EventReader, Events, Format, Ledger, OpenOptions, Shortfall};
use ipnet_rng::Stream;
use proptest::prelude::*;
use std::path::Path;

/// Formats of this build, each with a sensor it can hold.
fn formats() -> Vec<(Format, (u16, u16))> {
    let all = Format::ALL.into_iter().map(|format| match format {
        Format::Bin => (format, (34, 34)),
        Format::Aedat2 => (format, (240, 180)),
        _ => (format, (346, 260)),
    });
    all.filter(|(f, _)| cfg!(feature = "hdf5") || !matches!(f, Format::H5 | Format::Ddd20)).collect()
}

fn is_hdf5(format: Format) -> bool {
    matches!(format, Format::H5 | Format::Ddd20)
}

fn write(path: &Path, format: Format, sensor: (u16, u16), events: &Events) {
    let mut writer = format.create(path, sensor).unwrap();
    writer.write(events).unwrap();
    writer.finish().unwrap();
}

fn options(format: Format, sensor: (u16, u16), shortfall: Shortfall) -> OpenOptions {
    OpenOptions { shortfall, sensor: Some(sensor), format: Some(format), stream: None }
}

/// Reads all events; after an error those handed out before it.
fn read_all(reader: &mut dyn EventReader) -> (Events, Ledger, Option<Error>) {
    let (mut all, mut chunk) = (Events::default(), Events::default());
    let error = loop {
        match reader.next_chunk(&mut chunk) {
            Ok(true) => all.extend_from(&chunk, 0..chunk.len()),
            Ok(false) => break None,
            Err(e) => break Some(e),
        }
    };
    (all, reader.ledger().clone(), error)
}

/// Reads `bytes` as `format`.
fn read_bytes(bytes: &[u8], format: Format, options: &OpenOptions) -> Result<(Events, Ledger), Error> {
    let (input, name) = (Box::new(std::io::Cursor::new(bytes.to_vec())), "damaged");
    let mut reader = format.reader(input, name, options)?;
    match read_all(reader.as_mut()) {
        (_, _, Some(e)) => Err(e),
        (events, ledger, None) => Ok((events, ledger)),
    }
}

/// A small file of `format` in memory, with the events in it.
fn small(format: Format, sensor: (u16, u16), count: usize) -> (Vec<u8>, Events) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small");
    let events = some_events(count, sensor);
    write(&path, format, sensor, &events);
    (std::fs::read(&path).unwrap(), events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any events in order come back as they were, and in two pieces as in one.
    #[test]
    fn round_trips_are_identical(
        steps in prop::collection::vec((0u64..3_000, any::<u16>(), any::<u16>(), any::<bool>()), 0..700),
        start in prop_oneof![Just(0u64), 0u64..100_000],
        limit in 1usize..900,
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (format, sensor) in formats() {
            let (mut events, mut t) = (Events::default(), start);
            for &(step, x, y, on) in &steps {
                t += step;
                events.push(t, x % sensor.0, y % sensor.1, on);
            }
            let path = folder.path().join(format.name());
            write(&path, format, sensor, &events);
            let options = OpenOptions { format: None, ..options(format, sensor, Shortfall::Refuse) };
            let options = match format {
                // These have no mark of their own and the file no extension.
                Format::Csv | Format::Bin => OpenOptions { format: Some(format), ..options },
                _ => options,
            };
            let (detected, mut reader) = ipnet_events::open(&path, &options).unwrap();
            prop_assert_eq!(detected, format);
            prop_assert_eq!(reader.sensor_size(), Some(sensor), "{}", format);
            let mut read = Events::default();
            while reader.read_into(&mut read, limit).unwrap() > 0 {}
            prop_assert_eq!(&read, &events, "{}", format);
            let ledger = reader.ledger();
            prop_assert_eq!((ledger.events, ledger.dropped()), (events.len() as u64, 0));
            if !is_hdf5(format) {
                prop_assert_eq!(ledger.bytes, std::fs::metadata(&path).unwrap().len(), "{}", format);
            }
        }
    }
}

/// A file cut at any byte is refused, or whole up to the cut: then the cut lies between two items, and a format whose
/// file says how long it is must not let that pass.
#[test]
fn a_cut_at_every_byte_is_noticed() {
    for (format, sensor) in formats().into_iter().filter(|(f, _)| !is_hdf5(*f)) {
        let (bytes, events) = small(format, sensor, 40);
        let mut accepted = 0;
        for cut in 0..bytes.len() {
            let refuse = options(format, sensor, Shortfall::Refuse);
            if let Ok((read, ledger)) = read_bytes(&bytes[..cut], format, &refuse) {
                accepted += 1;
                assert_eq!(ledger.bytes, cut as u64, "{format} cut at {cut}");
                assert_eq!(read.len() as u64, ledger.events);
                assert_eq!(read.t[..], events.t[..read.len()], "{format} cut at {cut}");
            }
            let allow = options(format, sensor, Shortfall::Allow);
            if let Ok((read, ledger)) = read_bytes(&bytes[..cut], format, &allow) {
                assert_eq!(ledger.bytes, cut as u64, "{format} cut at {cut}");
                assert_eq!(read.t[..], events.t[..read.len()], "{format} cut at {cut}");
            }
        }
        let boundaries = match format {
            // The data table says that more must come; only the four zero bytes that end its LZ4 frame are not missed.
            Format::Aedat4 => 4,
            // One packet; the cut after the header leaves a file without events.
            Format::Aedat31 => 1,
            // Words of a state: time, row, event.
            Format::Evt2 | Format::Evt3 => bytes.len(),
            // A header that has not yet ended ends at the cut. Text may lack its last line end.
            Format::Aedat2 | Format::Dat => 41 + 7,
            _ => 2 * 41 + 12,
        };
        assert!(accepted <= boundaries, "{format}: {accepted} cuts accepted");
    }
}

/// Ten thousand damaged files per format: an error, or every byte and event accounted for.
#[test]
fn random_damage_is_refused_or_accounted_for() {
    for (format, sensor) in formats().into_iter().filter(|(f, _)| !is_hdf5(*f)) {
        let (bytes, events) = small(format, sensor, 60);
        let mut random = Stream::named(7, &format!("damage/{format}"));
        let mut unchanged_counts = 0;
        for _ in 0..10_000 {
            let mut bad = bytes.clone();
            let at = random.below(bytes.len());
            bad[at] ^= 1 << random.below(8);
            for shortfall in [Shortfall::Refuse, Shortfall::Allow] {
                let Ok((read, ledger)) = read_bytes(&bad, format, &options(format, sensor, shortfall)) else {
                    continue;
                };
                assert_eq!(ledger.bytes, bytes.len() as u64, "{format} bit flipped in byte {at}");
                assert_eq!(ledger.events, read.len() as u64);
                let accounted = ledger.events + ledger.dropped() + ledger.skipped_other;
                // Words of EVT that turn into other words are others; vectors may gain or lose a bit of their mask.
                let exact = !matches!(format, Format::Evt2 | Format::Evt3 | Format::Csv);
                if exact && shortfall == Shortfall::Refuse {
                    assert_eq!(
                        accounted,
                        events.len() as u64,
                        "{format} bit flipped in byte {at}: {ledger:?}"
                    );
                }
                unchanged_counts += u64::from(ledger.events == events.len() as u64);
            }
        }
        // Most bits are those of an event's time, place and polarity: a test that only meets errors shows little.
        assert!(unchanged_counts > 500, "{format}: {unchanged_counts}");
    }
}

/// Sizes that a damaged header claims must not be believed before their bytes are there.
#[test]
fn hostile_sizes_are_refused_at_once() {
    let aedat31 = |kind: i16, size: i32, capacity: i32, number: i32| {
        let mut bytes = b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n".to_vec();
        bytes.extend([kind.to_le_bytes(), 1i16.to_le_bytes()].concat());
        [size, 4, 0, capacity, number, number].iter().for_each(|f| bytes.extend(f.to_le_bytes()));
        bytes
    };
    let mut aedat4 = b"#!AER-DAT4.0\r\n".to_vec();
    aedat4.extend(u32::MAX.to_le_bytes());
    let files = [
        (Format::Aedat31, aedat31(1, 8, i32::MAX, i32::MAX)),
        (Format::Aedat31, aedat31(1, 8, -1, -1)),
        (Format::Aedat31, aedat31(1, i32::MAX, i32::MAX, i32::MAX)),
        (Format::Aedat31, aedat31(2, i32::MAX, i32::MAX, 1)),
        (Format::Aedat31, aedat31(2, 0, i32::MAX, 1)),
        (Format::Aedat4, aedat4),
        (Format::Aedat2, [b"#!AER-DAT2.0\r\n#".to_vec(), vec![b'x'; 5 << 20]].concat()),
        (Format::Csv, vec![b'1'; 5 << 20]),
        (Format::Evt3, [b"% evt 3.0\n%".to_vec(), vec![b'x'; 5 << 20]].concat()),
    ];
    for (format, bytes) in files {
        let started = std::time::Instant::now();
        let error = read_bytes(&bytes, format, &options(format, (128, 128), Shortfall::Refuse)).unwrap_err();
        assert!(started.elapsed().as_secs() < 5, "{error}");
        assert!(error.to_string().contains("expected"), "{error}");
    }
}

#[test]
fn a_file_of_no_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note.md");
    std::fs::write(&path, "hello").unwrap();
    let error = ipnet_events::open(&path, &OpenOptions::default()).err().unwrap().to_string();
    assert!(error.contains("expected an event recording") && error.contains("'hello'"), "{error}");
}

/// What stands at `path` itself, whatever it links to.
#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).unwrap().file_type().is_fifo()
}

/// A rename would put a regular file in the place of a pipe, a device or a link: what is no regular file is refused and
/// stays, and a link to a regular file stays a link while the file behind it is written.
#[cfg(unix)]
#[test]
fn only_regular_files_are_replaced() {
    use std::os::unix::fs::symlink;
    for (format, sensor) in formats() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success(), "mkfifo: {made}");
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        symlink("pipe", at("to-pipe")).unwrap();
        symlink("nothing", at("to-nothing")).unwrap();
        std::fs::create_dir_all(at("elsewhere")).unwrap();
        let special = [
            ("pipe", "a pipe"),
            ("to-pipe", "a pipe"),
            ("socket", "a socket"),
            ("elsewhere", "a folder"),
            ("to-nothing", "a link that leads nowhere"),
        ];
        for (name, found) in special {
            let error = format.create(at(name), sensor).err().unwrap().to_string();
            let expected = format!(
                "{}: expected a regular file or a new name to write to, found {found}",
                at(name).display()
            );
            assert_eq!(error, expected, "{format}");
        }
        assert!(is_pipe(&at("pipe")) && at("to-pipe").is_symlink() && !at("nothing").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5, "{format}: a partial file is left");

        let events = some_events(40, sensor);
        std::fs::write(at("elsewhere/file"), "older").unwrap();
        symlink("elsewhere/file", at("to-file")).unwrap();
        write(&at("to-file"), format, sensor, &events);
        assert!(at("to-file").is_symlink(), "{format}");
        let (_, mut reader) =
            ipnet_events::open(at("elsewhere/file"), &options(format, sensor, Shortfall::Refuse)).unwrap();
        assert_eq!(read_all(reader.as_mut()).0, events, "{format}");
        assert_eq!(
            std::fs::read_dir(at("elsewhere")).unwrap().count(),
            1,
            "{format}: a partial file is left"
        );
    }
}
