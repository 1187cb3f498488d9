//! The training loop and the evaluation.

use super::checkpoint::{Checkpoint, CheckpointMeta};
use super::optimiser::AdamW;
use crate::task::{Batch, Task};
use crate::{Error, Result};
use candle_core::Tensor;
use ipnet_rng::{Stream, named_seed};
use ipnet_zoo::{Mode, TemporalNet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Names of the chosen epoch's tensors in a checkpoint start with this.
const CHOSEN: &str = "chosen.";

/// How a network is trained: the same for all networks of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training part.
    pub epochs: usize,
    /// Samples per update.
    pub batch: usize,
    /// Peak learning rate (linear warm-up over the first epoch, cosine to zero at the end).
    pub learning_rate: f64,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f64,
    /// Largest global norm of the gradient.
    pub clip_norm: f64,
    /// Label smoothing, in `[0, 1)`.
    pub label_smoothing: f64,
    /// Largest random shift of a training clip [px of the network's input], the same for all its frames.
    pub max_shift_px: usize,
}

/// Metrics of one epoch. No times: these lines are the same on every machine and thread count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub train_loss: f64,
    /// Mean loss on the validation part.
    pub validation_loss: f64,
    /// Score on the validation part (accuracy, or explained variance).
    pub validation_score: f64,
}

/// Outputs of a network on some samples, and their loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// `[samples][outputs]`, in the order asked for.
    pub outputs: Vec<Vec<f32>>,
}

/// A finished training run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Metrics of every epoch.
    pub history: Vec<EpochRecord>,
    /// The epoch with the best validation score (the earliest of equals).
    pub chosen_epoch: usize,
    /// The test part after the chosen epoch.
    pub chosen: Evaluation,
    /// The test part after the last epoch.
    pub last: Evaluation,
}

/// What the loop reports while it runs.
pub trait Progress {
    /// The run goes on after `epochs` epochs of an earlier process.
    fn resumed(&mut self, epochs: usize);
    /// `done` of `total` updates are made.
    fn updates(&mut self, done: usize, total: usize);
    /// An epoch is complete.
    fn epoch(&mut self, record: &EpochRecord);
}

