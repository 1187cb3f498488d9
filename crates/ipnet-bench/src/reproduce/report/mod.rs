//! The report of the main job: every verdict is computed from the rows.

mod claims;
mod energy;
mod studies;
mod tasks;

use super::Plan;
use super::real_clips::RealClips;
use crate::Result;
use crate::cognition::{self, CognitionReport};
use crate::report::{Block, Claim, Report, Section, Source};
use crate::run::RunDir;
use crate::study::{ConditionRow, Row};
use crate::table::Table;
use crate::task::Task;
use ipnet_device::StepLaw;
use std::collections::BTreeSet;

/// What the run computed.
pub(super) struct Found<'a> {
    pub tasks: &'a [&'a dyn Task],
    pub rows: &'a [Row],
    /// Of IP neurons on several device sets.
    pub devices: &'a [Row],
    /// Of IP neurons with slots of several lengths.
    pub slots: &'a [Row],
    /// Trained networks under conditions.
    pub conditions: &'a [ConditionRow],
    /// The table `accuracy`.
    pub accuracy: &'a Table,
    /// The table `measures`, empty without a regression.
    pub measures: &'a Table,
    /// The table of real gesture clips, where there were any.
    pub clips: Option<&'a Table>,
    /// What networks trained on synthetic gestures tell of them.
    pub real_clips: Option<&'a RealClips>,
    pub cognition: &'a CognitionReport,
    pub remarks: &'a [String],
}

/// Writes the figures of the networks into the run and gives the report's HTML.
pub(super) fn build(run: &RunDir, plan: &Plan, law: &StepLaw, found: &Found<'_>) -> Result<String> {
    let source = |file: &str| Source { file: file.into(), command: plan.command.clone() };
    let maker = studies::Maker { run, source: &source };
    let mut sections = vec![scores(found, &source)];
    let trained_on = |task: &&&dyn Task| found.rows.iter().any(|row| row.task == task.name());
    for task in found.tasks.iter().filter(trained_on) {
        sections.push(tasks::section(run, *task, found, law, &source)?);
    }
    sections.extend(maker.sections(found)?);
    let bill = energy::section(&maker, &plan.device, found)?;
    if let Some(table) = found.clips {
        let caption = "Each clip cut by its label row, [start, end), and framed; a cell of a frame holds 255 events, and what a full one meets \
             beyond that is not framed.";
        let mut blocks = vec![Block::Table {
            caption: caption.into(),
            table: table.clone(),
            source: source("tables/dvs_gesture_clips.csv"),
        }];
        if let Some(real) = found.real_clips {
            let caption = "From synthetic to real: how many of these clips the networks tell right that were trained on synthetic \
                           gestures alone and never saw a real one (chance is one in eleven).";
            blocks.push(maker.table("sim-to-real", caption, real.right.clone())?);
            let caption = "What each of them tells of each clip.";
            blocks.push(maker.table("sim-to-real-clips", caption, real.told.clone())?);
        }
        sections.push(Section { heading: "Real DVS Gesture clips".into(), blocks });
    }
    let mut claims: Vec<Claim> =
        found.tasks.iter().flat_map(|task| claims::of_task(*task, found, &source)).collect();
    if let Some((section, of_bill)) = bill {
        sections.push(section);
        claims.extend(of_bill);
    }
    sections.push(cognition::section(found.cognition, &plan.command));
    claims.extend(cognition::claims(found.cognition, &plan.command));
    let mut summary = summary(plan, law, found.tasks);
    summary.extend(found.remarks.iter().map(|remark| format!("Note: {remark}.")));
    let report = Report {
        title: format!("IPNet: {} reproduction", plan.tier.name()),
        summary,
        claims,
        sections,
        provenance: provenance(run, plan),
    };
    Ok(report.to_html())
}

/// The tables of all tasks.
fn scores(found: &Found<'_>, source: &dyn Fn(&str) -> Source) -> Section {
    let caption = "Accuracy on the test part, after the epoch that was best on the validation part (cut from the \
                   training part; the test part chose nothing). Mean and sample standard deviation over seeds; \
                   `last_epoch` columns: the same networks after their last epoch. `data` says which recordings: \
                   synthetic ones come from the generator, nmnist is real.";
    let mut blocks = vec![Block::Table {
        caption: caption.into(),
        table: found.accuracy.clone(),
        source: source("tables/accuracy.csv"),
    }];
    if !found.measures.rows().is_empty() {
        let caption = "Regressions: each measure on the test part, mean and sample standard deviation over seeds; the epoch \
                       was chosen on the validation part.";
        blocks.push(Block::Table {
            caption: caption.into(),
            table: found.measures.clone(),
            source: source("tables/measures.csv"),
        });
    }
    Section { heading: "Scores".into(), blocks }
}

fn summary(plan: &Plan, law: &StepLaw, tasks: &[&dyn Task]) -> Vec<String> {
    let data: BTreeSet<&str> = tasks.iter().map(|task| task.data()).collect();
    let data: Vec<String> = data.into_iter().map(|name| format!("recordings \"{name}\"")).collect();
    vec![
        format!(
            "Networks with one backbone and different memories, each trained from {} seeds on {}. The device of the IP \
             neurons is the parameter set \"{}\", of which nothing is trained; the preset \"default\" is an assumed working point, chosen \
             because heat remembers there on a task like the digits in time. One network step is one pulse slot of \
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
