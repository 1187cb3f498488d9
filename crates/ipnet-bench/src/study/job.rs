//! One job: train a network on a task from a seed, test it, keep the result.

use super::{Effort, StudyProgress};
use crate::run::{MetricLine, Metrics, RunDir, hash_bytes, read_job};
use crate::task::{Fold, Task, busy_input};
use crate::train::{About, EpochRecord, EventFile, Keep, Progress, TrainConfig, train};
use crate::{Error, Result};
use ipnet_device::{DeviceSet, StepLaw};
use ipnet_zoo::{INITIAL_GAIN, Memory, NetSpec, Network, Placement, Role, TemporalNet, sensor_gain_v};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A device set and its step law.
#[derive(Debug, Clone)]
pub struct JobDevice {
    /// The preset's name or the file's.
    pub name: String,
    /// sha256 of the set's physics.
    pub sha256: String,
    /// The law.
    pub law: Arc<StepLaw>,
}

impl JobDevice {
    /// Reduces `set`, which was asked for as `name`.
    ///
    /// # Errors
    /// A set that cannot be reduced.
    pub fn new(name: &str, set: &DeviceSet) -> Result<Self> {
        Ok(Self { name: name.to_owned(), sha256: set.hash(), law: Arc::new(set.reduce()?.law) })
    }

    /// Keeps the law in the run's folder, once: a checkpoint is evaluated with it wherever the set's file is by then.
    fn keep(&self, run: &RunDir) -> Result<()> {
        let name = kept_as(&self.name);
        if run.job_result::<KeptDevice>(&name)?.is_some_and(|kept| kept.sha256 == self.sha256) {
            return Ok(());
        }
        let law = StepLaw::clone(&self.law);
        run.finish_job(&name, &KeptDevice { name: self.name.clone(), sha256: self.sha256.clone(), law })
    }

    /// The device `name` of that hash which a run's folder keeps.
    ///
    /// # Errors
    /// A damaged file, and a law without meaning in it.
    pub(super) fn kept(run: &Path, name: &str, sha256: &str) -> Result<Option<Self>> {
        let kept = read_job::<KeptDevice>(run, &kept_as(name))?.filter(|kept| kept.sha256 == sha256);
        kept.map(|KeptDevice { name, sha256, law }| {
            law.validate()?;
            Ok(Self { name, sha256, law: Arc::new(law) })
        })
        .transpose()
    }
}

/// A device in a run's folder.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptDevice {
    name: String,
    sha256: String,
    law: StepLaw,
}

fn kept_as(device: &str) -> String {
    format!("device.{}", file_name(device))
}

/// A set may be a file: its path is no file name.
pub(super) fn file_name(device: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    device.chars().map(plain).collect()
}

/// What to train, on what, from which seed.
#[derive(Clone)]
pub struct Job<'a> {
    /// The task.
    pub task: &'a dyn Task,
    /// The network.
    pub spec: NetSpec,
    /// The device of IP neurons.
    pub device: &'a JobDevice,
    /// The seed of initial weights, order, shifts and spikes.
    pub seed: u64,
    /// How it is trained.
    pub config: TrainConfig,
}

/// A name that is also a file name: `digits-in-time-20.ip.sensor.seed1`; what is not the default stands in it too.
pub fn job_id(task: &str, fold: Option<Fold>, spec: &NetSpec, device: &str, seed: u64) -> String {
    let NetSpec { backbone, width, memory, placement, firing } = *spec;
    let mut id = task.to_owned();
    if let Some(fold) = fold {
        id += &format!(".{fold}");
    }
    if backbone != Default::default() {
        id += &format!(".{backbone}");
    }
    if let Some(width) = width {
        id += &format!(".width{width}");
    }
    id += &format!(".{memory}.{placement}");
    if firing != Default::default() {
        id += &format!(".{firing}");
    }
    if device != "default" {
        id += &format!(".{}", file_name(device));
    }
    format!("{id}.seed{seed}")
}

