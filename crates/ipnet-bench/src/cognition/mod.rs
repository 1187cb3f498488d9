//! Human working-memory tasks on the heat of the device: n-back, free recall, recall after a filled delay, interference.
//!
//! A simulated subject is an array of IP neurons ([`mod@array`]) and a way to use it ([`memory`], [`protocol`]). The device's
//! parameters are untouched. Three free numbers serve all tasks, one level (the poll amplitude) is set per human study on one point;
//! half of the human curves ([`human::Study::trained_on`]) is for fitting the three, the other half for testing.
//!
//! Design decision: one function, [`run`], gives everything a report shows - curves, agreement, marks, tables, figures -
//! and computes every verdict from the curves of that very run. Subjects are independent and each draws from streams with its
//! own name, so that no result depends on the number of threads.

pub mod array;
pub mod delayed;
mod figures;
pub mod fit;
pub mod human;
pub mod interference;
pub mod lstm;
mod marks;
pub mod memory;
pub mod nback;
pub mod protocol;
pub mod recall;
mod report;
mod section;
mod sensitivity;
pub mod stats;
pub mod study;
mod tables;
#[cfg(test)]
mod tests;

pub use marks::Mark;
pub use protocol::Protocol;
pub use report::{CognitionReport, Condition, Interference, KindMeans, Lures, StudyResult, TaskSummary};
pub use section::{claims, section};

use crate::Result;
use array::Forgetting;
use human::Study;
use interference::Side;
use ipnet_device::{DeviceSet, StepLaw};
use stats::{Mean, means};
use study::Cohort;

/// A task of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// n-back in columns.
    NBack,
    /// Free recall, and recall after a filled delay.
    Recall,
    /// Proactive and retroactive interference.
    Interference,
}

/// What to simulate.
#[derive(Debug, Clone)]
pub struct CognitionConfig {
    /// The device.
    pub device: DeviceSet,
    /// The three free numbers.
    pub protocol: Protocol,
    /// Subjects per study.
    pub subjects: usize,
    /// Lists, or trials per condition, of a subject.
    pub trials: usize,
    /// The run's seed.
    pub seed: u64,
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Subjects for each row of the sensitivity table; 0 leaves it out.
    pub sensitivity_subjects: usize,
    /// Updates in the training of the LSTM control; 0 leaves it out.
    pub lstm_updates: usize,
}

impl CognitionConfig {
    /// 200 subjects, all tasks, all controls.
    pub fn new(device: DeviceSet) -> Self {
        Self {
            device,
            protocol: Protocol::fitted(),
            subjects: 200,
            trials: 4,
            seed: 1,
            tasks: vec![Task::NBack, Task::Recall, Task::Interference],
            sensitivity_subjects: 16,
            lstm_updates: 2000,
        }
    }
}

/// What a task needs to run one subject.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The device at the study's poll amplitude.
    pub tables: &'a array::Tables,
    /// The three free numbers.
    pub protocol: &'a Protocol,
    /// Whether the subject rehearses.
    pub rehearse: bool,
    /// Lists, or trials per condition.
    pub trials: usize,
    /// The run's seed.
    pub seed: u64,
}

/// Runs the tasks of `config` with every control.
///
/// # Errors
/// A device set that cannot be reduced to a step law, or a figure that cannot be drawn.
pub fn run(config: &CognitionConfig) -> Result<CognitionReport> {
    let law = config.device.reduce()?.law;
    let cohort = Cohort {
        law: &law,
        protocol: &config.protocol,
        forgetting: Forgetting::Heat,
        rehearse: true,
        subjects: config.subjects,
        trials: config.trials,
        seed: config.seed,
    };
    let asks = |task| config.tasks.contains(&task);
    let mut report = CognitionReport::empty(config, law.dt_s);
    let lstm = match config.lstm_updates {
        updates if updates > 0 && asks(Task::NBack) => {
            lstm::train_and_test(config.seed, updates, config.subjects)?
        }
        _ => Vec::new(),
    };
    for study in Study::ALL.into_iter().filter(|study| asks(study.task())) {
        let mut result = run_study(&cohort, study);
        if study.task() == Task::NBack && !lstm.is_empty() {
            let rows: Vec<Vec<f64>> =
                lstm.iter().map(|s| s.iter().map(nback::Score::accuracy).collect()).collect();
            result.controls.push(Condition::new("lstm", None, means(&rows), study));
        }
        report.studies.push(result);
    }
    if asks(Task::NBack) {
        let level_v = report.level_v(Study::NBackSession1);
        let scores = |rehearse| Cohort { rehearse, ..cohort }.each(level_v, nback::subject);
        report.lures.push(Lures { condition: "model", rows: kinds(&scores(true)) });
        report.lures.push(Lures { condition: report::NO_REHEARSAL, rows: kinds(&scores(false)) });
        if !lstm.is_empty() {
            report.lures.push(Lures { condition: "lstm", rows: kinds(&lstm) });
        }
    }
    if asks(Task::Recall) {
        report.set_order(&recall_order(&cohort, report.level_v(Study::Peers16)));
    }
    if asks(Task::Interference) {
        interference_grids(&cohort, &mut report);
    }
    if config.sensitivity_subjects > 0 {
        report.sensitivity = sensitivity::table(config, &report)?;
    }
    report.marks = marks::judge(&report);
    report.finish()
}

