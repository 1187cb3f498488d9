//! What a scan is asked to compute, beside its tensors.

use crate::{Error, Result};
use ipnet_device::StepLaw;
use std::sync::Arc;

/// What a neuron sends on at each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firing {
    /// The switching probability `p` itself.
    Expected,
    /// 0 or 1, drawn with probability `p`; the gradient passes straight through to `p`.
    Sampled,
}

/// A step law, how it fires, and the coordinates of its random draws.
///
/// The firing and the noise of a step are `Philox4x32-10` at (seed, layer, step, neuron), where `step` counts from
/// `step_offset` and `neuron` from `neuron_offset`: a stream cut in time, or a batch cut in parts, draws the
/// same numbers when the offsets say where the part lies.
#[derive(Debug, Clone)]
pub struct ScanConfig {
    /// The device in one pulse slot.
    pub law: Arc<StepLaw>,
    /// Expected or sampled firing.
    pub firing: Firing,
    /// Seed of the run (or of the training step).
    pub seed: u64,
    /// Seed of the chip: places the spread between devices, which no training step may change.
    pub device_seed: u64,
    /// Which layer of the network this is.
    pub layer: u32,
    /// Absolute number of the first step.
    pub step_offset: u64,
    /// Absolute number of the first neuron, counted over the whole batch: (first sample) x (neurons a sample).
    /// Devices are numbered inside a sample and start at 0 whatever the offset.
    pub neuron_offset: u64,
}

impl ScanConfig {
    /// Expected firing of `law`, all seeds and offsets 0.
    pub fn expected(law: Arc<StepLaw>) -> Self {
        Self {
            law,
            firing: Firing::Expected,
            seed: 0,
            device_seed: 0,
            layer: 0,
            step_offset: 0,
            neuron_offset: 0,
        }
    }

    /// Sampled firing of `law` in layer `layer` of a run with `seed`.
    pub fn sampled(law: Arc<StepLaw>, seed: u64, layer: u32) -> Self {
        Self { firing: Firing::Sampled, seed, layer, ..Self::expected(law) }
    }
}

/// What a spike does to the membrane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// `v' = v (1 - s)`: to zero.
    Zero,
    /// `v' = v - threshold s`: by subtraction of the resting threshold.
    Subtract,
    /// `v' = v`.
    None,
}

/// A leaky integrate-and-fire neuron:
/// ```text
/// v   = decay v' + x
/// s   = 1 if v >= threshold else 0
/// v'  = reset(v, s)
/// ds/dv = alpha sigma(alpha (v - threshold)) (1 - sigma(..))     surrogate, backward only
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LifConfig {
    /// Firing threshold (of the units of `x`), > 0.
    pub threshold: f64,
    /// What a spike does to the membrane.
    pub reset: Reset,
    /// Steepness `alpha` of the sigmoid surrogate, > 0.
    pub surrogate_alpha: f64,
    /// Whether the gradient leaves the reset out.
    pub detach_reset: bool,
}

impl Default for LifConfig {
    fn default() -> Self {
        Self { threshold: 1.0, reset: Reset::Zero, surrogate_alpha: 4.0, detach_reset: false }
    }
}

/// A LIF whose threshold rises with its own spikes (Bellec et al., NeurIPS 2018):
/// `s = 1 if v >= threshold + strength a`, `a' = decay_a a + s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlifConfig {
    /// The membrane.
    pub lif: LifConfig,
    /// Decay of the adaptation per step, in `[0, 1)`.
    pub adaptation_decay: f64,
    /// Rise of the threshold per unit of adaptation, >= 0.
    pub adaptation_strength: f64,
}

impl LifConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        positive("threshold", self.threshold)?;
        positive("surrogate_alpha", self.surrogate_alpha)
    }
}

impl AlifConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        self.lif.validate()?;
        if !(0.0..1.0).contains(&self.adaptation_decay) {
            return Err(Error::Setting {
                what: "adaptation_decay",
                expected: "a number in [0, 1)",
                found: self.adaptation_decay.to_string(),
            });
        }
        if !(self.adaptation_strength >= 0.0 && self.adaptation_strength.is_finite()) {
            return Err(Error::Setting {
                what: "adaptation_strength",
                expected: "a finite number >= 0",
                found: self.adaptation_strength.to_string(),
            });
        }
        Ok(())
    }
}

fn positive(what: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::Setting { what, expected: "a positive finite number", found: value.to_string() })
}
