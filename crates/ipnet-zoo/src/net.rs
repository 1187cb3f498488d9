//! A backbone with a memory at a placement.

use crate::Error;
use crate::backbone::StageLayout;
use crate::counts::{LayerCounts, OpCounts, Role};
use crate::layers::{BatchNorm, ConvStage, Linear, MapSize, Reach, ResidualLayout, ResidualStage};
use crate::memory::{FeatureShape, MemoryLayer, Site};
use crate::params::Parameters;
use crate::spec::{InputShape, Memory, NetSpec, Placement};
use candle_core::{Device, Tensor};
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

/// What becomes of the readout's outputs over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readout {
    /// Their mean over all steps: what a whole clip is.
    #[default]
    Mean,
    /// Those of the last step: what is the case at its end. A network without memory then sees one frame.
    Last,
}

/// What looks on while a network computes: the name of each layer and its output.
pub type Watch<'a> = dyn FnMut(&str, &Tensor) -> Result<(), Error> + 'a;

/// A network over time.
pub trait TemporalNet {
    /// `[T, B, C, H, W]` in, outputs `[B, K]` (logits or values) out; `watch` sees every layer's output in order.
    fn trace(&self, x: &Tensor, mode: Mode, watch: &mut Watch<'_>) -> Result<Tensor, Error>;
    /// [`TemporalNet::trace`] with nobody watching.
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        self.trace(x, mode, &mut |_, _| Ok(()))
    }
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
    stages: Vec<(String, Stage, Option<MemoryLayer>)>,
    last_norm: Option<BatchNorm>,
    global_mean: bool,
    head: Option<MemoryLayer>,
    hidden: Option<Linear>,
    readout: Linear,
    reading: Readout,
}

/// One stage of the backbone.
#[derive(Debug)]
enum Stage {
    Conv(ConvStage),
    Residual(ResidualStage),
}

impl Network {
    /// Builds the network that `spec` describes on the CPU, its initial weights drawn from `seed`.
    ///
    /// `law` is the device of the IP neurons, and `seed` also makes their chip: the spread between its junctions. Other
    /// memories do not look at the law.
    ///
    /// # Errors
    /// A senseless specification, an IP network without a law, frames too small for the backbone's stages, no steps, no
    /// channels, no outputs.
    pub fn new(
        spec: &NetSpec,
        input: InputShape,
        outputs: usize,
        law: Option<&Arc<StepLaw>>,
        seed: u64,
    ) -> Result<Self, Error> {
        Self::on(&Device::Cpu, spec, input, outputs, law, seed)
    }

