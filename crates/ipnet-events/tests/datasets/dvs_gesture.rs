//! DVS Gesture: cutting by the labels, incomplete folders, and what is refused.

use crate::support::real;
use ipnet_events::datasets::DvsGesture;
use ipnet_events::{Aedat31Writer, Dataset, EventWriter, Events, Part};
use std::path::Path;

const HEADER: &str = "class,startTime_usec,endTime_usec";

/// A recording with an event every 10 us up to `until_us`, pixel = number of the event.
fn write_recording(dir: &Path, stem: &str, until_us: u64, rows: &str) {
    let mut events = Events::default();
    for i in 0..until_us / 10 {
        events.push(i * 10, (i % 128) as u16, (i / 128 % 128) as u16, i % 2 == 0);
    }
    let mut writer = Box::new(Aedat31Writer::create(dir.join(format!("{stem}.aedat")), (128, 128)).unwrap());
    writer.write(&events).unwrap();
    writer.finish().unwrap();
    std::fs::write(dir.join(format!("{stem}_labels.csv")), format!("{HEADER}\n{rows}")).unwrap();
}

fn refusal(dir: &Path) -> String {
    DvsGesture::open(dir).unwrap_err().to_string().replace(dir.to_str().unwrap(), "DIR")
}

#[test]
fn clips_are_half_open_and_overlapping_rows_share_events() {
    let dir = tempfile::tempdir().unwrap();
    write_recording(dir.path(), "user22_led", 1_000_000, "9,100,300\n10,200,250\n11,600000,900005\n");
    write_recording(dir.path(), "user26_lab", 5_000, "1,0,5000\n");
    let set = DvsGesture::open(dir.path()).unwrap();
    assert_eq!((set.split(Part::Train), set.split(Part::Test)), (vec![0, 1, 2], vec![3]));
    let clip = |i: usize| set.sample(i).unwrap();
    assert_eq!((clip(0).label, clip(0).duration_us, clip(0).events.len()), (8, 200, 20));
    assert_eq!((clip(0).events.t[0], clip(0).events.x[0]), (0, 10));
    assert_eq!((clip(1).events.len(), clip(1).events.x[0], *clip(1).events.t.last().unwrap()), (5, 20, 40));
    assert_eq!((clip(2).events.len(), clip(2).duration_us), (30_001, 300_005));
    assert_eq!(set.samples()[3].group, "user26");

    let state = set.completeness().unwrap();
    assert_eq!((state.expected, state.missing.len(), state.train_clips, state.test_clips), (122, 120, 3, 1));
    let message = set.require_complete().unwrap_err().to_string();
    assert!(
        message.contains("expected 122 recordings, found 2; missing: user01_fluorescent.aedat, "),
        "{message}"
    );
}

#[test]
fn a_list_of_trials_says_what_complete_means() {
    let dir = tempfile::tempdir().unwrap();
    write_recording(dir.path(), "user01_led", 5_000, "1,0,5000\n");
    std::fs::write(dir.path().join("trials_to_train.txt"), "user01_led.aedat\n").unwrap();
    std::fs::write(dir.path().join("trials_to_test.txt"), "\n").unwrap();
    let set = DvsGesture::open(dir.path()).unwrap();
    assert_eq!(set.require_complete().unwrap().missing, Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(refusal(dir.path()), "DIR: expected recordings userNN_<light>.aedat, found an empty folder");
    write_recording(dir.path(), "user01_led", 5_000, "1,0,5000\n2,7000,9000\n");
    let set = DvsGesture::open(dir.path()).unwrap();
    assert!(
        set.sample(1)
            .unwrap_err()
            .to_string()
            .ends_with("expected events from 7000 to 9000 us (line 3 of its labels), found none")
    );
    std::fs::write(dir.path().join("user01_led_labels.csv"), format!("{HEADER}\n1,0,5000\n2,9,8\n")).unwrap();
    assert_eq!(
        refusal(dir.path()),
        "DIR/user01_led_labels.csv: line 3: expected a start before the end, found `2,9,8`"
    );
    std::fs::remove_file(dir.path().join("user01_led_labels.csv")).unwrap();
    assert!(refusal(dir.path()).contains("its label file user01_led_labels.csv beside it, found none"));
    std::fs::rename(dir.path().join("user01_led.aedat"), dir.path().join("lab.aedat")).unwrap();
    assert!(refusal(dir.path()).contains("named userNN_<light>.aedat, found lab.aedat"));
}

/// Wherever a recording is cut, some clip of it is refused.
#[test]
fn a_cut_recording_is_found_by_reading_its_clips() {
    let dir = tempfile::tempdir().unwrap();
    write_recording(dir.path(), "user01_led", 100_000, "1,0,30000\n2,40000,90000\n");
    let path = dir.path().join("user01_led.aedat");
    let bytes = std::fs::read(&path).unwrap();
    for cut in [1, 7, 1000, bytes.len() / 2, bytes.len() - 200] {
        std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let set = DvsGesture::open(dir.path()).unwrap();
        assert!((0..2).any(|i| set.sample(i).is_err()), "cut by {cut} bytes");
    }
}

#[test]
fn the_real_clips_have_their_events() {
    let Some(folder) = real("dvs_gesture") else { return };
    let set = DvsGesture::open(&folder).unwrap();
    assert_eq!(set.split(Part::Train).len(), 10);
    let mut events = 0;
    for index in 0..10 {
        let clip = set.sample(index).unwrap();
        assert_eq!((clip.label, clip.duration_us), (index, 1_450_000));
        events += clip.events.len();
    }
    assert_eq!(events, 1_206_710);

    let list = std::fs::read_to_string(folder.join("official_files.csv")).unwrap();
    let official: Vec<&str> = list.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(set.completeness().unwrap().missing, official);
}
