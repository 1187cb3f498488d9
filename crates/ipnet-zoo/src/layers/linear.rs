//! A fully connected layer.

use super::count_products;
use crate::Error;
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use candle_core::Tensor;

/// `y = x W^T + b`: `[N, I]` to `[N, O]`.
#[derive(Debug)]
pub(crate) struct Linear {
    pub name: String,
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub fn new(params: &mut Parameters, name: &str, inputs: usize, outputs: usize) -> Result<Self, Error> {
        let bound = 1.0 / (inputs as f64).sqrt();
        Ok(Self {
            name: name.to_owned(),
            weight: params.uniform(&format!("{name}.weight"), &[outputs, inputs], bound)?,
            bias: params.uniform(&format!("{name}.bias"), &[outputs], bound)?,
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(ipnet_nn::linear(x, &self.weight, Some(&self.bias))?)
    }

    /// Counts over `steps`; the products of a `binary` input are accumulates.
    pub fn counts(&self, steps: usize, binary: bool) -> Result<LayerCounts, Error> {
        let (outputs, inputs) = self.weight.dims2()?;
        let mut counts = LayerCounts::new(&self.name, Role::Backbone);
        counts.parameters = (outputs * inputs + outputs) as u64;
        count_products(&mut counts, steps * outputs * inputs, binary);
        counts.other_ops = (steps * outputs) as u64;
        counts.weight_reads = (steps * (outputs * inputs + outputs)) as u64;
        counts.activation_reads = (steps * inputs) as u64;
        counts.activation_writes = (steps * outputs) as u64;
        Ok(counts)
    }
}
