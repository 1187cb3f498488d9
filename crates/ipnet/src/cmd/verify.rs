//! `ipnet verify`: a run's own checks, repeated.

use anyhow::Result;
use clap::Args;
use ipnet_bench::run::{Expectations, Verdict, check_table, verify};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check a run folder against its manifest, and its tables against expected values
///
/// Every table, figure, job file, the metrics and the report must be there with the hash its manifest states, the device set must be the one of this program, and the cells
/// of its tables that are listed for its command must lie within their tolerance. Exit code 1 where a check fails.
#[derive(Args)]
pub struct Verify {
    /// Folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Folder of expectations (*.json) [default: results/expected, where it is there]
    #[arg(long, value_name = "DIR")]
    expected: Option<PathBuf>,
    /// Print every check, not only those that do not pass
    #[arg(long)]
    all: bool,
    /// Print all checks as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let default = Path::new("results/expected");
        let expectations = match &self.expected {
            Some(folder) => Expectations::read_all(folder)?,
            None if default.is_dir() => Expectations::read_all(default)?,
            None => {
                eprintln!("note: no {}: tables are not compared with expected values", default.display());
                Vec::new()
            }
        };
        let mut checks = verify(&self.run, &expectations)?;
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        let (passed, failed, not_run) =
            (count(Verdict::Passed), count(Verdict::Failed), count(Verdict::NotRun));
        if !self.all && !self.json {
            checks.retain(|check| check.verdict != Verdict::Passed);
        }
        if self.json || !checks.is_empty() {
            super::print_table(&check_table(&checks)?, self.json);
        }
        eprintln!("{passed} checks passed, {failed} failed, {not_run} were not run");
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}
