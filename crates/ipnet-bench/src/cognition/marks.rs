//! The qualitative marks of human working memory, each judged on the curves of the run.
//!
//! A difference counts when it is larger than the two 95 % half widths together.

use super::human::Study;
use super::report::{CognitionReport, Interference, StudyResult};
use super::stats::Mean;
use serde::Serialize;

/// A mark and its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// The task it belongs to.
    pub task: &'static str,
    /// What is expected.
    pub name: String,
    /// Whether the run shows it.
    pub passed: bool,
    /// The figures behind the verdict.
    pub detail: String,
}

pub(super) fn judge(report: &CognitionReport) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (index, result) in report.studies.iter().enumerate() {
        let curve = |result: &StudyResult| result.model.curve.iter().map(|m| m.mean).collect::<Vec<f64>>();
        let same = |other: &StudyResult| other.task == result.task && curve(other) == curve(result);
        // Two studies at one level share one curve: it is judged once.
        if !report.studies[..index].iter().any(same) {
            marks.extend(of_result(result));
        }
    }
    for result in report.studies.iter().filter(|result| result.held_out) {
        held_out(&mut marks, result);
    }
    lures(&mut marks, report);
    order(&mut marks, report);
    interference(&mut marks, report);
    marks
}

pub(super) fn of_result(result: &StudyResult) -> Vec<Mark> {
    let mut marks = Vec::new();
    match result.study {
        Study::NBackSession1 | Study::NBackSession10 => falling(&mut marks, result, "accuracy falls with n"),
        Study::DelayedYoung | Study::DelayedOld => {
            falling(&mut marks, result, "forgetting is monotone in the delay");
        }
        Study::Peers16 | Study::Murdock20 => serial_position(&mut marks, result),
    }
    marks
}

/// Least r and largest RMSE that count as agreement on a held-out curve.
const TARGET: (f64, f64) = (0.9, 0.08);

fn held_out(marks: &mut Vec<Mark>, result: &StudyResult) {
    let found = result.model.agreement;
    let r = found.r.unwrap_or(0.0);
    marks.push(Mark {
        task: result.task,
        name: format!(
            "held-out curve with r >= {} and RMSE <= {} ({})",
            TARGET.0,
            TARGET.1,
            result.study.name()
        ),
        passed: r >= TARGET.0 && found.rmse <= TARGET.1,
        detail: format!("r {r:.3}, RMSE {:.3}", found.rmse),
    });
}

/// Recall of the middle of a list below which the absence of primacy says nothing.
const LEAST_RECALLED: f64 = 0.05;

fn above(high: Mean, low: Mean) -> bool {
    high.mean - low.mean > high.ci95 + low.ci95
}

fn say(mean: Mean) -> String {
    format!("{:.3} +- {:.3}", mean.mean, mean.ci95)
}

/// The curve never rises by more than its intervals and ends below its start.
fn falling(marks: &mut Vec<Mark>, result: &StudyResult, name: &str) {
    let curve = &result.model.curve;
    let (Some(&first), Some(&last)) = (curve.first(), curve.last()) else { return };
    let rises = curve.windows(2).filter(|pair| above(pair[1], pair[0])).count();
    marks.push(Mark {
        task: result.task,
        name: format!("{name} ({})", result.study.name()),
        passed: above(first, last) && rises == 0,
        detail: format!("from {} to {}, {rises} rises", say(first), say(last)),
    });
}

fn serial_position(marks: &mut Vec<Mark>, result: &StudyResult) {
    let mut ends = |curve: &[Mean], rehearsal: &str, primacy_wanted: bool| {
        let (Some(&first), Some(&last)) = (curve.first(), curve.last()) else { return };
        let middle: Vec<Mean> = curve[curve.len() / 3..2 * curve.len() / 3].to_vec();
        let n = middle.len() as f64;
        let middle = Mean {
            mean: middle.iter().map(|m| m.mean).sum::<f64>() / n,
            ci95: middle.iter().map(|m| m.ci95).sum::<f64>() / n,
        };
        let study = result.study.name();
        marks.push(Mark {
            task: result.task,
            name: format!("recency {rehearsal} ({study})"),
            passed: above(last, middle),
            detail: format!("last {}, middle third {}", say(last), say(middle)),
        });
        if !primacy_wanted && middle.mean < LEAST_RECALLED {
            // Where next to nothing is recalled before the end, the start cannot stand out.
            return;
        }
        let primacy = above(first, middle);
        marks.push(Mark {
            task: result.task,
            name: format!("{} {rehearsal} ({study})", if primacy_wanted { "primacy" } else { "no primacy" }),
            passed: primacy == primacy_wanted,
            detail: format!("first {}, middle third {}", say(first), say(middle)),
        });
    };
    ends(&result.model.curve, "with rehearsal", true);
    ends(result.without(), "without rehearsal", false);
}

