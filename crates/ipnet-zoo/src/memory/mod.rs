//! The rival memories. Each takes `[T, B, ...]` and gives `[T, B, ...]`.

mod conv_lstm;
mod elm;
mod ema;
mod ip;
mod recurrent;
mod spiking;

use crate::counts::LayerCounts;
use crate::params::Parameters;
use crate::spec::{Memory, NetSpec, Placement};
use crate::{Error, Mode};
use candle_core::Tensor;
use conv_lstm::ConvLstm;
use elm::Elm;
use ema::Ema;
use ip::IpNeurons;
pub use ip::{INITIAL_BIAS, INITIAL_GAIN, sensor_gain_v};
use ipnet_device::StepLaw;
use recurrent::{Cell, Recurrent};
use spiking::Spiking;
use std::sync::Arc;

/// What one time step of one sample looks like where a memory stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FeatureShape {
    /// `[C, H, W]`; one gain, bias or decay per channel.
    Map { channels: usize, height: usize, width: usize },
    /// `[F]`; one gain, bias or decay per feature.
    Vector { features: usize },
}

impl FeatureShape {
    /// Values per time step.
    pub fn len(self) -> usize {
        match self {
            Self::Map { channels, height, width } => channels * height * width,
            Self::Vector { features } => features,
        }
    }

    /// Channels, or features of a vector.
    pub fn channels(self) -> usize {
        match self {
            Self::Map { channels, .. } => channels,
            Self::Vector { features } => features,
        }
    }
}

/// Initial decay per step of digital leaky memories: the default device's heat keeps 0.8 of itself over one slot.
pub(crate) const INITIAL_DECAY: f64 = 0.8;

/// `1 / (1 + exp(-w))`, of a few numbers.
fn sigmoid(w: &Tensor) -> Result<Tensor, Error> {
    Ok((w.neg()?.exp()? + 1.0)?.recip()?)
}

/// One memory at one place.
#[derive(Debug)]
pub(crate) enum MemoryLayer {
    Ip(IpNeurons),
    Spiking(Spiking),
    Ema(Ema),
    Recurrent(Recurrent),
    Elm(Elm),
    ConvLstm(ConvLstm),
}

/// Runs one method of whichever layer it is.
macro_rules! each {
    ($layer:expr, $inner:ident => $call:expr) => {
        match $layer {
            MemoryLayer::Ip($inner) => $call,
            MemoryLayer::Spiking($inner) => $call,
            MemoryLayer::Ema($inner) => $call,
            MemoryLayer::Recurrent($inner) => $call,
            MemoryLayer::Elm($inner) => $call,
            MemoryLayer::ConvLstm($inner) => $call,
        }
    };
}

/// What a memory layer is built for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub place: Placement,
    pub shape: FeatureShape,
    /// Time steps.
    pub steps: usize,
    /// Hidden units of a recurrent layer.
    pub units: usize,
    /// Keeps the draws of several memories apart.
    pub index: u32,
}

impl MemoryLayer {
    /// Builds the memory of `spec` for `site`.
    pub fn new(
        params: &mut Parameters,
        spec: &NetSpec,
        site: Site,
        law: Option<&Arc<StepLaw>>,
    ) -> Result<Self, Error> {
        let name = format!("{}.{}", spec.memory, site.place);
        let refuse = |expected: &str, found: &str| {
            Err(Error::Spec {
                what: format!("memory = \"{}\" at {}", spec.memory, site.place),
                expected: expected.into(),
                found: found.into(),
            })
        };
        Ok(match spec.memory {
            Memory::Ip => match law {
                Some(law) => {
                    Self::Ip(IpNeurons::new(params, &name, site.shape, law, spec.firing, site.index)?)
                }
                None => return refuse("a device's step law", "none"),
            },
            Memory::Lif | Memory::Alif | Memory::Plif => {
                Self::Spiking(Spiking::new(params, &name, spec.memory, site.shape)?)
            }
            Memory::Ema => Self::Ema(Ema::new(params, &name, site.shape)?),
            Memory::Rnn => {
                Self::Recurrent(Recurrent::new(params, &name, Cell::Rnn, site.shape.len(), site.units)?)
            }
            Memory::Gru => {
                Self::Recurrent(Recurrent::new(params, &name, Cell::Gru, site.shape.len(), site.units)?)
            }
            Memory::Lstm => {
                Self::Recurrent(Recurrent::new(params, &name, Cell::Lstm, site.shape.len(), site.units)?)
            }
            Memory::Elm => Self::Elm(Elm::new(params, &name, site.shape.len(), site.units, site.steps)?),
            Memory::ConvLstm => match site.shape {
                FeatureShape::Map { channels, height, width } => {
                    Self::ConvLstm(ConvLstm::new(params, &name, channels, [height, width])?)
                }
                FeatureShape::Vector { .. } => return refuse("maps", "a vector"),
            },
            Memory::None | Memory::Conv3d | Memory::Conv2plus1d => return refuse("a memory layer", "none"),
        })
    }

    /// Values per time step after this memory.
    pub fn features(&self) -> usize {
        each!(self, layer => layer.features())
    }

    /// Whether every output is 0 or 1.
    pub fn is_binary(&self) -> bool {
        match self {
            Self::Ip(layer) => layer.is_binary(),
            Self::Spiking(_) => true,
            _ => false,
        }
    }

    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        match self {
            Self::Ip(layer) => layer.forward(x, mode),
            Self::Spiking(layer) => layer.forward(x),
            Self::Ema(layer) => layer.forward(x),
            Self::Recurrent(layer) => layer.forward(x),
            Self::Elm(layer) => layer.forward(x),
            Self::ConvLstm(layer) => layer.forward(x),
        }
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        each!(self, layer => layer.counts(steps))
    }
}
