//! The tables of a run.

use super::interference::{LISTS, SIMILARITIES};
use super::report::{CognitionReport, Condition};
use super::stats::Mean;
use crate::Result;
use crate::table::Table;

pub(super) fn all(report: &CognitionReport) -> Result<Vec<(&'static str, Table)>> {
    let mut tables = vec![
        ("cognition-studies", studies(report)?),
        ("cognition-marks", marks(report)?),
        ("cognition-curves", curves(report)?),
        ("cognition-order", order(report)?),
        ("cognition-nback", lures(report)?),
        ("cognition-interference", interference(report)?),
        ("cognition-sensitivity", report.sensitivity.clone()),
    ];
    tables.retain(|(_, table)| !table.rows().is_empty());
    Ok(tables)
}

fn ratio(r: Option<f64>) -> String {
    r.map_or("-".to_owned(), |r| format!("{r:.3}"))
}

fn share(m: Option<Mean>) -> String {
    m.map_or("-".to_owned(), |m| format!("{:.3}", m.mean))
}

fn studies(report: &CognitionReport) -> Result<Table> {
    let mut table = Table::new(["study", "use", "store", "level [V]", "r", "RMSE"]);
    for s in &report.studies {
        for condition in std::iter::once(&s.model).chain(&s.controls) {
            table.push([
                s.study.name().to_owned(),
                if s.held_out { "held out" } else { "training" }.to_owned(),
                condition.name.to_owned(),
                ratio(condition.level_v),
                ratio(condition.agreement.r),
                format!("{:.3}", condition.agreement.rmse),
            ])?;
        }
    }
    Ok(table)
}

fn marks(report: &CognitionReport) -> Result<Table> {
    let mut table = Table::new(["task", "mark", "verdict", "figures"]);
    for mark in &report.marks {
        let verdict = if mark.passed { "pass" } else { "fail" };
        table.push([mark.task, &mark.name, verdict, &mark.detail])?;
    }
    Ok(table)
}

fn curves(report: &CognitionReport) -> Result<Table> {
    let mut table = Table::new(["study", "x", "human", "store", "mean", "ci95"]);
    for s in &report.studies {
        for condition in std::iter::once(&s.model).chain(&s.controls) {
            let Condition { name, curve, .. } = condition;
            for ((x, human), m) in s.x.iter().zip(&s.human).zip(curve) {
                let study = s.study.name().to_owned();
                let (human, mean, ci) =
                    (format!("{human:.4}"), format!("{:.4}", m.mean), format!("{:.4}", m.ci95));
                table.push([study, x.to_string(), human, (*name).to_owned(), mean, ci])?;
            }
        }
    }
    Ok(table)
}

fn order(report: &CognitionReport) -> Result<Table> {
    let mut table = Table::new(["measure (PEERS)", "x", "human", "model"]);
    for (i, (human, model)) in super::human::first_recall().iter().zip(&report.first_recall).enumerate() {
        let cells = ["first recall".to_owned(), (i + 1).to_string()];
        table.push(cells.into_iter().chain([format!("{human:.4}"), format!("{:.4}", model.mean)]))?;
    }
    let lags = super::recall::LAGS.iter().zip(super::human::lag_crp());
    for ((lag, human), model) in lags.zip(&report.lag_crp) {
        table.push(["lag-CRP".to_owned(), lag.to_string(), format!("{human:.4}"), format!("{model:.4}")])?;
    }
    Ok(table)
}

fn lures(report: &CognitionReport) -> Result<Table> {
    let mut table = Table::new(["store", "n", "hits", "plain", "lure n-1", "lure n+1"]);
    for lures in &report.lures {
        for k in &lures.rows {
            table.push([
                lures.condition.to_owned(),
                k.n.to_string(),
                share(k.hits),
                share(k.plain),
                share(k.lure_before),
                share(k.lure_after),
            ])?;
        }
    }
    Ok(table)
}

fn interference(report: &CognitionReport) -> Result<Table> {
    let mut table = Table::new(["side", "store", "similarity", "lists", "right", "ci95"]);
    for grid in &report.interference {
        for (similarity, row) in SIMILARITIES.iter().zip(&grid.cells) {
            for (lists, cell) in LISTS.iter().zip(row) {
                table.push([
                    grid.side.name().to_owned(),
                    grid.condition.to_owned(),
                    similarity.to_string(),
                    lists.to_string(),
                    format!("{:.3}", cell.mean),
                    format!("{:.3}", cell.ci95),
                ])?;
            }
        }
    }
    Ok(table)
}
