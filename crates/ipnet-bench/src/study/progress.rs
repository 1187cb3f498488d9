//! Progress on stderr: one bar for the whole study with the time left, one for each job that runs.
//!
//! Where stderr is no terminal, bars are silent and one line is printed for each finished job.

use super::JobResult;
use crate::notice::notice;
use crate::train::EpochRecord;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The study's bar counts epochs in thousandths, since the number of updates in one differs from task to task.
const EPOCH: u64 = 1000;

/// The bars of a study.
#[derive(Debug)]
pub struct StudyProgress {
    bars: MultiProgress,
    total: ProgressBar,
    terminal: bool,
    jobs: usize,
    ended: AtomicUsize,
    /// Epochs (in [`EPOCH`]s) that earlier processes made: they say nothing of the time left.
    inherited: AtomicU64,
}

impl StudyProgress {
    /// Bars for `jobs` jobs of `epochs` epochs in all.
    pub fn new(jobs: usize, epochs: usize) -> Self {
        let bars = MultiProgress::new();
        let total = bars.add(ProgressBar::new(epochs as u64 * EPOCH));
        total.set_style(style("{msg:<38} [{bar:30}] {percent:>3} %  {elapsed} gone, {eta} left"));
        total.set_message("all networks");
        let (ended, inherited) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { bars, total, terminal: std::io::stderr().is_terminal(), jobs, ended, inherited }
    }

    /// A bar for one job.
    pub(super) fn job(&self, id: &str, epochs: usize) -> JobBar {
        let bar = self.bars.insert_before(&self.total, ProgressBar::new(1));
        bar.set_style(style("{prefix:<38} [{bar:30}] {percent:>3} %  {per_sec} updates, {eta} left  {msg}"));
        bar.set_prefix(id.to_owned());
        JobBar { bar, total: self.total.clone(), counted: 0, epochs }
    }

    /// A job that an earlier process finished.
    pub(super) fn skipped(&self, id: &str, epochs: usize) {
        self.total.inc(epochs as u64 * EPOCH);
        self.inherited.fetch_add(epochs as u64 * EPOCH, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.say(&format!("{id}: done before"));
    }

    /// A job that is complete.
    pub(super) fn finished(&self, id: &str, result: &JobResult) {
        let direction = result.direction.map_or(String::new(), |d| format!(", direction {:.1} %", 100.0 * d));
        let score = match result.estimates.is_empty() {
            true => format!("{:.1} % of the test part", 100.0 * result.score),
            false => format!("score {:.3} on the test part", result.score),
        };
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        self.say(&format!(
            "{id}: {score}{direction} (epoch {}); {ended} of {} networks, about {} left",
            result.chosen_epoch,
            self.jobs,
            self.left()
        ));
    }

    /// Time left, from the rate of this process so far.
    fn left(&self) -> HumanDuration {
        let inherited = self.inherited.load(Ordering::Relaxed);
        let (done, all) = (self.total.position(), self.total.length().unwrap_or_default());
        let made = done.saturating_sub(inherited).max(1);
        let seconds = self.total.elapsed().as_secs_f64() * all.saturating_sub(done) as f64 / made as f64;
        HumanDuration(Duration::from_secs_f64(seconds))
    }

    /// Prints a line above the bars.
    pub fn say(&self, line: &str) {
        if self.terminal {
            self.total.println(line);
        } else {
            notice(line);
        }
    }
}

impl Drop for StudyProgress {
    fn drop(&mut self) {
        self.total.finish_and_clear();
    }
}

/// The bar of one job.
#[derive(Debug)]
pub(super) struct JobBar {
    bar: ProgressBar,
    total: ProgressBar,
    counted: u64,
    epochs: usize,
}

impl JobBar {
    pub fn resumed(&mut self, epochs: usize) {
        self.count(epochs as u64 * EPOCH);
    }

    pub fn updates(&mut self, done: usize, total: usize) {
        if self.bar.length() == Some(1) && done > 1 {
            // What an earlier process did is not this one's rate.
            self.bar.set_position(done as u64 - 1);
            self.bar.reset_eta();
        }
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        self.count((done * self.epochs) as u64 * EPOCH / total.max(1) as u64);
    }

    pub fn epoch(&mut self, record: &EpochRecord) {
        self.bar.set_message(format!(
            "epoch {}, loss {:.3}, validation {:.1} %",
            record.epoch,
            record.train_loss,
            100.0 * record.validation_score
        ));
    }

    /// The job is complete, be it before its last epoch.
    pub fn ended(&mut self) {
        self.count(self.epochs as u64 * EPOCH);
    }

    /// Moves the study's bar to `units` of this job.
    fn count(&mut self, units: u64) {
        self.total.inc(units.saturating_sub(self.counted));
        self.counted = self.counted.max(units);
    }
}

impl Drop for JobBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A bar's style; the templates are this file's own, and one that cannot be read falls back to the plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
