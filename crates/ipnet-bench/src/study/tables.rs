//! Tables of a study: one row per task, network and placement, mean and spread over seeds.

use super::{Job, JobResult};
use crate::Result;
use crate::figure::mean_sd;
use crate::table::Table;
use ipnet_zoo::{Backbone, Firing, Memory, NetSpec};
use std::collections::BTreeSet;

/// All seeds of one network on one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The task's name.
    pub task: String,
    /// Where the recordings come from.
    pub data: String,
    /// The network.
    pub spec: NetSpec,
    /// The device set of its IP neurons.
    pub device: String,
    /// Seed and result, in the order of the jobs.
    pub results: Vec<(u64, JobResult)>,
}

impl Row {
    /// One value of every seed.
    pub fn values(&self, value: impl Fn(&JobResult) -> f64) -> Vec<f64> {
        self.results.iter().map(|(_, result)| value(result)).collect()
    }

    /// Test accuracies of the chosen epochs.
    pub fn accuracies(&self) -> Vec<f64> {
        self.values(|result| result.score)
    }

    /// `ip at sensor`, `no memory`, ...
    pub fn label(&self) -> String {
        label(&self.spec)
    }
}

/// A network in a figure: `ip at sensor`, `no memory`, with its backbone, width and firing where those are not the usual ones.
pub fn label(spec: &NetSpec) -> String {
    let mut label = match spec.memory {
        Memory::None => "no memory".into(),
        memory => format!("{memory} at {}", spec.placement),
    };
    if spec.firing != Firing::default() {
        label += &format!(", {}", spec.firing);
    }
    if let Some(width) = spec.width {
        label += &format!(", width {width}");
    }
    match spec.backbone {
        Backbone::Plain => label,
        backbone => format!("{backbone}, {label}"),
    }
}

/// `98.1 ± 0.4 %` of shares, the spread over seeds.
pub fn percent(shares: &[f64]) -> String {
    mean_sd(shares)
        .map_or_else(String::new, |(mean, sd)| format!("{:.1} ± {:.1} %", 100.0 * mean, 100.0 * sd))
}

/// Cells of a table: the mean, and the sample standard deviation where there are two values or more.
pub(super) fn mean_sd_cells(values: &[f64]) -> [String; 2] {
    let Some((mean, sd)) = mean_sd(values) else { return Default::default() };
    let sd = if values.len() > 1 { format!("{sd:.6}") } else { String::new() };
    [format!("{mean:.6}"), sd]
}

/// Groups jobs by task, network and device set, in order of appearance.
pub fn rows(jobs: &[Job<'_>], results: &[JobResult]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (job, result) in jobs.iter().zip(results) {
        let entry = (job.seed, result.clone());
        match rows
            .iter_mut()
            .find(|row| row.task == job.task.name() && row.spec == job.spec && row.device == job.device.name)
        {
            Some(row) => row.results.push(entry),
            None => rows.push(Row {
                task: job.task.name().to_owned(),
                data: job.task.data().to_owned(),
                spec: job.spec,
                device: job.device.name.clone(),
                results: vec![entry],
            }),
        }
    }
    rows
}

/// The table `accuracy` of the classifications among `rows`: shares in `[0, 1]`; the spread is the sample standard deviation over seeds (empty for one seed); `direction_mean` is
/// empty for tasks without reversed classes.
pub fn accuracy_table(rows: &[Row]) -> Result<Table> {
    let mut table = Table::new([
        "task",
        "data",
        "backbone",
        "memory",
        "placement",
        "parameters",
        "seeds",
        "accuracy_mean",
        "accuracy_sd",
        "direction_mean",
        "last_epoch_accuracy_mean",
        "last_epoch_direction_mean",
        "test_samples",
        "state_values",
        "macs",
    ]);
    for row in rows {
        let Some((_, first)) = row.results.first().filter(|(_, first)| !first.predictions.is_empty()) else {
            continue;
        };
        let mean = |values: Vec<f64>| -> String {
            let [mean, _] = mean_sd_cells(&values);
            mean
        };
        let optional = |value: fn(&JobResult) -> Option<f64>| {
            mean(row.results.iter().filter_map(|(_, result)| value(result)).collect())
        };
        let [accuracy, accuracy_sd] = mean_sd_cells(&row.accuracies());
        table.push([
            row.task.clone(),
            row.data.clone(),
            row.spec.backbone.to_string(),
            row.spec.memory.to_string(),
            row.spec.placement.to_string(),
            first.parameters.to_string(),
            row.results.len().to_string(),
            accuracy,
            accuracy_sd,
            optional(|result| result.direction),
            mean(row.values(|result| result.score_last)),
            optional(|result| result.direction_last),
            first.test_samples().to_string(),
            first.state_values.to_string(),
            first.macs.to_string(),
        ])?;
    }
    Ok(table)
}

/// The table `measures` of the regressions among `rows`: each measure's mean and sample standard deviation over seeds (empty for one
/// seed), units in the measure's name.
pub fn measures_table(rows: &[Row]) -> Result<Table> {
    let rows: Vec<&Row> = rows
        .iter()
        .filter(|row| row.results.iter().any(|(_, result)| !result.estimates.is_empty()))
        .collect();
    let names: BTreeSet<&String> =
        rows.iter().flat_map(|row| &row.results).flat_map(|(_, result)| result.measures.keys()).collect();
    let fixed = ["task", "data", "backbone", "memory", "placement", "parameters", "seeds", "test_samples"];
    let measured = names.iter().flat_map(|name| [format!("{name}_mean"), format!("{name}_sd")]);
    let mut table = Table::new(fixed.into_iter().map(str::to_owned).chain(measured));
    for row in rows {
        let Some((_, first)) = row.results.first() else { continue };
        let mut cells = vec![
            row.task.clone(),
            row.data.clone(),
            row.spec.backbone.to_string(),
            row.spec.memory.to_string(),
            row.spec.placement.to_string(),
            first.parameters.to_string(),
            row.results.len().to_string(),
            first.test_samples().to_string(),
        ];
        for name in &names {
            let values: Vec<f64> =
                row.results.iter().filter_map(|(_, result)| result.measures.get(*name).copied()).collect();
            cells.extend(mean_sd_cells(&values));
        }
        table.push(cells)?;
    }
    Ok(table)
}
