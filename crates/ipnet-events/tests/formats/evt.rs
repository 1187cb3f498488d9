//! EVT 2.0 and 3.0, word by word.

use ipnet_events::evt2::Evt2Reader;
use ipnet_events::evt3::Evt3Reader;
use ipnet_events::{Error, EventReader, Events, Format, OpenOptions, Shortfall};

fn evt2(words: &[u32]) -> Vec<u8> {
    let mut bytes = b"% evt 2.0\n% geometry 1280x720\n% end\n".to_vec();
    words.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
    bytes
}

fn evt3(words: &[u16]) -> Vec<u8> {
    let mut bytes = b"% format EVT3;height=720;width=1280\n% end\n".to_vec();
    words.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
    bytes
}

#[test]
fn evt2_words_mean_what_they_say() {
    let bytes = evt2(&[
        1 << 28 | 5 << 22,     // no time yet: dropped
        8 << 28 | 0x0fff_ffff, // time high
        1 << 28 | 3 << 22 | 1279 << 11 | 719,
        10 << 28, // trigger
        8 << 28,  // wrap
        7 << 22 | 2 << 11 | 1,
    ]);
    let mut reader =
        Evt2Reader::new(Box::new(std::io::Cursor::new(bytes)), "evt2", Shortfall::Refuse).unwrap();
    let events = reader.read_to_end().unwrap();
    assert_eq!(events.t, [(0x0fff_ffff << 6) + 3, (1 << 34) + 7]);
    assert_eq!((events.x, events.y, events.polarity), (vec![1279, 2], vec![719, 1], vec![true, false]));
    let ledger = reader.ledger();
    assert_eq!((ledger.dropped_invalid, ledger.skipped_other, ledger.wraps), (1, 1, 1));
}

#[test]
fn evt3_words_mean_what_they_say() {
    let bytes = evt3(&[
        2 << 12 | 9, // no time, no row: dropped
        8 << 12 | 0xfff,
        6 << 12 | 0x123,
        17,                         // row 17
        2 << 12 | 1 << 11 | 400,    // ON at 400
        3 << 12 | 1 << 11 | 100,    // vectors from 100, ON
        4 << 12 | 0b1000_0000_0001, // 100 and 111
        5 << 12 | 0b1000_0010,      // 113 and 119
        8 << 12 | 0xfff,            // the same again: nothing
        8 << 12,                    // wrap
        6 << 12 | 1,
        2 << 12 | 7, // OFF at 7
    ]);
    let mut reader =
        Evt3Reader::new(Box::new(std::io::Cursor::new(bytes)), "evt3", Shortfall::Refuse).unwrap();
    let events = reader.read_to_end().unwrap();
    assert_eq!(events.x, [400, 100, 111, 113, 119, 7]);
    assert!(events.y.iter().all(|&y| y == 17));
    assert_eq!(events.polarity, [true, true, true, true, true, false]);
    let t = 0xfff << 12 | 0x123;
    assert_eq!(events.t, [t, t, t, t, t, (1 << 24) + 1]);
    assert_eq!((reader.ledger().dropped_invalid, reader.ledger().wraps), (1, 1));
}

#[test]
fn a_pixel_outside_the_sensor_is_refused_with_its_byte() {
    let bytes = evt2(&[8 << 28, 1 << 28 | 3, 1 << 28 | 1280 << 11]);
    let mut reader =
        Evt2Reader::new(Box::new(std::io::Cursor::new(bytes)), "evt2", Shortfall::Refuse).unwrap();
    let Error::Format { offset, expected, found, .. } = reader.read_to_end().unwrap_err() else { panic!() };
    assert_eq!((offset, expected.as_str(), found.as_str()), (44, "a pixel inside 1280 x 720", "(1280, 0)"));
}

#[test]
fn a_sensor_beyond_what_events_can_name_is_refused() {
    let sensor = |head: &str, kind: Format| {
        let bytes = [head.as_bytes(), b"% end\n\x0c\x08"].concat();
        let read = kind.reader(Box::new(std::io::Cursor::new(bytes)), "raw", &OpenOptions::default());
        read.map(|reader| reader.sensor_size()).map_err(|error| error.to_string())
    };
    for (kind, most, mark) in [
        (Format::Evt2, 2048, "% evt 2.0"),
        (Format::Evt3, 2048, "% evt 3.0"),
        (Format::Dat, 16384, "% Version 2"),
    ] {
        let head = |side: u16| format!("% geometry {side}x9\n{mark}\n");
        assert_eq!(sensor(&head(most), kind), Ok(Some((most, 9))));
        let error = sensor(&head(most + 1), kind).unwrap_err();
        let expected = format!(
            "raw: at byte 0: expected a sensor of at most {most} x {most}, as the format's events can name"
        );
        assert!(error.starts_with(&expected), "{error}");
    }
    let late = sensor("% evt 3.0\n% format EVT3;height=8000;width=8000\n", Format::Evt3).unwrap_err();
    assert!(late.starts_with("raw: at byte 10: ") && late.ends_with("found 8000 x 8000"), "{late}");
}

#[test]
fn long_silences_survive_the_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let mut events = Events::default();
    for t in [3, 1 << 24, (1 << 24) + 1, 5 << 24, (5 << 24) + 0xfff_fff, (1 << 34) - 1] {
        events.push(t, 1, 2, true);
    }
    for format in [Format::Evt2, Format::Evt3] {
        let path = folder.path().join(format.name());
        let mut writer = format.create(&path, (640, 480)).unwrap();
        writer.write(&events).unwrap();
        writer.finish().unwrap();
        let (_, mut reader) = ipnet_events::open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(reader.read_to_end().unwrap(), events, "{format}");
    }
}

#[test]
fn evt3_events_before_the_first_time_word_are_at_its_0_or_have_no_time() {
    for (high, kept) in [(0, 2), (7, 0)] {
        let event = |x: u16| 2 << 12 | x;
        let bytes = evt3(&[17, event(400), 8 << 12 | high, event(399), 6 << 12 | 5, event(401)]);
        let mut reader =
            Evt3Reader::new(Box::new(std::io::Cursor::new(bytes)), "evt3", Shortfall::Refuse).unwrap();
        let events = reader.read_to_end().unwrap();
        assert_eq!(events.len(), 1 + kept);
        assert_eq!(events.t[..kept], [0, 0][..kept]);
        assert_eq!((events.t[kept], events.x[kept]), (u64::from(high) << 12 | 5, 401));
        assert_eq!(reader.ledger().dropped_invalid, 2 - kept as u64);
    }
}
