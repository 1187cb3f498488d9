//! Batch normalisation with its running statistics.

use crate::params::{Buffer, Parameters, read_buffer, write_buffer};
use crate::{Error, Mode};
use candle_core::Tensor;

const EPS: f64 = 1e-5;
/// Weight of the newest batch in the running statistics (PyTorch's default).
const MOMENTUM: f32 = 0.1;

#[derive(Debug)]
pub(crate) struct BatchNorm {
    gamma: Tensor,
    beta: Tensor,
    mean: Buffer,
    variance: Buffer,
}

impl BatchNorm {
    pub fn new(params: &mut Parameters, name: &str, channels: usize) -> Result<Self, Error> {
        Ok(Self {
            gamma: params.constant(&format!("{name}.gamma"), &[channels], 1.0)?,
            beta: params.constant(&format!("{name}.beta"), &[channels], 0.0)?,
            mean: params.buffer(&format!("{name}.running_mean"), channels, 0.0),
            variance: params.buffer(&format!("{name}.running_variance"), channels, 1.0),
        })
    }

    /// `[N, C, H, W]` to the same shape.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        let (gamma, beta) = (&self.gamma, &self.beta);
        if !mode.train {
            let (mean, variance) = (read_buffer(&self.mean), read_buffer(&self.variance));
            return Ok(ipnet_nn::batch_norm_eval(x, gamma, beta, &mean, &variance, EPS)?);
        }
        let (y, statistics) = ipnet_nn::batch_norm(x, gamma, beta, EPS)?;
        self.keep(&statistics);
        Ok(y)
    }

    /// Normalisation, ReLU and 2x2 average pooling, fused.
    pub fn relu_pool(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        let (gamma, beta) = (&self.gamma, &self.beta);
        if !mode.train {
            let (mean, variance) = (read_buffer(&self.mean), read_buffer(&self.variance));
            return Ok(ipnet_nn::batch_norm_relu_pool_eval(x, gamma, beta, &mean, &variance, EPS)?);
        }
        let (y, statistics) = ipnet_nn::batch_norm_relu_pool(x, gamma, beta, EPS)?;
        self.keep(&statistics);
        Ok(y)
    }

    /// A convolution with `w`, stride 1 and no bias, and [`BatchNorm::relu_pool`] in one, for training.
    pub fn conv_relu_pool(&self, x: &Tensor, w: &Tensor, padding: usize) -> Result<Tensor, Error> {
        let (y, statistics) = ipnet_nn::conv_norm_relu_pool(x, w, &self.gamma, &self.beta, padding, EPS)?;
        self.keep(&statistics);
        Ok(y)
    }

    fn keep(&self, statistics: &ipnet_nn::BatchStats) {
        blend(&self.mean, &statistics.mean);
        blend(&self.variance, &statistics.unbiased_var());
    }
}

fn blend(running: &Buffer, batch: &[f32]) {
    let mut values = read_buffer(running);
    for (value, new) in values.iter_mut().zip(batch) {
        *value += MOMENTUM * (new - *value);
    }
    write_buffer(running, values);
}
