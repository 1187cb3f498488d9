//! Expressive leaky memory (Spieler et al., "The Expressive Leaky Memory Neuron", arXiv 2306.16922, ICLR 2024), the form
//! without branches, with the constants of the authors' code:
//! ```text
//! s[t]  = k_s s[t-1] + w_s x[t]                              k_s = exp(-1 / 5), w_s >= 0 trained, 0.5 at the start
//! dm[t] = 1.7159 tanh(2/3 (W2 relu(W1 [s[t], k_m m[t-1]] + b1) + b2))
//! m[t]  = k_m m[t-1] + lambda (1 - k_m) dm[t]                k_m = exp(-1 / tau_m), lambda = 5
//! ```
//! with 2 M hidden units for M memory units, whose `tau_m` are spread logarithmically from 1 step to `tau_max` and are not
//! trained. Departures: `tau_max` is the sequence's length instead of the 1000 ms of the authors' recordings, and the linear
//! readout `W_y` is the next layer of the network.
//!
//! Design decision: the synapses and their product with `W1` are computed for all steps at once; only the memory's share of
//! `W1` and what follows runs step by step, as graph nodes (a dozen a step) rather than as an operation of its own.

use crate::Error;
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use candle_core::Tensor;

const SYNAPSE_TAU_STEPS: f64 = 5.0;
const SYNAPSE_WEIGHT: f64 = 0.5;
const LAMBDA: f64 = 5.0;

#[derive(Debug)]
pub(crate) struct Elm {
    name: String,
    inputs: usize,
    units: usize,
    w_synapse: Tensor,
    w1_synapse: Tensor,
    w1_memory: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    /// `k_s` of every input, `k_m` and `lambda (1 - k_m)` of every unit.
    decay_synapse: Tensor,
    decay: Tensor,
    update: Tensor,
}

impl Elm {
    pub fn new(
        params: &mut Parameters,
        name: &str,
        inputs: usize,
        units: usize,
        steps: usize,
    ) -> Result<Self, Error> {
        let hidden = 2 * units;
        let (bound1, bound2) = (1.0 / ((inputs + units) as f64).sqrt(), 1.0 / (hidden as f64).sqrt());
        let mut draw =
            |part: &str, shape: &[usize], bound| params.uniform(&format!("{name}.{part}"), shape, bound);
        let w1_synapse = draw("w1_synapse", &[hidden, inputs], bound1)?;
        let w1_memory = draw("w1_memory", &[hidden, units], bound1)?;
        let b1 = draw("b1", &[hidden], bound1)?;
        let (w2, b2) = (draw("w2", &[units, hidden], bound2)?, draw("b2", &[units], bound2)?);
        let w_synapse = params.constant(&format!("{name}.w_synapse"), &[inputs], SYNAPSE_WEIGHT)?;
        let decays: Vec<f64> = time_constants(units, steps).iter().map(|tau| (-1.0 / tau).exp()).collect();
        let tensor = |values: Vec<f32>| {
            let len = values.len();
            Tensor::from_vec(values, len, params.device())
        };
        let k_s = (-1.0 / SYNAPSE_TAU_STEPS).exp() as f32;
        Ok(Self {
            name: name.to_owned(),
            inputs,
            units,
            w_synapse,
            w1_synapse,
            w1_memory,
            b1,
            w2,
            b2,
            decay_synapse: tensor(vec![k_s; inputs])?,
            decay: tensor(decays.iter().map(|&k| k as f32).collect())?,
            update: tensor(decays.iter().map(|&k| (LAMBDA * (1.0 - k)) as f32).collect())?,
        })
    }

    pub fn features(&self) -> usize {
        self.units
    }

