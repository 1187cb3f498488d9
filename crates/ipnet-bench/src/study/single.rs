//! One network on one task over several seeds: what `ipnet train` runs.

use super::{Job, StudyProgress, accuracy_table, rows, run_jobs};
use crate::Result;
use crate::run::{DeviceSet as DeviceEntry, Manifest, RunDir};
use crate::table::Table;
use crate::task::{Classification, DataFolder, TaskName};
use crate::train::TrainConfig;
use ipnet_device::DeviceSet;
use ipnet_zoo::NetSpec;
use std::path::PathBuf;
use std::sync::Arc;

/// What to train and where to keep it.
#[derive(Debug, Clone)]
pub struct Training {
    /// The task.
    pub task: TaskName,
    /// Real recordings, where there are any.
    pub data: Option<DataFolder>,
    /// The networks, compared in one table.
    pub networks: Vec<NetSpec>,
    /// The device of IP neurons.
    pub device: DeviceSet,
    /// Seeds 1 to this number.
    pub seeds: usize,
    /// How.
    pub config: TrainConfig,
    /// The run's folder.
    pub out: PathBuf,
    /// Jobs side by side.
    pub threads: usize,
    /// The command line, for the manifest.
    pub command: String,
}

/// Trains, or goes on where the folder's run stopped, and gives the accuracy table.
///
/// # Errors
/// Any of the layers'.
pub fn train_networks(training: &Training) -> Result<Table> {
    let law = Arc::new(training.device.reduce()?.law);
    let seeds: Vec<u64> = (1..=training.seeds as u64).collect();
    let device_hash = training.device.hash();
    let device = DeviceEntry { name: training.device.name.clone(), sha256: device_hash.clone() };
    let manifest = Manifest::new(&*training.command, device, Vec::new(), seeds.clone());
    let mut run = RunDir::create_or_resume(&training.out, manifest)?;
    let task = training.task.load(training.data.as_ref(), &run.path().join("recordings"))?;
    run.record_data(Classification::source(&task))?;
    let mut jobs = Vec::new();
    for &spec in &training.networks {
        for &seed in &seeds {
            jobs.push(Job { task: &task, spec, seed, config: training.config });
        }
    }
    let progress = StudyProgress::new(jobs.len() * training.config.epochs);
    let results = run_jobs(&run, &jobs, &law, &device_hash, training.threads, &progress)?;
    drop(progress);
    let table = accuracy_table(&rows(&jobs, &results))?;
    run.write_table("accuracy", &table)?;
    run.finish()?;
    Ok(table)
}
