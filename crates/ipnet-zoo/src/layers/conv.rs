//! One convolution of a backbone, over a frame or over a frame and its neighbours in time.
//!
//! ```text
//! frame       y[t] = W * x[t]                                                         k x k
//! volume      y[t] = sum_u W_u * x[t + u - 1], u = 0, 1, 2                            3 x k x k     (Tran et al. 2015)
//! factored    y[t] = sum_u V_u relu(norm(W * x[t + u - 1])), M channels between       k x k, then 3 (Tran et al. 2018)
//!             M = floor(3 k^2 C O / (k^2 C + 3 O)): as many weights as the volume
//! ```
//! Frames before the first and after the last are zero. In the counts, what the second and third tap in time add is a layer
//! of its own (`<name>.time`) with the role of a memory: its state are the maps of the whole clip at the input of the taps,
//! which this parallel form holds until they are used; computed frame by frame, two of them would do. Each tap reads them
//! once; the middle one is the backbone's own read. Taps that fall outside of the clip cost nothing.

use super::{BatchNorm, MapSize, count_products};
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use crate::{Error, Mode};
use candle_core::Tensor;

/// Taps in time.
const TAPS: usize = 3;

/// What a convolution sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Frame,
    Volume,
    Factored,
}

#[derive(Debug)]
pub(crate) struct Conv {
    pub name: String,
    inputs: usize,
    outputs: usize,
    side: usize,
    stride: usize,
    /// `[O, C, k, k]`, `[O, C, 3, k, k]` or `[M, C, k, k]`.
    weight: Tensor,
    bias: Option<Tensor>,
    time: Time,
}

#[derive(Debug)]
enum Time {
    Frame,
    Volume,
    /// Channels in between, their normalisation, and `[O, M, 3]`.
    Factored(usize, BatchNorm, Tensor),
}

impl Conv {
    /// A convolution of `side` x `side`, odd, with "same" padding; without a bias.
    pub fn new(
        params: &mut Parameters,
        name: &str,
        [inputs, outputs]: [usize; 2],
        side: usize,
        stride: usize,
        reach: Reach,
    ) -> Result<Self, Error> {
        let area = side * side;
        let draw = |params: &mut Parameters, part: &str, shape: &[usize]| {
            let fan_in: usize = shape[1..].iter().product();
            params.uniform(&format!("{name}.{part}"), shape, 1.0 / (fan_in as f64).sqrt())
        };
        let (weight, time) = match reach {
            Reach::Frame => (draw(params, "weight", &[outputs, inputs, side, side])?, Time::Frame),
            Reach::Volume => (draw(params, "weight", &[outputs, inputs, TAPS, side, side])?, Time::Volume),
            Reach::Factored => {
                let between = (TAPS * area * inputs * outputs / (area * inputs + TAPS * outputs)).max(1);
                let weight = draw(params, "weight", &[between, inputs, side, side])?;
                let norm = BatchNorm::new(params, &format!("{name}.between"), between)?;
                let taps = draw(params, "time", &[outputs, between, TAPS])?;
                (weight, Time::Factored(between, norm, taps))
            }
        };
        Ok(Self { name: name.to_owned(), inputs, outputs, side, stride, weight, bias: None, time })
    }

    /// Gives the convolution a bias that starts at zero.
    pub fn with_bias(mut self, params: &mut Parameters) -> Result<Self, Error> {
        self.bias = Some(params.constant(&format!("{}.bias", self.name), &[self.outputs], 0.0)?);
        Ok(self)
    }

