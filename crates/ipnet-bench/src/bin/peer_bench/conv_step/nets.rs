//! The networks of `conv_step`: forward passes over parameters that bear PyTorch's names.

use crate::Refused;
use crate::neuron_scan::{BIAS, GAIN, LIF_DECAY, law};
use candle_core::{Device, Tensor, Var};
use ipnet_kernel::{LifConfig, ScanConfig, lif_scan, thermal_scan};
use ipnet_nn::{Neurons, conv_stage, conv_time_stage, linear, lstm_scan, mean_over_time, relu};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Channels into and out of the three convolutions.
pub const CHANNELS: [[usize; 2]; 3] = [[2, 32], [32, 64], [64, 64]];
pub const HIDDEN: usize = 256;

/// Which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Ip,
    Lif,
    Relu,
    Lstm,
    R2Plus1d,
}

type Params = BTreeMap<String, Var>;

fn get<'a>(params: &'a Params, name: &str) -> Result<&'a Tensor, Refused> {
    Ok(params.get(name).ok_or_else(|| format!("no parameter {name}"))?.as_tensor())
}

impl Peer {
    pub fn parse(name: &str) -> Result<Self, Refused> {
        Ok(match name {
            "ip" => Self::Ip,
            "lif" => Self::Lif,
            "relu" => Self::Relu,
            "lstm" => Self::Lstm,
            "r2plus1d" => Self::R2Plus1d,
            other => return Err(format!("no peer called {other}").into()),
        })
    }

    /// Whether its neurons need weights above PyTorch's default to fire at all.
    pub fn fires(self) -> bool {
        matches!(self, Self::Ip | Self::Lif)
    }

    /// Names of the convolutions, of the layers after them, and of the layer to the classes.
    pub fn layers(self) -> ([&'static str; 3], &'static str, &'static str) {
        match self {
            Self::Ip | Self::Lif | Self::Relu => (["c.0", "c.1", "c.2"], "f1", "f2"),
            Self::Lstm => (["c.0", "c.3", "c.6"], "l", "f"),
            Self::R2Plus1d => (["0", "5", "10"], "17", "19"),
        }
    }

    /// Name of the convolution over time that follows convolution `stage`.
    pub fn over_time(stage: usize) -> &'static str {
        ["2", "7", "12"][stage]
    }

    /// Names and shapes of all parameters for frames of `side x side`.
    pub fn shapes(self, side: usize) -> Vec<(String, Vec<usize>)> {
        let features = CHANNELS[2][1] * (side / 8) * (side / 8);
        let (convs, hidden, readout) = self.layers();
        let mut shapes = Vec::new();
        let mut layer = |name: &str, weight: &[usize]| {
            shapes.push((format!("{name}.weight"), weight.to_vec()));
            shapes.push((format!("{name}.bias"), vec![weight[0]]));
        };
        for (stage, (name, [i, o])) in convs.into_iter().zip(CHANNELS).enumerate() {
            layer(name, &[o, i, 3, 3]);
            if self == Self::R2Plus1d {
                layer(Self::over_time(stage), &[o, o, 3]);
            }
        }
        layer(readout, &[super::CLASSES, HIDDEN]);
        if self != Self::Lstm {
            layer(hidden, &[HIDDEN, features]);
            return shapes;
        }
        shapes.push((format!("{hidden}.weight_ih_l0"), vec![4 * HIDDEN, features]));
        shapes.push((format!("{hidden}.weight_hh_l0"), vec![4 * HIDDEN, HIDDEN]));
        shapes.push((format!("{hidden}.bias_ih_l0"), vec![4 * HIDDEN]));
        shapes.push((format!("{hidden}.bias_hh_l0"), vec![4 * HIDDEN]));
        shapes
    }

    /// What PyTorch's default bound of the initial values is made of.
    pub fn fan_in(self, name: &str, dims: &[usize], side: usize) -> usize {
        if name.starts_with("l.") {
            return HIDDEN;
        }
        match name.strip_suffix(".bias") {
            None => dims[1..].iter().product(),
            Some(layer) => {
                let weight = format!("{layer}.weight");
                let dims = self.shapes(side).into_iter().find(|(name, _)| *name == weight);
                dims.map_or(1, |(_, dims)| dims[1..].iter().product())
            }
        }
    }

    /// Outputs `[B, 11]` for `x [T, B, 2, H, W]`.
    pub fn forward(self, x: &Tensor, params: &Params) -> Result<Tensor, Refused> {
        let p = |layer: &str, what: &str| get(params, &format!("{layer}.{what}"));
        let (convs, hidden, readout) = self.layers();
        let scan = ScanConfig::expected(Arc::new(law()));
        let lif = LifConfig::default();
        let constant = |value: f32, len: usize| Tensor::full(value, len, &Device::Cpu);
        let mut h = x.clone();
        for (stage, (name, [_, outputs])) in convs.into_iter().zip(CHANNELS).enumerate() {
            let (w, b) = (p(name, "weight")?, p(name, "bias")?);
            h = match self {
                Self::Ip => {
                    let (gain, bias) = (constant(GAIN, outputs)?, constant(BIAS, outputs)?);
                    let neurons = Neurons::Thermal { gain: &gain, bias: &bias, config: &scan };
                    conv_stage(&h, w, b, 1, neurons, 2)?
                }
                Self::Lif => {
                    let neurons = Neurons::Lif { decay: &constant(LIF_DECAY, outputs)?, config: &lif };
                    conv_stage(&h, w, b, 1, neurons, 2)?
                }
                Self::Relu | Self::Lstm => conv_stage(&h, w, b, 1, Neurons::Relu, 2)?,
                Self::R2Plus1d => {
                    let h = conv_stage(&h, w, b, 1, Neurons::Relu, 1)?;
                    let time = Self::over_time(stage);
                    conv_time_stage(&h, p(time, "weight")?, p(time, "bias")?, 2)?
                }
            };
        }
        if self == Self::R2Plus1d {
            let h = mean_over_time(&h)?.flatten_from(1)?;
            let h = relu(&linear(&h, p(hidden, "weight")?, Some(p(hidden, "bias")?))?)?;
            return Ok(linear(&h, p(readout, "weight")?, Some(p(readout, "bias")?))?);
        }
        let h = h.flatten_from(2)?;
        if self == Self::Lstm {
            let projected = linear(&h, p(hidden, "weight_ih_l0")?, Some(p(hidden, "bias_ih_l0")?))?;
            let h = lstm_scan(&projected, p(hidden, "weight_hh_l0")?, Some(p(hidden, "bias_hh_l0")?))?;
            let last = h.get(h.dim(0)? - 1)?;
            return Ok(linear(&last, p(readout, "weight")?, Some(p(readout, "bias")?))?);
        }
        let h = linear(&h, p(hidden, "weight")?, Some(p(hidden, "bias")?))?;
        let h = match self {
            Self::Ip => thermal_scan(&h, &constant(GAIN, HIDDEN)?, &constant(BIAS, HIDDEN)?, &scan)?,
            Self::Lif => lif_scan(&h, &constant(LIF_DECAY, HIDDEN)?, &lif)?,
            _ => relu(&h)?,
        };
        Ok(mean_over_time(&linear(&h, p(readout, "weight")?, Some(p(readout, "bias")?))?)?)
    }
}
