//! AEDAT 2.0: real recordings of both chips and both ends of a header, and the wrap of the 32-bit clock.

use crate::support::real;
use ipnet_events::aedat2::Aedat2Reader;
use ipnet_events::{EventReader, Shortfall};

#[test]
fn real_recordings_have_their_events() {
    for (name, sensor, count) in [
        ("dvs128_short", (128, 128), 130_114),
        ("dvs128_moving_dark_box", (128, 128), 489_834),
        ("davis240_boxes", (240, 180), 162_771),
        ("dvs128_timestamps_over_2e31", (128, 128), 219_235),
    ] {
        let Some(path) = real(&format!("aedat2/{name}.aedat")) else { return };
        let mut reader = Aedat2Reader::open(&path, Shortfall::Refuse).unwrap();
        assert_eq!(reader.sensor_size(), Some(sensor), "{name}");
        let events = reader.read_to_end().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(events.len(), count, "{name}");
        assert_eq!((reader.ledger().dropped(), reader.ledger().wraps), (0, 0), "{name}");
        assert_eq!(reader.ledger().bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!(events.t.iter().any(|&t| t > 1 << 31), name == "dvs128_timestamps_over_2e31");
    }
}

/// A dark box moves: pixels that it covers turn OFF, so its front is OFF and its back is ON. The mean place of OFF
/// events must lead that of ON events along the box's own motion.
#[test]
fn polarity_follows_a_dark_box() {
    let Some(path) = real("aedat2/dvs128_moving_dark_box.aedat") else { return };
    let events = Aedat2Reader::open(&path, Shortfall::Refuse).unwrap().read_to_end().unwrap();
    let (start, span) = (events.t[0], 50_000);
    let bins = ((events.t[events.len() - 1] - start) / span) as usize;
    // Per bin of 50 ms: number and summed x of OFF and ON events.
    let mut sums = vec![[(0u64, 0u64); 2]; bins + 1];
    for i in 0..events.len() {
        let sum = &mut sums[((events.t[i] - start) / span) as usize][usize::from(events.polarity[i])];
        *sum = (sum.0 + 1, sum.1 + u64::from(events.x[i]));
    }
    let mean = |(n, x): (u64, u64)| x as f64 / n as f64;
    let (mut leads, mut lags) = (0, 0);
    for pair in sums.windows(2) {
        let busy = pair.iter().flatten().all(|s| s.0 > 200);
        let centre = |s: &[(u64, u64); 2]| mean((s[0].0 + s[1].0, s[0].1 + s[1].1));
        if busy {
            let motion = centre(&pair[1]) - centre(&pair[0]);
            let lead = mean(pair[1][0]) - mean(pair[1][1]);
            if motion.abs() > 1.0 && lead.abs() > 1.0 {
                if motion * lead > 0.0 { leads += 1 } else { lags += 1 }
            }
        }
    }
    assert!(leads > 3 * lags && leads >= 10, "OFF leads in {leads} bins and lags in {lags}");
}

#[test]
fn the_clock_wraps_and_other_words_are_counted() {
    let mut bytes = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n".to_vec();
    let mut word =
        |address: u32, time: u32| bytes.extend([address.to_be_bytes(), time.to_be_bytes()].concat());
    // Upper right pixel ON; a frame word; an external event; lower left pixel OFF after the wrap.
    word(179 << 22 | 1 << 11, 0xffff_fff0);
    word(1 << 31 | 5, 0xffff_fff1);
    word(1 << 10, 0xffff_fff1);
    word(239 << 12, 3);
    let mut reader =
        Aedat2Reader::new(Box::new(std::io::Cursor::new(bytes)), "wrap", Shortfall::Refuse).unwrap();
    let events = reader.read_to_end().unwrap();
    assert_eq!(events.t, [0xffff_fff0, (1 << 32) + 3]);
    assert_eq!((events.x, events.y, events.polarity), (vec![239, 0], vec![0, 179], vec![true, false]));
    assert_eq!((reader.ledger().wraps, reader.ledger().skipped_other), (1, 2));
}
