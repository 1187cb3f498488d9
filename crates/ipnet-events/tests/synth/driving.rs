//! Generated drives, read back by the reader and the protocol of the real data.

use ipnet_events::datasets::{DrivingProtocol, DrivingRecording, find_recordings};
use ipnet_events::ddd20::{Ddd20Reader, Item, Signal};
use ipnet_events::synth::driving::{DrivingSpec, generate};
use ipnet_events::{Events, Part, Shortfall};

const SHORT: DrivingSpec = DrivingSpec { seed: 2, recordings: 2, seconds: 0.8, noise: 1.0, frames: true };

#[test]
fn drives_have_the_layout_of_the_real_ones() {
    let dir = tempfile::tempdir().unwrap();
    let report = generate(&SHORT, dir.path()).unwrap();
    let files = find_recordings(dir.path()).unwrap();
    assert_eq!(files.present, report.files);
    assert_eq!(files.missing.len(), 30);
    let (mut events, mut frames) = (0, 0);
    for (path, night) in report.files.iter().zip([0.0, 1.0]) {
        let mut reader = Ddd20Reader::open(path, Shortfall::Refuse).unwrap().with_frames();
        let mut all = Events::default();
        while let Some((_, item)) = reader.next_packet(&mut all).unwrap() {
            frames += u64::from(matches!(item, Item::Frame(_)));
        }
        assert!(all.len() > 10_000, "{} events", all.len());
        events += all.len() as u64;
        let steering = Signal::read(path, "steering_wheel_angle").unwrap();
        assert_eq!(steering.value.len(), 17);
        assert!(steering.value.iter().all(|angle| angle.abs() < 360.0));
        assert!(
            Signal::read(path, "vehicle_speed")
                .unwrap()
                .value
                .iter()
                .all(|speed| (0.0..160.0).contains(speed))
        );
        assert_eq!(Signal::read(path, "headlamp_status").unwrap().value[0], night);
    }
    assert_eq!((events, frames), (report.events, report.frames));

    let again = tempfile::tempdir().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let alone = pool.install(|| generate(&SHORT, again.path())).unwrap();
    assert_eq!((alone.events, alone.frames), (report.events, report.frames));

    // 50 ms bins: each event of the span is in one of them.
    let recording = DrivingRecording::open(&report.files[0], &DrivingProtocol::default()).unwrap();
    assert_eq!(recording.bins().len(), 16);
    assert_eq!(recording.bins().iter().filter(|bin| bin.part == Part::Test).count(), 5);
    let (mut shown, mut sum, mut lit) = (0, 0.0, false);
    let used = recording
        .visit(|view| {
            assert_eq!(
                (view.bin.number, view.events.len(), view.frame.len()),
                (shown, 2 * 128 * 172, 128 * 172)
            );
            shown += 1;
            sum += view.events.iter().sum::<f32>();
            lit |= view.frame.iter().any(|&grey| grey > 0.2);
            Ok(())
        })
        .unwrap();
    assert_eq!(shown, 16);
    assert!(lit);
    // The picture leaves out one row of cells above and below and one column at the right.
    assert!(sum <= used as f32 && sum > 0.9 * used as f32, "{sum} of {used}");

    let fast = DrivingProtocol { least_speed_km_per_h: 300.0, ..DrivingProtocol::default() };
    let message = DrivingRecording::open(&report.files[0], &fast).unwrap_err().to_string();
    assert!(message.contains("expected bins to use, found none of 16"), "{message}");
    assert!(find_recordings(again.path().parent().unwrap().join("nowhere")).is_err());
}

/// The generator's drives and the files written of them are binned alike, bit for bit: bins, angles, counts and frames.
#[test]
fn drives_in_memory_are_those_of_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let files = generate(&SHORT, dir.path()).unwrap().files;
    let protocol = DrivingProtocol::default();
    for (number, path) in files.iter().enumerate() {
        let read = DrivingRecording::open(path, &protocol).unwrap();
        let played = DrivingRecording::generated(&SHORT, number, &protocol).unwrap();
        assert_eq!((read.name(), read.night()), (played.name(), played.night()));
        assert_eq!((read.bins(), read.left_out()), (played.bins(), played.left_out()));
        let all = |recording: &DrivingRecording| {
            let mut values: Vec<u32> = Vec::new();
            let used = recording.visit(|view| {
                values.extend(view.events.iter().chain(view.frame).map(|value| value.to_bits()));
                Ok(())
            });
            (used.unwrap(), values)
        };
        let (read, played) = (all(&read), all(&played));
        assert!(read.0 > 10_000 && read == played, "{} and {} events", read.0, played.0);
    }
    // Frames cost no event.
    let without = DrivingSpec { frames: false, ..SHORT };
    let counts = |spec: &DrivingSpec| {
        DrivingRecording::generated(spec, 1, &protocol).unwrap().visit(|_| Ok(())).unwrap()
    };
    assert_eq!(counts(&without), counts(&SHORT));
}
