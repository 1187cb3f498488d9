//! The networks of `conv_step` once more, for one sample, as plain sums in f64: what a peer must agree with before it
//! is timed.

use super::nets::{CHANNELS, HIDDEN, Peer};
use crate::Refused;
use crate::neuron_scan::{BIAS, GAIN, LIF_DECAY, law};
use candle_core::{Tensor, Var};
use ipnet_kernel::{ReferenceBackend, ScanConfig, ScanShape, ThermalForward, ThermalScan};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Largest difference of an output allowed, of the largest output.
const TOLERANCE: f64 = 1e-4;
/// The same for LIF neurons: one whose membrane comes within rounding of the threshold fires in one and not in the other.
const TOLERANCE_LIF: f64 = 2e-2;

/// Compares the outputs of the first sample of `x [T, B, 2, H, W]` with the plain computation.
pub fn check(peer: Peer, x: &Tensor, params: &BTreeMap<String, Var>) -> Result<Value, Refused> {
    let one = x.narrow(1, 0, 1)?.contiguous()?;
    let found = peer.forward(&one, params)?.flatten_all()?.to_vec1::<f32>()?;
    let expected = Plain { peer, params }.outputs(&one)?;
    let scale = expected.iter().fold(1e-30, |m: f64, y| m.max(y.abs()));
    let worst = found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    let tolerance = if peer == Peer::Lif { TOLERANCE_LIF } else { TOLERANCE };
    if worst > tolerance * scale || found.iter().any(|y| y.is_nan()) {
        return Err(format!("outputs are off the plain computation by {worst}").into());
    }
    Ok(json!({"max_abs_err": worst, "largest": scale}))
}

struct Plain<'a> {
    peer: Peer,
    params: &'a BTreeMap<String, Var>,
}

impl Plain<'_> {
    fn get(&self, layer: &str, what: &str) -> Result<Vec<f64>, Refused> {
        let name = format!("{layer}.{what}");
        let var = self.params.get(&name).ok_or_else(|| format!("no parameter {name}"))?;
        Ok(var.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
    }

    fn outputs(&self, x: &Tensor) -> Result<Vec<f64>, Refused> {
        let (steps, _, _, mut side, _) = x.dims5()?;
        let mut h: Vec<f64> = x.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        let (convs, hidden, readout) = self.peer.layers();
        for (stage, (name, [_, outputs])) in convs.into_iter().zip(CHANNELS).enumerate() {
            h = conv(&h, [steps, side], &self.get(name, "weight")?, &self.get(name, "bias")?);
            if self.peer == Peer::R2Plus1d {
                h.iter_mut().for_each(|h| *h = h.max(0.0));
                let name = Peer::over_time(stage);
                h = conv_time(&h, steps, &self.get(name, "weight")?, &self.get(name, "bias")?);
            }
            h = pool(&self.neurons(h, [steps, outputs])?, side);
            side /= 2;
        }
        let (weight, bias) = (self.get(readout, "weight")?, self.get(readout, "bias")?);
        match self.peer {
            Peer::Lstm => Ok(linear(&self.lstm(hidden, &h, steps)?, &weight, &bias)),
            Peer::R2Plus1d => {
                let h = linear(&mean(&h, steps), &self.get(hidden, "weight")?, &self.get(hidden, "bias")?);
                Ok(linear(&self.neurons(h, [1, HIDDEN])?, &weight, &bias))
            }
            _ => {
                let h = linear(&h, &self.get(hidden, "weight")?, &self.get(hidden, "bias")?);
                Ok(mean(&linear(&self.neurons(h, [steps, HIDDEN])?, &weight, &bias), steps))
            }
        }
    }

    /// The network's neurons on `z [T, C, ..]`.
    fn neurons(&self, z: Vec<f64>, [steps, channels]: [usize; 2]) -> Result<Vec<f64>, Refused> {
        let neurons = z.len() / steps;
        match self.peer {
            Peer::Ip => {
                let shape = ScanShape { steps, batch: 1, channels, inner: neurons / channels };
                let scan = ThermalScan::new(&ScanConfig::expected(Arc::new(law())), shape)?;
                let (gain, bias) = (vec![f64::from(GAIN); channels], vec![f64::from(BIAS); channels]);
                let mut out = vec![0.0; z.len()];
                let io = ThermalForward {
                    x: &z,
                    gain: &gain,
                    bias: &bias,
                    heat: None,
                    out: &mut out,
                    final_heat: None,
                };
                ReferenceBackend::forward(&scan, io)?;
                Ok(out)
            }
            Peer::Lif => {
                let mut out = z;
                for n in 0..neurons {
                    let mut v = 0.0;
                    for t in 0..steps {
                        v = f64::from(LIF_DECAY) * v + out[t * neurons + n];
                        let fires = v >= 1.0;
                        out[t * neurons + n] = if fires { 1.0 } else { 0.0 };
                        v = if fires { 0.0 } else { v };
                    }
                }
                Ok(out)
            }
            _ => Ok(z.into_iter().map(|z| z.max(0.0)).collect()),
        }
    }

    /// The last state of PyTorch's LSTM (gates i, f, g, o).
    fn lstm(&self, name: &str, x: &[f64], steps: usize) -> Result<Vec<f64>, Refused> {
        let of_input = linear(x, &self.get(name, "weight_ih_l0")?, &self.get(name, "bias_ih_l0")?);
        let (weight, bias) = (self.get(name, "weight_hh_l0")?, self.get(name, "bias_hh_l0")?);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut h, mut c) = (vec![0.0; HIDDEN], vec![0.0; HIDDEN]);
        for of_input in of_input.chunks_exact(4 * HIDDEN).take(steps) {
            let of_state = linear(&h, &weight, &bias);
            for j in 0..HIDDEN {
                let gate = |g: usize| of_input[g * HIDDEN + j] + of_state[g * HIDDEN + j];
                c[j] = sigmoid(gate(1)) * c[j] + sigmoid(gate(0)) * gate(2).tanh();
                h[j] = sigmoid(gate(3)) * c[j].tanh();
            }
        }
        Ok(h)
    }
}