    /// As [`Network::new`], on `device`: its inputs must lie there, and its outputs do.
    ///
    /// # Errors
    /// As [`Network::new`], and what moving the weights gives.
    pub fn on(
        device: &Device,
        spec: &NetSpec,
        input: InputShape,
        outputs: usize,
        law: Option<&Arc<StepLaw>>,
        seed: u64,
    ) -> Result<Self, Error> {
        spec.validate()?;
        let layout = spec.backbone.layout(spec.width);
        check_input(spec, input, outputs, layout.smallest_side)?;
        let mut params = Parameters::on(device, seed);
        let InputShape { steps, mut channels, height, width } = input;
        let mut map = MapSize { steps, height, width, binary: false, written: false };
        let last_channels = match layout.stages.last() {
            Some(&StageLayout::Conv { channels, .. } | &StageLayout::Residual { channels, .. }) => channels,
            None => channels,
        };
        let units = layout.hidden.unwrap_or(last_channels);
        let mut index = 0;
        let mut remember = |params: &mut Parameters, place: Placement, shape: FeatureShape| {
            if !spec.remembers_at(place) {
                return Ok(None);
            }
            index += 1;
            MemoryLayer::new(params, spec, Site { place, shape, steps, units, index }, law).map(Some)
        };
        let shape = |channels: usize, map: MapSize| FeatureShape::Map {
            channels,
            height: map.height,
            width: map.width,
        };
        let sensor = remember(&mut params, Placement::Sensor, shape(channels, map))?;
        let mut stages = Vec::new();
        for (number, stage) in (1..).zip(&layout.stages) {
            let name = format!("stage{number}");
            let reach = match spec.memory {
                Memory::Conv3d if spec.convolves_time_in(number) => Reach::Volume,
                Memory::Conv2plus1d if spec.convolves_time_in(number) => Reach::Factored,
                _ => Reach::Frame,
            };
            let stage = match *stage {
                StageLayout::Conv { channels: outputs, pool } => {
                    let stage = ConvStage::new(&mut params, &name, [channels, outputs], pool, reach)?;
                    channels = outputs;
                    Stage::Conv(stage)
                }
                StageLayout::Residual { channels: outputs, blocks, stride, stem, norm_shortcut } => {
                    let inputs = channels;
                    channels = outputs;
                    let layout =
                        ResidualLayout { inputs, channels, blocks, stride, stem, norm_shortcut, reach };
                    Stage::Residual(ResidualStage::new(&mut params, &name, layout)?)
                }
            };
            map = stage.output(map);
            let memory = match Placement::after_stage(number) {
                Some(place) => remember(&mut params, place, shape(channels, map))?,
                None => None,
            };
            stages.push((name, stage, memory));
        }
        let last_norm =
            if layout.last_norm { Some(BatchNorm::new(&mut params, "last_norm", channels)?) } else { None };
        let pixels = if layout.global_mean { 1 } else { map.height * map.width };
        let shape = FeatureShape::Vector { features: channels * pixels };
        let head = remember(&mut params, Placement::Head, shape)?;
        let mut features = head.as_ref().map_or(shape.len(), MemoryLayer::features);
        let mut hidden = None;
        if let Some(units) = layout.hidden {
            hidden = Some(Linear::new(&mut params, "hidden", features, units)?);
            features = units;
        }
        let readout = Linear::new(&mut params, "readout", features, outputs)?;
        let global_mean = layout.global_mean;
        let reading = Readout::Mean;
        Ok(Self { input, params, sensor, stages, last_norm, global_mean, head, hidden, readout, reading })
    }

    /// The same network, read as `reading` says (a new one: [`Readout::Mean`]).
    pub fn read(self, reading: Readout) -> Self {
        Self { reading, ..self }
    }

    /// Gives every channel of the IP neurons at the sensor the gain `gain_v` \[V / unit drive\] (see [`crate::sensor_gain_v`]).
    ///
    /// # Errors
    /// A network without such neurons.
    pub fn set_sensor_gain(&self, gain_v: f64) -> Result<(), Error> {
        self.params.fill("ip.sensor.gain", gain_v)
    }

    /// Steps that the readout works on.
    fn steps_read(&self) -> usize {
        match self.reading {
            Readout::Mean => self.input.steps,
            Readout::Last => 1,
        }
    }
}

fn check_input(spec: &NetSpec, input: InputShape, outputs: usize, side: usize) -> Result<(), Error> {
    let refuse = |what: String, expected: String, found: String| Err(Error::Spec { what, expected, found });
    if input.height < side || input.width < side {
        return refuse(
            format!("backbone = \"{}\"", spec.backbone),
            format!("frames of at least {side} x {side}, or nothing is left after its last stage"),
            format!("{} x {}", input.height, input.width),
        );
    }
    for (what, value) in [("time steps", input.steps), ("channels", input.channels), ("outputs", outputs)] {
        if value == 0 {
            return refuse(what.into(), "at least 1".into(), "0".into());
        }
    }
    Ok(())
}

impl Stage {
    fn forward(&self, x: &Tensor, steps: usize, mode: Mode) -> Result<Tensor, Error> {
        match self {
            Self::Conv(stage) => stage.forward(x, steps, mode),
            Self::Residual(stage) => stage.forward(x, steps, mode),
        }
    }

    fn counts(&self, map: MapSize) -> Vec<LayerCounts> {
        match self {
            Self::Conv(stage) => stage.counts(map),
            Self::Residual(stage) => stage.counts(map),
        }
    }

    fn output(&self, map: MapSize) -> MapSize {
        match self {
            Self::Conv(_) => map.pooled(),
            Self::Residual(stage) => map.strided(stage.stride),
        }
    }

    fn channels(&self) -> usize {
        match self {
            Self::Conv(stage) => stage.outputs,
            Self::Residual(stage) => stage.channels,
        }
    }
}

