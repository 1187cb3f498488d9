//! Transformed recordings: time reversal and shrinking for tasks; flips, jitters and drops for training.
//!
//! Time reversal of a clip `[0, D)`: `t' = D - 1 - t`, order reversed. A camera that had seen the scene backwards would
//! report an ON where this one reported an OFF (brightening becomes dimming), so three rules are offered:
//! *flip* gives what that camera would have seen, *keep* leaves the polarity as recorded, and *merge* sets every
//! event to ON so that polarity tells nothing about the direction of time (apply [`merge_polarity`] to the
//! forward clips too).
//!
//! What is random takes its numbers from the caller's [`Stream`] and says how many events left the sensor.

use crate::{Error, Events};
use ipnet_rng::Stream;

/// What time reversal does to the polarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolarityRule {
    /// Leave it as recorded.
    Keep,
    /// ON becomes OFF and back: what a camera would see of the reversed scene.
    #[default]
    Flip,
    /// Every event becomes ON.
    Merge,
}

/// The clip `[0, duration_us)` backwards in time.
///
/// # Errors
/// [`Error::Argument`] if an event lies at or after `duration_us`.
pub fn time_reverse(events: &Events, duration_us: u64, rule: PolarityRule) -> Result<Events, Error> {
    if let Some(&late) = events.t.iter().find(|&&t| t >= duration_us) {
        return Err(Error::Argument {
            what: "time reversal".to_owned(),
            expected: format!("events before {duration_us} us"),
            found: format!("one at {late} us"),
        });
    }
    Ok(Events {
        t: events.t.iter().rev().map(|t| duration_us - 1 - t).collect(),
        x: events.x.iter().rev().copied().collect(),
        y: events.y.iter().rev().copied().collect(),
        polarity: events
            .polarity
            .iter()
            .rev()
            .map(|&on| match rule {
                PolarityRule::Keep => on,
                PolarityRule::Flip => !on,
                PolarityRule::Merge => true,
            })
            .collect(),
    })
}

/// Sets every event to ON.
pub fn merge_polarity(events: &mut Events) {
    events.polarity.fill(true);
}

/// Maps each pixel to its cell of `factor` x `factor` pixels; no event is lost, so that counts add up.
///
/// # Errors
/// [`Error::Argument`] if `factor` is 0.
pub fn shrink(events: &mut Events, factor: u16) -> Result<(), Error> {
    if factor == 0 {
        return Err(Error::Argument {
            what: "shrink factor".to_owned(),
            expected: "at least 1".to_owned(),
            found: "0".to_owned(),
        });
    }
    for coordinate in events.x.iter_mut().chain(&mut events.y) {
        *coordinate /= factor;
    }
    Ok(())
}

/// Mirrors left and right on a sensor of `width`; events outside it stay.
pub fn flip_x(events: &mut Events, width: u16) {
    events.x.iter_mut().filter(|x| **x < width).for_each(|x| *x = width - 1 - *x);
}

/// Mirrors top and bottom on a sensor of `height`; events outside it stay.
pub fn flip_y(events: &mut Events, height: u16) {
    events.y.iter_mut().filter(|y| **y < height).for_each(|y| *y = height - 1 - *y);
}

/// Exchanges ON and OFF.
pub fn flip_polarity(events: &mut Events) {
    events.polarity.iter_mut().for_each(|on| *on = !*on);
}

/// Moves every event by the same `(dx, dy)` pixels; the number of events that left the sensor and were dropped.
pub fn shift(events: &mut Events, (dx, dy): (i32, i32), sensor_size: (u16, u16)) -> usize {
    move_each(events, sensor_size, |_| (dx, dy))
}

/// Moves every event by its own normal deviate of `sd_px` pixels, rounded; the number that left the sensor.
pub fn jitter_space(events: &mut Events, sd_px: f64, sensor_size: (u16, u16), stream: &mut Stream) -> usize {
    move_each(events, sensor_size, |_| {
        ((sd_px * stream.normal()).round() as i32, (sd_px * stream.normal()).round() as i32)
    })
}

/// Moves every event in time by its own normal deviate of `sd_us`, kept inside `[0, duration_us)`, and sorts again.
pub fn jitter_time(events: &mut Events, sd_us: f64, duration_us: u64, stream: &mut Stream) {
    let last = duration_us.saturating_sub(1) as f64;
    let moved: Vec<u64> = events
        .t
        .iter()
        .map(|&t| (t as f64 + sd_us * stream.normal()).round().clamp(0.0, last) as u64)
        .collect();
    let mut order: Vec<usize> = (0..moved.len()).collect();
    order.sort_by_key(|&i| moved[i]);
    *events = Events {
        t: order.iter().map(|&i| moved[i]).collect(),
        x: order.iter().map(|&i| events.x[i]).collect(),
        y: order.iter().map(|&i| events.y[i]).collect(),
        polarity: order.iter().map(|&i| events.polarity[i]).collect(),
    };
}

/// Drops each event with probability `share`; the number dropped.
pub fn drop_events(events: &mut Events, share: f64, stream: &mut Stream) -> usize {
    retain(events, |_, _| stream.uniform() >= share)
}

