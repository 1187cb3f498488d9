//! What every command that trains shares: opening the run, the grid of jobs, running them.

use super::{Job, JobDevice, JobResult, StudyProgress, run_jobs};
use crate::run::{DeviceSet as DeviceEntry, Manifest, RunDir, hash_bytes};
use crate::task::Task;
use crate::train::TrainConfig;
use crate::{Backend, Result};
use ipnet_zoo::NetSpec;
use std::path::{Path, PathBuf};

/// How jobs run; nothing here changes a result but the backend, which rounds in its own way.
#[derive(Debug, Clone, Default)]
pub struct Effort {
    /// Jobs side by side.
    pub threads: usize,
    /// What computes their networks.
    pub backend: Backend,
    /// Folder for TensorBoard's event files.
    pub tensorboard: Option<PathBuf>,
}

/// Creates the folder of a run on the CPU, or goes on in it.
///
/// # Errors
/// As [`RunDir::create_or_resume`].
pub fn open_run(out: &Path, command: &str, devices: &[JobDevice], seeds: &[u64]) -> Result<RunDir> {
    open_run_on(Backend::Cpu, out, command, devices, seeds)
}

/// As [`open_run`], of a run on `backend`.
///
/// # Errors
/// As [`open_run`], and a backend that is not there.
pub fn open_run_on(
    backend: Backend,
    out: &Path,
    command: &str,
    devices: &[JobDevice],
    seeds: &[u64],
) -> Result<RunDir> {
    RunDir::create_or_resume(out, manifest_of(backend, command, devices, seeds)?)
}

/// As [`open_run_on`], for a grid that may have grown since the folder was made.
///
/// # Errors
/// As [`RunDir::create_or_grow`].
pub(super) fn open_growing_run(
    backend: Backend,
    out: &Path,
    command: &str,
    devices: &[JobDevice],
    seeds: &[u64],
) -> Result<RunDir> {
    RunDir::create_or_grow(out, manifest_of(backend, command, devices, seeds)?)
}

fn manifest_of(backend: Backend, command: &str, devices: &[JobDevice], seeds: &[u64]) -> Result<Manifest> {
    // A backend that is not there is said before anything is read or written.
    backend.device()?;
    let join = |value: fn(&JobDevice) -> &str| devices.iter().map(value).collect::<Vec<_>>().join(",");
    let hashes = join(|device| &device.sha256);
    let device = DeviceEntry {
        name: join(|device| &device.name),
        sha256: if devices.len() == 1 { hashes } else { hash_bytes(hashes.as_bytes()) },
    };
    Ok(Manifest { backend, ..Manifest::new(command, device, seeds.to_vec()) })
}

/// Every network on every task from every seed: tasks outermost, seeds innermost.
pub fn grid<'a>(
    tasks: impl IntoIterator<Item = (&'a dyn Task, TrainConfig)>,
    specs: &[NetSpec],
    device: &'a JobDevice,
    seeds: &[u64],
) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for (task, config) in tasks {
        for &spec in specs {
            jobs.extend(seeds.iter().map(|&seed| Job { task, spec, device, seed, config }));
        }
    }
    jobs
}

/// Runs what is not done yet, with bars on stderr.
///
/// # Errors
/// As [`run_jobs`].
pub fn run_with_progress(run: &RunDir, jobs: &[Job<'_>], effort: &Effort) -> Result<Vec<JobResult>> {
    let progress = StudyProgress::new(jobs.len(), jobs.iter().map(|job| job.config.epochs).sum());
    run_jobs(run, jobs, effort, &progress)
}
