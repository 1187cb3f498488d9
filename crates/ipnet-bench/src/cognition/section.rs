//! The section of the main report: figures, agreement, marks and sensitivity of a run.

use super::{CognitionConfig, CognitionReport};
use crate::report::{Block, Claim, Section, Source, Verdict};

/// What each table shows.
const CAPTIONS: [(&str, &str); 7] = [
    (
        "cognition-studies",
        "Agreement with people: Pearson's r and RMSE over the points of a curve. Training curves fitted the three free \
         numbers of the protocol; on held-out ones only the level was set, on one point.",
    ),
    (
        "cognition-marks",
        "Marks of human working memory; every verdict is computed from the curves of this run.",
    ),
    ("cognition-curves", "The curves: mean over simulated subjects and half width of its 95 % interval."),
    ("cognition-order", "Where recall starts and what follows what; nothing was fitted to these."),
    ("cognition-nback", "n-back: share of right answers by kind of stimulus, at the level of session 1."),
    (
        "cognition-interference",
        "Interference: share of right choices between a target and a new item (chance 1/2).",
    ),
    (
        "cognition-sensitivity",
        "Change of a training curve's mean when an assumed device parameter is scaled and nothing is set anew.",
    ),
];

fn blocks(report: &CognitionReport, command: &str) -> Vec<Block> {
    let source = |file: String| Source { file, command: command.to_owned() };
    let protocol = &report.protocol;
    let mut blocks = vec![Block::Text(format!(
        "{} simulated subjects remember by the heat of device set \"{}\" alone. One slot of {:.1e} s stands for {:.2} s of \
         a human task, {:.2} items can be written in a slot, an item answers when {:.1} % of its polled neurons fire: \
         three numbers for all tasks, fitted to the training half of the human curves. Human time is compressed; what \
         can be compared is the form of forgetting, not seconds.",
        report.subjects,
        report.device,
        report.slot_s,
        report.human_s_per_slot,
        protocol.pulses_per_slot,
        100.0 * protocol.read_ratio,
    ))];
    for (name, svg) in &report.figures {
        let (caption, from) = match *name {
            "cognition-studies" => (
                "Human curves and the model (bands: 95 % intervals of the mean over subjects).",
                "tables/cognition-curves.csv",
            ),
            _ => (
                "The tasks in detail: kinds of stimulus, order of recall, interference.",
                "tables/cognition-nback.csv, cognition-order.csv, cognition-interference.csv",
            ),
        };
        blocks.push(Block::Figure {
            caption: caption.to_owned(),
            svg: svg.clone(),
            source: source(from.to_owned()),
        });
    }
    for (name, table) in report.tables.iter().filter(|(name, _)| *name != "cognition-curves") {
        let caption = CAPTIONS.iter().find(|(of, _)| of == name).map_or("", |(_, caption)| caption);
        blocks.push(Block::Table {
            caption: caption.to_owned(),
            table: table.clone(),
            source: source(format!("tables/{name}.csv")),
        });
    }
    blocks
}

/// Human-like working memory as a section of the report. The caller writes [`CognitionReport::tables`] and
/// [`CognitionReport::figures`] into the run.
pub fn section(report: &CognitionReport, command: &str) -> Section {
    Section { heading: "Human-like working memory".to_owned(), blocks: blocks(report, command) }
}

/// One claim per task with a human curve: holds where every mark of the task passes, partly where some do.
pub fn claims(report: &CognitionReport, command: &str) -> Vec<Claim> {
    let claim = |task: &super::TaskSummary| {
        let passed = task.marks.iter().filter(|mark| mark.passed).count();
        let verdict = match passed {
            0 => Verdict::DoesNotHold,
            _ if passed == task.marks.len() => Verdict::Holds,
            _ => Verdict::Partly,
        };
        let agreement = match (task.held_out_r, task.held_out_rmse) {
            (Some(r), Some(rmse)) => format!("held-out r {r:.2}, RMSE {rmse:.3}; "),
            _ => String::new(),
        };
        Claim {
            claim: format!("human-like working memory: {}", task.task.replace('_', " ")),
            paper: "trend of human subjects".to_owned(),
            here: format!("{agreement}{passed} of {} marks", task.marks.len()),
            data: format!("{} simulated subjects against published human curves", report.subjects),
            verdict,
            source: Source { file: "tables/cognition-marks.csv".to_owned(), command: command.to_owned() },
        }
    };
    report.summary.iter().filter(|task| !task.marks.is_empty()).map(claim).collect()
}

impl CognitionConfig {
    /// What the main job runs in every tier: every task and store, without the sensitivity table and with a shorter training of
    /// the LSTM.
    pub fn quick(device: ipnet_device::DeviceSet) -> Self {
        Self { sensitivity_subjects: 0, lstm_updates: 500, ..Self::new(device) }
    }
}
