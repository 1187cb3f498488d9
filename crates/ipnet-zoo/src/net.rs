//! A backbone with a memory at a placement.

use crate::Error;
use crate::counts::OpCounts;
use crate::layers::{ConvStage, Linear};
use crate::memory::{FeatureShape, MemoryLayer};
use crate::params::Parameters;
use crate::spec::{InputShape, NetSpec, Placement};
use candle_core::Tensor;
use ipnet_device::StepLaw;
use std::sync::Arc;

/// How a forward pass runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// Batch statistics and their running update (training) or the running statistics (evaluation).
    pub train: bool,
    /// Seed of the draws of this pass (sampled firing, noise from pulse to pulse).
    pub seed: u64,
    /// Number of the batch's first sample under that seed: a sample's draws do not depend on how samples are batched.
    pub first_sample: u64,
}

impl Mode {
    /// A training pass whose draws come from `seed`.
    pub fn train(seed: u64) -> Self {
        Self { train: true, seed, first_sample: 0 }
    }

    /// An evaluation pass whose draws come from `seed`, of samples numbered from `first_sample`.
    pub fn eval(seed: u64, first_sample: u64) -> Self {
        Self { train: false, seed, first_sample }
    }
}

/// A network over time.
pub trait TemporalNet {
    /// `[T, B, C, H, W]` in, outputs `[B, K]` (logits or values) out.
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error>;
    /// Its parameters and running statistics.
    fn parameters(&self) -> &Parameters;
    /// Operations, accesses and state of one inference.
    fn op_counts(&self) -> Result<OpCounts, Error>;
}

/// The zoo's network: see [`NetSpec`].
#[derive(Debug)]
pub struct Network {
    input: InputShape,
    params: Parameters,
    sensor: Option<MemoryLayer>,
    stages: Vec<(ConvStage, Option<MemoryLayer>)>,
    head: Option<MemoryLayer>,
    hidden: Linear,
    readout: Linear,
}

impl Network {
    /// Builds the network that `spec` describes, its initial weights drawn from `seed`.
    ///
    /// `law` is the device of the IP neurons, and `seed` also makes their chip: the spread between its junctions. Other
    /// memories do not look at the law.
    ///
    /// # Errors
    /// A senseless specification, an IP network without a law, frames too small for the backbone's pooling.
    pub fn new(
        spec: &NetSpec,
        input: InputShape,
        outputs: usize,
        law: Option<&Arc<StepLaw>>,
        seed: u64,
    ) -> Result<Self, Error> {
        spec.validate()?;
        let mut params = Parameters::new(seed);
        let InputShape { mut channels, mut height, mut width, .. } = input;
        let mut layer = 0;
        let mut remember = |params: &mut Parameters, place: Placement, shape: FeatureShape| {
            if !spec.remembers_at(place) {
                return Ok(None);
            }
            layer += 1;
            MemoryLayer::new(params, spec, place, shape, law, layer).map(Some)
        };
        let sensor = remember(&mut params, Placement::Sensor, FeatureShape::Map { channels, height, width })?;
        let mut stages = Vec::new();
        for (index, &outputs) in spec.backbone.stage_channels().iter().enumerate() {
            if height < 2 || width < 2 {
                return Err(Error::Spec {
                    what: format!(
                        "backbone = \"{}\" on frames of {} x {}",
                        spec.backbone, input.height, input.width
                    ),
                    expected: "frames of at least 8 x 8".into(),
                    found: format!("{height} x {width} left at stage {}", index + 1),
                });
            }
            let stage = ConvStage::new(&mut params, &format!("stage{}", index + 1), channels, outputs)?;
            (channels, height, width) = (outputs, height / 2, width / 2);
            let memory = match Placement::after_stage(index + 1) {
                Some(place) => remember(&mut params, place, FeatureShape::Map { channels, height, width })?,
                None => None,
            };
            stages.push((stage, memory));
        }
        let shape = FeatureShape::Vector { features: channels * height * width };
        let head = remember(&mut params, Placement::Head, shape)?;
        let features = head.as_ref().map_or(shape.len(), MemoryLayer::features);
        let hidden = Linear::new(&mut params, "hidden", features, spec.backbone.hidden())?;
        let readout = Linear::new(&mut params, "readout", spec.backbone.hidden(), outputs)?;
        Ok(Self { input, params, sensor, stages, head, hidden, readout })
    }
}

impl TemporalNet for Network {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        let InputShape { steps, channels, height, width } = self.input;
        let dims = x.dims();
        if dims.len() != 5 || dims[0] != steps || dims[2..] != [channels, height, width] {
            return Err(Error::Shape {
                what: "input [T, B, C, H, W]".into(),
                expected: vec![steps, dims.get(1).copied().unwrap_or(1), channels, height, width],
                found: dims.to_vec(),
            });
        }
        let batch = dims[1];
        let mut x = remember(&self.sensor, x.clone(), mode)?;
        for (stage, memory) in &self.stages {
            let y = stage.forward(&x.flatten(0, 1)?, mode)?;
            let (_, channels, height, width) = y.dims4()?;
            x = remember(memory, y.reshape((steps, batch, channels, height, width))?, mode)?;
        }
        let x = remember(&self.head, x.flatten(2, 4)?, mode)?;
        let hidden = ipnet_nn::relu(&self.hidden.forward(&x.flatten(0, 1)?)?)?;
        let logits = self.readout.forward(&hidden)?;
        let outputs = logits.dim(1)?;
        Ok(ipnet_nn::mean_over_time(&logits.reshape((steps, batch, outputs))?)?)
    }

    fn parameters(&self) -> &Parameters {
        &self.params
    }

    fn op_counts(&self) -> Result<OpCounts, Error> {
        let steps = self.input.steps;
        let mut size = [self.input.height, self.input.width];
        let mut layers = Vec::new();
        layers.extend(self.sensor.iter().map(|memory| memory.counts(steps)));
        for (stage, memory) in &self.stages {
            layers.push(stage.counts(steps, size)?);
            size = [size[0] / 2, size[1] / 2];
            layers.extend(memory.iter().map(|memory| memory.counts(steps)));
        }
        layers.extend(self.head.iter().map(|memory| memory.counts(steps)));
        layers.push(self.hidden.counts(steps)?);
        layers.push(self.readout.counts(steps)?);
        Ok(OpCounts { steps: steps as u64, layers })
    }
}

fn remember(memory: &Option<MemoryLayer>, x: Tensor, mode: Mode) -> Result<Tensor, Error> {
    match memory {
        Some(memory) => memory.forward(&x, mode),
        None => Ok(x),
    }
}
