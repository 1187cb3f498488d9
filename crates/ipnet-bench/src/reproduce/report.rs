//! The report of the main job: every verdict is computed from the rows.

use super::{Plan, heat};
use crate::Result;
use crate::cognition::{self, CognitionReport};
use crate::figure::{BarSeries, Bars, Confusion, Curve, Curves, mean_sd, svg};
use crate::report::{Block, Claim, Report, Section, Source, Verdict};
use crate::run::RunDir;
use crate::study::Row;
use crate::table::Table;
use crate::task::{Classification, Task};
use ipnet_device::StepLaw;
use ipnet_zoo::{Memory, Placement};

/// What the run computed.
pub(super) struct Found<'a> {
    pub tasks: &'a [&'a Classification],
    pub rows: &'a [Row],
    /// The table `accuracy`.
    pub accuracy: &'a Table,
    /// The table of real gesture clips, where there were any.
    pub clips: Option<&'a Table>,
    pub cognition: &'a CognitionReport,
}

/// Writes the figures of the networks into the run and gives the report's HTML.
pub(super) fn build(run: &RunDir, plan: &Plan, law: &StepLaw, found: &Found<'_>) -> Result<String> {
    let Found { tasks, rows, accuracy, clips, cognition } = *found;
    let source = |file: &str| Source { file: file.into(), command: plan.command.clone() };
    let mut sections = vec![Section {
        heading: "Accuracy".into(),
        blocks: vec![Block::Table {
            caption: "Accuracy on the test part, after the epoch that was best on the validation part (cut from the \
                      training part; the test part chose nothing). Mean and sample standard deviation over seeds; \
                      `last_epoch` columns: the same networks after their last epoch. `data` says which recordings: \
                      synthetic ones come from the generator, nmnist is real."
                .into(),
            table: accuracy.clone(),
            source: source("tables/accuracy.csv"),
        }],
    }];
    for task in tasks {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.task == task.name()).collect();
        let mut blocks = Vec::new();
        let figure = |blocks: &mut Vec<Block>, name: &str, caption: String, svg: String, file: &str| {
            run.write_figure(name, &svg)?;
            blocks.push(Block::Figure { caption, svg, source: source(file) });
            Ok::<_, crate::Error>(())
        };
        let name = task.name();
        let bars = svg(&accuracy_bars(task, &rows))?;
        let caption = format!("{name} on {} recordings: test accuracy, one dot per seed.", task.data());
        figure(&mut blocks, &format!("{name}.accuracy"), caption, bars, "tables/accuracy.csv")?;
        let curves = svg(&learning_curves(task, &rows))?;
        let caption = "Accuracy on the validation part over training; bands span the seeds.".to_owned();
        figure(&mut blocks, &format!("{name}.learning"), caption, curves, "metrics.jsonl")?;
        if let Some(row) = rows.iter().find(|row| row.spec.placement == Placement::Sensor) {
            let (confusion, table) = confusion(task, row)?;
            let file = run.write_table(&format!("{name}.confusion"), &table)?;
            let caption = format!("{} on the test part, all seeds together.", row.label());
            figure(&mut blocks, &format!("{name}.confusion"), caption, svg(&confusion)?, &file)?;
        }
        let (traces, table) = heat::traces(task, law)?;
        let file = run.write_table(&format!("{name}.heat"), &table)?;
        let caption = "The memory itself: temperature rise of three sensor pixels over one test clip, computed with the \
                       f64 step law at the untrained gain and bias."
            .to_owned();
        figure(&mut blocks, &format!("{name}.heat"), caption, traces, &file)?;
        sections.push(Section { heading: format!("Task {name} ({})", task.data()), blocks });
    }
    if let Some(table) = clips {
        sections.push(Section {
            heading: "Real DVS Gesture clips through the loader".into(),
            blocks: vec![Block::Table {
                caption: "Each clip cut by its label row, [start, end), and framed; no event is lost between the two.".into(),
                table: table.clone(),
                source: source("tables/dvs_gesture_clips.csv"),
            }],
        });
    }
    sections.push(cognition::section(cognition, &plan.command));
    let mut claims: Vec<Claim> =
        tasks.iter().flat_map(|task| claims(task, rows, &source("tables/accuracy.csv"))).collect();
    claims.extend(cognition::claims(cognition, &plan.command));
    let report = Report {
        title: format!("IPNet: {} reproduction", plan.tier.name()),
        summary: summary(plan, law, tasks),
        claims,
        sections,
        provenance: provenance(run, plan),
    };
    Ok(report.to_html())
}

fn summary(plan: &Plan, law: &StepLaw, tasks: &[&Classification]) -> Vec<String> {
    let data: Vec<&str> = tasks.iter().map(|task| task.data()).collect();
    vec![
        format!(
            "Networks with one backbone and different memories, each trained from {} seeds on {}. The device of the IP \
             neurons is the parameter set \"{}\"; nothing in it was fitted to a task. One network step is one pulse slot of \
             {:.3e} s: recordings are replayed in compressed time.",
            plan.seeds,
            data.join(" and "),
            plan.device.name,
            law.dt_s
        ),
        "Percentages of the paper are for the official DVS128 Gesture recordings and networks whose details are not \
         published; the values here are for the data named beside them and for small networks trained in minutes. Orders \
         and differences can be compared, absolute values cannot."
            .into(),
    ]
}