impl TemporalNet for Network {
    fn trace(&self, x: &Tensor, mode: Mode, watch: &mut Watch<'_>) -> Result<Tensor, Error> {
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
        let mut x = remember("sensor", &self.sensor, x.clone(), mode, watch)?;
        for (name, stage, memory) in &self.stages {
            let y = stage.forward(&x.flatten(0, 1)?, steps, mode)?;
            watch(name, &y)?;
            let (_, channels, height, width) = y.dims4()?;
            x = remember(name, memory, y.reshape((steps, batch, channels, height, width))?, mode, watch)?;
        }
        if let Some(norm) = &self.last_norm {
            let (_, _, channels, height, width) = x.dims5()?;
            let y = ipnet_nn::relu(&norm.forward(&x.flatten(0, 1)?, mode)?)?;
            x = y.reshape((steps, batch, channels, height, width))?;
        }
        if self.global_mean {
            x = ipnet_nn::adaptive_avg_pool2d(&x, 1, 1)?;
        }
        let x = remember("head", &self.head, x.flatten(2, 4)?, mode, watch)?;
        let read = self.steps_read();
        let mut x = x.narrow(0, steps - read, read)?.flatten(0, 1)?;
        if let Some(hidden) = &self.hidden {
            x = ipnet_nn::relu(&hidden.forward(&x)?)?;
            watch(&hidden.name, &x)?;
        }
        let logits = self.readout.forward(&x)?;
        watch(&self.readout.name, &logits)?;
        let outputs = logits.dim(1)?;
        Ok(ipnet_nn::mean_over_time(&logits.reshape((read, batch, outputs))?)?)
    }

    fn parameters(&self) -> &Parameters {
        &self.params
    }

    fn op_counts(&self) -> Result<OpCounts, Error> {
        let InputShape { steps, height, width, mut channels } = self.input;
        let is_binary = |memory: &Option<MemoryLayer>| memory.as_ref().is_some_and(MemoryLayer::is_binary);
        let mut map =
            MapSize { steps, height, width, binary: is_binary(&self.sensor), written: self.sensor.is_some() };
        let mut layers = Vec::new();
        layers.extend(self.sensor.iter().map(|memory| memory.counts(steps)));
        for (_, stage, memory) in &self.stages {
            layers.extend(stage.counts(map));
            map = MapSize { binary: is_binary(memory), ..stage.output(map) };
            channels = stage.channels();
            layers.extend(memory.iter().map(|memory| memory.counts(steps)));
        }
        let values = map.pixels() * channels;
        if self.last_norm.is_some() {
            let mut counts = LayerCounts::new("last_norm", Role::Backbone);
            counts.parameters = 2 * channels as u64;
            // A scale, a shift and a comparison.
            counts.other_ops = 3 * values as u64;
            counts.weight_reads = (steps * 2 * channels) as u64;
            counts.activation_reads = values as u64;
            counts.activation_writes = values as u64;
            layers.push(counts);
            map.binary = false;
        }
        if self.global_mean {
            let mut counts = LayerCounts::new("global_mean", Role::Backbone);
            counts.other_ops = values as u64;
            counts.activation_reads = values as u64;
            counts.activation_writes = (steps * channels) as u64;
            layers.push(counts);
            map.binary = false;
        }
        layers.extend(self.head.iter().map(|memory| memory.counts(steps)));
        let mut binary = if self.head.is_some() { is_binary(&self.head) } else { map.binary };
        if let Some(hidden) = &self.hidden {
            let mut counts = hidden.counts(self.steps_read(), binary)?;
            // Its ReLU.
            counts.other_ops += counts.activation_writes;
            layers.push(counts);
            binary = false;
        }
        let mut counts = self.readout.counts(self.steps_read(), binary)?;
        if self.steps_read() > 1 {
            // The mean over time.
            counts.other_ops += counts.activation_writes;
        }
        layers.push(counts);
        Ok(OpCounts { steps: steps as u64, layers })
    }
}

fn remember(
    place: &str,
    memory: &Option<MemoryLayer>,
    x: Tensor,
    mode: Mode,
    watch: &mut Watch<'_>,
) -> Result<Tensor, Error> {
    let Some(memory) = memory else { return Ok(x) };
    let y = memory.forward(&x, mode)?;
    watch(&format!("memory at {place}"), &y)?;
    Ok(y)
}
