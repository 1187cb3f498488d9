//! How a network is trained.

use super::optimiser::Rule;
use crate::task::Augment;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How a network is trained: the same for all networks of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training part.
    pub epochs: usize,
    /// Samples per update.
    pub batch: usize,
    /// Which rule updates the weights.
    pub optimiser: Rule,
    /// Peak learning rate: linear warm-up, then a cosine to zero at the end of the last epoch.
    pub learning_rate: f64,
    /// SGD's momentum, in `[0, 1)`.
    pub momentum: f64,
    /// Epochs of warm-up.
    pub warm_up_epochs: usize,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest global norm of the gradient.
    pub clip_norm: f64,
    /// Label smoothing, in `[0, 1)`.
    pub label_smoothing: f64,
    /// Largest random shift of a training clip \[px of the network's input\], the same for all its frames.
    pub max_shift_px: usize,
    /// Largest entry of a random linear map of a training clip's pixels, less the identity, in `[0, 1)`: turns, shears and
    /// stretches, the same for all its frames.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_warp: f64,
    /// Chance that a cell of a training clip's frames is emptied, in `[0, 1)` (after EventDrop, Gu et al., IJCAI 2021).
    pub drop_share: f64,
    /// Ends training after this many epochs that do no better on the validation part; 0: never.
    pub patience: usize,
}

/// The largest count that a setting may have: far beyond any use, and far from where sums of counts overflow.
const MOST: usize = 100_000;

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch: 32,
            optimiser: Rule::Adamw,
            learning_rate: 3e-3,
            momentum: 0.9,
            warm_up_epochs: 1,
            weight_decay: 1e-2,
            clip_norm: 1.0,
            label_smoothing: 0.0,
            max_shift_px: 2,
            max_warp: 0.0,
            drop_share: 0.0,
            patience: 0,
        }
    }
}

impl TrainConfig {
    /// Refuses values without meaning.
    ///
    /// # Errors
    /// [`Error::Argument`] with the field at fault.
    pub fn validate(&self) -> Result<()> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let counted = |count: usize| (1..=MOST).contains(&count);
        let checks = [
            ("epochs", counted(self.epochs), "1 to 100000", self.epochs as f64),
            ("batch", counted(self.batch), "1 to 100000", self.batch as f64),
            ("patience", self.patience <= MOST, "at most 100000", self.patience as f64),
            ("max_shift_px", self.max_shift_px <= MOST, "at most 100000", self.max_shift_px as f64),
            ("learning_rate", positive(self.learning_rate), "a positive number", self.learning_rate),
            ("momentum", share(self.momentum), "a number in [0, 1)", self.momentum),
            (
                "warm_up_epochs",
                self.warm_up_epochs <= self.epochs,
                "at most the epochs",
                self.warm_up_epochs as f64,
            ),
            (
                "weight_decay",
                self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
                "0 or more",
                self.weight_decay,
            ),
            ("clip_norm", positive(self.clip_norm), "a positive number", self.clip_norm),
            ("label_smoothing", share(self.label_smoothing), "a number in [0, 1)", self.label_smoothing),
            ("max_warp", share(self.max_warp), "a number in [0, 1)", self.max_warp),
            ("drop_share", share(self.drop_share), "a number in [0, 1)", self.drop_share),
        ];
        match checks.into_iter().find(|(_, good, ..)| !good) {
            None => Ok(()),
            Some((what, _, expected, found)) => Err(Error::Argument {
                what: format!("training: {what}"),
                expected: expected.into(),
                found: found.to_string(),
            }),
        }
    }

    /// What is done to the clips of an update whose draws come from `seed`.
    pub fn augment(&self, seed: u64) -> Augment {
        let Self { max_shift_px, max_warp, drop_share, .. } = *self;
        Augment { max_shift_px, max_warp, drop_share, seed }
    }

    /// The learning rate of update `update`, counted from 0: linear over the warm-up, then half a cosine to zero.
    pub fn learning_rate_at(&self, update: usize, updates_per_epoch: usize) -> f64 {
        let (warm_up, total) = (self.warm_up_epochs * updates_per_epoch, self.epochs * updates_per_epoch);
        if update < warm_up {
            return self.learning_rate * (update + 1) as f64 / warm_up as f64;
        }
        let done = (update - warm_up) as f64 / (total - warm_up).max(1) as f64;
        self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

/// Left out of what is stored, so that a run that knows nothing of a key keeps its identity.
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_over_the_warm_up_and_falls_to_nothing() {
        let config =
            TrainConfig { epochs: 5, warm_up_epochs: 2, learning_rate: 1.0, ..TrainConfig::default() };
        let rates: Vec<f64> = (0..50).map(|update| config.learning_rate_at(update, 10)).collect();
        assert!((rates[0] - 0.05).abs() < 1e-12 && (rates[19] - 1.0).abs() < 1e-12, "{rates:?}");
        assert!((rates[20] - 1.0).abs() < 1e-12 && (rates[35] - 0.5).abs() < 1e-12, "{rates:?}");
        assert!(rates[20..].windows(2).all(|pair| pair[1] < pair[0]) && rates[49] < 0.01, "{rates:?}");
        let flat = TrainConfig { warm_up_epochs: 0, ..config };
        assert!((flat.learning_rate_at(0, 10) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn values_without_meaning_are_refused_by_name() {
        let good = TrainConfig::default();
        good.validate().unwrap();
        for (config, name) in [
            (TrainConfig { batch: 0, ..good }, "batch"),
            (TrainConfig { epochs: usize::MAX, ..good }, "epochs"),
            (TrainConfig { patience: usize::MAX, ..good }, "patience"),
            (TrainConfig { max_shift_px: usize::MAX, ..good }, "max_shift_px"),
            (TrainConfig { learning_rate: f64::NAN, ..good }, "learning_rate"),
            (TrainConfig { momentum: 1.0, ..good }, "momentum"),
            (TrainConfig { warm_up_epochs: 11, ..good }, "warm_up_epochs"),
            (TrainConfig { label_smoothing: -0.1, ..good }, "label_smoothing"),
        ] {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
