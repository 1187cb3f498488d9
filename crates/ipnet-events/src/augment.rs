//! Transformed copies of recordings: time reversal, shrinking; for tasks and for training.
//!
//! Time reversal of a clip `[0, D)`: `t' = D - 1 - t`, order reversed. A camera that had seen the scene backwards would
//! report an ON where this one reported an OFF (brightening becomes dimming), so three rules are offered:
//! *flip* gives what that camera would have seen, *keep* leaves the polarity as recorded, and *merge* sets every
//! event to ON so that polarity tells nothing about the direction of time (apply [`merge_polarity`] to the
//! forward clips too).

use crate::{Error, Events};

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
}
