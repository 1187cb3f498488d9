//! `ipnet events convert` and `cut`: from any format into any that can be written.

use super::{Input, report_shortfall};
use anyhow::{Context, ensure};
use clap::Args;
use ipnet_events::{Events, Format};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a recording in another format
#[derive(Args)]
pub struct Convert {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// Write the recording so many times, one after the other, e.g. to try how a long one does
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
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
    transfer(&args.input, &args.output, 0..u64::MAX, args.repeat)
}

pub fn run_cut(args: Cut) -> anyhow::Result<ExitCode> {
    ensure!(args.start_us < args.end_us, "expected --start-us before --end-us");
    transfer(&args.input, &args.output, args.start_us..args.end_us, 1)
}

/// Copies the events of `times`, `repeat` times.
fn transfer(input: &Input, output: &Output, times: Range<u64>, repeat: u32) -> anyhow::Result<ExitCode> {
    let format = output.to.or_else(|| Format::by_extension(&output.output)).with_context(|| {
        format!("{}: the extension names no format: give one with --to", output.output.display())
    })?;
    input.keep_from(&output.output)?;
    let (_, mut reader) = input.open()?;
    let mut writer = format.create(&output.output, input.sensor(reader.as_ref())?)?;
    let (mut chunk, mut part) = (Events::default(), Events::default());
    let mut written = 0u64;
    // Time of the first event read, and that at which this repetition starts.
    let (mut first, mut start) = (None, None);
    for turn in 0..repeat {
        if turn > 0 {
            reader = input.open()?.1;
        }
        let mut last = None;
        while reader.next_chunk(&mut chunk)? {
            let from = chunk.t.partition_point(|&t| t < times.start);
            let to = chunk.t.partition_point(|&t| t < times.end).max(from);
            part.clear();
            part.extend_from(&chunk, from..to);
            if !part.is_empty() {
                let first = *first.get_or_insert(part.t[0]);
                let start = *start.get_or_insert(if output.zero { 0 } else { first });
                part.t.iter_mut().for_each(|t| *t = (*t - first).saturating_add(start));
                last = part.t.last().copied();
            }
            writer.write(&part).with_context(|| output.output.display().to_string())?;
            written += part.len() as u64;
            if to < chunk.len() {
                break;
            }
        }
        start = last.map(|last| last.saturating_add(1)).or(start);
    }
    report_shortfall(&input.path, reader.ledger());
    writer.finish()?;
    eprintln!("{}: {written} events as {format}", output.output.display());
    Ok(ExitCode::SUCCESS)
}
