//! What a run found.

use super::human::Study;
use super::interference::Side;
use super::recall::{LAGS, Score};
use super::stats::{Agreement, Mean, agreement, means};
use super::{CognitionConfig, Mark, Protocol, figures, tables};
use crate::Result;
use crate::table::Table;
use serde::Serialize;

/// A store on a study: its curve and how it agrees with people.
#[derive(Debug, Clone, Serialize)]
pub struct Condition {
    /// `model`, `no rehearsal`, `ideal`, `linear` or `lstm`.
    pub name: &'static str,
    /// Poll amplitude \[V\], set on the study's level point; that of the model where there is no rehearsal, none for the LSTM.
    pub level_v: Option<f64>,
    /// Mean over subjects and its 95 % interval at each x.
    pub curve: Vec<Mean>,
    /// Agreement with the human curve; on a held-out curve without the point the level was set on.
    pub agreement: Agreement,
}

impl Condition {
    pub(super) fn new(name: &'static str, level_v: Option<f64>, curve: Vec<Mean>, study: Study) -> Self {
        let left_out = (!study.trained_on()).then(|| study.level_point());
        let pairs = curve.iter().map(|m| m.mean).zip(study.human()).enumerate();
        let (model, human): (Vec<f64>, Vec<f64>) =
            pairs.filter(|(point, _)| Some(*point) != left_out).map(|(_, pair)| pair).unzip();
        Self { name, level_v, curve, agreement: agreement(&model, &human) }
    }
}

/// Name of the condition without rehearsal.
pub(super) const NO_REHEARSAL: &str = "no rehearsal";

/// One human study and the model on it.
#[derive(Debug, Clone, Serialize)]
pub struct StudyResult {
    /// The study.
    pub study: Study,
    /// Its task: `nback`, `free_recall` or `delayed_recall`.
    pub task: &'static str,
    /// True where nothing but the level was set on it.
    pub held_out: bool,
    /// The x of the point on which the level was set.
    pub level_x: f64,
    /// n, serial position, or delay \[s\].
    pub x: Vec<f64>,
    /// The human curve.
    pub human: Vec<f64>,
    /// The model with rehearsal.
    pub model: Condition,
    /// The model without rehearsal, then the stores that are not heat.
    pub controls: Vec<Condition>,
}

impl StudyResult {
    /// The curve of the model without rehearsal.
    pub fn without(&self) -> &[Mean] {
        self.controls.iter().find(|c| c.name == NO_REHEARSAL).map_or(&[], |c| &c.curve)
    }
}

/// Interference of one store: `cells[similarity][lists]`.
#[derive(Debug, Clone, Serialize)]
pub struct Interference {
    /// Which side of the targets the lists are on.
    pub side: Side,
    /// The store, as in [`Condition::name`].
    pub condition: &'static str,
    /// Share of right choices.
    pub cells: Vec<Vec<Mean>>,
}

/// Share of right answers in the n-back by kind of stimulus; `None` where the kind does not exist.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct KindMeans {
    /// n.
    pub n: usize,
    /// Matches found.
    pub hits: Option<Mean>,
    /// Plain digits rejected.
    pub plain: Option<Mean>,
    /// Digits of n-1 back rejected.
    pub lure_before: Option<Mean>,
    /// Digits of n+1 back rejected.
    pub lure_after: Option<Mean>,
}

/// One store in the n-back by kind of stimulus.
#[derive(Debug, Clone, Serialize)]
pub struct Lures {
    /// The store, as in [`Condition::name`].
    pub condition: &'static str,
    /// One row per n.
    pub rows: Vec<KindMeans>,
}

/// One line per task: training and held-out agreement, marks passed.
#[derive(Debug, Clone, Serialize)]
pub struct TaskSummary {
    /// The task.
    pub task: &'static str,
    /// Pearson's r on the training curve.
    pub r: Option<f64>,
    /// RMSE on the training curve.
    pub rmse: Option<f64>,
    /// Pearson's r on the held-out curve.
    pub held_out_r: Option<f64>,
    /// RMSE on the held-out curve.
    pub held_out_rmse: Option<f64>,
    /// The task's marks.
    pub marks: Vec<Mark>,
}

