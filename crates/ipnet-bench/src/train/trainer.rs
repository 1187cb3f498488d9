//! The training loop and the evaluation.

use super::TrainConfig;
use super::checkpoint::{Checkpoint, CheckpointMeta, Keep};
use super::optimiser::Optimiser;
use crate::task::{Batch, Task};
use crate::{Error, Result};
use candle_core::Tensor;
use ipnet_rng::{Stream, named_seed};
use ipnet_zoo::{Mode, TemporalNet};
use serde::{Deserialize, Serialize};

/// Metrics of one epoch. No times: these lines are the same on any number of threads.
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

impl EpochRecord {
    /// Whether this epoch did better on the validation part than `other`: a higher score, or as high a one with a lower loss. A
    /// small part is soon told right as a whole, and then the score alone would choose the first such epoch. A score or loss that is
    /// no number is the worst.
    pub fn beats(&self, other: &Self) -> bool {
        let or_worst = |value: f64, worst: f64| if value.is_nan() { worst } else { value };
        let [score, rival] = [self, other].map(|epoch| or_worst(epoch.validation_score, f64::NEG_INFINITY));
        let [loss, rivals] = [self, other].map(|epoch| or_worst(epoch.validation_loss, f64::INFINITY));
        score.total_cmp(&rival).then(rivals.total_cmp(&loss)).is_gt()
    }
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
    /// The epoch that no other beats on the validation part (see [`EpochRecord::beats`]).
    pub chosen_epoch: usize,
    /// The test part after the chosen epoch.
    pub chosen: Evaluation,
    /// The test part after the last epoch.
    pub last: Evaluation,
}

/// What the loop reports while it runs.
pub trait Progress {
    /// The run goes on after `epochs` epochs of an earlier process. An error ends the run.
    fn resumed(&mut self, epochs: usize) -> Result<()>;
    /// `done` of `total` updates are made.
    fn updates(&mut self, done: usize, total: usize);
    /// An epoch is complete, its checkpoint not yet written. An error ends the run.
    fn epoch(&mut self, record: &EpochRecord) -> Result<()>;
}

/// Trains `net` on `task` from `seed`, going on from the checkpoint that `keep` names where that file is one of this run.
///
/// The epoch is chosen on the validation part, which is cut from the training part; the test part is looked at once, at the
/// end.
///
/// # Errors
/// A loss or gradient that is not finite (with the first layer at fault), a cut graph, file errors, those of `progress`.
pub fn train(
    task: &dyn Task,
    net: &dyn TemporalNet,
    config: &TrainConfig,
    seed: u64,
    keep: Option<&Keep<'_>>,
    progress: &mut dyn Progress,
) -> Result<Outcome> {
    config.validate()?;
    let params = net.parameters();
    let mut optimiser = Optimiser::new(params, config);
    let mut history: Vec<EpochRecord> = Vec::new();
    let mut chosen = (0, params.snapshot()?);
    if let Some(keep) = keep.filter(|keep| keep.path.exists()) {
        let saved = Checkpoint::load(keep.path)?;
        saved.expect_identity(keep.path, keep.identity)?;
        params.restore(&saved.tensors)?;
        optimiser.restore(&saved.tensors, saved.meta.optimiser_steps)?;
        chosen = (saved.meta.chosen_epoch, saved.chosen());
        history = saved.meta.history;
    }
    progress.resumed(history.len())?;
    let splits = task.splits();
    let updates_per_epoch = splits.train.len().div_ceil(config.batch);
    let total = updates_per_epoch * config.epochs;
    for epoch in history.len() + 1..=config.epochs {
        if config.patience > 0 && epoch > chosen.0 + config.patience {
            break;
        }
        let train_loss = {
            let mut order = splits.train.clone();
            Stream::named(seed, &format!("order/epoch{epoch}")).shuffle(&mut order);
            let mut sum = 0.0;
            for (index, samples) in order.chunks(config.batch).enumerate() {
                let update = (epoch - 1) * updates_per_epoch + index;
                let draws = named_seed(seed, &format!("update{update}"));
                let augment = config.augment(draws);
                let batch = task.batch(samples, Some(augment))?.on(params.device())?;
                let mode = Mode::train(draws);
                let loss = task.loss(&net.forward(&batch.x, mode)?, &batch, config.label_smoothing)?;
                let value = f64::from(loss.to_scalar::<f32>()?);
                if !value.is_finite() {
                    return Err(diagnose(net, &batch, mode, update)?);
                }
                let rate = config.learning_rate_at(update, updates_per_epoch);
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
        progress.epoch(&record)?;
        if chosen.0.checked_sub(1).and_then(|at| history.get(at)).is_none_or(|best| record.beats(best)) {
            chosen = (epoch, params.snapshot()?);
        }
        history.push(record);
        if let Some(keep) = keep {
            let meta = CheckpointMeta {
                identity: keep.identity.to_owned(),
                optimiser_steps: optimiser.steps(),
                chosen_epoch: chosen.0,
                about: keep.about.clone(),
                history: history.clone(),
            };
            Checkpoint::new(meta, params.snapshot()?, optimiser.state()?, &chosen.1).save(keep.path)?;
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
        let batch = task.batch(samples, None)?.on(net.parameters().device())?;
        let y = net.forward(&batch.x, Mode::eval(draws, outputs.len() as u64))?.detach();
        sum += f64::from(task.loss(&y, &batch, 0.0)?.to_scalar::<f32>()?) * samples.len() as f64;
        outputs.extend(y.to_vec2::<f32>()?);
    }
    Ok(Evaluation { loss: sum / samples.len().max(1) as f64, outputs })
}

/// Names the first thing that is not finite: the input, a parameter, or the first layer whose output is not.
fn diagnose(net: &dyn TemporalNet, batch: &Batch, mode: Mode, update: usize) -> Result<Error> {
    let finite = |tensor: &Tensor| -> candle_core::Result<bool> {
        Ok(tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()))
    };
    if !finite(&batch.x)? {
        return Ok(Error::NotFinite { what: "the input".into(), update });
    }
    for (name, var) in net.parameters().vars() {
        if !finite(var)? {
            return Ok(Error::NotFinite { what: format!("the parameter `{name}`"), update });
        }
    }
    let mut first = None;
    net.trace(&batch.x, mode, &mut |name, y| {
        if first.is_none() && !finite(y)? {
            first = Some(name.to_owned());
        }
        Ok(())
    })?;
    let what = match first {
        Some(layer) => format!("the output of {layer}, from finite inputs and weights,"),
        None => "the loss, from finite outputs,".into(),
    };
    Ok(Error::NotFinite { what, update })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_beats_another_by_score_and_then_by_loss() {
        let record = |validation_score, validation_loss| EpochRecord {
            epoch: 1,
            train_loss: 0.0,
            validation_loss,
            validation_score,
        };
        let best = record(0.9, 0.3);
        assert!(record(0.95, 0.9).beats(&best) && !record(0.85, 0.1).beats(&best));
        assert!(record(0.9, 0.2).beats(&best) && !record(0.9, 0.4).beats(&best) && !best.beats(&best));
    }
}
