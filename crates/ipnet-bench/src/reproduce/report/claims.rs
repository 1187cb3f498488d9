//! The table "claim - paper - here - verdict": every verdict is computed from the rows.

use super::Found;
use crate::figure::mean_sd;
use crate::report::{Claim, Source, Verdict};
use crate::study::{Condition, ConditionRow, Row, percent};
use crate::task::Task;
use ipnet_zoo::{Backbone, Memory, NetSpec, Placement};

/// The level at which the claim on noise is looked at: three noise events for each ten recorded ones. With more, little is left of
/// any score, and what is lost says only how high it was.
const NOISE: Condition = Condition::Noise(0.3);

/// The claims that the rows of `task` can speak to.
pub(super) fn of_task(task: &dyn Task, found: &Found<'_>, source: &dyn Fn(&str) -> Source) -> Vec<Claim> {
    let at = |memory, placement| {
        let same = |row: &&Row| row.task == task.name() && row.spec == NetSpec::plain(memory, placement);
        found.rows.iter().find(same)
    };
    let Some(sensor) = at(Memory::Ip, Placement::Sensor) else { return Vec::new() };
    let file = if task.classification().is_some() { "tables/accuracy.csv" } else { "tables/measures.csv" };
    let about = |row: &Row| format!("{} ({}), {} seeds", task.name(), task.data(), row.results.len());
    let mut claims = Vec::new();
    for (claim, paper, memory, placement) in RIVALS {
        let Some(other) = at(memory, placement) else { continue };
        let errors = |row: &Row| mean_sd(&row.accuracies()).map_or(f64::NAN, |(mean, _)| 1.0 - mean);
        let ratio = errors(other) / errors(sensor);
        claims.push(Claim {
            claim: claim.into(),
            paper: paper.into(),
            here: format!(
                "{} {} against {} {}: {ratio:.2} times the error",
                sensor.label(),
                percent(&sensor.accuracies()),
                other.label(),
                percent(&other.accuracies())
            ),
            data: about(sensor),
            verdict: compare(&sensor.accuracies(), &other.accuracies()),
            source: source(file),
        });
    }
    claims.extend(steering(sensor, found, source));
    claims.extend(noise(task, found, source));
    claims
}

/// The measure of a regression that is called its error.
const ERROR: &str = "rmse_deg";

/// The error of IP neurons at the sensor beside that of a deeper backbone with an LSTM, where both steer.
fn steering(sensor: &Row, found: &Found<'_>, source: &dyn Fn(&str) -> Source) -> Option<Claim> {
    let deeper = |row: &&Row| {
        row.task == sensor.task && row.spec.backbone != Backbone::Plain && row.spec.memory == Memory::Lstm
    };
    let rival = found.rows.iter().find(deeper)?;
    let errors = |row: &Row| -> Option<Vec<f64>> {
        row.results.iter().map(|(_, result)| result.measures.get(ERROR).copied()).collect()
    };
    let (ip, other) = (errors(sensor)?, errors(rival)?);
    let ((ip_mean, ip_sd), (other_mean, other_sd)) = (mean_sd(&ip)?, mean_sd(&other)?);
    let parameters = |row: &Row| row.results.first().map_or(0, |(_, result)| result.parameters);
    Some(Claim {
        claim: "steering error below that of ResNet-LSTM".into(),
        paper: "-14.4 % (v1), -12.4 % (v3)".into(),
        here: format!(
            "{:+.1} %: RMSE {ip_mean:.2} ± {ip_sd:.2} degrees ({}, {} parameters) against {other_mean:.2} ± \
             {other_sd:.2} ({}, {} parameters)",
            100.0 * (ip_mean / other_mean - 1.0),
            sensor.label(),
            parameters(sensor),
            rival.label(),
            parameters(rival)
        ),
        data: format!("{} ({}), {} seeds", sensor.task, sensor.data, ip.len()),
        verdict: compare(&other, &ip),
        source: source("tables/measures.csv"),
    })
}

/// What the paper says of IP neurons at the sensor beside another network: the claim, the paper's value, the other network.
const RIVALS: [(&str, &str, Memory, Placement); 8] = [
    (
        "heat is a memory: IP neurons against none",
        "implied by 99.48 % on 22 classes",
        Memory::None,
        Placement::None,
    ),
    ("better than an LSTM on the same backbone", "order only", Memory::Lstm, Placement::Head),
    ("better than an RNN on the same backbone", "order only", Memory::Rnn, Placement::Head),
    ("better than (2+1)D convolution", "18x fewer errors", Memory::Conv2plus1d, Placement::All),
    ("better than 3D convolution", "order only", Memory::Conv3d, Placement::All),
    ("memory at the sensor beats memory after the first stage", "order only", Memory::Ip, Placement::Stage1),
    ("memory at the sensor beats memory after the last stage", "order only", Memory::Ip, Placement::Stage3),
    ("memory at the sensor beats memory before the readout", "order only", Memory::Ip, Placement::Head),
];

/// Heat filters noise and digital memory accumulates it: the share of the score above chance that is left under noise, of IP
/// neurons at the sensor and of an LSTM.
fn noise(task: &dyn Task, found: &Found<'_>, source: &dyn Fn(&str) -> Source) -> Option<Claim> {
    let chance = if task.classification().is_some() { 1.0 / task.outputs() as f64 } else { 0.0 };
    let kept = |memory, placement| {
        let of = |condition| {
            let same = |row: &&ConditionRow| {
                row.task == task.name()
                    && row.spec == NetSpec::plain(memory, placement)
                    && row.condition == condition
            };
            found.conditions.iter().find(same).map(|row| &row.scores)
        };
        let (clean, noisy) = (of(Condition::AsTrained)?, of(NOISE)?);
        let share = |(clean, noisy): (&f64, &f64)| (noisy - chance) / (clean - chance);
        Some(clean.iter().zip(noisy).map(share).collect::<Vec<f64>>())
    };
    let (ip, lstm) = (kept(Memory::Ip, Placement::Sensor)?, kept(Memory::Lstm, Placement::Head)?);
    Some(Claim {
        claim: "digital memory accumulates noise, heat filters it".into(),
        paper: "order only".into(),
        here: format!(
            "with 3 noise events for 10 recorded ones ip at sensor keeps {} of its score above chance, lstm at head {}",
            percent(&ip),
            percent(&lstm)
        ),
        data: format!("{} ({}), {} seeds, trained without noise", task.name(), task.data(), ip.len()),
        verdict: compare(&ip, &lstm),
        source: source("tables/conditions.csv"),
    })
}

/// Holds where the means differ by more than both spreads together; partly where they lie within them.
fn compare(better: &[f64], other: &[f64]) -> Verdict {
    match (mean_sd(better), mean_sd(other)) {
        (Some((a, sd_a)), Some((b, sd_b))) if a - b > sd_a + sd_b => Verdict::Holds,
        (Some((a, sd_a)), Some((b, sd_b))) if b - a > sd_a + sd_b => Verdict::DoesNotHold,
        (Some(_), Some(_)) => Verdict::Partly,
        _ => Verdict::NotTested,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_only_beyond_both_spreads() {
        assert_eq!(compare(&[0.9, 0.92], &[0.5, 0.52]), Verdict::Holds);
        assert_eq!(compare(&[0.5, 0.52], &[0.9, 0.92]), Verdict::DoesNotHold);
        assert_eq!(compare(&[0.9, 0.7], &[0.8, 0.6]), Verdict::Partly);
        assert_eq!(compare(&[], &[0.8]), Verdict::NotTested);
    }
}