/// Trains `net` on `task` from `seed`, going on from `checkpoint` where that file is one of this run.
///
/// The epoch is chosen on the validation part, which is cut from the training part; the test part is looked at once, at the
/// end. `identity` names everything the result depends on.
///
/// # Errors
/// A loss or gradient that is not finite (with the first layer at fault), a cut graph, file errors.
pub fn train(
    task: &dyn Task,
    net: &dyn TemporalNet,
    config: &TrainConfig,
    seed: u64,
    checkpoint: Option<(&Path, &str)>,
    progress: &mut dyn Progress,
) -> Result<Outcome> {
    let params = net.parameters();
    let mut optimiser = AdamW::new(params, config.weight_decay);
    let mut history: Vec<EpochRecord> = Vec::new();
    let mut chosen = (0, params.snapshot()?);
    if let Some((path, identity)) = checkpoint.filter(|(path, _)| path.exists()) {
        let saved = Checkpoint::load(path, identity)?;
        params.restore(&saved.tensors)?;
        optimiser.restore(&saved.tensors, saved.meta.optimiser_steps)?;
        history = saved.meta.history;
        chosen = (saved.meta.chosen_epoch, strip(&saved.tensors, CHOSEN));
    }
    progress.resumed(history.len());
    let splits = task.splits();
    let updates_per_epoch = splits.train.len().div_ceil(config.batch);
    let total = updates_per_epoch * config.epochs;
    for epoch in history.len() + 1..=config.epochs {
        let train_loss = {
            let mut order = splits.train.clone();
            Stream::named(seed, &format!("order/epoch{epoch}")).shuffle(&mut order);
            let mut sum = 0.0;
            for (index, samples) in order.chunks(config.batch).enumerate() {
                let update = (epoch - 1) * updates_per_epoch + index;
                let draws = named_seed(seed, &format!("update{update}"));
                let batch = task.batch(samples, Some((config.max_shift_px, draws)))?;
                let loss =
                    task.loss(&net.forward(&batch.x, Mode::train(draws))?, &batch, config.label_smoothing)?;
                let value = f64::from(loss.to_scalar::<f32>()?);
                if !value.is_finite() {
                    return Err(diagnose(net, &batch, update)?);
                }
                let rate = learning_rate(config, update, updates_per_epoch, total);
                optimiser.step(params, &loss.backward()?, rate, config.clip_norm)?;
                sum += value * samples.len() as f64;
                progress.updates(update + 1, total);
            }
            sum / splits.train.len() as f64
        };
        let validation = evaluate(task, net, &splits.validation, config.batch, seed)?;
        let record = EpochRecord {
            epoch,
            train_loss,
            validation_loss: validation.loss,
            validation_score: task.score(&validation.outputs, &splits.validation),
        };
        progress.epoch(&record);
        let best = history.iter().map(|past| past.validation_score).fold(f64::NEG_INFINITY, f64::max);
        if record.validation_score > best || chosen.0 == 0 {
            chosen = (epoch, params.snapshot()?);
        }
        history.push(record);
        if let Some((path, identity)) = checkpoint {
            let mut tensors = params.snapshot()?;
            tensors.extend(optimiser.state()?);
            tensors.extend(chosen.1.iter().map(|(name, tensor)| (format!("{CHOSEN}{name}"), tensor.clone())));
            let meta = CheckpointMeta {
                identity: identity.to_owned(),
                optimiser_steps: optimiser.steps(),
                history: history.clone(),
                chosen_epoch: chosen.0,
            };
            Checkpoint { meta, tensors }.save(path)?;
        }
    }
    let last = evaluate(task, net, &splits.test, config.batch, seed)?;
    params.restore(&chosen.1)?;
    let chosen_test = evaluate(task, net, &splits.test, config.batch, seed)?;
    Ok(Outcome { history, chosen_epoch: chosen.0, chosen: chosen_test, last })
}

/// Outputs and mean loss of `net` on `samples`, in evaluation mode.
pub fn evaluate(
    task: &dyn Task,
    net: &dyn TemporalNet,
    samples: &[usize],
    batch: usize,
    seed: u64,
) -> Result<Evaluation> {
    let mut outputs = Vec::with_capacity(samples.len());
    let mut sum = 0.0;
    let draws = named_seed(seed, "evaluate");
    for samples in samples.chunks(batch) {
        let batch = task.batch(samples, None)?;
        let y = net.forward(&batch.x, Mode::eval(draws, outputs.len() as u64))?.detach();
        sum += f64::from(task.loss(&y, &batch, 0.0)?.to_scalar::<f32>()?) * samples.len() as f64;
        outputs.extend(y.to_vec2::<f32>()?);
    }
    Ok(Evaluation { loss: sum / samples.len().max(1) as f64, outputs })
}

/// Linear over the first epoch, then half a cosine to zero.
fn learning_rate(config: &TrainConfig, update: usize, warm_up: usize, total: usize) -> f64 {
    if update < warm_up {
        return config.learning_rate * (update + 1) as f64 / warm_up as f64;
    }
    let done = (update - warm_up) as f64 / (total - warm_up).max(1) as f64;
    config.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

/// Names the first thing that is not finite: the input, a parameter, or the outputs.
fn diagnose(net: &dyn TemporalNet, batch: &Batch, update: usize) -> Result<Error> {
    let finite = |tensor: &Tensor| -> Result<bool> {
        Ok(tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()))
    };
    let mut what = "the loss, from finite inputs and weights".to_owned();
    if !finite(&batch.x)? {
        what = "the input".into();
    } else {
        for (name, var) in net.parameters().vars() {
            if !finite(var)? {
                what = format!("the parameter `{name}`");
                break;
            }
        }
    }
    Ok(Error::NotFinite { what, update })
}

fn strip(tensors: &BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Tensor> {
    tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())))
        .collect()
}
