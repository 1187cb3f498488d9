//! The main job: from recordings to a report that says what holds here.
//!
//! ```text
//! generator -> AEDAT 3.1 + labels -> DvsGesture loader -> frames --+
//! N-MNIST folder (real)            -> NMnist loader     -> frames --+-> the same networks, seeds and training
//!                                                                       -> tables, figures, report.html
//! ```
//! Design decision: synthetic recordings are written in the official layout and read back by the loader of the official
//! data, so that the path a user's own data takes is the path that is run here.

mod announce;
mod heat;
mod plan;
mod real_clips;
mod report;

pub use plan::Tier;

use crate::cognition::{self, CognitionConfig};
use crate::notice::notice;
use crate::study::{
    Condition, Effort, Job, JobDevice, JobResult, accuracy_table, conditions_table, measures_table,
    open_run_on, rows, run_with_progress, test_conditions,
};
use crate::table::Table;
use crate::task::{DataFolder, ENVIRONMENT, Shelf, dvs_gesture_clips};
use crate::{Backend, Error, Result};
use ipnet_device::DeviceSet;
use plan::{Comparison, Question};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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
    /// What computes the networks.
    pub backend: Backend,
    /// Train nothing: report on the jobs that are finished.
    pub so_far: bool,
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

/// Runs `plan`, or goes on with it in its folder.
///
/// # Errors
/// Any of the layers'; what was finished is kept and a second call goes on from there.
pub fn reproduce(plan: &Plan) -> Result<Summary> {
    if plan.so_far && !plan.out.join("manifest.json").exists() {
        return Err(Error::Argument {
            what: plan.out.display().to_string(),
            expected: "the folder of a run, to report on what it has so far".into(),
            found: "no manifest.json there".into(),
        });
    }
    let device = JobDevice::new(&plan.device.name, &plan.device)?;
    let seeds: Vec<u64> = (1..=plan.seeds as u64).collect();
    let comparisons = plan::comparisons(plan.tier, plan.data.as_ref(), &plan.device)?;
    let own = std::slice::from_ref(&device);
    let mut run = open_run_on(plan.backend, &plan.out, &plan.command, own, &seeds)?;
    let mut remarks: Vec<String> = comparisons.iter().flat_map(|one| one.left_out.clone()).collect();

    // Real recordings first: what is wrong with them is said before anything is computed.
    let mut clips = None;
    match &plan.data {
        Some(folder) => {
            if let Some(gestures) = &folder.dvs_gesture {
                let table = dvs_gesture_clips(gestures)?;
                run.write_table("dvs_gesture_clips", &table)?;
                clips = Some(table);
            }
        }
        None => remarks
            .push(format!("no real recordings were run: neither --data nor {ENVIRONMENT} names a folder")),
    }
    let mut shelf = Shelf::new(plan.data.as_ref(), run.path().join("recordings"));
    let (real, made): (Vec<_>, Vec<_>) =
        comparisons.iter().map(|one| one.task).partition(|task| task.needs_recordings());
    for task in real.into_iter().chain(made) {
        shelf.load(task, None)?;
    }
    for task in shelf.tasks() {
        run.record_data(task.source())?;
    }
    let effort = Effort { threads: plan.threads, backend: plan.backend, tensorboard: None };
    let planned = jobs(&comparisons, &shelf, &seeds)?;
    let all = distinct(planned.iter().map(|(_, job)| job));
    let mut finished: BTreeMap<String, JobResult> = BTreeMap::new();
    if plan.so_far {
        for job in &all {
            finished.extend(run.job_result(&job.id())?.map(|result| (job.id(), result)));
        }
        if finished.is_empty() {
            return Err(Error::Argument {
                what: plan.out.display().to_string(),
                expected: "a run of which a network is finished".into(),
                found: format!("none of {}", all.len()),
            });
        }
    } else {
        notice(announce::words(&all, plan.threads, plan.backend)?);
        let results = run_with_progress(&run, &all, &effort)?;
        finished.extend(all.iter().map(Job::id).zip(results));
    }
    let unfinished = finished.len() < all.len();
    if unfinished {
        remarks.push(format!(
            "unfinished: the report is made of {} of {} networks",
            finished.len(),
            all.len()
        ));
    }
    let done = |question: Question| {
        let about = planned.iter().filter(|(asked, _)| *asked == question).map(|(_, job)| job);
        distinct(about).into_iter().filter(|job| finished.contains_key(&job.id())).collect::<Vec<_>>()
    };
    let rows_of = |jobs: &[Job<'_>]| {
        let results: Vec<JobResult> =
            jobs.iter().filter_map(|job| finished.get(&job.id()).cloned()).collect();
        rows(jobs, &results)
    };
    let memories = done(Question::Memories);
    let rows = rows_of(&memories);
    let accuracy = accuracy_table(&rows)?;
    run.write_table("accuracy", &accuracy)?;
    let measures = measures_table(&rows)?;
    if !measures.rows().is_empty() {
        run.write_table("measures", &measures)?;
    }
    let real_clips = real_clips::told(&run, &memories, plan.data.as_ref())?;
    let under = match plan.tier {
        Tier::Quick => Vec::new(),
        Tier::Standard | Tier::Full => test_conditions(&run, &memories, &Condition::all(), &effort)?,
    };
    if !under.is_empty() {
        run.write_table("conditions", &conditions_table(&under)?)?;
    }
    let cognition = cognition::run(&CognitionConfig::quick(plan.device.clone()))?;
    for (name, table) in &cognition.tables {
        run.write_table(name, table)?;
    }
    for (name, svg) in &cognition.figures {
        run.write_figure(name, svg)?;
    }
    let tasks: Vec<_> = shelf.tasks().collect();
    let found = report::Found {
        tasks: &tasks,
        rows: &rows,
        devices: &rows_of(&done(Question::Devices)),
        slots: &rows_of(&done(Question::Slots)),
        conditions: &under,
        accuracy: &accuracy,
        measures: &measures,
        clips: clips.as_ref(),
        real_clips: real_clips.as_ref(),
        cognition: &cognition,
        remarks: &remarks,
    };
    let html = report::build(&run, plan, &device.law, &found)?;
    let report = run.write_report(&html)?;
    if !unfinished {
        run.finish()?;
    }
    Ok(Summary { accuracy, report, remarks })
}

