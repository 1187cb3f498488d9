//! The main job: from recordings to a report that says what holds here.
//!
//! ```text
//! generator -> AEDAT 3.1 + labels -> DvsGesture loader -> frames --+
//! N-MNIST folder (real)            -> NMnist loader     -> frames --+-> the same networks, seeds and training
//!                                                                       -> tables, figures, report.html
//! ```
//! Design decision: synthetic recordings are written in the official layout and read back by the loader of the official
//! data, so that the path a user's own data takes is the path that is run here.

mod heat;
mod report;

use crate::run::{DeviceSet as DeviceEntry, Manifest, RunDir};
use crate::study::{Job, StudyProgress, accuracy_table, rows, run_jobs};
use crate::table::Table;
use crate::task::{Classification, DataFolder, ENVIRONMENT, TaskName, dvs_gesture_clips};
use crate::train::TrainConfig;
use crate::{Error, Result};
use ipnet_device::DeviceSet;
use ipnet_zoo::{Memory, NetSpec, Placement};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// At most 15 minutes on two cores.
    Quick,
}

impl Tier {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
        }
    }
}

/// What to reproduce, with what, where to.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How much.
    pub tier: Tier,
    /// Real recordings, where there are any.
    pub data: Option<DataFolder>,
    /// The device of the IP neurons.
    pub device: DeviceSet,
    /// Seeds 1 to this number.
    pub seeds: usize,
    /// The run's folder.
    pub out: PathBuf,
    /// Jobs that run side by side.
    pub threads: usize,
    /// The command line, for the manifest and the report.
    pub command: String,
}

/// What a finished run says on the terminal.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The table `accuracy`.
    pub accuracy: Table,
    /// The report.
    pub report: PathBuf,
    /// Remarks that belong beside the table.
    pub remarks: Vec<String>,
}

/// The networks of the quick comparison.
const NETWORKS: [(Memory, Placement); 4] = [
    (Memory::None, Placement::None),
    (Memory::Lstm, Placement::Head),
    (Memory::Ip, Placement::Head),
    (Memory::Ip, Placement::Sensor),
];

/// Training of the quick tier, the same for every network. Chosen on validation parts.
pub fn train_config(epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch: 32,
        learning_rate: 3e-3,
        weight_decay: 1e-2,
        clip_norm: 1.0,
        label_smoothing: 0.0,
        max_shift_px: 2,
    }
}

/// A task and the epochs its networks are trained for.
struct Entry {
    task: Classification,
    epochs: usize,
}

/// Runs `plan`, or goes on with it in its folder.
///
/// # Errors
/// Any of the layers'; what was finished is kept and a second call goes on from there.
pub fn reproduce(plan: &Plan) -> Result<Summary> {
    if plan.seeds == 0 {
        return Err(Error::Argument {
            what: "--seeds".into(),
            expected: "at least 1".into(),
            found: "0".into(),
        });
    }
    let reduction = plan.device.reduce()?;
    let law = Arc::new(reduction.law);
    let seeds: Vec<u64> = (1..=plan.seeds as u64).collect();
    let device = DeviceEntry { name: plan.device.name.clone(), sha256: plan.device.hash() };
    let mut run = RunDir::create_or_resume(
        &plan.out,
        Manifest::new(&*plan.command, device, Vec::new(), seeds.clone()),
    )?;
    let mut remarks = Vec::new();

    let recordings = run.path().join("recordings");
    let mut entries = vec![Entry { task: TaskName::Gestures11.load(None, &recordings)?, epochs: 20 }];
    let mut clips = None;
    match &plan.data {
        Some(folder) => {
            if folder.nmnist.is_some() {
                let task = TaskName::DigitsInTime20.load(Some(folder), &recordings)?;
                entries.push(Entry { task, epochs: 12 });
            }
            if let Some(gestures) = &folder.dvs_gesture {
                let table = dvs_gesture_clips(gestures)?;
                run.write_table("dvs_gesture_clips", &table)?;
                clips = Some(table);
            }
        }
        None => remarks
            .push(format!("no real recordings were run: neither --data nor {ENVIRONMENT} names a folder")),
    }
    for entry in &entries {
        run.record_data(entry.task.source())?;
    }
    let mut jobs = Vec::new();
    for entry in &entries {
        for (memory, placement) in NETWORKS {
            for &seed in &seeds {
                let config = train_config(entry.epochs);
                jobs.push(Job { task: &entry.task, spec: NetSpec::plain(memory, placement), seed, config });
            }
        }
    }
    let progress = StudyProgress::new(jobs.iter().map(|job| job.config.epochs).sum());
    let results = run_jobs(&run, &jobs, &law, &plan.device.hash(), plan.threads, &progress)?;
    drop(progress);

    let rows = rows(&jobs, &results);
    let accuracy = accuracy_table(&rows)?;
    run.write_table("accuracy", &accuracy)?;
    let tasks: Vec<&Classification> = entries.iter().map(|entry| &entry.task).collect();
    let html = report::build(&run, plan, &law, &tasks, &rows, &accuracy, clips.as_ref())?;
    let report = run.write_report(&html)?;
    run.finish()?;
    Ok(Summary { accuracy, report, remarks })
}

/// A run folder under `results/` named after tier, device and seeds, so that the same command finds its own run again.
pub fn default_out(results: &Path, tier: Tier, device: &DeviceSet, seeds: usize) -> PathBuf {
    results.join(format!("reproduce-{}-{}-{seeds}seeds", tier.name(), device.name))
}
