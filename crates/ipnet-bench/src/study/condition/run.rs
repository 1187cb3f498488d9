//! Testing finished jobs under conditions, each pair once.

use super::Condition;
use super::altered::Altered;
use crate::run::{RunDir, hash_bytes};
use crate::study::tables::mean_sd_cells;
use crate::study::{Effort, Job, in_parallel, label, percent};
use crate::table::Table;
use crate::task::Task;
use crate::train::{Checkpoint, evaluate};
use crate::{Error, Result};
use ipnet_kernel::{ScanConfig, ScanShape, ThermalScan};
use ipnet_zoo::{NetSpec, Network, Readout, TemporalNet};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The scores of one network under one condition.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionRow {
    /// The task's name.
    pub task: String,
    /// The network.
    pub spec: NetSpec,
    /// The condition.
    pub condition: Condition,
    /// The test part's score of every seed.
    pub scores: Vec<f64>,
}

impl ConditionRow {
    /// See [`label`].
    pub fn label(&self) -> String {
        label(&self.spec)
    }

    /// See [`percent`].
    pub fn percent(&self) -> String {
        percent(&self.scores)
    }
}

/// What a job's file of conditions holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tested {
    /// Of the job and the conditions.
    identity: String,
    /// In the order of the conditions that apply.
    scores: Vec<f64>,
}

/// Tests every job, all of them finished, under each of `conditions` that applies to it. What is done is kept beside the
/// jobs' results and not done again.
///
/// # Errors
/// A job without a checkpoint, and the layers' errors.
pub fn test_conditions(
    run: &RunDir,
    jobs: &[Job<'_>],
    conditions: &[Condition],
    effort: &Effort,
) -> Result<Vec<ConditionRow>> {
    let test = |index: usize| test_job(run, &jobs[index], conditions, effort);
    let tested = in_parallel(effort.threads, jobs.len(), test)?;
    let mut rows: Vec<ConditionRow> = Vec::new();
    for (job, scores) in jobs.iter().zip(tested) {
        for (condition, score) in scores {
            let same = |row: &&mut ConditionRow| {
                (row.task.as_str(), row.spec, row.condition) == (job.task.name(), job.spec, condition)
            };
            match rows.iter_mut().find(same) {
                Some(row) => row.scores.push(score),
                None => rows.push(ConditionRow {
                    task: job.task.name().to_owned(),
                    spec: job.spec,
                    condition,
                    scores: vec![score],
                }),
            }
        }
    }
    Ok(rows)
}

/// Whether `job` can meet `condition`. Junctions that vary by more than their law bears (the hottest has no critical voltage left) cannot;
/// that is said on stderr.
fn applies(condition: Condition, job: &Job<'_>) -> bool {
    if !condition.applies_to(&job.spec) {
        return false;
    }
    let law = ScanConfig::expected(Arc::new(condition.law(&job.device.law)));
    let possible = ThermalScan::new(&law, ScanShape::flat(1, 1));
    if let Err(error) = &possible {
        tracing::warn!("{} under {}: left out: {error}", job.id(), condition.name());
    }
    possible.is_ok()
}

/// The conditions that apply to a job, each with its score.
fn test_job(
    run: &RunDir,
    job: &Job<'_>,
    conditions: &[Condition],
    effort: &Effort,
) -> Result<Vec<(Condition, f64)>> {
    let id = job.id();
    let applying: Vec<Condition> =
        conditions.iter().copied().filter(|condition| applies(*condition, job)).collect();
    let path = run.checkpoint_path(&id)?;
    let kept = format!("{id}.conditions");
    let trained = job.identity()?;
    let to_the_end = match job.task.readout() {
        Readout::Mean => "",
        Readout::Last => " to the last frame, which is never moved",
    };
    let identity = hash_bytes(format!("{trained} {applying:?}{to_the_end}").as_bytes());
    if let Some(tested) = run.job_result::<Tested>(&kept)?
        && tested.identity == identity
    {
        return Ok(applying.into_iter().zip(tested.scores).collect());
    }
    let checkpoint = Checkpoint::load(&path)?;
    checkpoint.expect_identity(&path, &trained)?;
    let (on, mut scores) = (effort.backend.device()?, Vec::new());
    for &condition in &applying {
        let task = Altered { task: job.task, condition };
        let law = Arc::new(condition.law(&job.device.law));
        let (spec, input, outputs) = (condition.spec(job.spec), task.input(), task.outputs());
        let net = Network::on(&on, &spec, input, outputs, Some(&law), job.seed)?.read(task.readout());
        net.parameters().restore(&checkpoint.chosen())?;
        let test = &task.splits().test;
        let found = evaluate(&task, &net, test, job.config.batch, job.seed)?;
        let score = task.score(&found.outputs, test);
        if !score.is_finite() {
            return Err(Error::Argument {
                what: format!("{id} under {condition:?}"),
                expected: "a finite score".into(),
                found: score.to_string(),
            });
        }
        scores.push(score);
    }
    run.finish_job(&kept, &Tested { identity, scores: scores.clone() })?;
    Ok(applying.into_iter().zip(scores).collect())
}

/// One row per task, network and condition: mean and sample standard deviation of the score over seeds.
///
/// # Errors
/// None that input can reach: rows have the table's columns.
pub fn conditions_table(rows: &[ConditionRow]) -> Result<Table> {
    let mut table = Table::new([
        "task",
        "backbone",
        "memory",
        "placement",
        "condition",
        "level",
        "seeds",
        "score_mean",
        "score_sd",
    ]);
    for row in rows {
        let [score_mean, score_sd] = mean_sd_cells(&row.scores);
        table.push([
            row.task.clone(),
            row.spec.backbone.to_string(),
            row.spec.memory.to_string(),
            row.spec.placement.to_string(),
            row.condition.name().to_owned(),
            row.condition.level().map_or(String::new(), |level| level.to_string()),
            row.scores.len().to_string(),
            score_mean,
            score_sd,
        ])?;
    }
    Ok(table)
}
