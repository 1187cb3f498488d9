//! The fit of the three free numbers to the training half of the human curves.
//!
//! The loss is the mean over the training studies of `RMSE + (1 - r) / 10`, each at its own level. The search is a random
//! one in a box that shrinks around the best three times, with named draws: the same seed finds the same numbers. The box lies
//! around the best region of a coarse search over wider ranges (0.2 to 0.8 slots per second, 1.5 to 7 writes, ratios 0.1
//! to 0.6) in a mean-field version, with one heat per item.

use super::array::Forgetting;
use super::human::Study;
use super::protocol::Protocol;
use super::stats::{agreement, means};
use super::study::Cohort;
use ipnet_device::StepLaw;
use ipnet_rng::Stream;

/// Weight of `1 - r` against RMSE.
const SHAPE_WEIGHT: f64 = 0.1;
/// The box of the search: lower and upper ends of the three numbers.
const BOX: [(f64, f64); 3] = [(0.28, 0.40), (3.8, 4.8), (0.11, 0.18)];
/// Lists, or trials per condition, of a subject.
const TRIALS: usize = 4;

/// What a fit found.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Fit {
    /// The numbers.
    pub protocol: Protocol,
    /// Their loss.
    pub loss: f64,
}

/// The loss of `protocol` on the studies for which `of` holds; NaN where it holds for none.
pub fn loss(
    law: &StepLaw,
    protocol: &Protocol,
    subjects: usize,
    seed: u64,
    of: &dyn Fn(Study) -> bool,
) -> f64 {
    let cohort = Cohort {
        law,
        protocol,
        forgetting: Forgetting::Heat,
        rehearse: true,
        subjects,
        trials: TRIALS,
        seed,
    };
    let losses: Vec<f64> = Study::ALL
        .into_iter()
        .filter(|study| of(*study))
        .map(|study| {
            let curves = cohort.curves(study, cohort.level_v(study));
            let model: Vec<f64> = means(&curves).iter().map(|m| m.mean).collect();
            let found = agreement(&model, &study.human());
            found.rmse + SHAPE_WEIGHT * (1.0 - found.r.unwrap_or(0.0))
        })
        .collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}

/// The protocol that `attempt` of `tries` looks at, around the best so far.
fn candidate(stream: &mut Stream, attempt: usize, tries: usize, best: &Protocol) -> Protocol {
    let shrink = 0.5f64.powi((4 * attempt / tries.max(1)) as i32);
    let centre = [best.slots_per_s, best.pulses_per_slot, best.read_ratio];
    let [slots_per_s, pulses_per_slot, read_ratio] = std::array::from_fn(|i| {
        let (low, high) = BOX[i];
        let middle = if shrink < 1.0 { centre[i] } else { 0.5 * (low + high) };
        (middle + shrink * (high - low) * (stream.uniform() - 0.5)).clamp(low, high)
    });
    Protocol { slots_per_s, pulses_per_slot, read_ratio }
}

/// Searches `tries` protocols with `subjects` subjects a study; `tell` hears of each.
pub fn fit(law: &StepLaw, tries: usize, subjects: usize, seed: u64, tell: &mut dyn FnMut(usize, Fit)) -> Fit {
    let mut stream = Stream::named(seed, "cognition/fit");
    let mut best = Fit { protocol: Protocol::fitted(), loss: f64::INFINITY };
    for attempt in 0..tries {
        let protocol = candidate(&mut stream, attempt, tries, &best.protocol);
        let found = Fit { protocol, loss: loss(law, &protocol, subjects, seed, &Study::trained_on) };
        tell(attempt, found);
        if found.loss < best.loss {
            best = found;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet_device::DeviceSet;

    #[test]
    fn the_same_seed_finds_the_same_numbers_and_the_best_of_those_it_tried() {
        let law = DeviceSet::load("default").unwrap().reduce().unwrap().law;
        let search = || {
            let mut losses = Vec::new();
            let found = fit(&law, 2, 1, 7, &mut |_, tried| losses.push(tried.loss));
            (found, losses)
        };
        let (found, losses) = search();
        assert_eq!(found.loss, losses.iter().copied().fold(f64::INFINITY, f64::min));
        assert_eq!(search(), (found, losses));
    }

    #[test]
    fn candidates_stay_in_the_box_and_close_in() {
        let mut stream = Stream::named(1, "candidates");
        let best = Protocol { slots_per_s: 0.28, pulses_per_slot: 4.3, read_ratio: 0.15 };
        for attempt in 0..400 {
            let c = candidate(&mut stream, attempt, 400, &best);
            assert!((0.28..=0.40).contains(&c.slots_per_s) && (0.11..=0.18).contains(&c.read_ratio));
            // Last quarter: an eighth of the box, half of it to each side.
            assert!(attempt < 300 || (c.pulses_per_slot - 4.3).abs() <= 1.0 / 16.0);
        }
    }
}
