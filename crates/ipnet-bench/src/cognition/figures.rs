//! Figures that read at once: the human curve and the model's with its 95 % band, one panel per study.

use super::human::Study;
use super::interference::{LISTS, SIMILARITIES};
use super::recall::LAGS;
use super::report::{CognitionReport, StudyResult};
use super::stats::Mean;
use super::{KindMeans, human};
use crate::Result;
use crate::figure::{Curve, CurvePoint, Curves, Panels, Plot, svg};

const PANEL_PX: (u32, u32) = (520, 360);
const CHANCE_TO_ONE: Option<(f64, f64)> = Some((0.4, 1.02));

pub(super) fn all(report: &CognitionReport) -> Result<Vec<(&'static str, String)>> {
    let mut figures = Vec::new();
    if !report.studies.is_empty() {
        let plots = report.studies.iter().map(|s| Box::new(study(s)) as Box<dyn Plot>).collect();
        let title = "Human and model working memory (band: 95 % interval of the mean)".to_owned();
        figures.push(("cognition-studies", svg(&Panels { title, columns: 2, panel_px: PANEL_PX, plots })?));
    }
    let mut detail: Vec<Box<dyn Plot>> = Vec::new();
    if let Some(model) = report.lures.first() {
        detail.push(Box::new(lures("n-back by kind of stimulus", &model.rows)));
    }
    if !report.first_recall.is_empty() {
        let x = Study::Peers16.x();
        detail.push(Box::new(Curves {
            title: "Where recall starts (PEERS)".to_owned(),
            x_label: "serial position".to_owned(),
            y_label: "probability of first recall".to_owned(),
            y_range: Some((0.0, 1.0)),
            markers: true,
            series: vec![
                Curve::line("human", x.iter().copied().zip(human::first_recall())),
                band("model", &x, &report.first_recall),
            ],
            ..Curves::default()
        }));
        let lags = || LAGS.iter().map(|lag| f64::from(*lag));
        detail.push(Box::new(Curves {
            title: "What follows what (lag-CRP, PEERS)".to_owned(),
            x_label: "lag between words recalled in turn".to_owned(),
            y_label: "conditional response probability".to_owned(),
            y_range: Some((0.0, 0.6)),
            markers: true,
            series: vec![
                Curve::line("human", lags().zip(human::lag_crp())),
                Curve::line("model", lags().zip(report.lag_crp.iter().copied())),
            ],
            ..Curves::default()
        }));
    }
    for grid in report.interference.iter().filter(|grid| grid.condition == "model") {
        detail.push(Box::new(interference(&format!("Interference, {}", grid.side.name()), &grid.cells)));
    }
    if !detail.is_empty() {
        let title = "Working memory in detail".to_owned();
        let panels = Panels { title, columns: 2, panel_px: PANEL_PX, plots: detail };
        figures.push(("cognition-detail", svg(&panels)?));
    }
    Ok(figures)
}

fn band(label: &str, x: &[f64], means: &[Mean]) -> Curve {
    let point =
        |(x, m): (&f64, &Mean)| CurvePoint { x: *x, y: m.mean, low: m.mean - m.ci95, high: m.mean + m.ci95 };
    Curve { label: label.to_owned(), points: x.iter().zip(means).map(point).collect() }
}

fn study(s: &StudyResult) -> Curves {
    let r = s.model.agreement.r.map_or("-".to_owned(), |r| format!("{r:.2}"));
    let used = if s.held_out { "held out" } else { "training" };
    let (x_label, y_label) = match s.task {
        "nback" => ("n", "share of right answers"),
        "free_recall" => ("serial position", "recall probability"),
        _ => ("filled delay [s]", "share of letters recalled"),
    };
    Curves {
        title: format!("{} ({used}): r {r}, RMSE {:.2}", s.study.name(), s.model.agreement.rmse),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        y_range: if s.task == "nback" { CHANCE_TO_ONE } else { Some((0.0, 1.02)) },
        markers: true,
        series: std::iter::once(Curve::line("human", s.x.iter().copied().zip(s.human.iter().copied())))
            .chain(std::iter::once(&s.model).chain(&s.controls).map(|c| band(c.name, &s.x, &c.curve)))
            .collect(),
        ..Curves::default()
    }
}

fn lures(title: &str, kinds: &[KindMeans]) -> Curves {
    let line = |label: &str, of: &dyn Fn(&KindMeans) -> Option<Mean>| {
        let (x, means): (Vec<f64>, Vec<Mean>) =
            kinds.iter().filter_map(|k| Some((k.n as f64, of(k)?))).unzip();
        band(label, &x, &means)
    };
    Curves {
        title: title.to_owned(),
        x_label: "n".to_owned(),
        y_label: "share of right answers".to_owned(),
        y_range: Some((0.0, 1.02)),
        markers: true,
        series: vec![
            line("match", &|k| k.hits),
            line("plain", &|k| k.plain),
            line("lure n-1", &|k| k.lure_before),
            line("lure n+1", &|k| k.lure_after),
        ],
        ..Curves::default()
    }
}

fn interference(title: &str, grid: &[Vec<Mean>]) -> Curves {
    let x: Vec<f64> = LISTS.iter().map(|lists| *lists as f64).collect();
    Curves {
        title: title.to_owned(),
        x_label: "interfering lists".to_owned(),
        y_label: "right choices (chance 0.5)".to_owned(),
        y_range: CHANCE_TO_ONE,
        markers: true,
        series: SIMILARITIES
            .iter()
            .zip(grid)
            .map(|(similarity, row)| band(&format!("{:.0} % shared", similarity * 100.0), &x, row))
            .collect(),
        ..Curves::default()
    }
}
