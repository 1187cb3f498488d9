//! Exponential moving average, `y[t] = a y[t - 1] + (1 - a) x[t]`, one trained decay `a` per channel: the plain linear
//! control for IP.

use super::FeatureShape;
use crate::Error;
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use candle_core::Tensor;

#[derive(Debug)]
pub(crate) struct Ema {
    name: String,
    shape: FeatureShape,
    decay: Tensor,
}

impl Ema {
    pub fn new(params: &mut Parameters, name: &str, shape: FeatureShape) -> Result<Self, Error> {
        let decay = params.constant(&format!("{name}.decay"), &[shape.channels()], super::INITIAL_DECAY)?;
        Ok(Self { name: name.to_owned(), shape, decay })
    }

    pub fn features(&self) -> usize {
        self.shape.len()
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(ipnet_nn::ema_scan(x, &self.decay)?)
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        let (values, channels) = (self.shape.len(), self.shape.channels());
        let slots = (steps * values) as u64;
        let mut counts = LayerCounts::new(&self.name, Role::Memory);
        counts.parameters = channels as u64;
        // decay y + (1 - decay) x.
        counts.macs = 2 * slots;
        counts.weight_reads = (steps * channels) as u64;
        counts.activation_reads = slots;
        counts.activation_writes = slots;
        counts.state_values = values as u64;
        counts.state_reads = slots;
        counts.state_writes = slots;
        counts
    }
}
