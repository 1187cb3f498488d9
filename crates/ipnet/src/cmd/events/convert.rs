//! `ipnet events convert` and `cut`: from any format into any that can be written.

use super::{Input, report_shortfall};
use anyhow::{Context, ensure};
use clap::Args;
use ipnet_events::{Events, Format};
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a recording in another format
#[derive(Args)]
pub struct Convert {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
}

/// Write the part of a recording between two times
#[derive(Args)]
pub struct Cut {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// First time to keep, in the recording's own microseconds
    #[arg(long, value_name = "US", default_value_t = 0)]
    start_us: u64,
    /// First time not to keep any more
    #[arg(long, value_name = "US", default_value_t = u64::MAX, hide_default_value = true)]
    end_us: u64,
}

#[derive(Args)]
struct Output {
    /// File to write
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
    /// Format to write; without it the output's extension decides (.aedat is AEDAT 3.1, .raw is EVT 3.0)
    #[arg(long, value_name = "FORMAT")]
    to: Option<Format>,
    /// Count times from the first event written
    #[arg(long)]
    zero: bool,
}

pub fn run(args: Convert) -> anyhow::Result<ExitCode> {
    transfer(&args.input, &args.output, 0, u64::MAX)
}

pub fn run_cut(args: Cut) -> anyhow::Result<ExitCode> {
    ensure!(args.start_us < args.end_us, "expected --start-us before --end-us");
    transfer(&args.input, &args.output, args.start_us, args.end_us)
}

/// Copies the events of `[start_us, end_us)`.
fn transfer(input: &Input, output: &Output, start_us: u64, end_us: u64) -> anyhow::Result<ExitCode> {
    let format = output.to.or_else(|| Format::by_extension(&output.output)).with_context(|| {
        format!("{}: the extension names no format: give one with --to", output.output.display())
    })?;
    let (_, mut reader) = input.open()?;
    let sensor = input.sensor(reader.as_ref())?;
    let mut writer = format.create(&output.output, sensor)?;
    let (mut chunk, mut part) = (Events::default(), Events::default());
    let (mut origin, mut written) = (None, 0u64);
    while reader.next_chunk(&mut chunk)? {
        let from = chunk.t.partition_point(|&t| t < start_us);
        let to = chunk.t.partition_point(|&t| t < end_us).max(from);
        part.clear();
        part.extend_from(&chunk, from..to);
        if output.zero && !part.is_empty() {
            let origin = *origin.get_or_insert(part.t[0]);
            part.t.iter_mut().for_each(|t| *t -= origin);
        }
        writer.write(&part).with_context(|| output.output.display().to_string())?;
        written += part.len() as u64;
        if to < chunk.len() {
            break;
        }
    }
    report_shortfall(&input.path, reader.ledger());
    writer.finish()?;
    eprintln!("{}: {written} events as {format}", output.output.display());
    Ok(ExitCode::SUCCESS)
}
