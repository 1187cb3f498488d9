//! Convolution 3x3 (padding 1, no bias), batch normalisation, ReLU, 2x2 pooling.
//!
//! `[T B, C, H, W]` to `[T B, O, H / 2, W / 2]`; odd sizes lose their last row or column.

use super::{BatchNorm, Conv, MapSize, Reach};
use crate::backbone::Pool;
use crate::counts::LayerCounts;
use crate::params::Parameters;
use crate::{Error, Mode};
use candle_core::Tensor;

#[derive(Debug)]
pub(crate) struct ConvStage {
    conv: Conv,
    norm: BatchNorm,
    pool: Pool,
    /// Channels after it.
    pub outputs: usize,
}

impl ConvStage {
    pub fn new(
        params: &mut Parameters,
        name: &str,
        [inputs, outputs]: [usize; 2],
        pool: Pool,
        reach: Reach,
    ) -> Result<Self, Error> {
        let conv = Conv::new(params, name, [inputs, outputs], 3, 1, reach)?;
        let norm = BatchNorm::new(params, &format!("{name}.norm"), outputs)?;
        Ok(Self { conv, norm, pool, outputs })
    }

    pub fn forward(&self, x: &Tensor, steps: usize, mode: Mode) -> Result<Tensor, Error> {
        if let (Pool::Mean, true, Some((weight, padding))) = (self.pool, mode.train, self.conv.plain()) {
            return self.norm.conv_relu_pool(x, weight, padding);
        }
        let y = self.conv.forward(x, steps, mode)?;
        match self.pool {
            Pool::Mean => self.norm.relu_pool(&y, mode),
            Pool::Max => Ok(ipnet_nn::max_pool2d(&ipnet_nn::relu(&self.norm.forward(&y, mode)?)?, 2)?),
        }
    }

    pub fn counts(&self, map: MapSize) -> Vec<LayerCounts> {
        // Normalisation at inference is a scale and a shift, ReLU one comparison, pooling four additions or comparisons.
        let mut layers = self.conv.counts(map, 3);
        let pooled = map.pooled().pixels() * self.outputs;
        if let Some(stage) = layers.first_mut() {
            stage.other_ops += 4 * pooled as u64;
            stage.activation_writes = pooled as u64;
        }
        layers
    }
}
