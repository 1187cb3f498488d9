//! The backbone's layers, each with its counts.
//!
//! Maps are `[T B, C, H, W]` between layers: time is folded into the batch, and a layer that looks at several frames is
//! told how many steps there are.

mod conv;
mod linear;
mod norm;
mod residual;
mod stage;

pub(crate) use conv::{Conv, Reach};
pub(crate) use linear::Linear;
pub(crate) use norm::BatchNorm;
pub(crate) use residual::{ResidualLayout, ResidualStage};
pub(crate) use stage::ConvStage;

use crate::counts::LayerCounts;

/// The map that enters a layer, for its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MapSize {
    pub steps: usize,
    pub height: usize,
    pub width: usize,
    /// Every value is 0 or 1, so that weights are added and nothing is multiplied.
    pub binary: bool,
    /// A layer of the network wrote it; else it comes from the sensor.
    pub written: bool,
}

impl MapSize {
    /// What a convolution with "same" padding and `stride` makes of it.
    pub fn strided(self, stride: usize) -> Self {
        let cut = |side: usize| (side - 1) / stride + 1;
        Self { height: cut(self.height), width: cut(self.width), binary: false, written: true, ..self }
    }

    /// What 2x2 pooling makes of it.
    pub fn pooled(self) -> Self {
        Self { height: self.height / 2, width: self.width / 2, binary: false, written: true, ..self }
    }

    /// Pixels over all steps.
    pub fn pixels(self) -> usize {
        self.steps * self.height * self.width
    }
}

/// Enters `products` as accumulates or as MACs.
pub(crate) fn count_products(counts: &mut LayerCounts, products: usize, binary: bool) {
    if binary {
        counts.accumulates += products as u64;
    } else {
        counts.macs += products as u64;
    }
}