    /// `[T B, C, H, W]` to `[T B, O, H', W']`.
    pub fn forward(&self, x: &Tensor, steps: usize, mode: Mode) -> Result<Tensor, Error> {
        let (stride, padding) = (self.stride, self.side / 2);
        let unfold = |x: &Tensor| -> Result<Tensor, Error> {
            let (frames, channels, height, width) = x.dims4()?;
            Ok(x.reshape((steps, frames / steps, channels, height, width))?)
        };
        match &self.time {
            Time::Frame => Ok(ipnet_nn::conv2d(x, &self.weight, self.bias.as_ref(), stride, padding)?),
            Time::Volume => {
                let y = ipnet_nn::conv3d(&unfold(x)?, &self.weight, self.bias.as_ref(), stride, padding)?;
                Ok(y.flatten(0, 1)?)
            }
            Time::Factored(_, norm, taps) => {
                let y = ipnet_nn::conv2d(x, &self.weight, None, stride, padding)?;
                let y = ipnet_nn::relu(&norm.forward(&y, mode)?)?;
                Ok(ipnet_nn::conv_time(&unfold(&y)?, taps, self.bias.as_ref())?.flatten(0, 1)?)
            }
        }
    }

    /// Weight and padding, where this is a plain convolution of frames: stride 1, no bias.
    pub fn plain(&self) -> Option<(&Tensor, usize)> {
        let plain = matches!(self.time, Time::Frame) && self.stride == 1 && self.bias.is_none();
        plain.then_some((&self.weight, self.side / 2))
    }

    /// Counts of the convolution and the normalisation behind it, over `map` at its input; `after` values per pixel and
    /// channel of the output are the normalisation, ReLU and the like.
    pub fn counts(&self, map: MapSize, after: usize) -> Vec<LayerCounts> {
        let out = map.strided(self.stride);
        let (pixels, area) = (out.pixels(), self.side * self.side);
        let (inputs, outputs) = (self.inputs, self.outputs);
        let extra = 2 * outputs * usize::from(after > 0) + self.bias.as_ref().map_or(0, |_| outputs);
        let mut counts = LayerCounts::new(&self.name, Role::Backbone);
        counts.activation_reads = (map.pixels() * inputs) as u64;
        counts.activation_writes = (pixels * outputs) as u64;
        let frame = |weights: usize, counts: &mut LayerCounts| {
            counts.parameters = (weights + extra) as u64;
            count_products(counts, pixels * weights, map.binary);
            counts.other_ops = (pixels * outputs * (after + usize::from(self.bias.is_some()))) as u64;
            counts.weight_reads = (map.steps * (weights + extra)) as u64;
        };
        // Of T x 3 (frame, tap) pairs, the first frame lacks its past and the last its future.
        let further = 2 * map.steps - 2;
        let mut time = LayerCounts::new(format!("{}.time", self.name), Role::Memory);
        // A map that a layer wrote is billed there: holding it for further taps writes nothing more.
        let hold = |weights: usize, values: usize, held: MapSize, time: &mut LayerCounts| {
            let per_frame = pixels / map.steps;
            count_products(time, per_frame * weights * further, held.binary);
            time.weight_reads = (weights * further) as u64;
            time.state_values = (map.steps * values) as u64;
            time.state_writes = if held.written { 0 } else { (map.steps * values) as u64 };
            time.state_reads = (values * further) as u64;
        };
        match &self.time {
            Time::Frame => {
                frame(inputs * outputs * area, &mut counts);
                vec![counts]
            }
            Time::Volume => {
                let tap = inputs * outputs * area;
                frame(tap, &mut counts);
                hold(tap, inputs * map.height * map.width, map, &mut time);
                time.parameters = ((TAPS - 1) * tap) as u64;
                vec![counts, time]
            }
            &Time::Factored(between, ..) => {
                // The spatial part and its normalisation and ReLU are the backbone's, all of the temporal part is memory.
                let (spatial, tap) = (inputs * between * area, between * outputs);
                frame(spatial, &mut counts);
                counts.parameters += 2 * between as u64;
                counts.weight_reads += (map.steps * 2 * between) as u64;
                counts.other_ops += (pixels * between * 3) as u64;
                hold(tap, between * out.height * out.width, MapSize { written: false, ..out }, &mut time);
                time.parameters = (TAPS * tap) as u64;
                time.macs += (pixels * tap) as u64;
                time.weight_reads += (map.steps * tap) as u64;
                time.state_reads += (map.steps * between * out.height * out.width) as u64;
                vec![counts, time]
            }
        }
    }
}
