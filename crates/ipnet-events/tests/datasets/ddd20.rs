//! The protocol on real DAVIS346 packets with made-up CAN values.

use crate::support::real;
use ipnet_events::datasets::{DrivingProtocol, DrivingRecording, find_recordings};

#[test]
fn the_fixture_is_binned_whole() {
    let Some(folder) = real("ddd20") else { return };
    let files = find_recordings(folder).unwrap();
    assert_eq!((files.present.len(), files.missing.len()), (1, 30));
    let protocol = DrivingProtocol { least_speed_km_per_h: 0.0, ..DrivingProtocol::default() };
    let recording = DrivingRecording::open(&files.present[0], &protocol).unwrap();
    let mut shown = 0;
    let used = recording
        .visit(|view| {
            assert_eq!(view.bin, &recording.bins()[shown]);
            shown += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(shown, recording.bins().len());
    assert!(used > 0 && used <= 75_383, "{used} events in {shown} bins, {:?} left out", recording.left_out());
    println!("{used} events in {shown} bins, {:?} left out", recording.left_out());
}
