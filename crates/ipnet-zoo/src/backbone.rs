//! Layouts of the backbones.
//!
//! | backbone | stem | stages | readout | source |
//! |---|---|---|---|---|
//! | plain | - | 3 x (conv 3x3, norm, ReLU, mean pool 2) of w, 2w, 2w; w = 16 | flatten, 4w hidden | this project |
//! | resnet18 | conv 3x3 w | 4 x 2 basic blocks of w, 2w, 4w, 8w, strides 1, 2, 2, 2; w = 64 | global mean | He et al., CVPR 2016 |
//! | resnet32 | conv 3x3 w | 3 x 5 basic blocks of w, 2w, 4w, strides 2, 2, 2; w = 16 | norm, ReLU, global mean | Hu et al., ITSC 2020 (arXiv 2005.08605) and its code |
//! | plif-net | - | 5 x (conv 3x3, norm, ReLU, max pool 2) of w; w = 128 | flatten, 4w hidden | Fang et al., ICCV 2021 (arXiv 2007.05785), table 1 |
//!
//! Where this departs from the publications, it is so that one memory at one place is all that differs between two
//! networks: `resnet18` has a 3x3 stem of stride 1 and no max pooling (frames of event cameras are small, as is usual for
//! CIFAR); `plif-net` has ReLU where the publication has spiking neurons, no dropout, and reads its logits from the hidden
//! layer instead of voting with ten neurons a class. `resnet32` follows the code of its authors: the first stage halves the
//! frame too, shortcuts where the size changes are 1x1 convolutions with a bias and without normalisation, and a
//! normalisation and a ReLU come before the mean over the last map; biases that a normalisation would take away are left
//! out, and the output is one layer as there.

use crate::spec::Backbone;

/// What pools at the end of a convolutional stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    Mean,
    Max,
}

/// One stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageLayout {
    /// Convolution, normalisation, ReLU, 2x2 pooling.
    Conv { channels: usize, pool: Pool },
    /// Basic residual blocks, the first with `stride`, behind a stem of `stem` channels if this is the first stage.
    Residual { channels: usize, blocks: usize, stride: usize, stem: bool, norm_shortcut: bool },
}

/// A backbone with all its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub stages: Vec<StageLayout>,
    /// Normalisation and ReLU behind the last stage.
    pub last_norm: bool,
    /// The mean over the last map is the feature vector; otherwise the map itself is, flattened.
    pub global_mean: bool,
    /// Hidden layer of the readout.
    pub hidden: Option<usize>,
    /// Smallest side of a frame that leaves a pixel for every stage.
    pub smallest_side: usize,
}

impl Backbone {
    /// Number of stages.
    pub fn stages(self) -> usize {
        self.layout(None).stages.len()
    }

    /// The layout with `width` channels in the first stage.
    pub(crate) fn layout(self, width: Option<usize>) -> Layout {
        let pooled = |channels: &[usize], pool| {
            channels.iter().map(|&channels| StageLayout::Conv { channels, pool }).collect::<Vec<_>>()
        };
        let residual = |stages: &[(usize, usize)], blocks, norm_shortcut| {
            let stage = |(index, &(channels, stride)): (usize, &(usize, usize))| StageLayout::Residual {
                channels,
                blocks,
                stride,
                stem: index == 0,
                norm_shortcut,
            };
            stages.iter().enumerate().map(stage).collect::<Vec<_>>()
        };
        match self {
            Self::Plain => {
                let w = width.unwrap_or(16);
                Layout {
                    stages: pooled(&[w, 2 * w, 2 * w], Pool::Mean),
                    last_norm: false,
                    global_mean: false,
                    hidden: Some(4 * w),
                    smallest_side: 8,
                }
            }
            Self::PlifNet => {
                let w = width.unwrap_or(128);
                Layout {
                    stages: pooled(&[w; 5], Pool::Max),
                    last_norm: false,
                    global_mean: false,
                    hidden: Some(4 * w),
                    smallest_side: 32,
                }
            }
            Self::Resnet18 => {
                let w = width.unwrap_or(64);
                Layout {
                    stages: residual(&[(w, 1), (2 * w, 2), (4 * w, 2), (8 * w, 2)], 2, true),
                    last_norm: false,
                    global_mean: true,
                    hidden: None,
                    smallest_side: 8,
                }
            }
            Self::Resnet32 => {
                let w = width.unwrap_or(16);
                Layout {
                    stages: residual(&[(w, 2), (2 * w, 2), (4 * w, 2)], 5, false),
                    last_norm: true,
                    global_mean: true,
                    hidden: None,
                    smallest_side: 8,
                }
            }
        }
    }
}