    /// `[T, B, ...]` to `m [T, B, M]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let (steps, batch) = (x.dim(0)?, x.dim(1)?);
        let x = x.reshape((steps, batch, self.inputs))?;
        // The moving average scales its input by 1 - k_s, which the synapse's weight takes back.
        let k_s = (-1.0 / SYNAPSE_TAU_STEPS).exp();
        let trace = ipnet_nn::ema_scan(&x, &self.decay_synapse)?;
        let weight = (ipnet_nn::relu(&self.w_synapse)? * (1.0 / (1.0 - k_s)))?;
        let synapses = trace.broadcast_mul(&weight)?;
        let driven = ipnet_nn::linear(&synapses, &self.w1_synapse, Some(&self.b1))?;
        let mut memory = Tensor::zeros((batch, self.units), x.dtype(), x.device())?;
        let mut all = Vec::with_capacity(steps);
        for step in 0..steps {
            let kept = memory.broadcast_mul(&self.decay)?;
            let recurrent = ipnet_nn::linear(&kept, &self.w1_memory, None)?;
            let hidden = ipnet_nn::relu(&(driven.get(step)? + recurrent)?)?;
            let change = ipnet_nn::linear(&hidden, &self.w2, Some(&self.b2))?;
            let change = ((change * (2.0 / 3.0))?.tanh()? * 1.7159)?;
            memory = (kept + change.broadcast_mul(&self.update)?)?;
            all.push(memory.clone());
        }
        Ok(Tensor::stack(&all, 0)?)
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        let (inputs, units, hidden) = (self.inputs, self.units, 2 * self.units);
        let products = hidden * (inputs + units) + units * hidden;
        let trained = inputs + products + hidden + units;
        let states = inputs + units;
        let mut counts = LayerCounts::new(&self.name, Role::Memory);
        counts.parameters = trained as u64;
        // Synapses: decay and weight; memory: decay and update.
        counts.macs = (steps * (products + 2 * inputs + 2 * units)) as u64;
        // Biases, rectifier, and the two scalings and the tanh of the update.
        counts.other_ops = (steps * (2 * hidden + units + 3 * units)) as u64;
        counts.weight_reads = (steps * (trained + inputs + 2 * units)) as u64;
        counts.activation_reads = (steps * inputs) as u64;
        counts.activation_writes = (steps * units) as u64;
        counts.state_values = states as u64;
        counts.state_reads = (steps * states) as u64;
        counts.state_writes = counts.state_reads;
        counts
    }
}

/// `tau_m` of `units` units: from 1 step to `steps`, equal ratios.
fn time_constants(units: usize, steps: usize) -> Vec<f64> {
    let last = (units.max(2) - 1) as f64;
    (0..units).map(|unit| (steps.max(2) as f64).powf(unit as f64 / last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// The three equations, step by step in f64.
    #[test]
    fn the_layer_computes_the_published_equations() {
        let (steps, batch, inputs, units) = (5, 2, 3, 4);
        let mut params = Parameters::new(3);
        let layer = Elm::new(&mut params, "elm", inputs, units, steps).unwrap();
        let mut stream = ipnet_rng::Stream::named(1, "x");
        let x: Vec<f32> = (0..steps * batch * inputs).map(|_| stream.normal() as f32).collect();
        let found =
            layer.forward(&Tensor::from_vec(x.clone(), (steps, batch, inputs), &Device::Cpu).unwrap());
        let found = found.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();

        let values = |t: &Tensor| -> Vec<f64> {
            t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
        };
        let (w1s, w1m, b1) = (values(&layer.w1_synapse), values(&layer.w1_memory), values(&layer.b1));
        let (w2, b2) = (values(&layer.w2), values(&layer.b2));
        let hidden = 2 * units;
        let k_s = (-1.0_f64 / 5.0).exp();
        for b in 0..batch {
            let (mut s, mut m) = (vec![0.0; inputs], vec![0.0; units]);
            for t in 0..steps {
                for i in 0..inputs {
                    s[i] = k_s * s[i] + 0.5 * f64::from(x[(t * batch + b) * inputs + i]);
                }
                let k_m = |j: usize| (-1.0 / (steps as f64).powf(j as f64 / 3.0)).exp();
                let kept: Vec<f64> = (0..units).map(|j| k_m(j) * m[j]).collect();
                let h: Vec<f64> = (0..hidden)
                    .map(|o| {
                        let of_s: f64 = (0..inputs).map(|i| w1s[o * inputs + i] * s[i]).sum();
                        let of_m: f64 = (0..units).map(|j| w1m[o * units + j] * kept[j]).sum();
                        (of_s + of_m + b1[o]).max(0.0)
                    })
                    .collect();
                for j in 0..units {
                    let sum: f64 = (0..hidden).map(|o| w2[j * hidden + o] * h[o]).sum();
                    let change = 1.7159 * (2.0 / 3.0 * (sum + b2[j])).tanh();
                    m[j] = kept[j] + 5.0 * (1.0 - k_m(j)) * change;
                    let y = f64::from(found[(t * batch + b) * units + j]);
                    assert!((y - m[j]).abs() < 1e-5, "{y} and {}", m[j]);
                }
            }
        }
    }
}
