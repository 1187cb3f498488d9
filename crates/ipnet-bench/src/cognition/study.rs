//! A study run on simulated subjects, and the one level that is set on one of its points.

use super::array::{Forgetting, Tables};
use super::human::Study;
use super::protocol::Protocol;
use super::{Setting, delayed, nback, recall};
use ipnet_device::StepLaw;
use rayon::prelude::*;

/// The lowest and the highest poll amplitude tried, over the largest amplitude of the device.
const LEVEL_RANGE: (f64, f64) = (0.25, 0.8);
/// Steps of the scan over that range.
const SCAN: usize = 22;
/// Subjects of the scan.
const SCANNED: usize = 16;
/// Halvings of the step in which the goal is passed.
const HALVINGS: usize = 6;
/// Subjects of the halvings.
const HALVED: usize = 64;

/// Who is simulated, on which device, in which protocol.
#[derive(Debug, Clone, Copy)]
pub struct Cohort<'a> {
    /// The device.
    pub law: &'a StepLaw,
    /// The protocol.
    pub protocol: &'a Protocol,
    /// How the memory forgets.
    pub forgetting: Forgetting,
    /// Whether subjects rehearse.
    pub rehearse: bool,
    /// Subjects.
    pub subjects: usize,
    /// Lists, or trials per delay, of a subject.
    pub trials: usize,
    /// The run's seed.
    pub seed: u64,
}

impl Cohort<'_> {
    /// Runs `each` for every subject at a poll amplitude of `level_v` \[V\], in parallel; the order is the subjects'.
    pub fn each<T: Send>(&self, level_v: f64, each: impl Fn(&Setting<'_>, usize) -> T + Sync) -> Vec<T> {
        let tables = Tables::new(self.law, level_v, self.forgetting);
        let setting = Setting {
            tables: &tables,
            protocol: self.protocol,
            rehearse: self.rehearse,
            trials: self.trials,
            seed: self.seed,
        };
        (0..self.subjects).into_par_iter().map(|subject| each(&setting, subject)).collect()
    }

    /// The study's curve for every subject at a poll amplitude of `level_v` \[V\].
    pub fn curves(&self, study: Study, level_v: f64) -> Vec<Vec<f64>> {
        match (study.list(), study) {
            (Some(list), _) => self.each(level_v, |s, i| recall::subject(s, list, i).recalled),
            (_, Study::DelayedYoung | Study::DelayedOld) => self.each(level_v, delayed::subject),
            _ => self.each(level_v, |s, i| nback::subject(s, i).iter().map(nback::Score::accuracy).collect()),
        }
    }

    /// Poll amplitude \[V\] at which the mean of the study's level point meets the human one.
    ///
    /// The lowest such amplitude: too strong a poll makes strangers and stale items answer, so that n-back and delayed recall rise to a
    /// peak and fall again. A scan with a part of the cohort finds where the goal is passed first, halving with
    /// more of it the rest. Where no amplitude of the scan reaches the goal, that of the highest mean is returned.
    pub fn level_v(&self, study: Study) -> f64 {
        let goal = study.human()[study.level_point()];
        let v_max = self.law.v_max_v;
        let at = |step: usize| {
            v_max * (LEVEL_RANGE.0 + (LEVEL_RANGE.1 - LEVEL_RANGE.0) * step as f64 / SCAN as f64)
        };
        let some = Cohort { subjects: self.subjects.min(SCANNED), ..*self };
        let (mut best, mut best_mean) = (0, f64::NEG_INFINITY);
        let passed = (0..=SCAN).find(|&step| {
            let mean = some.level_mean(study, at(step));
            if mean > best_mean {
                (best, best_mean) = (step, mean);
            }
            mean >= goal
        });
        let Some(step) = passed else { return at(best) };
        let (mut low, mut high) = (at(step.saturating_sub(1)), at(step));
        let more = Cohort { subjects: self.subjects.min(HALVED), ..*self };
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if more.level_mean(study, middle) < goal { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// The mean over subjects of the study's level point at a poll amplitude of `level_v` \[V\].
    fn level_mean(&self, study: Study, level_v: f64) -> f64 {
        let point = study.level_point();
        let values: Vec<f64> = match study {
            Study::DelayedYoung | Study::DelayedOld => {
                self.each(level_v, |s, i| delayed::recalled(s, i, delayed::DELAYS_S[point]))
            }
            Study::NBackSession1 | Study::NBackSession10 => {
                self.each(level_v, |s, i| nback::at_n(s, i, nback::LEVELS[point]).accuracy())
            }
            _ => self.curves(study, level_v).into_iter().map(|curve| curve[point]).collect(),
        };
        values.iter().sum::<f64>() / values.len() as f64
    }
}
