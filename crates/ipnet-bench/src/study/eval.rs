//! Evaluation of checkpoints: a checkpoint says what was trained on what, so nothing but the recordings is needed beside it.

use super::JobDevice;
use crate::task::{DataFolder, Fold, Shelf, Task, TaskName};
use crate::train::{About, Checkpoint, evaluate};
use crate::{Backend, Error, Result};
use candle_core::Device;
use ipnet_device::DeviceSet;
use ipnet_zoo::{Network, TemporalNet};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What was fitted.
    Train,
    /// What the epoch was chosen on.
    Validation,
    /// What nothing was chosen on.
    Test,
}

/// The weights of which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// Of the epoch chosen on the validation part.
    Chosen,
    /// Of the last epoch.
    Last,
}

/// How well one class is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassScore {
    /// The class.
    pub class: String,
    /// Samples of it.
    pub samples: u64,
    /// Share of them that is recognised; none without samples.
    pub recall: Option<f64>,
    /// Share of the samples given to this class that belong to it; none if there is none.
    pub precision: Option<f64>,
}

/// What an evaluation finds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvalReport {
    /// The checkpoint's name.
    pub job: String,
    /// The task.
    pub task: String,
    /// The part.
    pub split: Split,
    /// The weights.
    pub weights: Weights,
    /// Their epoch.
    pub epoch: usize,
    /// Samples.
    pub samples: usize,
    /// Mean loss.
    pub loss: f64,
    /// The task's score: share of samples told right, or explained variance.
    pub score: f64,
    /// Share of samples whose direction of time is told right, for tasks with reversed classes.
    pub direction: Option<f64>,
    /// Further measures of the task by name.
    pub measures: BTreeMap<String, f64>,
    /// Each class; empty for a regression.
    pub classes: Vec<ClassScore>,
    /// `[true class][class told]` counts; empty for a regression.
    pub confusion: Vec<Vec<u64>>,
}

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct EvalRequest<'a> {
    /// Real recordings, where there are any.
    pub data: Option<&'a DataFolder>,
    /// What computes the networks.
    pub backend: Backend,
    /// A device set in the place of the checkpoint's own: what the trained network does on other devices.
    pub device: Option<&'a str>,
    /// The part.
    pub split: Split,
    /// The weights.
    pub weights: Weights,
}

/// The checkpoints below `path`: a run's folder, or one file.
///
/// # Errors
/// Nothing of that name, and a folder without checkpoints.
pub fn checkpoints_of(path: &Path) -> Result<Vec<PathBuf>> {
    let refuse = |found: &str| Error::Argument {
        what: path.display().to_string(),
        expected: "a run's folder with checkpoints/*.safetensors, or one such file".into(),
        found: found.into(),
    };
    if path.is_file() {
        return Ok(vec![path.into()]);
    }
    if !path.is_dir() {
        return Err(refuse("nothing of that name"));
    }
    let folder = path.join("checkpoints");
    if !folder.is_dir() {
        return Err(refuse("a folder without checkpoints"));
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder, "list"))? {
        let file = entry.map_err(Error::io(&folder, "list"))?.path();
        if file.extension().is_some_and(|extension| extension == "safetensors") {
            found.push(file);
        }
    }
    found.sort();
    if found.is_empty() { Err(refuse("no checkpoint in it")) } else { Ok(found) }
}

/// Evaluates each of `paths`; a task is loaded once for all checkpoints of it.
///
/// # Errors
/// A file that is no checkpoint, data or a device other than the checkpoint's, and the layers' errors.
pub fn eval_checkpoints(paths: &[PathBuf], request: &EvalRequest<'_>) -> Result<Vec<EvalReport>> {
    let Some(first) = paths.first() else { return Ok(Vec::new()) };
    // A backend that is not there is said before recordings are read.
    let on = request.backend.device()?;
    let mut shelf = Shelf::new(request.data, run_of(first).join("recordings"));
    let mut reports = Vec::new();
    for path in paths {
        let checkpoint = Checkpoint::load(path)?;
        let about = &checkpoint.meta.about;
        let (name, fold) =
            (TaskName::parse(&about.task)?, about.fold.map(|[number, of]| Fold { number, of }));
        shelf.load(name, fold)?;
        reports.push(eval_one(path, &checkpoint, shelf.get(name, fold)?, (request, &on))?);
    }
    Ok(reports)
}

