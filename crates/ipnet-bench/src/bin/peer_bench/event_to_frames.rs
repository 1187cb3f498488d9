//! `event_to_frames`: the kit's recording in memory -> `T` count frames of `2 x 128 x 128`, split by time or by count.
//!
//! Before READY the frames are compared with counts made one event at a time by the kit's rule, and their sum with the
//! number of events. By time, an event that lies on the edge of two frames by the kit's rule, which rounds an event's frame,
//! may lie in the later one by this crate's, which rounds the edge: `events_off` counts both cells of each.

use crate::{Prepared, Refused, kit_events};
use ipnet_events::Events;
use ipnet_events::represent::{FrameSpec, slice_by_count, slice_by_time, to_frame};
use serde_json::{Value, json};
use std::hint::black_box;
use std::ops::Range;

const SIDE: usize = 128;

/// The frames of the kit's `params`.
///
/// # Errors
/// Parameters that are not understood, or frames that do not hold every event where it belongs.
pub fn prepare(params: &Value) -> Result<Prepared, Refused> {
    let number = |name: &str| params[name].as_u64().ok_or(format!("no parameter {name}"));
    let (count, frames, threads) = (number("events")?, number("T")? as usize, number("threads")? as usize);
    let by_time = match params["split"].as_str() {
        Some("time") => true,
        Some("count") => false,
        _ => return Err("no parameter split of time or count".into()),
    };
    let events = kit_events::load(count)?;
    let spec = FrameSpec::new((SIDE as u16, SIDE as u16));
    let mut out = vec![0.0_f32; spec.frame_len() * frames];
    to_frame(&events, &cut(&events, by_time, frames), &spec, &mut out)?;

    let sum: f64 = out.iter().map(|&v| f64::from(v)).sum();
    let expected = counts_by_the_kit(&events, by_time, frames);
    let off: f64 = out.iter().zip(&expected).map(|(&got, want)| (f64::from(got) - want).abs()).sum();
    // At most one event in a thousand lies on an edge.
    if sum != events.len() as f64 || off > if by_time { 0.002 * sum } else { 0.0 } {
        return Err(
            format!("{off} of {} events are not where they belong; the sum is {sum}", events.len()).into()
        );
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let call = move || {
        let done = pool.install(|| to_frame(&events, &cut(&events, by_time, frames), &spec, &mut out));
        if let Err(error) = done {
            eprintln!("{error}");
            std::process::exit(2);
        }
        black_box(&out);
    };
    Ok(Prepared { info: json!({"check": {"sum": sum, "events_off": off}}), call: Box::new(call) })
}

/// The events of each frame; by time from the first event up to the last, which it includes.
fn cut(events: &Events, by_time: bool, frames: usize) -> Vec<Range<usize>> {
    if !by_time {
        return slice_by_count(events, frames);
    }
    let (first, last) = (events.t[0], events.t[events.len() - 1]);
    let mut slices = slice_by_time(events, first, last - first, frames);
    if let Some(slice) = slices.last_mut() {
        slice.end = events.len();
    }
    slices
}

/// The counts `[T, 2, 128, 128]`, one event at a time.
fn counts_by_the_kit(events: &Events, by_time: bool, frames: usize) -> Vec<f64> {
    let (first, last) = (events.t[0], events.t[events.len() - 1]);
    let mut counts = vec![0.0; frames * 2 * SIDE * SIDE];
    for i in 0..events.len() {
        let frame = if by_time {
            ((events.t[i] - first) as usize * frames / (last - first).max(1) as usize).min(frames - 1)
        } else {
            i * frames / events.len()
        };
        let channel = usize::from(events.polarity[i]);
        let pixel = usize::from(events.y[i]) * SIDE + usize::from(events.x[i]);
        counts[(frame * 2 + channel) * SIDE * SIDE + pixel] += 1.0;
    }
    counts
}
