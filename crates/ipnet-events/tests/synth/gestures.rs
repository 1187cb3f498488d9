//! Generated gestures are a data set like the official one, the same on any number of threads.

use ipnet_events::datasets::DvsGesture;
use ipnet_events::synth::gestures::{GestureSpec, generate};
use ipnet_events::{Dataset, Part};
use std::collections::BTreeSet;
use std::path::Path;

const SMALL: GestureSpec = GestureSpec { seed: 3, subjects: 3, lights: 1, clip_s: 0.3, noise: 1.0 };

fn generate_on(threads: usize, spec: &GestureSpec, dir: &Path) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| generate(spec, dir)).unwrap();
}

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_loader_of_the_official_data_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let report = generate(&SMALL, dir.path()).unwrap();
    let set = DvsGesture::open(dir.path()).unwrap();
    assert_eq!((set.len(), report.clips, report.recordings), (33, 33, 3));
    let state = set.require_complete().unwrap();
    assert_eq!((state.train_clips, state.test_clips), (22, 11));
    let groups =
        |part| set.split(part).iter().map(|&i| set.samples()[i].group.clone()).collect::<BTreeSet<_>>();
    assert_eq!(groups(Part::Test), BTreeSet::from(["user24".to_owned()]));
    assert!(groups(Part::Train).is_disjoint(&groups(Part::Test)));
    let mut in_clips = 0;
    for index in 0..set.len() {
        let sample = set.sample(index).unwrap();
        assert_eq!((sample.label, sample.duration_us), (index % 11, 300_000));
        assert!(sample.events.len() > 1000, "clip {index} has {} events", sample.events.len());
        in_clips += sample.events.len() as u64;
    }
    assert!(in_clips < report.events);
}

#[test]
fn the_bytes_do_not_depend_on_threads_but_on_the_seed() {
    let [one, two, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let spec = GestureSpec { subjects: 2, lights: 3, clip_s: 0.2, ..SMALL };
    generate_on(1, &spec, one.path());
    generate_on(2, &spec, two.path());
    generate_on(2, &GestureSpec { seed: 4, lights: 1, ..spec }, other.path());
    let (one, two, other) = (contents(one.path()), contents(two.path()), contents(other.path()));
    assert_eq!(one.len(), 2 * 3 * 2 + 2);
    assert!(one == two, "one and two threads give different bytes");
    let recordings = other.iter().filter(|(name, _)| name.ends_with(".aedat"));
    assert_eq!(recordings.clone().count(), 2);
    for recording in recordings {
        assert!(one.iter().any(|(name, _)| *name == recording.0));
        assert!(!one.contains(recording), "{} does not depend on the seed", recording.0);
    }
}

#[test]
fn a_number_out_of_range_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refuse = |spec: GestureSpec| generate(&spec, dir.path()).unwrap_err().to_string();
    assert_eq!(refuse(GestureSpec { subjects: 1, ..SMALL }), "subjects: expected 2 to 29, found 1");
    assert_eq!(refuse(GestureSpec { lights: 6, ..SMALL }), "lights: expected 1 to 5, found 6");
    assert_eq!(
        refuse(GestureSpec { clip_s: f64::NAN, ..SMALL }),
        "clip length: expected 0.2 to 60 s, found NaN"
    );
    assert_eq!(refuse(GestureSpec { noise: -1.0, ..SMALL }), "noise: expected 0 to 20, found -1");
}