fn move_each(
    events: &mut Events,
    (width, height): (u16, u16),
    mut by: impl FnMut(usize) -> (i32, i32),
) -> usize {
    retain(events, |events, i| {
        let (dx, dy) = by(i);
        let (x, y) = (i32::from(events.x[i]).saturating_add(dx), i32::from(events.y[i]).saturating_add(dy));
        let inside = (0..i32::from(width)).contains(&x) && (0..i32::from(height)).contains(&y);
        if inside {
            (events.x[i], events.y[i]) = (x as u16, y as u16);
        }
        inside
    })
}

/// Keeps the events for which `keep` says so; the number dropped.
fn retain(events: &mut Events, mut keep: impl FnMut(&mut Events, usize) -> bool) -> usize {
    let mut kept = 0;
    for i in 0..events.len() {
        if keep(events, i) {
            events.t[kept] = events.t[i];
            events.x[kept] = events.x[i];
            events.y[kept] = events.y[i];
            events.polarity[kept] = events.polarity[i];
            kept += 1;
        }
    }
    let dropped = events.len() - kept;
    events.truncate(kept);
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reversing_twice_is_the_identity(
            mut times in prop::collection::vec(0u64..1000, 0..100),
            rule in prop_oneof![Just(PolarityRule::Keep), Just(PolarityRule::Flip)],
        ) {
            times.sort_unstable();
            let mut events = Events::default();
            for (i, &t) in times.iter().enumerate() {
                events.push(t, i as u16, (2 * i) as u16, i % 3 == 0);
            }
            let back = time_reverse(&events, 1000, rule).unwrap();
            prop_assert!(back.t.is_sorted());
            prop_assert_eq!(&time_reverse(&back, 1000, rule).unwrap(), &events);
            let merged = time_reverse(&events, 1000, PolarityRule::Merge).unwrap();
            prop_assert!(merged.polarity.iter().all(|&on| on));
            prop_assert_eq!(merged.t, back.t);
        }
    }

    #[test]
    fn an_event_after_the_clip_is_refused() {
        let mut events = Events::default();
        events.push(10, 0, 0, true);
        assert!(
            time_reverse(&events, 10, PolarityRule::Keep).unwrap_err().to_string().contains("before 10 us")
        );
        assert_eq!(time_reverse(&events, 11, PolarityRule::Keep).unwrap().t, [0]);
    }

    #[test]
    fn shrinking_keeps_every_event() {
        let mut events = Events::default();
        events.push(0, 127, 5, true);
        shrink(&mut events, 4).unwrap();
        assert_eq!((events.x[0], events.y[0], events.len()), (31, 1, 1));
        assert!(shrink(&mut events, 0).is_err());
    }

    fn cloud(n: u64) -> Events {
        let mut stream = Stream::named(4, "augment/cloud");
        let mut events = Events::default();
        (0..n).for_each(|t| {
            events.push(t, 32 + stream.below(16) as u16, 20 + stream.below(9) as u16, t % 3 == 0)
        });
        events
    }

    #[test]
    fn flips_undo_themselves_and_shifts_undo_each_other() {
        let events = cloud(500);
        let mut copy = events.clone();
        flip_x(&mut copy, 100);
        assert_eq!(copy.x[0], 99 - events.x[0]);
        flip_y(&mut copy, 50);
        flip_polarity(&mut copy);
        assert_ne!(copy, events);
        flip_polarity(&mut copy);
        flip_y(&mut copy, 50);
        flip_x(&mut copy, 100);
        assert_eq!(copy, events);
        assert_eq!(shift(&mut copy, (-32, 10), (100, 50)), 0);
        assert_eq!(shift(&mut copy, (32, -10), (100, 50)), 0);
        assert_eq!(copy, events);
        assert_eq!(shift(&mut copy, (-48, 0), (100, 50)), 500);
    }

    /// Jitters have mean 0 and their standard deviation (rounding adds 1/12 px^2); bounds at five standard errors.
    #[test]
    fn jitters_have_their_size_and_lose_nothing_they_do_not_count() {
        const N: u64 = 40_000;
        let n = N as f64;
        let events = cloud(N);
        let mut stream = Stream::named(4, "augment/jitter");
        let mut copy = events.clone();
        assert_eq!(jitter_space(&mut copy, 2.0, (100, 50), &mut stream), 0);
        let moves: Vec<f64> =
            copy.x.iter().zip(&events.x).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
        let variance = 4.0 + 1.0 / 12.0;
        let mean = moves.iter().sum::<f64>() / n;
        let found = moves.iter().map(|m| m * m).sum::<f64>() / n;
        assert!(mean.abs() < 5.0 * (variance / n).sqrt(), "mean {mean}");
        assert!((found - variance).abs() < 5.0 * variance * (2.0 / n).sqrt(), "variance {found}");

        let mut copy = events.clone();
        jitter_time(&mut copy, 30.0, N, &mut stream);
        assert!(copy.t.is_sorted() && copy.len() == events.len() && copy.t[copy.len() - 1] < N);
        assert_ne!(copy, events);

        let mut copy = events.clone();
        let dropped = drop_events(&mut copy, 0.25, &mut stream);
        assert_eq!(dropped + copy.len(), N as usize);
        assert!((dropped as f64 - 0.25 * n).abs() < 5.0 * (n * 0.1875).sqrt(), "{dropped} dropped");
    }
}