/// `[T, O, side, side]`, padding 1.
fn conv(x: &[f64], [steps, side]: [usize; 2], w: &[f64], bias: &[f64]) -> Vec<f64> {
    let (plane, outputs) = (side * side, bias.len());
    let inputs = w.len() / (9 * outputs);
    let mut y = Vec::with_capacity(steps * outputs * plane);
    for x in x.chunks_exact(inputs * plane) {
        for (w, &bias) in w.chunks_exact(9 * inputs).zip(bias) {
            let mut out = vec![bias; plane];
            for (x, w) in x.chunks_exact(plane).zip(w.chunks_exact(9)) {
                for (tap, w) in w.iter().enumerate() {
                    let (u, v) = (tap / 3, tap % 3);
                    let columns = 1_usize.saturating_sub(v)..(side + 1 - v).min(side);
                    for row in 1_usize.saturating_sub(u)..(side + 1 - u).min(side) {
                        let from = &x[(row + u - 1) * side..][..side];
                        let to = &mut out[row * side..][columns.clone()];
                        for (to, from) in to.iter_mut().zip(&from[columns.start + v - 1..]) {
                            *to += w * from;
                        }
                    }
                }
            }
            y.extend(out);
        }
    }
    y
}

/// `[T, O, ..]` from `[T, C, ..]` with three taps in time, zero outside.
fn conv_time(x: &[f64], steps: usize, w: &[f64], bias: &[f64]) -> Vec<f64> {
    let channels = bias.len();
    let plane = x.len() / (steps * channels);
    let mut y = Vec::with_capacity(x.len());
    for t in 0..steps {
        for (o, &bias) in bias.iter().enumerate() {
            let mut out = vec![bias; plane];
            for (u, source) in (t..t + 3).enumerate().filter(|(_, source)| (1..=steps).contains(source)) {
                for i in 0..channels {
                    let w = w[(o * channels + i) * 3 + u];
                    let from = &x[((source - 1) * channels + i) * plane..][..plane];
                    out.iter_mut().zip(from).for_each(|(out, x)| *out += w * x);
                }
            }
            y.extend(out);
        }
    }
    y
}

/// Averages over 2x2 windows of planes of `side x side`.
fn pool(x: &[f64], side: usize) -> Vec<f64> {
    let half = side / 2;
    let windows = (0..x.len() / 4).map(|i| (i / half * 2 * side + i % half * 2, side));
    windows.map(|(at, side)| (x[at] + x[at + 1] + x[at + side] + x[at + side + 1]) / 4.0).collect()
}

/// `[.., O]` from `[.., I]`.
fn linear(x: &[f64], w: &[f64], bias: &[f64]) -> Vec<f64> {
    let inputs = w.len() / bias.len();
    let dot = |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
    let rows = x.chunks_exact(inputs);
    rows.flat_map(|x| w.chunks_exact(inputs).zip(bias).map(move |(w, b)| b + dot(x, w))).collect()
}

/// The mean over the first of `[T, ..]`.
fn mean(x: &[f64], steps: usize) -> Vec<f64> {
    let len = x.len() / steps;
    (0..len).map(|i| x.iter().skip(i).step_by(len).sum::<f64>() / steps as f64).collect()
}