/// Lures are rejected less often than plain digits, over the n that have both kinds of lure.
fn lures(marks: &mut Vec<Mark>, report: &CognitionReport) {
    let Some(model) = report.lures.first() else { return };
    let mut compare = |name: &str, of: &dyn Fn(&super::KindMeans) -> Option<Mean>| {
        let pairs: Vec<(Mean, Mean)> =
            model.rows.iter().filter(|k| k.n > 1).filter_map(|k| Some((k.plain?, of(k)?))).collect();
        if pairs.is_empty() {
            return;
        }
        let n = pairs.len() as f64;
        // The n are independent runs: variances of the mean add.
        let pool = |pick: &dyn Fn(&(Mean, Mean)) -> Mean| Mean {
            mean: pairs.iter().map(|p| pick(p).mean).sum::<f64>() / n,
            ci95: pairs.iter().map(|p| pick(p).ci95.powi(2)).sum::<f64>().sqrt() / n,
        };
        let (plain, lure) = (pool(&|p| p.0), pool(&|p| p.1));
        marks.push(Mark {
            task: "nback",
            name: name.to_owned(),
            passed: above(plain, lure),
            detail: format!("rejected: plain {}, lures {}, n = 2..5", say(plain), say(lure)),
        });
    };
    compare("lures at n-1 cost", &|k| k.lure_before);
    compare("lures at n+1 cost", &|k| k.lure_after);
}

fn order(marks: &mut Vec<Mark>, report: &CognitionReport) {
    if let Some(last) = report.first_recall.last() {
        let others = report.first_recall.iter().rev().skip(1).fold(0.0f64, |most, m| most.max(m.mean));
        marks.push(Mark {
            task: "free_recall",
            name: "recall starts at the end of the list".to_owned(),
            passed: last.mean - last.ci95 > others,
            detail: format!("last word first {}, next most frequent {others:.3}", say(*last)),
        });
    }
    if report.lag_crp.len() == 10 {
        let at = |lag: usize| (report.lag_crp[5 - lag], report.lag_crp[4 + lag]);
        let far = (2..=5).flat_map(|lag| [at(lag).0, at(lag).1]).fold(0.0f64, f64::max);
        let (back, on) = at(1);
        marks.push(Mark {
            task: "free_recall",
            name: "neighbours are recalled together (lag-CRP peaks at +-1)".to_owned(),
            passed: back.max(on) > far,
            detail: format!("lag -1 {back:.3}, lag +1 {on:.3}, highest further away {far:.3}"),
        });
        marks.push(Mark {
            task: "free_recall",
            name: "forward neighbours lead (lag-CRP at +1 above -1)".to_owned(),
            passed: on > back,
            detail: format!("lag +1 {on:.3}, lag -1 {back:.3}"),
        });
    }
}

fn interference(marks: &mut Vec<Mark>, report: &CognitionReport) {
    for Interference { side, cells: grid, .. } in
        report.interference.iter().filter(|g| g.condition == "model")
    {
        let side = side.name();
        let (Some(apart), Some(alike)) = (grid.first(), grid.last()) else { continue };
        let (Some(&none), Some(&many)) = (apart.first(), apart.last()) else { continue };
        let (Some(&none_alike), Some(&many_alike)) = (alike.first(), alike.last()) else { continue };
        marks.push(Mark {
            task: "interference",
            name: format!("similarity lowers recognition ({side}, most lists)"),
            passed: above(many, many_alike),
            detail: format!("unlike items {}, most alike {}", say(many), say(many_alike)),
        });
        marks.push(Mark {
            task: "interference",
            name: format!("more lists interfere more ({side}, most alike)"),
            passed: above(none_alike, many_alike),
            detail: format!("no list {}, most lists {}", say(none_alike), say(many_alike)),
        });
        let cost =
            |none: Mean, many: Mean| Mean { mean: none.mean - many.mean, ci95: none.ci95.hypot(many.ci95) };
        let (unlike, like) = (cost(none, many), cost(none_alike, many_alike));
        marks.push(Mark {
            task: "interference",
            name: format!("similarity raises the cost of lists ({side})"),
            passed: above(like, unlike),
            detail: format!("cost of the lists: unlike {}, most alike {}", say(unlike), say(like)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_inside_the_intervals_does_not_count() {
        let mean = |mean, ci95| Mean { mean, ci95 };
        assert!(above(mean(0.8, 0.01), mean(0.7, 0.02)));
        assert!(!above(mean(0.8, 0.06), mean(0.7, 0.05)));
        assert!(!above(mean(0.7, 0.0), mean(0.8, 0.0)));
    }
}