/// Every job of every comparison in the order of the work: seeds vary slowest within a comparison.
fn jobs<'a>(
    comparisons: &'a [Comparison],
    shelf: &'a Shelf<'_>,
    seeds: &[u64],
) -> Result<Vec<(Question, Job<'a>)>> {
    let mut jobs = Vec::new();
    for comparison in comparisons {
        let (task, config) = (shelf.get(comparison.task, None)?, comparison.task.training());
        for &seed in seeds {
            for &spec in &comparison.networks {
                let job = |device| (comparison.question, Job { task, spec, device, seed, config });
                jobs.extend(comparison.devices.iter().map(job));
            }
        }
    }
    Ok(jobs)
}

/// The jobs, each once: two comparisons may share some.
fn distinct<'a, 'b: 'a>(jobs: impl Iterator<Item = &'a Job<'b>>) -> Vec<Job<'b>> {
    let mut known = BTreeSet::new();
    jobs.filter(|job| known.insert(job.id())).cloned().collect()
}

/// A run folder under `results/` named after tier, device, seeds and backend, so that the same command finds its own run again.
pub fn default_out(
    results: &Path,
    tier: Tier,
    device: &DeviceSet,
    seeds: usize,
    backend: Backend,
) -> PathBuf {
    let name = format!("reproduce-{}-{}-{seeds}seeds", tier.name(), device.name);
    results.join(backend.behind(&name, "-"))
}
