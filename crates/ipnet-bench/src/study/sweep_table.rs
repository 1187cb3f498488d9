//! The tables of a sweep.
//!
//! A network's spread is given twice: over all its jobs, and over seeds of the mean over folds, for the seeds of which every
//! fold is done (each clip tested once). Its difference to the first network is paired: over the folds and seeds that both
//! have, so that a fold that is hard for both does not count as spread between them.

use super::tables::mean_sd_cells;
use super::{JobResult, Sweep, SweepJob};
use crate::Result;
use crate::figure::mean_sd;
use crate::table::Table;
use ipnet_zoo::NetSpec;
use std::collections::BTreeSet;

/// Jobs of one network with one device set.
struct Group<'a> {
    spec: NetSpec,
    device: &'a str,
    planned: usize,
    done: Vec<(&'a SweepJob, &'a JobResult)>,
}

fn groups<'a>(sweep: &'a Sweep, found: &'a [Option<JobResult>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (job, result) in sweep.jobs.iter().zip(found) {
        let known = groups.iter().position(|group| group.spec == job.spec && group.device == job.device);
        let at = known.unwrap_or(groups.len());
        if known.is_none() {
            groups.push(Group { spec: job.spec, device: &job.device, planned: 0, done: Vec::new() });
        }
        groups[at].planned += 1;
        groups[at].done.extend(result.iter().map(|result| (job, result)));
    }
    groups
}

impl Group<'_> {
    /// Mean over folds of each seed of which all `folds` are done.
    fn seeds(&self, folds: usize) -> Vec<f64> {
        let seeds: BTreeSet<u64> = self.done.iter().map(|(job, _)| job.seed).collect();
        let of = |seed: u64| -> Vec<f64> {
            self.done.iter().filter(|(job, _)| job.seed == seed).map(|(_, result)| result.score).collect()
        };
        let whole = seeds.into_iter().map(of).filter(|accuracies| accuracies.len() == folds);
        whole.filter_map(|accuracies| mean_sd(&accuracies)).map(|(mean, _)| mean).collect()
    }

    /// Differences to `other` over the folds and seeds that both have.
    fn differences(&self, other: &Group<'_>) -> Vec<f64> {
        let pair = |(job, result): &(&SweepJob, &JobResult)| {
            let same =
                |(theirs, _): &&(&SweepJob, &JobResult)| (theirs.fold, theirs.seed) == (job.fold, job.seed);
            other.done.iter().find(same).map(|(_, theirs)| result.score - theirs.score)
        };
        self.done.iter().filter_map(pair).collect()
    }
}

/// One row per network and device set; accuracies are shares of the test part after the epoch chosen on validation.
pub(super) fn networks(sweep: &Sweep, found: &[Option<JobResult>]) -> Result<Table> {
    let mut table = Table::new([
        "task",
        "backbone",
        "memory",
        "placement",
        "firing",
        "device",
        "jobs",
        "planned",
        "accuracy_mean",
        "accuracy_sd",
        "seeds",
        "seed_mean",
        "seed_sd",
        "difference_mean",
        "difference_sd",
        "pairs",
        "direction_mean",
        "parameters",
        "memory_parameters",
        "state_values",
        "macs",
    ]);
    let folds: BTreeSet<_> = sweep.jobs.iter().map(|job| job.fold.map(|fold| fold.number)).collect();
    let groups = groups(sweep, found);
    for group in &groups {
        let values = |value: fn(&JobResult) -> f64| {
            group.done.iter().map(|(_, result)| value(result)).collect::<Vec<_>>()
        };
        let [mean, sd] = mean_sd_cells(&values(|result| result.score));
        let seeds = group.seeds(folds.len());
        let [seed_mean, seed_sd] = mean_sd_cells(&seeds);
        let differences = groups.first().map_or(Vec::new(), |first| group.differences(first));
        let [difference, difference_sd] = mean_sd_cells(&differences);
        let directions: Vec<f64> = group.done.iter().filter_map(|(_, result)| result.direction).collect();
        let [direction, _] = mean_sd_cells(&directions);
        let first = group.done.first().map(|(_, result)| result);
        let number =
            |value: fn(&JobResult) -> u64| first.map_or(String::new(), |result| value(result).to_string());
        let backbone = match group.spec.width {
            Some(width) => format!("{} {width}", group.spec.backbone),
            None => group.spec.backbone.to_string(),
        };
        table.push([
            sweep.task.name().to_owned(),
            backbone,
            group.spec.memory.to_string(),
            group.spec.placement.to_string(),
            group.spec.firing.to_string(),
            group.device.to_owned(),
            group.done.len().to_string(),
            group.planned.to_string(),
            mean,
            sd,
            seeds.len().to_string(),
            seed_mean,
            seed_sd,
            difference,
            difference_sd,
            differences.len().to_string(),
            direction,
            number(|result| result.parameters as u64),
            number(|result| result.memory_parameters),
            number(|result| result.state_values),
            number(|result| result.macs),
        ])?;
    }
    Ok(table)
}

/// One row per finished job.
pub(super) fn jobs(sweep: &Sweep, found: &[Option<JobResult>]) -> Result<Table> {
    let mut table = Table::new([
        "job",
        "fold",
        "seed",
        "accuracy",
        "last_epoch_accuracy",
        "direction",
        "chosen_epoch",
        "test_samples",
    ]);
    for (job, result) in sweep.jobs.iter().zip(found) {
        let Some(result) = result else { continue };
        table.push([
            job.id(sweep.task),
            job.fold.map_or(String::new(), |fold| fold.number.to_string()),
            job.seed.to_string(),
            format!("{:.6}", result.score),
            format!("{:.6}", result.score_last),
            result.direction.map_or(String::new(), |share| format!("{share:.6}")),
            result.chosen_epoch.to_string(),
            result.test_samples().to_string(),
        ])?;
    }
    Ok(table)
}
