//! The table "claim - paper - here - verdict": every verdict is computed from the rows.

use super::Found;
use crate::figure::mean_sd;
use crate::report::{Claim, Source, Verdict};
use crate::study::{Condition, ConditionRow, Row, percent};
use crate::task::Task;
use ipnet_zoo::{Backbone, Memory, NetSpec, Placement};
use std::collections::BTreeMap;

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
            verdict: compare(&sensor.accuracies(), &other.accuracies(), over_clips(task, sensor, other)),
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
        verdict: compare(&other, &ip, 0.0),
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
        verdict: compare(&ip, &lstm, 0.0),
        source: source("tables/conditions.csv"),
    })
}

/// Holds where the means differ by more than both spreads over seeds together and by more than `half_width`, that of the difference
/// over clips; undecided where they lie within either.
fn compare(better: &[f64], other: &[f64], half_width: f64) -> Verdict {
    let (Some((a, sd_a)), Some((b, sd_b))) = (mean_sd(better), mean_sd(other)) else {
        return Verdict::NotTested;
    };
    let margin = (sd_a + sd_b).max(half_width);
    if a - b > margin {
        Verdict::Holds
    } else if b - a > margin {
        Verdict::DoesNotHold
    } else {
        Verdict::Undecided
    }
}

/// Half the width of the 95 % interval of the paired difference of two networks over the test clips, which all seeds share: another
/// part of the same size would show another difference. A clip and its reversal are one draw. 0 where nothing is told right or wrong.
fn over_clips(task: &dyn Task, a: &Row, b: &Row) -> f64 {
    let Some(classes) = task.classification() else { return 0.0 };
    let right = |row: &Row, at: usize, label: usize| {
        let told = row.results.iter().filter(|(_, result)| result.predictions.get(at) == Some(&label));
        told.count() as f64 / row.results.len().max(1) as f64
    };
    let mut clips: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (at, &sample) in task.splits().test.iter().enumerate() {
        let label = classes.label(sample);
        let (difference, samples) = clips.entry(classes.clip_of(sample)).or_default();
        *difference += right(a, at, label) - right(b, at, label);
        *samples += 1.0;
    }
    half_width(clips.values().copied())
}

/// 1.96 standard errors of the mean over samples whose sums and numbers are given by cluster.
fn half_width(clusters: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let (count, sum, samples) =
        clusters.clone().fold((0.0, 0.0, 0.0), |(count, sum, all), (of, n)| (count + 1.0, sum + of, all + n));
    if count < 2.0 {
        return 0.0;
    }
    let mean = sum / samples;
    let squares: f64 = clusters.map(|(of, n)| (of - n * mean).powi(2)).sum();
    1.96 * (squares * count / (count - 1.0)).sqrt() / samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_only_beyond_all_spreads() {
        assert_eq!(compare(&[0.9, 0.92], &[0.5, 0.52], 0.1), Verdict::Holds);
        assert_eq!(compare(&[0.5, 0.52], &[0.9, 0.92], 0.1), Verdict::DoesNotHold);
        assert_eq!(compare(&[0.9, 0.7], &[0.8, 0.6], 0.1), Verdict::Undecided);
        assert_eq!(compare(&[0.9, 0.92], &[0.85, 0.86], 0.1), Verdict::Undecided);
        assert_eq!(compare(&[], &[0.8], 0.1), Verdict::NotTested);
    }

    /// One sample a clip: the textbook's interval of a mean. The same samples in pairs that go together: that of half as many.
    #[test]
    fn samples_of_one_clip_are_one_draw() {
        let alone = half_width([1.0, 0.0, 0.0, -1.0].map(|d| (d, 1.0)).into_iter());
        assert!((alone - 1.96 * (2.0_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12, "{alone}");
        let pairs = half_width([2.0, 0.0, 0.0, -2.0].map(|d| (d, 2.0)).into_iter());
        assert!((pairs - alone).abs() < 1e-12, "{pairs}");
    }
}
