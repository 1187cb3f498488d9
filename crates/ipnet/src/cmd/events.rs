//! `ipnet events`: recordings of event cameras, whatever their format.
//!
//! Every command works chunk by chunk, so memory does not grow with the recording, and prints to stderr what a
//! recording fell short of where that was allowed.

mod convert;
mod frames;
mod info;
mod play;

use super::keep;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ipnet_events::{EventReader, Format, Ledger, OpenOptions, Shortfall, open};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `ipnet events ...`.
#[derive(Args)]
pub struct EventsCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Info(info::Info),
    Convert(convert::Convert),
    Cut(convert::Cut),
    Frames(frames::Frames),
    Play(play::Play),
}

/// Runs the command.
pub fn run(command: EventsCommand) -> anyhow::Result<ExitCode> {
    match command.what {
        What::Info(args) => info::run(args),
        What::Convert(args) => convert::run(args),
        What::Cut(args) => convert::run_cut(args),
        What::Frames(args) => frames::run(args),
        What::Play(args) => play::run(args),
    }
}

/// A recording to read, and how.
#[derive(Args)]
struct Input {
    /// Recording: AEDAT 2.0, 3.1 or 4, EVT 2.0 or 3.0, DAT, DDD-17/20 or plain HDF5, CSV, N-MNIST .bin
    #[arg(value_name = "RECORDING")]
    path: PathBuf,
    /// Take the recording to be in this format instead of finding out
    #[arg(long, value_name = "FORMAT")]
    from: Option<Format>,
    /// Sensor size for formats that do not state it, e.g. 346x260
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    sensor: Option<(u16, u16)>,
    /// Stream of events to read, where an AEDAT 4 recording has several
    #[arg(long, value_name = "ID")]
    stream: Option<i32>,
    /// Go on where the recording is cut short or holds faulty events: they are left out, counted and reported
    #[arg(long)]
    allow_shortfall: bool,
}

impl Input {
    /// Opens the recording.
    fn open(&self) -> anyhow::Result<(Format, Box<dyn EventReader>)> {
        let shortfall = if self.allow_shortfall { Shortfall::Allow } else { Shortfall::Refuse };
        let options = OpenOptions { shortfall, sensor: self.sensor, format: self.from, stream: self.stream };
        Ok(open(&self.path, &options)?)
    }

    /// Refuses to write over the recording that is read.
    fn keep_from(&self, output: &Path) -> anyhow::Result<()> {
        keep(&self.path, output, "the recording")
    }

    /// The sensor's size, by the recording or by the caller.
    fn sensor(&self, reader: &dyn EventReader) -> anyhow::Result<(u16, u16)> {
        reader.sensor_size().or(self.sensor).with_context(|| {
            format!("{}: does not state its sensor's size: give it with --sensor WxH", self.path.display())
        })
    }
}

/// Reports on stderr what `ledger` says is missing.
fn report_shortfall(path: &Path, ledger: &Ledger) {
    let parts = [
        (ledger.dropped_invalid, "events dropped as invalid"),
        (ledger.dropped_out_of_bounds, "events dropped outside the sensor"),
        (ledger.dropped_non_monotone, "events dropped whose time steps back"),
        (ledger.truncated_bytes, "bytes at the end that make no whole item"),
    ];
    let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !parts.is_empty() {
        eprintln!("{}: {}", path.display(), parts.join(", "));
    }
}

/// A size like `346x260`.
fn parse_size(text: &str) -> anyhow::Result<(u16, u16)> {
    let size = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match size {
        Some((width, height)) if width > 0 && height > 0 => Ok((width, height)),
        _ => bail!("expected a size like 346x260"),
    }
}
