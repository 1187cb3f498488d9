//! A small task that networks are trained on.

use ipnet_bench::task::{Classification, FrameSet};
use ipnet_events::Part;
use ipnet_rng::Stream;

/// Samples of a batch.
pub const BATCH: usize = 6;

/// Noise with a bar at another place in each of three classes, on planes that are not square.
pub fn task() -> Classification {
    let [steps, height, width] = [5, 12, 16];
    let clips = 24;
    let mut counts = Vec::new();
    for clip in 0..clips {
        let mut stream = Stream::named(3, &format!("clip{clip}"));
        for t in 0..steps {
            for at in 0..height * width {
                let bar = if at % width == (clip % 3) * 4 + t { 3 } else { 0 };
                counts.push((bar + stream.poisson(0.2)) as u8);
            }
        }
    }
    let frames = FrameSet {
        data: "bars".into(),
        classes: ["left", "middle", "right"].map(str::to_owned).into(),
        shape: [steps, 1, height, width],
        labels: (0..clips).map(|clip| clip % 3).collect(),
        groups: (0..clips).map(|clip| clip.to_string()).collect(),
        parts: (0..clips).map(|clip| if clip < 20 { Part::Train } else { Part::Test }).collect(),
        counts,
        saturated: 0,
        framed_events: 0,
        late_events: 0,
        mean_window_us: 0.0,
    };
    Classification::new("bars-3", frames, None, 0.2, 7).unwrap()
}
