//! A stage of basic residual blocks (He et al., CVPR 2016), the first behind a stem:
//! ```text
//! stem   x = relu(norm(W0 * x))
//! block  y = relu(norm(W2 * relu(norm(W1 * x))) + shortcut(x))
//! ```
//! The shortcut is the identity, or a 1x1 convolution of the block's stride where size or channels change: with a
//! normalisation, or with a bias and none.

use super::{BatchNorm, Conv, MapSize, Reach};
use crate::counts::LayerCounts;
use crate::params::Parameters;
use crate::{Error, Mode};
use candle_core::Tensor;

#[derive(Debug)]
pub(crate) struct ResidualStage {
    stem: Option<(Conv, BatchNorm)>,
    blocks: Vec<Block>,
    /// Stride of the first block.
    pub stride: usize,
    /// Channels after it.
    pub channels: usize,
}

#[derive(Debug)]
struct Block {
    conv1: Conv,
    norm1: BatchNorm,
    conv2: Conv,
    norm2: BatchNorm,
    shortcut: Option<(Conv, Option<BatchNorm>)>,
    outputs: usize,
    stride: usize,
}

/// What a stage is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResidualLayout {
    pub inputs: usize,
    pub channels: usize,
    pub blocks: usize,
    pub stride: usize,
    pub stem: bool,
    pub norm_shortcut: bool,
    pub reach: Reach,
}

impl ResidualStage {
    pub fn new(params: &mut Parameters, name: &str, layout: ResidualLayout) -> Result<Self, Error> {
        let ResidualLayout { mut inputs, channels, stride, reach, .. } = layout;
        let mut stem = None;
        if layout.stem {
            let name = format!("{name}.stem");
            let conv = Conv::new(params, &name, [inputs, channels], 3, 1, reach)?;
            stem = Some((conv, BatchNorm::new(params, &format!("{name}.norm"), channels)?));
            inputs = channels;
        }
        let mut blocks = Vec::new();
        for index in 0..layout.blocks {
            let name = format!("{name}.block{}", index + 1);
            let stride = if index == 0 { stride } else { 1 };
            let shortcut = if stride != 1 || inputs != channels {
                let name = format!("{name}.shortcut");
                let conv = Conv::new(params, &name, [inputs, channels], 1, stride, Reach::Frame)?;
                Some(if layout.norm_shortcut {
                    (conv, Some(BatchNorm::new(params, &format!("{name}.norm"), channels)?))
                } else {
                    (conv.with_bias(params)?, None)
                })
            } else {
                None
            };
            blocks.push(Block {
                conv1: Conv::new(params, &format!("{name}.conv1"), [inputs, channels], 3, stride, reach)?,
                norm1: BatchNorm::new(params, &format!("{name}.norm1"), channels)?,
                conv2: Conv::new(params, &format!("{name}.conv2"), [channels, channels], 3, 1, reach)?,
                norm2: BatchNorm::new(params, &format!("{name}.norm2"), channels)?,
                shortcut,
                outputs: channels,
                stride,
            });
            inputs = channels;
        }
        Ok(Self { stem, blocks, stride, channels })
    }

    pub fn forward(&self, x: &Tensor, steps: usize, mode: Mode) -> Result<Tensor, Error> {
        let mut x = match &self.stem {
            Some((conv, norm)) => ipnet_nn::relu(&norm.forward(&conv.forward(x, steps, mode)?, mode)?)?,
            None => x.clone(),
        };
        for block in &self.blocks {
            x = block.forward(&x, steps, mode)?;
        }
        Ok(x)
    }

    pub fn counts(&self, mut map: MapSize) -> Vec<LayerCounts> {
        let mut layers = Vec::new();
        if let Some((conv, _)) = &self.stem {
            layers.extend(conv.counts(map, 3));
            (map.binary, map.written) = (false, true);
        }
        for block in &self.blocks {
            layers.extend(block.counts(map));
            map = map.strided(block.stride);
        }
        layers
    }
}

impl Block {
    fn forward(&self, x: &Tensor, steps: usize, mode: Mode) -> Result<Tensor, Error> {
        let y = self.norm1.forward(&self.conv1.forward(x, steps, mode)?, mode)?;
        let y = self.conv2.forward(&ipnet_nn::relu(&y)?, steps, mode)?;
        let y = self.norm2.forward(&y, mode)?;
        let shortcut = match &self.shortcut {
            None => x.clone(),
            Some((conv, None)) => conv.forward(x, steps, mode)?,
            Some((conv, Some(norm))) => norm.forward(&conv.forward(x, steps, mode)?, mode)?,
        };
        Ok(ipnet_nn::add_relu(&y, &shortcut)?)
    }

    fn counts(&self, map: MapSize) -> Vec<LayerCounts> {
        let out = map.strided(self.stride);
        let mut layers = self.conv1.counts(map, 3);
        if let Some((conv, norm)) = &self.shortcut {
            layers.extend(conv.counts(map, if norm.is_some() { 2 } else { 0 }));
        }
        // Normalisation, the sum with the shortcut, ReLU; the shortcut is read again.
        let mut second = self.conv2.counts(out, 4);
        if let Some(conv) = second.first_mut() {
            conv.activation_reads += (out.pixels() * self.outputs) as u64;
        }
        layers.extend(second);
        layers
    }
}
