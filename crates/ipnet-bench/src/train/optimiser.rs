//! AdamW and SGD with momentum, both with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), their moments open to
//! the checkpoint.
//! ```text
//! adamw   m' = b1 m + (1 - b1) g        v' = b2 v + (1 - b2) g^2
//!         w' = w - lr (m' / (1 - b1^k) / (sqrt(v' / (1 - b2^k)) + eps) + decay w)
//! sgd     m' = momentum m + g
//!         w' = w - lr (m' + decay w)
//! ```
//! Weight decay acts on matrices and kernels only: biases, normalisations and the gains and biases of neurons are
//! operating points, and pulling them towards zero would move the neuron, not regularise the network.
//!
//! Design decision: moments and updates are computed on the host whatever computes the network, from gradients that are read
//! back: the state in a checkpoint and the arithmetic in f64 are then one code. The largest network of the zoo has eleven
//! million weights, 45 MB to move each way.

use super::TrainConfig;
use crate::Error;
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use ipnet_zoo::Parameters;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// Which rule updates the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// AdamW.
    #[default]
    Adamw,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// First and second moments of one parameter; SGD has no second.
#[derive(Debug, Clone, PartialEq)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

/// The optimiser's state.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimiser {
    rule: Rule,
    momentum: f64,
    weight_decay: f64,
    steps: u32,
    moments: BTreeMap<String, Moments>,
}

impl Optimiser {
    /// An optimiser at rest, for the parameters `params`.
    pub fn new(params: &Parameters, config: &TrainConfig) -> Self {
        let second = |len: usize| if config.optimiser == Rule::Adamw { len } else { 0 };
        let zero = |len: usize| Moments { first: vec![0.0; len], second: vec![0.0; second(len)] };
        let moments = params.vars().map(|(name, var)| (name.to_owned(), zero(var.elem_count()))).collect();
        let TrainConfig { optimiser: rule, momentum, weight_decay, .. } = *config;
        Self { rule, momentum, weight_decay, steps: 0, moments }
    }

    /// One update of all parameters by their gradients, scaled down to a global norm of `clip_norm` if above it.
    ///
    /// # Errors
    /// A parameter without a gradient (a cut graph) and a gradient that is not finite, each by name.
    pub fn step(
        &mut self,
        params: &Parameters,
        grads: &GradStore,
        learning_rate: f64,
        clip_norm: f64,
    ) -> Result<(), Error> {
        let mut gradients = Vec::new();
        let mut squares = 0.0;
        for (name, var) in params.vars() {
            let grad = grads.get(var).ok_or_else(|| Error::NoGradient { parameter: name.to_owned() })?;
            let grad = grad.flatten_all()?.to_vec1::<f32>()?;
            let square: f64 = grad.iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
            if !square.is_finite() {
                return Err(Error::NotFinite {
                    what: format!("the gradient of `{name}`"),
                    update: self.steps as usize,
                });
            }
            squares += square;
            gradients.push(grad);
        }
        let clip = (clip_norm / squares.sqrt().max(1e-12)).min(1.0);
        self.steps += 1;
        let correction1 = 1.0 - BETA1.powi(self.steps as i32);
        let correction2 = 1.0 - BETA2.powi(self.steps as i32);
        for ((name, var), grad) in params.vars().zip(gradients) {
            let Some(Moments { first, second }) = self.moments.get_mut(name) else {
                return Err(Error::NoGradient { parameter: name.to_owned() });
            };
            let decay = if var.rank() > 1 { learning_rate * self.weight_decay } else { 0.0 };
            let mut values = var.flatten_all()?.to_vec1::<f32>()?;
            match self.rule {
                Rule::Adamw => {
                    for (((w, g), m), v) in values.iter_mut().zip(grad).zip(first).zip(second) {
                        let g = f64::from(g) * clip;
                        let m1 = BETA1 * f64::from(*m) + (1.0 - BETA1) * g;
                        let v1 = BETA2 * f64::from(*v) + (1.0 - BETA2) * g * g;
                        let update = learning_rate * (m1 / correction1) / ((v1 / correction2).sqrt() + EPS);
                        *w = (f64::from(*w) * (1.0 - decay) - update) as f32;
                        (*m, *v) = (m1 as f32, v1 as f32);
                    }
                }
                Rule::Sgd => {
                    for ((w, g), m) in values.iter_mut().zip(grad).zip(first) {
                        let m1 = self.momentum * f64::from(*m) + f64::from(g) * clip;
                        *w = (f64::from(*w) * (1.0 - decay) - learning_rate * m1) as f32;
                        *m = m1 as f32;
                    }
                }
            }
            var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
        }
        Ok(())
    }

    /// The moments as tensors, named after their parameters; the step count is [`Optimiser::steps`].
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut state = BTreeMap::new();
        for (name, Moments { first, second }) in &self.moments {
            for (suffix, values) in [("first", first), ("second", second)] {
                if values.is_empty() {
                    continue;
                }
                let tensor = Tensor::from_slice(values, values.len(), &Device::Cpu)?;
                state.insert(format!("optimiser.{suffix}.{name}"), tensor);
            }
        }
        Ok(state)
    }

    /// Updates made so far.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Puts back what [`Optimiser::state`] gave after `steps` updates.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps: u32) -> Result<(), Error> {
        for (name, moments) in &mut self.moments {
            let find = |suffix: &str, len: usize| {
                let key = format!("optimiser.{suffix}.{name}");
                let values = state.get(&key).map(|tensor| tensor.to_vec1::<f32>()).transpose()?;
                values.filter(|values| values.len() == len).ok_or(Error::Checkpoint {
                    expected: format!("`{key}` with {len} values"),
                    found: "none of that name and size".into(),
                })
            };
            let (first, second) = (moments.first.len(), moments.second.len());
            *moments = Moments {
                first: find("first", first)?,
                second: if second > 0 { find("second", second)? } else { Vec::new() },
            };
        }
        self.steps = steps;
        Ok(())
    }
}