/// What a finished job leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobResult {
    /// Hash of everything the result depends on.
    pub identity: String,
    /// Trained values.
    pub parameters: usize,
    /// Trained values of the memory alone.
    pub memory_parameters: u64,
    /// Values of digital state that the network carries from step to step.
    pub state_values: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// The epoch chosen on the validation part.
    pub chosen_epoch: usize,
    /// The task's score on the test part after the chosen epoch: accuracy, or explained variance.
    #[serde(alias = "accuracy")]
    pub score: f64,
    /// The same after the last epoch.
    #[serde(alias = "accuracy_last")]
    pub score_last: f64,
    /// Share of test samples whose direction of time is right, after the chosen epoch.
    pub direction: Option<f64>,
    /// The same after the last epoch.
    pub direction_last: Option<f64>,
    /// Predicted class of each test sample, after the chosen epoch; empty for a regression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<usize>,
    /// Estimated value of each test sample, after the chosen epoch; empty for a classification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub estimates: Vec<f64>,
    /// Further measures of the task on the test part after the chosen epoch, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, f64>,
    /// Metrics of every epoch.
    pub history: Vec<EpochRecord>,
}

impl JobResult {
    /// Samples of the test part.
    pub fn test_samples(&self) -> usize {
        self.predictions.len().max(self.estimates.len())
    }
}

impl Job<'_> {
    /// See [`job_id`].
    pub fn id(&self) -> String {
        job_id(self.task.name(), self.task.fold_of(), &self.spec, &self.device.name, self.seed)
    }

    /// Initial gain of IP neurons at the sensor, where the nominal one would drive the task's busy cells beyond the driver's
    /// range \[V / unit drive\].
    fn sensor_gain_v(&self) -> Result<Option<f64>> {
        if self.spec.memory != Memory::Ip || !self.spec.remembers_at(Placement::Sensor) {
            return Ok(None);
        }
        let law = &self.device.law;
        let gain_v = sensor_gain_v(law, busy_input(self.task)?);
        Ok((gain_v < INITIAL_GAIN * law.v_max_v).then_some(gain_v))
    }

    /// Everything the result depends on.
    fn about(&self) -> Result<About> {
        Ok(About {
            task: self.task.name().to_owned(),
            fold: self.task.fold_of().map(|fold| [fold.number, fold.of]),
            data_sha256: self.task.source().sha256,
            seed: self.seed,
            device: self.device.name.clone(),
            device_sha256: self.device.sha256.clone(),
            spec: self.spec,
            config: self.config,
            sensor_gain_v: self.sensor_gain_v()?,
        })
    }

    /// Hash of task, data, network, device, configuration and seed.
    pub(super) fn identity(&self) -> Result<String> {
        self.identity_of(&self.about()?)
    }

    /// The result that `run` has of it; one of other settings is refused.
    fn stored(&self, run: &RunDir) -> Result<Option<JobResult>> {
        let Some(result) = run.job_result::<JobResult>(&self.id())? else { return Ok(None) };
        let identity = self.identity()?;
        if result.identity == identity {
            return Ok(Some(result));
        }
        Err(Error::Checkpoint {
            expected: format!(
                "jobs/{}.toml of these settings, recordings and device (run {identity}); another --out begins a new run",
                self.id()
            ),
            found: format!("that of run {}", result.identity),
        })
    }

    fn identity_of(&self, about: &About) -> Result<String> {
        let text = serde_json::to_string(about).map_err(|error| Error::Encode {
            path: self.id().into(),
            format: "JSON",
            message: error.to_string(),
        })?;
        Ok(hash_bytes(text.as_bytes()))
    }

    fn run(
        &self,
        run: &RunDir,
        about: &About,
        identity: String,
        metrics: &Mutex<Metrics>,
        watched: (&StudyProgress, &Effort),
    ) -> Result<JobResult> {
        let (progress, effort) = watched;
        let id = self.id();
        let law = Some(&self.device.law);
        let (on, input, outputs) = (effort.backend.device()?, self.task.input(), self.task.outputs());
        let net = Network::on(&on, &self.spec, input, outputs, law, self.seed)?.read(self.task.readout());
        if let Some(gain_v) = about.sensor_gain_v {
            net.set_sensor_gain(gain_v)?;
        }
        let path = run.checkpoint_path(&id)?;
        let keep = Keep { path: &path, identity: &identity, about };
        let board = effort.tensorboard.as_deref().map(|dir| EventFile::create(dir, &id)).transpose()?;
        let bar = progress.job(&id, self.config.epochs);
        let mut watch = Watch { id: &id, metrics, board, bar };
        let outcome = train(self.task, &net, &self.config, self.seed, Some(&keep), &mut watch)?;
        watch.bar.ended();
        let (counts, test) = (net.op_counts()?, &self.task.splits().test);
        Ok(JobResult {
            identity,
            parameters: net.parameters().count(),
            memory_parameters: counts.total_of(Role::Memory, |layer| layer.parameters),
            state_values: counts.total(|layer| layer.state_values),
            macs: counts.total(|layer| layer.macs),
            chosen_epoch: outcome.chosen_epoch,
            score: self.task.score(&outcome.chosen.outputs, test),
            score_last: self.task.score(&outcome.last.outputs, test),
            direction: self.task.direction(&outcome.chosen.outputs, test),
            direction_last: self.task.direction(&outcome.last.outputs, test),
            predictions: self.task.predictions(&outcome.chosen.outputs),
            estimates: self.task.estimates(&outcome.chosen.outputs),
            measures: self.task.measures(&outcome.chosen.outputs, test),
            history: outcome.history,
        })
    }
}

