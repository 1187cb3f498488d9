//! The backbone's layers: a convolutional stage and a fully connected layer, each with its counts.

use crate::counts::{LayerCounts, Role};
use crate::params::{Buffer, Parameters, read_buffer, write_buffer};
use crate::{Error, Mode};
use candle_core::Tensor;

const BATCH_NORM_EPS: f64 = 1e-5;
/// Weight of the newest batch in the running statistics (PyTorch's default).
const BATCH_NORM_MOMENTUM: f32 = 0.1;

/// Convolution 3x3 (padding 1, no bias), batch normalisation, ReLU, 2x2 average pooling.
///
/// `[N, C, H, W]` to `[N, O, H / 2, W / 2]`; odd sizes lose their last row or column.
#[derive(Debug)]
pub(crate) struct ConvStage {
    name: String,
    weight: Tensor,
    norm: BatchNorm,
}

impl ConvStage {
    pub fn new(params: &mut Parameters, name: &str, inputs: usize, outputs: usize) -> Result<Self, Error> {
        let bound = 1.0 / ((inputs * 9) as f64).sqrt();
        let weight = params.uniform(&format!("{name}.weight"), &[outputs, inputs, 3, 3], bound)?;
        let norm = BatchNorm::new(params, &format!("{name}.norm"), outputs)?;
        Ok(Self { name: name.to_owned(), weight, norm })
    }

    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        self.norm.relu_pool(&ipnet_nn::conv2d(x, &self.weight, None, 1, 1)?, mode)
    }

    /// Counts for `steps` frames of `height` x `width`.
    pub fn counts(&self, steps: usize, [height, width]: [usize; 2]) -> Result<LayerCounts, Error> {
        let (outputs, inputs, ..) = self.weight.dims4()?;
        let pixels = steps * height * width;
        let pooled = steps * (height / 2) * (width / 2);
        let weights = self.weight.elem_count();
        let mut counts = LayerCounts::new(&self.name, Role::Backbone);
        counts.parameters = (weights + 2 * outputs) as u64;
        counts.macs = (pixels * weights) as u64;
        // Normalisation at inference is one MAC-like scale and shift, ReLU one comparison, pooling four additions.
        counts.other_ops = (pixels * outputs * 3 + pooled * outputs * 4) as u64;
        counts.weight_reads = (steps * (weights + 2 * outputs)) as u64;
        counts.activation_reads = (pixels * inputs) as u64;
        counts.activation_writes = (pooled * outputs) as u64;
        Ok(counts)
    }
}

#[derive(Debug)]
struct BatchNorm {
    gamma: Tensor,
    beta: Tensor,
    mean: Buffer,
    variance: Buffer,
}

impl BatchNorm {
    fn new(params: &mut Parameters, name: &str, channels: usize) -> Result<Self, Error> {
        Ok(Self {
            gamma: params.constant(&format!("{name}.gamma"), &[channels], 1.0)?,
            beta: params.constant(&format!("{name}.beta"), &[channels], 0.0)?,
            mean: params.buffer(&format!("{name}.running_mean"), channels, 0.0),
            variance: params.buffer(&format!("{name}.running_variance"), channels, 1.0),
        })
    }

    /// Normalisation, ReLU and 2x2 average pooling, fused.
    fn relu_pool(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        let (gamma, beta) = (&self.gamma, &self.beta);
        if !mode.train {
            let (mean, variance) = (read_buffer(&self.mean), read_buffer(&self.variance));
            return Ok(ipnet_nn::batch_norm_relu_pool_eval(
                x,
                gamma,
                beta,
                &mean,
                &variance,
                BATCH_NORM_EPS,
            )?);
        }
        let (y, statistics) = ipnet_nn::batch_norm_relu_pool(x, gamma, beta, BATCH_NORM_EPS)?;
        blend(&self.mean, &statistics.mean);
        blend(&self.variance, &statistics.unbiased_var());
        Ok(y)
    }
}

fn blend(running: &Buffer, batch: &[f32]) {
    let mut values = read_buffer(running);
    for (value, new) in values.iter_mut().zip(batch) {
        *value += BATCH_NORM_MOMENTUM * (new - *value);
    }
    write_buffer(running, values);
}

/// `y = x W^T + b`: `[N, I]` to `[N, O]`.
#[derive(Debug)]
pub(crate) struct Linear {
    name: String,
    pub weight: Tensor,
    pub bias: Tensor,
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

    pub fn counts(&self, steps: usize) -> Result<LayerCounts, Error> {
        let (outputs, inputs) = self.weight.dims2()?;
        let mut counts = LayerCounts::new(&self.name, Role::Backbone);
        counts.parameters = (outputs * inputs + outputs) as u64;
        counts.macs = (steps * outputs * inputs) as u64;
        counts.other_ops = (steps * outputs) as u64;
        counts.weight_reads = (steps * (outputs * inputs + outputs)) as u64;
        counts.activation_reads = (steps * inputs) as u64;
        counts.activation_writes = (steps * outputs) as u64;
        Ok(counts)
    }
}
