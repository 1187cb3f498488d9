//! One file per command; this one dispatches and holds what several of them share.

pub mod cite;
pub mod cognition;
pub mod cost;
pub mod device;
pub mod doctor;
pub mod eval;
pub mod events;
pub mod reproduce;
pub mod sweep;
pub mod synth;
pub mod train;
pub mod verify;

use crate::Command;
use clap::ValueEnum;
use ipnet_bench::Backend;
use ipnet_bench::table::Table;
use ipnet_events::PartialFile;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;

/// Runs one command; its exit code is 0 done or 1 for a negative result, and an error becomes 2.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Device(command) => device::run(command),
        Command::Doctor(command) => command.run(),
        Command::Cite(command) => command.run(),
        Command::Cognition(command) => command.run(),
        Command::Cost(command) => command.run(),
        Command::Reproduce(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Events(command) => events::run(command),
        Command::Sweep(command) => command.run(),
        Command::Synth(command) => synth::run(command),
        Command::Train(command) => command.run(),
        Command::Verify(command) => command.run(),
    }
}

/// `--backend` on the command line.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendName {
    /// The processor: the same bits on any number of threads
    Cpu,
    /// An NVIDIA GPU, where the program was built with `--features cuda`: equal bits are not promised
    Cuda,
}

impl From<BackendName> for Backend {
    fn from(name: BackendName) -> Self {
        match name {
            BackendName::Cpu => Self::Cpu,
            BackendName::Cuda => Self::Cuda,
        }
    }
}

/// The number of jobs side by side: as asked for, else the number of cores.
fn threads(argument: Option<usize>) -> usize {
    argument.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// A table on stdout, for people or as JSON.
fn print_table(table: &Table, json: bool) {
    if json {
        println!("{}", table.to_json());
    } else {
        print!("{}", table.to_text());
    }
}

/// Writes a whole file; what stood at `path` stays until then, and if it fails.
fn save(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut file = PartialFile::create(path)?;
    file.write(content.as_ref())?;
    Ok(file.finish()?)
}

/// Refuses to write `output` over `input`, which is read: `what`.
fn keep(input: &Path, output: &Path, what: &str) -> anyhow::Result<()> {
    let same = matches!((input.canonicalize(), output.canonicalize()), (Ok(a), Ok(b)) if a == b);
    anyhow::ensure!(!same, "{}: expected another file to write than {what}", output.display());
    Ok(())
}

/// Most seeds, epochs, samples or threads: beyond any use, and no product of such counts overflows.
const MOST: usize = 100_000;

/// A parser of whole numbers in `range`.
fn whole(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {} to {}", range.start(), range.end())),
    }
}
