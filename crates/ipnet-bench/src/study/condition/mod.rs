//! Trained networks under conditions they were not trained for.
//!
//! ```text
//! a trained network --+-- other stimuli: frames shuffled, one frame, noise events, longer or shorter clips
//!                     +-- other devices: no heat kept, more or less spread, sampled firing
//!                     --> the test part's score
//! ```
//! Controls ask where a score comes from: one that stays with frames shuffled was not made of time. Curves ask how it falls.
//! Design decision: conditions are put on the test part of networks trained without them, so that a whole study costs one
//! evaluation a point and every network meets the same noise (drawn from the sample's number, not from the network).

mod altered;
mod run;

pub use run::{ConditionRow, conditions_table, test_conditions};

use ipnet_device::StepLaw;
use ipnet_zoo::{Firing, Memory, NetSpec};
use serde::{Deserialize, Serialize};

/// What is different from training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Nothing.
    AsTrained,
    /// The frames of each clip come in a random order.
    Shuffled,
    /// Only the middle frame is shown, or the last where that one is read; the others are empty.
    OneFrame,
    /// Junctions cool completely from slot to slot, and a reset leaves no heat.
    HeatCut,
    /// Noise events fall on random cells and frames: this many for each event of the clip.
    Noise(f64),
    /// Clips of this many frames: shorter ones end early, longer ones start again; where the last frame is read it stays the last.
    Frames(usize),
    /// The spread between junctions, on the same chip, times this.
    Spread(f64),
    /// The noise from pulse to pulse times this.
    CycleNoise(f64),
    /// Junctions that switch or not, instead of their probability.
    Sampled,
}

impl Condition {
    /// Its name in tables; conditions of one name and different levels make a curve.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsTrained => "as trained",
            Self::Shuffled => "frames shuffled",
            Self::OneFrame => "one frame",
            Self::HeatCut => "heat cut",
            Self::Noise(_) => "noise events",
            Self::Frames(_) => "frames",
            Self::Spread(_) => "device spread",
            Self::CycleNoise(_) => "cycle noise",
            Self::Sampled => "sampled firing",
        }
    }

    /// Its level, where it has one: noise events per event, frames, factors.
    pub fn level(self) -> Option<f64> {
        match self {
            Self::Noise(level) | Self::Spread(level) | Self::CycleNoise(level) => Some(level),
            Self::Frames(frames) => Some(frames as f64),
            Self::AsTrained | Self::Shuffled | Self::OneFrame | Self::HeatCut | Self::Sampled => None,
        }
    }

    /// Whether it is about junctions: only networks of IP neurons have them.
    pub fn is_of_devices(self) -> bool {
        matches!(self, Self::HeatCut | Self::Spread(_) | Self::CycleNoise(_) | Self::Sampled)
    }

    /// Whether `spec` can meet it. An ELM neuron's time constants are placed by the length of the clips it was trained on: with
    /// another length it would be another network.
    pub fn applies_to(self, spec: &NetSpec) -> bool {
        match self {
            Self::Frames(_) => spec.memory != Memory::Elm,
            _ => !self.is_of_devices() || spec.memory == Memory::Ip,
        }
    }

    /// The network under it.
    fn spec(self, spec: NetSpec) -> NetSpec {
        match self {
            Self::Sampled => NetSpec { firing: Firing::Sampled, ..spec },
            _ => spec,
        }
    }

    /// The junctions under it.
    fn law(self, law: &StepLaw) -> StepLaw {
        let mut law = law.clone();
        match self {
            Self::HeatCut => law.poles.iter_mut().for_each(|pole| {
                pole.decay = 0.0;
                pole.heat_k_per_v2 = 0.0;
                pole.reset_k = 0.0;
            }),
            Self::Spread(factor) => {
                law.spread.barrier_d2d *= factor;
                law.spread.v_critical_d2d *= factor;
                law.spread.heat_d2d *= factor;
            }
            Self::CycleNoise(factor) => law.spread.v_critical_c2c *= factor,
            _ => {}
        }
        law
    }

    /// The controls, and curves over noise, length and devices.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::AsTrained, Self::Shuffled, Self::OneFrame, Self::HeatCut, Self::Sampled];
        all.extend([0.1, 0.3, 1.0, 3.0].map(Self::Noise));
        all.extend([4, 8, 16, 32, 64].map(Self::Frames));
        all.extend([0.0, 1.0, 2.0, 3.0].map(Self::Spread));
        all.extend([0.0, 1.0, 2.0, 3.0].map(Self::CycleNoise));
        all
    }
}

#[cfg(test)]
mod tests;
