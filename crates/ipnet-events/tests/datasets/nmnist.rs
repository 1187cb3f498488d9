//! N-MNIST from its folder.

use crate::support::real;
use ipnet_events::augment::{PolarityRule, time_reverse};
use ipnet_events::datasets::NMnist;
use ipnet_events::represent::{FrameSpec, Polarities, slice_by_time, to_frame};
use ipnet_events::{Dataset, Part};

#[test]
fn the_real_recordings_are_split_and_framed_whole() {
    let Some(folder) = real("nmnist") else { return };
    let set = NMnist::open(folder).unwrap();
    assert_eq!(set.len(), 1000);
    assert_eq!((set.split(Part::Train).len(), set.split(Part::Test).len()), (801, 199));
    let spec = FrameSpec { polarities: Polarities::Merged, ..FrameSpec::new(set.sensor_size()) };
    let mut frames = vec![0.0; 16 * spec.frame_len()];
    for index in (0..1000).step_by(50) {
        let sample = set.sample(index).unwrap();
        assert_eq!(sample.duration_us, NMnist::CLIP_US);
        let slices = slice_by_time(&sample.events, 0, sample.duration_us, 16);
        to_frame(&sample.events, &slices, &spec, &mut frames).unwrap();
        assert_eq!(frames.iter().sum::<f32>(), sample.events.len() as f32);
        let forward = frames.clone();

        // 316000 / 16 is whole, so the slices of the reversed clip are those of the clip in reverse order.
        let back = time_reverse(&sample.events, sample.duration_us, PolarityRule::Merge).unwrap();
        let slices = slice_by_time(&back, 0, sample.duration_us, 16);
        to_frame(&back, &slices, &spec, &mut frames).unwrap();
        let mirrored: Vec<f32> = frames.chunks(spec.frame_len()).rev().flatten().copied().collect();
        assert_eq!(mirrored, forward);
    }
}