/// The folder of the run that wrote `checkpoint`, into `checkpoints/`.
fn run_of(checkpoint: &Path) -> &Path {
    checkpoint.parent().and_then(Path::parent).unwrap_or(Path::new("."))
}

fn eval_one(
    path: &Path,
    checkpoint: &Checkpoint,
    task: &dyn Task,
    (request, on): (&EvalRequest<'_>, &Device),
) -> Result<EvalReport> {
    let about = &checkpoint.meta.about;
    let found = task.source().sha256;
    if found != about.data_sha256 {
        return Err(differs(path, "recordings with sha256", &about.data_sha256, &found));
    }
    let (net, epoch) = trained((path, checkpoint), task, request.device, request.weights, on)?;
    let splits = task.splits();
    let samples = match request.split {
        Split::Train => &splits.train,
        Split::Validation => &splits.validation,
        Split::Test => &splits.test,
    };
    let result = evaluate(task, &net, samples, about.config.batch, about.seed)?;
    let (classes, confusion) = task.classification().map_or_else(Default::default, |task| {
        let confusion = task.confusion(&result.outputs, samples);
        (scores(&task.class_names(), &confusion), confusion)
    });
    Ok(EvalReport {
        job: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        task: about.task.clone(),
        split: request.split,
        weights: request.weights,
        epoch,
        samples: samples.len(),
        loss: result.loss,
        score: task.score(&result.outputs, samples),
        direction: task.direction(&result.outputs, samples),
        measures: task.measures(&result.outputs, samples),
        classes,
        confusion,
    })
}

fn differs(path: &Path, what: &str, stored: &str, found: &str) -> Error {
    Error::Checkpoint {
        expected: format!("{}: {what} {stored}, which it was trained with", path.display()),
        found: found.to_owned(),
    }
}

/// The network of a checkpoint for `task`'s inputs, of its own device set or of `device`, computed `on`, and the epoch of its
/// weights.
///
/// # Errors
/// A device that neither the run's folder keeps nor a set describes as it was, and what building the network gives.
pub(super) fn trained(
    (path, checkpoint): (&Path, &Checkpoint),
    task: &dyn Task,
    device: Option<&str>,
    weights: Weights,
    on: &Device,
) -> Result<(Network, usize)> {
    let about = &checkpoint.meta.about;
    let device = match device {
        Some(other) => JobDevice::new(other, &DeviceSet::load(other)?)?,
        None => trained_device(path, about)?,
    };
    let (input, outputs) = (task.input(), task.outputs());
    let net =
        Network::on(on, &about.spec, input, outputs, Some(&device.law), about.seed)?.read(task.readout());
    let (tensors, epoch) = match weights {
        Weights::Chosen => (checkpoint.chosen(), checkpoint.meta.chosen_epoch),
        Weights::Last => (checkpoint.tensors.clone(), checkpoint.meta.history.len()),
    };
    net.parameters().restore(&tensors)?;
    Ok((net, epoch))
}

/// The device set that a checkpoint was trained with: kept in its run, or a preset or file that is still the same.
fn trained_device(path: &Path, about: &About) -> Result<JobDevice> {
    if let Some(kept) = JobDevice::kept(run_of(path), &about.device, &about.device_sha256)? {
        return Ok(kept);
    }
    let device = JobDevice::new(&about.device, &DeviceSet::load(&about.device)?)?;
    if device.sha256 != about.device_sha256 {
        return Err(differs(path, "device set with sha256", &about.device_sha256, &device.sha256));
    }
    Ok(device)
}

fn scores(names: &[String], confusion: &[Vec<u64>]) -> Vec<ClassScore> {
    let share = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
    let score = |(class, name): (usize, &String)| {
        let samples = confusion[class].iter().sum();
        let told = confusion.iter().map(|row| row[class]).sum();
        let right = confusion[class][class];
        ClassScore {
            class: name.clone(),
            samples,
            recall: share(right, samples),
            precision: share(right, told),
        }
    };
    names.iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_rows_and_precision_columns() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let scores = scores(&names, &[vec![3, 1, 0], vec![1, 1, 0], vec![0, 0, 0]]);
        assert_eq!((scores[0].samples, scores[0].recall, scores[0].precision), (4, Some(0.75), Some(0.75)));
        assert_eq!((scores[1].recall, scores[1].precision), (Some(0.5), Some(0.5)));
        assert_eq!((scores[2].samples, scores[2].recall, scores[2].precision), (0, None, None));
    }
}
