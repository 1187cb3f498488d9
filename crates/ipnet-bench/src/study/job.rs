//! One job: train a network on a task from a seed, test it, keep the result.

use super::StudyProgress;
use crate::run::{MetricLine, Metrics, RunDir, hash_bytes};
use crate::task::{Classification, Task};
use crate::train::{EpochRecord, Progress, TrainConfig, train};
use crate::{Error, Result};
use ipnet_device::StepLaw;
use ipnet_zoo::{NetSpec, Network, Role, TemporalNet};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What to train, on what, from which seed.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The task.
    pub task: &'a Classification,
    /// The network.
    pub spec: NetSpec,
    /// The seed of initial weights, order, shifts and spikes.
    pub seed: u64,
    /// How it is trained.
    pub config: TrainConfig,
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
    /// Test accuracy after the chosen epoch.
    pub accuracy: f64,
    /// Test accuracy after the last epoch.
    pub accuracy_last: f64,
    /// Share of test samples whose direction of time is right, after the chosen epoch.
    pub direction: Option<f64>,
    /// The same after the last epoch.
    pub direction_last: Option<f64>,
    /// Predicted class of each test sample, after the chosen epoch.
    pub predictions: Vec<usize>,
    /// Metrics of every epoch.
    pub history: Vec<EpochRecord>,
}

impl Job<'_> {
    /// A name that is also a file name: `digits-in-time.ip.sensor.seed1`.
    pub fn id(&self) -> String {
        let NetSpec { backbone, memory, placement, firing } = self.spec;
        let mut id = self.task.name().to_owned();
        if backbone != Default::default() {
            id += &format!(".{backbone}");
        }
        id += &format!(".{memory}.{placement}");
        if firing != Default::default() {
            id += &format!(".{firing}");
        }
        format!("{id}.seed{}", self.seed)
    }

    /// Hash of task, data, network, device, configuration and seed.
    fn identity(&self, device_hash: &str) -> Result<String> {
        #[derive(Serialize)]
        struct Identity<'a> {
            task: &'a str,
            data: String,
            spec: NetSpec,
            device: &'a str,
            config: TrainConfig,
            seed: u64,
        }
        let identity = Identity {
            task: self.task.name(),
            data: self.task.source().sha256,
            spec: self.spec,
            device: device_hash,
            config: self.config,
            seed: self.seed,
        };
        let text = serde_json::to_string(&identity).map_err(|error| Error::Encode {
            path: self.id().into(),
            format: "JSON",
            message: error.to_string(),
        })?;
        Ok(hash_bytes(text.as_bytes()))
    }

    fn run(
        &self,
        run: &RunDir,
        law: &Arc<StepLaw>,
        identity: String,
        metrics: &Mutex<Metrics>,
        progress: &StudyProgress,
    ) -> Result<JobResult> {
        let id = self.id();
        let net = Network::new(&self.spec, self.task.input(), self.task.outputs(), Some(law), self.seed)?;
        let checkpoint = run.checkpoint_path(&id)?;
        let mut watch = Watch { id: &id, metrics, bar: progress.job(&id, self.config.epochs), failed: None };
        let outcome =
            train(self.task, &net, &self.config, self.seed, Some((&checkpoint, &identity)), &mut watch)?;
        if let Some(error) = watch.failed {
            return Err(error);
        }
        let (counts, test) = (net.op_counts()?, &self.task.splits().test);
        Ok(JobResult {
            identity,
            parameters: net.parameters().count(),
            memory_parameters: counts.total_of(Role::Memory, |layer| layer.parameters),
            state_values: counts.total(|layer| layer.state_values),
            macs: counts.total(|layer| layer.macs),
            chosen_epoch: outcome.chosen_epoch,
            accuracy: self.task.score(&outcome.chosen.outputs, test),
            accuracy_last: self.task.score(&outcome.last.outputs, test),
            direction: self.task.direction_accuracy(&outcome.chosen.outputs, test),
            direction_last: self.task.direction_accuracy(&outcome.last.outputs, test),
            predictions: Classification::predictions(&outcome.chosen.outputs),
            history: outcome.history,
        })
    }
}

/// Runs every job that `run` has no result of yet, `threads` at a time, and gives all results in the order of `jobs`.
///
/// # Errors
/// The first error of any job; jobs that run beside it are finished and kept first.
pub fn run_jobs(
    run: &RunDir,
    jobs: &[Job<'_>],
    law: &Arc<StepLaw>,
    device_hash: &str,
    threads: usize,
    progress: &StudyProgress,
) -> Result<Vec<JobResult>> {
    let metrics = Mutex::new(run.metrics()?);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<JobResult>>> = Mutex::new(vec![None; jobs.len()]);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let work = || {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .map_err(|error| Error::Threads { message: error.to_string() })?;
        while lock(&failure).is_none() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            let result = pool.install(|| finish(job, run, law, device_hash, &metrics, progress))?;
            lock(&results)[index] = Some(result);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                if let Err(error) = work() {
                    lock(&failure).get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = lock(&failure).take() {
        return Err(error);
    }
    lock(&metrics).arrange(&jobs.iter().map(Job::id).collect::<Vec<_>>())?;
    let mut results = lock(&results);
    Ok(results.iter_mut().filter_map(Option::take).collect())
}

/// The stored result of a job, or a new one, stored.
fn finish(
    job: &Job<'_>,
    run: &RunDir,
    law: &Arc<StepLaw>,
    device_hash: &str,
    metrics: &Mutex<Metrics>,
    progress: &StudyProgress,
) -> Result<JobResult> {
    let (id, identity) = (job.id(), job.identity(device_hash)?);
    if let Some(result) = run.job_result::<JobResult>(&id)? {
        if result.identity != identity {
            return Err(Error::Checkpoint {
                expected: format!("jobs/{id}.toml: the result of run {identity}"),
                found: format!("that of run {}", result.identity),
            });
        }
        progress.skipped(&id, job.config.epochs);
        return Ok(result);
    }
    let result = job.run(run, law, identity, metrics, progress)?;
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
    bar: super::progress::JobBar,
    failed: Option<Error>,
}

impl Progress for Watch<'_> {
    fn resumed(&mut self, epochs: usize) {
        let rewound = lock(self.metrics).rewind(self.id, epochs as u64 + 1);
        self.failed = self.failed.take().or(rewound.err());
        self.bar.resumed(epochs);
    }

    fn updates(&mut self, done: usize, total: usize) {
        self.bar.updates(done, total);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let values = [
            ("train_loss", record.train_loss),
            ("validation_loss", record.validation_loss),
            ("validation_score", record.validation_score),
        ];
        let line = MetricLine::new(self.id, "train", record.epoch as u64, values);
        let appended = lock(self.metrics).append(&line);
        self.failed = self.failed.take().or(appended.err());
        self.bar.epoch(record);
    }
}
