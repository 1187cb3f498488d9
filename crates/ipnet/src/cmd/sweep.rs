//! `ipnet sweep`: a grid of networks, device sets, folds and seeds from a TOML file.

use anyhow::Result;
use clap::Args;
use ipnet_bench::Backend;
use ipnet_bench::study::{Effort, Sweep as Plan, SweepRun, run_sweep, sweep_tables};
use ipnet_bench::task::DataFolder;
use std::path::PathBuf;
use std::process::ExitCode;

/// Train a grid of networks over device sets, placements, folds and seeds, and compare them in one table
///
/// The TOML file names a task and one or more [[grid]]s, run in order; docs/zoo.md describes it. A sweep that was stopped
/// goes on where it was when the same command is given again. The table gives mean and spread over folds and seeds and the
/// paired difference to the sweep's first network; it is printed and kept as tables/sweep.csv and tables/sweep.md.
#[derive(Args)]
pub struct Sweep {
    /// The sweep's description
    #[arg(value_name = "SWEEP.toml")]
    file: PathBuf,
    /// Folder of real recordings: nmnist/Train/<digit>/*.bin, dvs_gesture/*.aedat, ddd20/<day>/*.hdf5
    /// [default: $IPNET_DATA, else none]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What computes the networks; one that this program or machine does not have is an error, never replaced
    #[arg(long, value_enum, default_value_t = super::BackendName::Cpu)]
    backend: super::BackendName,
    /// Networks trained side by side, one thread each; no result on the CPU depends on it [default: number of cores]
    #[arg(long, value_name = "N", value_parser = super::whole(1..=super::MOST))]
    threads: Option<usize>,
    /// Folder of the run [default: results/sweep-<name of the file>, with -cuda behind it on that backend]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write TensorBoard event files below this folder, one run per job
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// Train nothing: print the table of what is finished so far, also while the sweep runs
    #[arg(long)]
    table: bool,
    /// With --table: one row per job instead of one per network
    #[arg(long, requires = "table")]
    jobs: bool,
    /// How the table is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Columns for a terminal
    Text,
    /// Comma-separated values
    Csv,
    /// A Markdown table
    Md,
    /// One JSON object per row
    Json,
}

impl Sweep {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let sweep = Plan::read(&self.file)?;
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let backend = Backend::from(self.backend);
        let of_its_own = || backend.behind(&format!("results/sweep-{name}"), "-").into();
        let out = self.out.unwrap_or_else(of_its_own);
        let table = if self.table {
            let [networks, jobs] = sweep_tables(&sweep, &out)?;
            if self.jobs { jobs } else { networks }
        } else {
            let plan = SweepRun {
                sweep,
                data: DataFolder::from_argument(self.data.as_deref())?,
                out: out.clone(),
                effort: Effort {
                    threads: super::threads(self.threads),
                    backend,
                    tensorboard: self.tensorboard,
                },
                command: backend.behind(&format!("ipnet sweep {name}.toml"), " --backend "),
            };
            run_sweep(&plan)?
        };
        match self.format {
            Format::Text => print!("{}", table.to_text()),
            Format::Csv => print!("{}", table.to_csv()),
            Format::Md => print!("{}", table.to_markdown()),
            Format::Json => println!("{}", table.to_json()),
        }
        if !self.table {
            ipnet_bench::notice(format_args!("run: {}", out.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
