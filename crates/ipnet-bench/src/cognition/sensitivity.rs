//! How far each assumed device parameter carries the result: everything else, levels included, stays as it was.
//!
//! Each parameter of the set that is marked as assumed and is not 0 is scaled by 0.9 and 1.1, the device is reduced
//! again, and the mean over a training curve is compared with that of the unscaled device on the same draws. Nothing is set
//! anew, so that a row shows what an error in that assumption would do.

use super::array::Forgetting;
use super::human::Study;
use super::report::CognitionReport;
use super::study::Cohort;
use super::{CognitionConfig, stats};
use crate::Result;
use crate::table::Table;
use ipnet_device::StepLaw;

/// Factors on a parameter.
const FACTORS: [f64; 2] = [0.9, 1.1];

pub(super) fn table(config: &CognitionConfig, report: &CognitionReport) -> Result<Table> {
    let studies: Vec<(Study, f64)> = report
        .studies
        .iter()
        .filter(|result| !result.held_out)
        .filter_map(|result| Some((result.study, result.model.level_v?)))
        .collect();
    let mut columns = vec!["parameter".to_owned(), "factor".to_owned()];
    columns.extend(studies.iter().map(|(study, _)| format!("change of the mean, {}", study.name())));
    let mut table = Table::new(columns);
    if studies.is_empty() {
        return Ok(table);
    }
    let nominal = config.device.reduce()?.law;
    let base = curve_means(config, &nominal, &studies);
    for (key, parameter) in &config.device.parameters {
        if parameter.assumed_because.is_none() || parameter.value == 0.0 {
            continue;
        }
        for factor in FACTORS {
            let mut set = config.device.clone();
            if let Some(scaled) = set.parameters.get_mut(key) {
                scaled.value *= factor;
            }
            let cells: Vec<String> = match set.reduce() {
                Err(_) => vec!["not a device".to_owned(); studies.len()],
                Ok(reduction) if reduction.law == nominal => vec!["0".to_owned(); studies.len()],
                Ok(reduction) => curve_means(config, &reduction.law, &studies)
                    .iter()
                    .zip(&base)
                    .map(|(scaled, base)| format!("{:+.3}", scaled - base))
                    .collect(),
            };
            table.push([(*key).to_owned(), factor.to_string()].into_iter().chain(cells))?;
        }
    }
    Ok(table)
}

fn curve_means(config: &CognitionConfig, law: &StepLaw, studies: &[(Study, f64)]) -> Vec<f64> {
    let cohort = Cohort {
        law,
        protocol: &config.protocol,
        forgetting: Forgetting::Heat,
        rehearse: true,
        subjects: config.sensitivity_subjects,
        trials: config.trials,
        seed: config.seed,
    };
    let mean = |curve: Vec<stats::Mean>| curve.iter().map(|m| m.mean).sum::<f64>() / curve.len() as f64;
    studies.iter().map(|(study, level_v)| mean(stats::means(&cohort.curves(*study, *level_v)))).collect()
}
