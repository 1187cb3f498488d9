//! `conv_step`: one training step (forward, cross-entropy, backward, Adam) of the kit's small convolutional networks.
//!
//! `ip`, `lif` and `relu` are the kit's `Flat` network with the step law of `neuron_scan`, the kit's LIF, or a rectifier;
//! `lstm` and `r2plus1d` its CNN-LSTM and (2+1)D network. Parameters bear PyTorch's names and shapes, so that
//! `peer_bench PEER --bench conv_step --check FILE` can start from weights that PyTorch wrote (safetensors, with the input
//! `x` and the classes `y`) and print the losses of ten steps: `benches/conv_step_compare.py` compares them. Before READY,
//! the outputs of the first sample are compared with a plain f64 computation.

mod nets;
mod plain;

use crate::{Prepared, Refused};
use candle_core::{DType, Device, Tensor, Var};
use ipnet_nn::{AdamStep, Moments};
use ipnet_rng::Stream;
use nets::Peer;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const LEARNING_RATE: f64 = 1e-3;
const CLASSES: usize = 11;
/// Mean number of events per pixel, polarity and step.
const EVENTS: f64 = 0.05;

/// Input, classes, parameters and optimiser of one network.
struct Training {
    peer: Peer,
    x: Tensor,
    classes: Vec<u32>,
    params: BTreeMap<String, Var>,
    moments: BTreeMap<String, Moments>,
    steps: u32,
}

impl Training {
    fn new(peer: Peer, x: Tensor, classes: Vec<u32>, params: BTreeMap<String, Var>) -> Self {
        let moments =
            params.iter().map(|(name, var)| (name.clone(), Moments::new(var.elem_count()))).collect();
        Self { peer, x, classes, params, moments, steps: 0 }
    }

    /// One step; the loss before its update.
    fn step(&mut self) -> Result<f32, Refused> {
        let logits = self.peer.forward(&self.x, &self.params)?;
        let loss = ipnet_nn::cross_entropy(&logits, &self.classes, 0.0)?;
        drop(logits);
        let grads = loss.backward()?;
        self.steps += 1;
        let step = AdamStep {
            step: self.steps,
            learning_rate: LEARNING_RATE,
            weight_decay: 0.0,
            gradient_scale: 1.0,
        };
        for (name, var) in &self.params {
            let grad = grads.get(var).ok_or(format!("no gradient for {name}"))?;
            if let Some(moments) = self.moments.get_mut(name) {
                moments.update(var, grad, step)?;
            }
        }
        Ok(loss.to_scalar::<f32>()?)
    }
}

/// A Poisson number of small mean, by inversion.
fn poisson(stream: &mut Stream, mean: f64) -> f32 {
    let (mut u, mut probability, mut count) = (stream.uniform_in(0.0, 1.0), (-mean).exp(), 0.0);
    while u >= probability && count < 16.0 {
        u -= probability;
        count += 1.0;
        probability *= mean / count;
    }
    count as f32
}

/// The work of `peer` for the kit's `params`.
///
/// # Errors
/// Parameters that are not understood, or outputs that are not those of the plain computation.
pub fn prepare(peer: &str, params: &Value) -> Result<Prepared, Refused> {
    let number =
        |name: &str| params[name].as_u64().map(|n| n as usize).ok_or_else(|| format!("no parameter {name}"));
    let (steps, batch, side) = (number("T")?, number("B")?, number("HW")?);
    let peer = Peer::parse(peer)?;
    let mut stream = Stream::named(0, "x");
    let events = (0..steps * batch * 2 * side * side).map(|_| poisson(&mut stream, EVENTS)).collect();
    let x = Tensor::from_vec::<_, f32>(events, (steps, batch, 2, side, side), &Device::Cpu)?;
    let classes = (0..batch as u32).map(|sample| (5 * sample + 3) % CLASSES as u32).collect();
    let mut vars = BTreeMap::new();
    for (name, dims) in peer.shapes(side) {
        let fan_in = peer.fan_in(&name, &dims, side);
        // PyTorch's default, and as in the kit three times that for the weights of networks that fire.
        let gain = if peer.fires() && name.ends_with("weight") { 3.0 } else { 1.0 };
        let bound = 1.0 / (fan_in as f64).sqrt();
        let mut stream = Stream::named(0, &name);
        let values = (0..dims.iter().product())
            .map(|_| (gain * stream.uniform_in(-bound, bound)) as f32)
            .collect::<Vec<_>>();
        vars.insert(name, Var::from_vec(values, dims, &Device::Cpu)?);
    }
    let check = plain::check(peer, &x, &vars)?;
    let count: usize = vars.values().map(|var| var.elem_count()).sum();
    let mut training = Training::new(peer, x, classes, vars);
    let first_loss = training.step()?;
    let info = json!({
        "check": {"first_loss": first_loss, "params": count, "first_sample": check},
        "note": ipnet_kernel::ScanBackend::name(&ipnet_kernel::CpuBackend::default()),
    });
    let call = move || {
        if let Err(error) = training.step() {
            unreachable!("the same step succeeded before: {error}");
        }
    };
    Ok(Prepared { info, call: Box::new(call) })
}

/// Losses of the first `steps` steps from the weights, input `x [T, B, 2, H, W]` and classes `y [B]` in `file`.
///
/// # Errors
/// A file that cannot be read, or that lacks a tensor of the network.
pub fn losses(peer: &str, file: &Path, steps: usize) -> Result<Value, Refused> {
    let peer = Peer::parse(peer)?;
    let mut tensors = candle_core::safetensors::load(file, &Device::Cpu)?;
    let mut take =
        |name: &str| tensors.remove(name).ok_or_else(|| format!("{}: no tensor {name}", file.display()));
    let x = take("x")?;
    let classes = take("y")?.to_dtype(DType::U32)?.to_vec1::<u32>()?;
    let (.., side) = x.dims5()?;
    let mut vars = BTreeMap::new();
    for (name, dims) in peer.shapes(side) {
        let tensor = take(&name)?;
        if tensor.elem_count() != dims.iter().product::<usize>() {
            return Err(format!("{name}: expected {dims:?}, found {:?}", tensor.dims()).into());
        }
        vars.insert(name, Var::from_tensor(&tensor.reshape(dims)?)?);
    }
    let mut training = Training::new(peer, x, classes, vars);
    let losses = (0..steps).map(|_| training.step()).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"losses": losses}))
}
