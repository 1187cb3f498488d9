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

use crate::Result;
use crate::cognition::{self, CognitionConfig};
use crate::study::{Effort, JobDevice, accuracy_table, grid, open_run, rows, run_with_progress};
use crate::table::Table;
use crate::task::{Classification, DataFolder, ENVIRONMENT, Task, TaskName, dvs_gesture_clips};
use crate::train::TrainConfig;
use ipnet_device::DeviceSet;
use ipnet_zoo::{Memory, NetSpec, Placement};
use std::path::{Path, PathBuf};

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
    (Memory::Ip, Placement::Stage3),
    (Memory::Ip, Placement::Sensor),
];

/// A task and how its networks are trained.
struct Entry {
    task: Box<dyn Task>,
    config: TrainConfig,
}

impl Entry {
    fn load(name: TaskName, data: Option<&DataFolder>, recordings: &Path) -> Result<Self> {
        Ok(Self { task: name.load(data, recordings)?, config: name.training() })
    }
}

/// Runs `plan`, or goes on with it in its folder.
///
/// # Errors
/// Any of the layers'; what was finished is kept and a second call goes on from there.
pub fn reproduce(plan: &Plan) -> Result<Summary> {
    let device = JobDevice::new(&plan.device.name, &plan.device)?;
    let seeds: Vec<u64> = (1..=plan.seeds as u64).collect();
    let mut run = open_run(&plan.out, &plan.command, std::slice::from_ref(&device), &seeds)?;
    let mut remarks = Vec::new();

    // Real recordings first: what is wrong with them is said before anything is computed.
    let recordings = run.path().join("recordings");
    let mut real = Vec::new();
    let mut clips = None;
    match &plan.data {
        Some(folder) => {
            if let Some(gestures) = &folder.dvs_gesture {
                let table = dvs_gesture_clips(gestures)?;
                run.write_table("dvs_gesture_clips", &table)?;
                clips = Some(table);
            }
            if folder.nmnist.is_some() {
                real.push(Entry::load(TaskName::DigitsInTime20, Some(folder), &recordings)?);
            }
        }
        None => remarks
            .push(format!("no real recordings were run: neither --data nor {ENVIRONMENT} names a folder")),
    }
    let mut entries = vec![Entry::load(TaskName::Gestures11, None, &recordings)?];
    entries.extend(real);
    for entry in &entries {
        run.record_data(entry.task.source())?;
    }
    let specs = NETWORKS.map(|(memory, placement)| NetSpec::plain(memory, placement));
    let tasks = entries.iter().map(|entry| (entry.task.as_ref(), entry.config));
    let jobs = grid(tasks, &specs, &device, &seeds);
    let results = run_with_progress(&run, &jobs, &Effort { threads: plan.threads, ..Effort::default() })?;

    let rows = rows(&jobs, &results);
    let accuracy = accuracy_table(&rows)?;
    run.write_table("accuracy", &accuracy)?;
    let tasks: Vec<&Classification> =
        entries.iter().filter_map(|entry| entry.task.classification()).collect();
    let cognition = cognition::run(&CognitionConfig::quick(plan.device.clone()))?;
    for (name, table) in &cognition.tables {
        run.write_table(name, table)?;
    }
    for (name, svg) in &cognition.figures {
        run.write_figure(name, svg)?;
    }
    let found = report::Found {
        tasks: &tasks,
        rows: &rows,
        accuracy: &accuracy,
        clips: clips.as_ref(),
        cognition: &cognition,
    };
    let html = report::build(&run, plan, &device.law, &found)?;
    let report = run.write_report(&html)?;
    run.finish()?;
    Ok(Summary { accuracy, report, remarks })
}

/// A run folder under `results/` named after tier, device and seeds, so that the same command finds its own run again.
pub fn default_out(results: &Path, tier: Tier, device: &DeviceSet, seeds: usize) -> PathBuf {
    results.join(format!("reproduce-{}-{}-{seeds}seeds", tier.name(), device.name))
}