/// Everything a run found.
#[derive(Debug, Clone, Serialize)]
pub struct CognitionReport {
    /// Name of the device set.
    pub device: String,
    /// Length of a slot on the device \[s\].
    pub slot_s: f64,
    /// Human seconds that one slot stands for.
    pub human_s_per_slot: f64,
    /// The three free numbers.
    pub protocol: Protocol,
    /// Subjects per study.
    pub subjects: usize,
    /// Lists, or trials per condition, of a subject.
    pub trials: usize,
    /// The run's seed.
    pub seed: u64,
    /// The tasks in one line each.
    pub summary: Vec<TaskSummary>,
    /// The studies.
    pub studies: Vec<StudyResult>,
    /// n-back by kind of stimulus, at the level of session 1.
    pub lures: Vec<Lures>,
    /// Probability of first recall by position.
    pub first_recall: Vec<Mean>,
    /// Its agreement with PEERS; no level was set on it.
    pub first_recall_agreement: Option<Agreement>,
    /// Conditional response probability at the lags -5..=-1, 1..=5.
    pub lag_crp: Vec<f64>,
    /// Its agreement with PEERS; no level was set on it.
    pub lag_crp_agreement: Option<Agreement>,
    /// Words per list that were said and never shown.
    pub intrusions: Option<Mean>,
    /// Interference by side and store; the level is that of the young adults' recall after a delay.
    pub interference: Vec<Interference>,
    /// The listed marks, each with its verdict.
    pub marks: Vec<Mark>,
    /// Change of the tasks' means with each assumed device parameter.
    #[serde(serialize_with = "as_json")]
    pub sensitivity: Table,
    /// Tables by name.
    #[serde(skip)]
    pub tables: Vec<(&'static str, Table)>,
    /// Figures by name, as SVG.
    #[serde(skip)]
    pub figures: Vec<(&'static str, String)>,
}

impl CognitionReport {
    pub(super) fn empty(config: &CognitionConfig, slot_s: f64) -> Self {
        Self {
            device: config.device.name.clone(),
            slot_s,
            human_s_per_slot: 1.0 / config.protocol.slots_per_s,
            protocol: config.protocol,
            subjects: config.subjects,
            trials: config.trials,
            seed: config.seed,
            summary: Vec::new(),
            studies: Vec::new(),
            lures: Vec::new(),
            first_recall: Vec::new(),
            first_recall_agreement: None,
            lag_crp: Vec::new(),
            lag_crp_agreement: None,
            intrusions: None,
            interference: Vec::new(),
            marks: Vec::new(),
            sensitivity: Table::default(),
            tables: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// The result of a study, if it was run.
    pub fn study(&self, study: Study) -> Option<&StudyResult> {
        self.studies.iter().find(|result| result.study == study)
    }

    /// The level of a study \[V\]; 0 where it was not run.
    pub(super) fn level_v(&self, study: Study) -> f64 {
        self.study(study).map_or(0.0, |result| result.model.level_v.unwrap_or(0.0))
    }

    pub(super) fn set_order(&mut self, scores: &[Score]) {
        self.first_recall = means(&scores.iter().map(|s| s.first.clone()).collect::<Vec<_>>());
        let mut counts = [(0u32, 0u32); LAGS.len()];
        for score in scores {
            for (sum, count) in counts.iter_mut().zip(score.transitions) {
                *sum = (sum.0 + count.0, sum.1 + count.1);
            }
        }
        self.lag_crp =
            counts.iter().map(|(made, open)| f64::from(*made) / f64::from((*open).max(1))).collect();
        let first: Vec<f64> = self.first_recall.iter().map(|m| m.mean).collect();
        self.first_recall_agreement = Some(agreement(&first, &super::human::first_recall()));
        self.lag_crp_agreement = Some(agreement(&self.lag_crp, &super::human::lag_crp()));
        self.intrusions = Some(super::stats::mean(&scores.iter().map(|s| s.intrusions).collect::<Vec<_>>()));
    }

    pub(super) fn finish(mut self) -> Result<Self> {
        self.summary = self.summarise();
        self.tables = tables::all(&self)?;
        self.figures = figures::all(&self)?;
        Ok(self)
    }

    fn summarise(&self) -> Vec<TaskSummary> {
        let mut tasks: Vec<&'static str> = Vec::new();
        for task in self.studies.iter().map(|s| s.task).chain(self.marks.iter().map(|m| m.task)) {
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        let line = |task: &'static str| {
            let of = |held_out| self.studies.iter().find(|s| s.task == task && s.held_out == held_out);
            TaskSummary {
                task,
                r: of(false).and_then(|s| s.model.agreement.r),
                rmse: of(false).map(|s| s.model.agreement.rmse),
                held_out_r: of(true).and_then(|s| s.model.agreement.r),
                held_out_rmse: of(true).map(|s| s.model.agreement.rmse),
                marks: self.marks.iter().filter(|m| m.task == task).cloned().collect(),
            }
        };
        tasks.into_iter().map(line).collect()
    }
}

fn as_json<S: serde::Serializer>(table: &Table, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    table.to_json().serialize(serializer)
}
