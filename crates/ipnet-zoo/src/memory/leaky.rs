//! Digital leaky memories with a trained decay per channel: the exponential moving average (the linear control for IP)
//! and leaky integrate-and-fire neurons.

use super::FeatureShape;
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use crate::{Error, Memory};
use candle_core::Tensor;
use ipnet_kernel::{LifConfig, lif_scan};

/// Initial decay per step: the default device's heat keeps 0.8 of itself over one slot.
const INITIAL_DECAY: f64 = 0.8;

#[derive(Debug)]
pub(crate) struct Leaky {
    name: String,
    spiking: bool,
    shape: FeatureShape,
    decay: Tensor,
}

impl Leaky {
    /// `memory` is [`Memory::Lif`] or [`Memory::Ema`].
    pub fn new(
        params: &mut Parameters,
        name: &str,
        memory: Memory,
        shape: FeatureShape,
    ) -> Result<Self, Error> {
        let decay = params.constant(&format!("{name}.decay"), &[shape.channels()], INITIAL_DECAY)?;
        Ok(Self { name: name.to_owned(), spiking: memory == Memory::Lif, shape, decay })
    }

    pub fn features(&self) -> usize {
        self.shape.len()
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        if self.spiking {
            return Ok(lif_scan(x, &self.decay, &LifConfig::default())?);
        }
        Ok(ipnet_nn::ema_scan(x, &self.decay)?)
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        let (values, channels) = (self.shape.len(), self.shape.channels());
        let slots = (steps * values) as u64;
        let mut counts = LayerCounts::new(&self.name, Role::Memory);
        counts.parameters = channels as u64;
        // decay v + x, or decay y + (1 - decay) x.
        counts.macs = if self.spiking { slots } else { 2 * slots };
        // Threshold and reset of a spiking neuron.
        counts.other_ops = if self.spiking { 2 * slots } else { 0 };
        counts.weight_reads = (steps * channels) as u64;
        counts.activation_reads = slots;
        counts.activation_writes = slots;
        counts.state_values = values as u64;
        counts.state_reads = slots;
        counts.state_writes = slots;
        counts
    }
}
