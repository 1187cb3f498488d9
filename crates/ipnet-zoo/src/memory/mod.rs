//! The rival memories. Each takes `[T, B, ...]` and gives `[T, B, ...]`.

mod ip;
mod leaky;
mod recurrent;

use crate::counts::LayerCounts;
use crate::params::Parameters;
use crate::spec::{Memory, NetSpec, Placement};
use crate::{Error, Mode};
use candle_core::Tensor;
use ip::IpNeurons;
pub use ip::{INITIAL_BIAS, INITIAL_GAIN};
use ipnet_device::StepLaw;
use leaky::Leaky;
use recurrent::{Cell, Recurrent};
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

/// One memory at one place.
#[derive(Debug)]
pub(crate) enum MemoryLayer {
    Ip(IpNeurons),
    Leaky(Leaky),
    Recurrent(Recurrent),
}

impl MemoryLayer {
    /// Builds the memory of `spec` for `place`; `index` keeps the draws of several memories apart.
    pub fn new(
        params: &mut Parameters,
        spec: &NetSpec,
        place: Placement,
        shape: FeatureShape,
        law: Option<&Arc<StepLaw>>,
        index: u32,
    ) -> Result<Self, Error> {
        let name = format!("{}.{place}", spec.memory);
        if let Some(cell) = Cell::of(spec.memory) {
            let hidden = spec.backbone.hidden();
            return Ok(Self::Recurrent(Recurrent::new(params, &name, cell, shape.len(), hidden)?));
        }
        if matches!(spec.memory, Memory::Lif | Memory::Ema) {
            return Ok(Self::Leaky(Leaky::new(params, &name, spec.memory, shape)?));
        }
        let law = law.ok_or_else(|| Error::Spec {
            what: "memory = \"ip\"".into(),
            expected: "a device's step law".into(),
            found: "none".into(),
        })?;
        Ok(Self::Ip(IpNeurons::new(params, &name, shape, law, spec.firing, index)?))
    }

    /// Values per time step after this memory.
    pub fn features(&self) -> usize {
        match self {
            Self::Ip(layer) => layer.features(),
            Self::Leaky(layer) => layer.features(),
            Self::Recurrent(layer) => layer.features(),
        }
    }

    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        match self {
            Self::Ip(layer) => layer.forward(x, mode),
            Self::Leaky(layer) => layer.forward(x),
            Self::Recurrent(layer) => layer.forward(x),
        }
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        match self {
            Self::Ip(layer) => layer.counts(steps),
            Self::Leaky(layer) => layer.counts(steps),
            Self::Recurrent(layer) => layer.counts(steps),
        }
    }
}