fn find<'a>(rows: &'a [Row], task: &str, memory: Memory, placement: Placement) -> Option<&'a Row> {
    rows.iter().find(|row| row.task == task && row.spec.memory == memory && row.spec.placement == placement)
}

/// The claims this tier can speak to, each with a verdict from the rows of one task.
fn claims(task: &Classification, rows: &[Row], source: &Source) -> Vec<Claim> {
    let at = |memory, placement| find(rows, task.name(), memory, placement);
    let sensor = at(Memory::Ip, Placement::Sensor);
    let mut claims = Vec::new();
    let mut push = |claim: &str, paper: &str, better: Option<&Row>, other: Option<&Row>| {
        let (Some(better), Some(other)) = (better, other) else { return };
        claims.push(Claim {
            claim: claim.into(),
            paper: paper.into(),
            here: format!(
                "{} {} against {} {}",
                better.label(),
                percent(better),
                other.label(),
                percent(other)
            ),
            data: format!("{} ({}), {} seeds", task.name(), task.data(), better.results.len()),
            verdict: compare(&better.accuracies(), &other.accuracies()),
            source: source.clone(),
        });
    };
    push(
        "heat is a memory: IP neurons against none",
        "implied by 99.48 % on 22 classes",
        sensor,
        at(Memory::None, Placement::None),
    );
    push("better than an LSTM on the same backbone", "order only", sensor, at(Memory::Lstm, Placement::Head));
    push(
        "memory at the sensor beats memory deeper in the network",
        "order only",
        sensor,
        at(Memory::Ip, Placement::Stage3),
    );
    claims
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

fn percent(row: &Row) -> String {
    mean_sd(&row.accuracies())
        .map_or_else(String::new, |(mean, sd)| format!("{:.1} ± {:.1} %", 100.0 * mean, 100.0 * sd))
}

fn accuracy_bars(task: &Classification, rows: &[&Row]) -> Bars {
    let chance = 100.0 / task.outputs() as f64;
    let scaled = |value: &f64| 100.0 * value;
    let mut series = vec![BarSeries {
        label: "accuracy".into(),
        values: rows.iter().map(|row| row.accuracies().iter().map(scaled).collect()).collect(),
    }];
    if rows.iter().any(|row| row.results.iter().any(|(_, result)| result.direction.is_some())) {
        series.push(BarSeries {
            label: "direction of time".into(),
            values: rows
                .iter()
                .map(|row| {
                    row.results.iter().filter_map(|(_, result)| result.direction).map(|d| 100.0 * d).collect()
                })
                .collect(),
        });
    }
    Bars {
        title: format!("{}: test accuracy", task.name()),
        y_label: "test samples (%)".into(),
        y_range: Some((0.0, 100.0)),
        reference: Some((chance, "chance".into())),
        groups: rows.iter().map(|row| row.label()).collect(),
        series,
    }
}

fn learning_curves(task: &Classification, rows: &[&Row]) -> Curves {
    let curve = |row: &&Row| {
        let epochs = row.results.iter().map(|(_, result)| result.history.len()).min().unwrap_or(0);
        let at = |epoch: usize| {
            let scores = row.results.iter().filter_map(|(_, result)| result.history.get(epoch));
            ((epoch + 1) as f64, scores.map(|record| 100.0 * record.validation_score).collect::<Vec<_>>())
        };
        Curve::over_seeds(row.label(), (0..epochs).map(at))
    };
    Curves {
        title: format!("{}: validation accuracy over training", task.name()),
        x_label: "epoch".into(),
        y_label: "validation samples (%)".into(),
        y_range: Some((0.0, 100.0)),
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

fn provenance(run: &RunDir, plan: &Plan) -> Vec<(String, String)> {
    let manifest = run.manifest();
    let mut entries = vec![
        ("command".to_owned(), manifest.command.clone()),
        ("revision".to_owned(), manifest.revision.clone().unwrap_or_else(|| "not under git".into())),
        ("device set".to_owned(), format!("{} (sha256 {})", manifest.device.name, manifest.device.sha256)),
        ("seeds".to_owned(), manifest.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
        (
            "host".to_owned(),
            format!("{}, {} cores, {}", manifest.host.cpu, manifest.host.cores, manifest.host.os),
        ),
        ("jobs side by side".to_owned(), plan.threads.to_string()),
        ("started".to_owned(), manifest.started.clone()),
    ];
    entries.extend(manifest.data.iter().map(|data| {
        let parts = format!("{} train, {} validation, {} test", data.train, data.validation, data.test);
        (format!("data {}", data.name), format!("{parts}; sha256 of the frames {}", data.sha256))
    }));
    entries
}