fn recall_order(cohort: &Cohort<'_>, level_v: f64) -> Vec<recall::Score> {
    match Study::Peers16.list() {
        Some(list) => cohort.each(level_v, |s, i| recall::subject(s, list, i)),
        None => Vec::new(),
    }
}

/// The controls that keep everything but the forgetting.
fn stores(law: &StepLaw) -> [(&'static str, Forgetting); 2] {
    let slowest = law.poles.iter().map(|pole| pole.decay).fold(0.0, f64::max);
    // As many slots as give the straight line the mean lifetime of the slowest pole.
    let linear = Forgetting::Linear { slots: 2.0 / (1.0 - slowest) };
    [("ideal", Forgetting::Never), ("linear", linear)]
}

/// A study at its level, at the same level without rehearsal, and on the controls, each at a level of its own.
fn run_study(cohort: &Cohort<'_>, study: Study) -> StudyResult {
    run_at(cohort, study, cohort.level_v(study))
}

/// As [`run_study`], at a level of `level_v` \[V\].
fn run_at(cohort: &Cohort<'_>, study: Study, level_v: f64) -> StudyResult {
    let on = |name, cohort: &Cohort<'_>, level_v: f64| {
        Condition::new(name, Some(level_v), means(&cohort.curves(study, level_v)), study)
    };
    let mut controls = vec![on(report::NO_REHEARSAL, &Cohort { rehearse: false, ..*cohort }, level_v)];
    for (name, forgetting) in stores(cohort.law) {
        let cohort = Cohort { forgetting, ..*cohort };
        controls.push(on(name, &cohort, cohort.level_v(study)));
    }
    StudyResult {
        study,
        task: study.task_name(),
        held_out: !study.trained_on(),
        level_x: study.x()[study.level_point()],
        x: study.x(),
        model: on("model", cohort, level_v),
        controls,
        human: study.human(),
    }
}

/// No human curve of its own: the level is that of the young adults' recall after a delay.
fn interference_grids(cohort: &Cohort<'_>, report: &mut CognitionReport) {
    let study = Study::DelayedYoung;
    let result = report.study(study);
    let level_v = result.and_then(|s| s.model.level_v).unwrap_or_else(|| cohort.level_v(study));
    let mut conditions =
        vec![("model", *cohort), (report::NO_REHEARSAL, Cohort { rehearse: false, ..*cohort })];
    conditions.extend(stores(cohort.law).map(|(name, forgetting)| (name, Cohort { forgetting, ..*cohort })));
    for (condition, cohort) in conditions {
        for side in [Side::Proactive, Side::Retroactive] {
            let rows: Vec<Vec<f64>> = cohort.each(level_v, |s, i| interference::subject(s, side, i).concat());
            report.interference.push(Interference { side, condition, cells: grid(&means(&rows)) });
        }
    }
}

fn grid(cells: &[Mean]) -> Vec<Vec<Mean>> {
    cells.chunks(interference::LISTS.len()).map(<[Mean]>::to_vec).collect()
}

/// Share of right answers by n and kind of stimulus, over the subjects that saw one.
fn kinds(scores: &[Vec<nback::Score>]) -> Vec<KindMeans> {
    use nback::Kind;
    (0..nback::LEVELS.len())
        .map(|level| {
            let of = |kind| {
                let shares: Vec<f64> =
                    scores.iter().filter_map(|subject| subject[level].right_share(kind)).collect();
                (!shares.is_empty()).then(|| stats::mean(&shares))
            };
            KindMeans {
                n: nback::LEVELS[level],
                hits: of(Kind::Match),
                plain: of(Kind::Plain),
                lure_before: of(Kind::LureBefore),
                lure_after: of(Kind::LureAfter),
            }
        })
        .collect()
}