/// Runs every job that `run` has no result of yet, some at a time, and gives all results in the order of `jobs`.
///
/// # Errors
/// The first error of any job; jobs that run beside it are finished and kept first.
pub fn run_jobs(
    run: &RunDir,
    jobs: &[Job<'_>],
    effort: &Effort,
    progress: &StudyProgress,
) -> Result<Vec<JobResult>> {
    let mut known = BTreeSet::new();
    if let Some(twice) = jobs.iter().map(Job::id).find(|id| !known.insert(id.clone())) {
        return Err(Error::Argument {
            what: "the networks".into(),
            expected: "each once".into(),
            found: format!("two called {twice}"),
        });
    }
    // What was made with other settings is refused before anything in the folder changes.
    let stored = jobs.iter().map(|job| job.stored(run)).collect::<Result<Vec<_>>>()?;
    for job in jobs {
        job.device.keep(run)?;
    }
    let metrics = Mutex::new(run.metrics()?);
    let results = in_parallel(effort.threads, jobs.len(), |index| match &stored[index] {
        Some(result) => {
            progress.skipped(&jobs[index].id(), jobs[index].config.epochs);
            Ok(result.clone())
        }
        None => finish(&jobs[index], run, &metrics, (progress, effort)),
    })?;
    lock(&metrics).arrange(&jobs.iter().map(Job::id).collect::<Vec<_>>())?;
    Ok(results)
}

/// `work(0)` to `work(count - 1)`, at most `threads` at a time, each on a rayon pool of one thread; results in order.
///
/// # Errors
/// The first error of any; work that runs beside it is finished first, and nothing is begun after it.
pub(super) fn in_parallel<T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<T>>> = Mutex::new((0..count).map(|_| None).collect());
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let serve = || {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .map_err(|error| Error::Threads { message: error.to_string() })?;
        while lock(&failure).is_none() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let result = pool.install(|| work(index))?;
            lock(&results)[index] = Some(result);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                if let Err(error) = serve() {
                    lock(&failure).get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = lock(&failure).take() {
        return Err(error);
    }
    let mut results = lock(&results);
    Ok(results.iter_mut().filter_map(Option::take).collect())
}

/// A new result of a job, stored.
fn finish(
    job: &Job<'_>,
    run: &RunDir,
    metrics: &Mutex<Metrics>,
    watched: (&StudyProgress, &Effort),
) -> Result<JobResult> {
    let progress = watched.0;
    let (id, about) = (job.id(), job.about()?);
    let identity = job.identity_of(&about)?;
    let result = job.run(run, &about, identity, metrics, watched)?;
    run.finish_job(&id, &result)?;
    progress.finished(&id, &result);
    Ok(result)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes a job's progress on to the metrics file and the bars.
struct Watch<'a> {
    id: &'a str,
    metrics: &'a Mutex<Metrics>,
    board: Option<EventFile>,
    bar: super::progress::JobBar,
}

impl Progress for Watch<'_> {
    fn resumed(&mut self, epochs: usize) -> Result<()> {
        self.bar.resumed(epochs);
        lock(self.metrics).rewind(self.id, epochs as u64 + 1)
    }

    fn updates(&mut self, done: usize, total: usize) {
        self.bar.updates(done, total);
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<()> {
        let values = [
            ("train_loss", record.train_loss),
            ("validation_loss", record.validation_loss),
            ("validation_score", record.validation_score),
        ];
        self.bar.epoch(record);
        lock(self.metrics).append(&MetricLine::new(self.id, "train", record.epoch as u64, values))?;
        match &mut self.board {
            Some(board) => board.scalars(record.epoch as u64, values),
            None => Ok(()),
        }
    }
}
