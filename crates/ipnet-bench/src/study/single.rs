//! One network on one task over several seeds: what `ipnet train` runs.

use super::{Effort, JobDevice, accuracy_table, grid, measures_table, open_run_on, rows, run_with_progress};
use crate::Result;
use crate::table::Table;
use crate::task::{DataFolder, TaskName};
use crate::train::TrainConfig;
use ipnet_zoo::NetSpec;
use std::path::PathBuf;

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
    pub device: JobDevice,
    /// Seeds 1 to this number.
    pub seeds: usize,
    /// How.
    pub config: TrainConfig,
    /// The run's folder.
    pub out: PathBuf,
    /// How jobs run.
    pub effort: Effort,
    /// The command line, for the manifest.
    pub command: String,
}

/// Trains, or goes on where the folder's run stopped, and gives the table of accuracies, or of a regression's measures.
///
/// # Errors
/// Any of the layers'.
pub fn train_networks(training: &Training) -> Result<Table> {
    training.config.validate()?;
    let seeds: Vec<u64> = (1..=training.seeds as u64).collect();
    let device = std::slice::from_ref(&training.device);
    let mut run = open_run_on(training.effort.backend, &training.out, &training.command, device, &seeds)?;
    let task = training.task.load(training.data.as_ref(), &run.path().join("recordings"))?;
    run.record_data(task.source())?;
    let jobs = grid([(task.as_ref(), training.config)], &training.networks, &training.device, &seeds);
    let results = run_with_progress(&run, &jobs, &training.effort)?;
    let rows = rows(&jobs, &results);
    let (name, table) = match task.classification() {
        Some(_) => ("accuracy", accuracy_table(&rows)?),
        None => ("measures", measures_table(&rows)?),
    };
    run.write_table(name, &table)?;
    run.finish()?;
    Ok(table)
}
