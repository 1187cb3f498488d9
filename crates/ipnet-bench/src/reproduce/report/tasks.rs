//! One section per task: scores, learning, confusion, heat.

use super::Found;
use crate::Result;
use crate::figure::{BarSeries, Bars, Confusion, Curve, Curves, svg};
use crate::report::{Block, Section, Source};
use crate::reproduce::heat::SensorHeat;
use crate::run::RunDir;
use crate::study::Row;
use crate::table::Table;
use crate::task::{Classification, Task};
use ipnet_device::StepLaw;
use ipnet_zoo::Placement;

/// The section of `task`, its figures and tables written into the run.
pub(super) fn section(
    run: &RunDir,
    task: &dyn Task,
    found: &Found<'_>,
    law: &StepLaw,
    source: &dyn Fn(&str) -> Source,
) -> Result<Section> {
    let rows: Vec<&Row> = found.rows.iter().filter(|row| row.task == task.name()).collect();
    let mut blocks = Vec::new();
    let figure = |blocks: &mut Vec<Block>, name: &str, caption: String, svg: String, file: &str| {
        run.write_figure(name, &svg)?;
        blocks.push(Block::Figure { caption, svg, source: source(file) });
        Ok::<_, crate::Error>(())
    };
    let name = task.name();
    let classification = task.classification();
    let file = if classification.is_some() { "tables/accuracy.csv" } else { "tables/measures.csv" };
    let bars = svg(&score_bars(task, &rows))?;
    let what = if classification.is_some() { "test accuracy" } else { "explained variance on the test part" };
    let caption = format!("{name} on {} recordings: {what}, one dot per seed.", task.data());
    figure(&mut blocks, &format!("{name}.accuracy"), caption, bars, file)?;
    let curves = svg(&learning_curves(task, &rows))?;
    let caption = "Score on the validation part over training; bands span the seeds.".to_owned();
    figure(&mut blocks, &format!("{name}.learning"), caption, curves, "metrics.jsonl")?;
    let sensor = rows.iter().find(|row| row.spec.placement == Placement::Sensor);
    if let (Some(row), Some(task)) = (sensor, classification) {
        let (confusion, table) = confusion(task, row)?;
        let file = run.write_table(&format!("{name}.confusion"), &table)?;
        let caption = format!("{} on the test part, all seeds together.", row.label());
        figure(&mut blocks, &format!("{name}.confusion"), caption, svg(&confusion)?, &file)?;
    }
    let heat = SensorHeat::new(task, law)?;
    let (traces, table) = heat.traces()?;
    let file = run.write_table(&format!("{name}.heat"), &table)?;
    let caption =
        "The memory itself: temperature rise of three sensor pixels over one test clip, computed with the \
                   f64 step law at the untrained gain and bias."
            .to_owned();
    figure(&mut blocks, &format!("{name}.heat"), caption, traces, &file)?;
    let (maps, table) = heat.maps()?;
    let file = run.write_table(&format!("{name}.temperature"), &table)?;
    let caption =
        "The same for every pixel: the temperature of the whole sensor, with one scale for all slots.";
    figure(&mut blocks, &format!("{name}.temperature"), caption.to_owned(), maps, &file)?;
    Ok(Section { heading: format!("Task {name} ({})", task.data()), blocks })
}

fn score_bars(task: &dyn Task, rows: &[&Row]) -> Bars {
    let scaled = |value: &f64| 100.0 * value;
    let classes = task.classification().is_some();
    let mut series = vec![BarSeries {
        label: if classes { "accuracy" } else { "explained variance" }.into(),
        values: rows.iter().map(|row| row.accuracies().iter().map(scaled).collect()).collect(),
    }];
    let directions = |row: &&Row| -> Vec<f64> {
        row.results.iter().filter_map(|(_, result)| result.direction).map(|share| 100.0 * share).collect()
    };
    if rows.iter().any(|row| !directions(row).is_empty()) {
        let values = rows.iter().map(directions).collect();
        series.push(BarSeries { label: "direction of time".into(), values });
    }
    Bars {
        title: format!("{}: test part", task.name()),
        y_label: if classes { "test samples (%)" } else { "explained variance (%)" }.into(),
        y_range: classes.then_some((0.0, 100.0)),
        reference: classes.then(|| (100.0 / task.outputs() as f64, "chance".into())),
        groups: rows.iter().map(|row| row.label()).collect(),
        series,
    }
}

fn learning_curves(task: &dyn Task, rows: &[&Row]) -> Curves {
    let curve = |row: &&Row| {
        let epochs = row.results.iter().map(|(_, result)| result.history.len()).min().unwrap_or(0);
        let at = |epoch: usize| {
            let scores = row.results.iter().filter_map(|(_, result)| result.history.get(epoch));
            ((epoch + 1) as f64, scores.map(|record| 100.0 * record.validation_score).collect::<Vec<_>>())
        };
        Curve::over_seeds(row.label(), (0..epochs).map(at))
    };
    Curves {
        title: format!("{}: validation part over training", task.name()),
        x_label: "epoch".into(),
        y_label: "validation score (%)".into(),
        // Explained variance may be negative.
        y_range: task.classification().map(|_| (0.0, 100.0)),
        log_x: false,
        markers: false,
        series: rows.iter().map(curve).collect(),
    }
}

fn confusion(task: &Classification, row: &Row) -> Result<(Confusion, Table)> {
    let classes = task.class_names();
    let mut counts = vec![vec![0_u64; classes.len()]; classes.len()];
    for (_, result) in &row.results {
        for (&sample, &predicted) in task.splits().test.iter().zip(&result.predictions) {
            if let Some(cell) = counts[task.label(sample)].get_mut(predicted) {
                *cell += 1;
            }
        }
    }
    let mut table = Table::new(std::iter::once("true class".to_owned()).chain(classes.iter().cloned()));
    for (name, row) in classes.iter().zip(&counts) {
        table.push(std::iter::once(name.clone()).chain(row.iter().map(u64::to_string)))?;
    }
    let title = format!("{}: {}", task.name(), row.label());
    Ok((Confusion { title, classes, counts }, table))
}
