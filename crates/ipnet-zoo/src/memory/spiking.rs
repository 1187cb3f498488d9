//! Leaky integrate-and-fire neurons, three kinds, from rest, hard reset, sigmoid surrogate (see [`ipnet_kernel::lif_scan`]):
//! ```text
//! u = gain x + bias                                        the synapse, trained per channel, as IP neurons have one
//! lif    v = d v' + u,        s = v >= 1                   d = 0.8, the decay of the default device's heat over a slot
//! alif   v = d v' + u,        s = v >= 1 + b a             a' = rho a + s          (Bellec et al., NeurIPS 2018)
//! plif   v = v' + k (u - v'), s = v >= 1                   k = sigmoid(w) = 1 / tau, w trained, one per layer
//!                                                          (Fang et al., ICCV 2021, equation 7; tau = 2 at the start)
//! ```
//! The gain starts at 1, for PLIF at tau = 2, so that all three start with the same drive: behind a rectifier and pooling `u`
//! stays below 1 as a rule, and a membrane that only ever approaches `u` would not fire, nor learn to.
//!
//! ALIF in the published form has the rise `beta (1 - rho)` per spike with beta = 1.8; `rho = exp(-1 / 16)`: the threshold
//! remembers for about the 16 steps of the tasks (assumed; the publication's 200 ms stand for its own tasks).

use super::{FeatureShape, INITIAL_DECAY};
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use crate::{Error, Memory};
use candle_core::Tensor;
use ipnet_kernel::{AlifConfig, LifConfig, alif_scan, lif_scan};

/// Steps after which an adapted threshold has lost 63 % of its rise.
const ADAPTATION_STEPS: f64 = 16.0;
/// PLIF's time constant at the start, in steps.
const INITIAL_TAU: f64 = 2.0;
/// Rise of the threshold over its rest for a neuron that fires at every step.
const ADAPTATION_BETA: f64 = 1.8;

#[derive(Debug)]
pub(crate) struct Spiking {
    name: String,
    shape: FeatureShape,
    gain: Tensor,
    bias: Tensor,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The decay of every channel.
    Lif(Tensor),
    Alif(Tensor, AlifConfig),
    /// `w` of `k = sigmoid(w)`, `[1]`.
    Plif(Tensor),
}

impl Spiking {
    /// `memory` is one of the spiking ones.
    pub fn new(
        params: &mut Parameters,
        name: &str,
        memory: Memory,
        shape: FeatureShape,
    ) -> Result<Self, Error> {
        let channels = shape.channels();
        let initial_gain = if memory == Memory::Plif { INITIAL_TAU } else { 1.0 };
        let gain = params.constant(&format!("{name}.gain"), &[channels], initial_gain)?;
        let bias = params.constant(&format!("{name}.bias"), &[channels], 0.0)?;
        let device = params.device().clone();
        let decay = || Tensor::from_vec(vec![INITIAL_DECAY as f32; channels], channels, &device);
        let kind = match memory {
            Memory::Plif => {
                Kind::Plif(params.constant(&format!("{name}.w"), &[1], -(INITIAL_TAU - 1.0).ln())?)
            }
            Memory::Alif => {
                let rho = (-1.0 / ADAPTATION_STEPS).exp();
                let config = AlifConfig {
                    lif: LifConfig::default(),
                    adaptation_decay: rho,
                    adaptation_strength: ADAPTATION_BETA * (1.0 - rho),
                };
                Kind::Alif(decay()?, config)
            }
            _ => Kind::Lif(decay()?),
        };
        Ok(Self { name: name.to_owned(), shape, gain, bias, kind })
    }

    pub fn features(&self) -> usize {
        self.shape.len()
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let config = LifConfig::default();
        match &self.kind {
            Kind::Lif(decay) => Ok(lif_scan(&self.drive(x, &self.gain, &self.bias)?, decay, &config)?),
            Kind::Alif(decay, config) => {
                Ok(alif_scan(&self.drive(x, &self.gain, &self.bias)?, decay, config)?)
            }
            Kind::Plif(w) => {
                // k u + (1 - k) v', with k multiplied into the synapse: three tensors of a few channels.
                let k = super::sigmoid(w)?.broadcast_as(self.gain.shape())?.contiguous()?;
                let drive = self.drive(x, &(&self.gain * &k)?, &(&self.bias * &k)?)?;
                Ok(lif_scan(&drive, &k.affine(-1.0, 1.0)?, &config)?)
            }
        }
    }

    /// `gain[c] x + bias[c]`: a normalisation by fixed statistics.
    fn drive(&self, x: &Tensor, gain: &Tensor, bias: &Tensor) -> Result<Tensor, Error> {
        const EPS: f64 = 1e-5;
        let channels = self.shape.channels();
        let (mean, variance) = (vec![0.0; channels], vec![1.0 - EPS as f32; channels]);
        let y = ipnet_nn::batch_norm_eval(&x.flatten(0, 1)?, gain, bias, &mean, &variance, EPS)?;
        Ok(y.reshape(x.shape())?)
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        let (values, channels) = (self.shape.len(), self.shape.channels());
        let slots = (steps * values) as u64;
        let adaptive = matches!(self.kind, Kind::Alif(..));
        // Synapse and membrane; an adaptation and its threshold.
        let macs = if adaptive { 4 } else { 2 };
        let trained = 2 * channels + usize::from(matches!(self.kind, Kind::Plif(_)));
        let mut counts = LayerCounts::new(&self.name, Role::Memory);
        counts.parameters = trained as u64;
        counts.macs = macs * slots;
        // Comparison with the threshold, and reset.
        counts.other_ops = 2 * slots;
        counts.weight_reads = (steps * trained) as u64;
        counts.activation_reads = slots;
        counts.activation_writes = slots;
        counts.state_values = (values * if adaptive { 2 } else { 1 }) as u64;
        counts.state_reads = steps as u64 * counts.state_values;
        counts.state_writes = counts.state_reads;
        counts
    }
}
