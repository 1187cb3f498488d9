//! `ipnet events convert` and `cut`: from any format into any that can be written.

use super::{Input, report_shortfall};
use anyhow::{Context, ensure};
use clap::Args;
use ipnet_events::nmnist_bin::NMNIST_SENSOR;
use ipnet_events::{Error, Events, Format};
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
    let sensor = input.sensor(reader.as_ref())?;
    let mut writer = format.create(&output.output, sensor)?;
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
            writer.write(&part).map_err(|error| {
                let context = format!("{}{}", output.output.display(), cure(&error, output.zero));
                anyhow::Error::new(error).context(context)
            })?;
            written += part.len() as u64;
            if to < chunk.len() {
                break;
            }
        }
        start = last.map(|last| last.saturating_add(1)).or(start);
    }
    report_shortfall(&input.path, reader.ledger());
    if written == 0
        && times != (0..u64::MAX)
        && let Some((first, last)) = input.span()?
    {
        // A silent part of the recording is a cut like any other; times beside it are a mistake.
        ensure!(
            times.start <= last && first < times.end,
            "{}: expected times that meet the recording's, {first} to {last} us, found {} us to {}",
            input.path.display(),
            times.start,
            if times.end == u64::MAX { "the end".into() } else { format!("{} us", times.end) }
        );
    }
    writer.finish()?;
    let name = output.output.display();
    eprintln!("{name}: {written} events as {format}");
    if format == Format::Bin && sensor != NMNIST_SENSOR {
        eprintln!(
            "{name}: the format does not state its sensor: read it with --sensor {}x{}",
            sensor.0, sensor.1
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What helps where a time does not fit the format, to stand behind the file's name.
fn cure(error: &Error, zero: bool) -> &'static str {
    match error {
        Error::Argument { what, .. } if what == "time to write" && zero => {
            " (the recording is too long for the format: write a part of it with `events cut`)"
        }
        Error::Argument { what, .. } if what == "time to write" => {
            " (--zero counts times from the first event)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;
    use std::path::Path;

    #[derive(Parser)]
    enum Program {
        Convert(Convert),
        Cut(Cut),
    }

    /// A recording of 40 x 40 pixels, its events 3 s apart around a silence, at times of a Unix clock.
    const RECORDING: &str = "t,x,y,p\n1718925187000000,0,0,1\n1718925190000000,39,1,0\n";

    /// Runs `command` from the recording to the file `name` in `folder`.
    fn program(command: &str, folder: &Path, name: &str, options: &[&str]) -> Result<(), String> {
        let csv = folder.join("a.csv");
        fs::write(&csv, RECORDING).unwrap();
        let output = folder.join(name);
        let args = ["ipnet", command, csv.to_str().unwrap(), output.to_str().unwrap(), "--sensor", "40x40"];
        let result = match Program::parse_from(args.iter().chain(options)) {
            Program::Convert(args) => run(args),
            Program::Cut(args) => run_cut(args),
        };
        result.map(|_| ()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_time_that_does_not_fit_names_its_cure() {
        let folder = tempfile::tempdir().unwrap();
        let error = program("convert", folder.path(), "a.raw", &[]).unwrap_err();
        let expected =
            "a.raw (--zero counts times from the first event): time to write: expected less than 2^34 us";
        assert!(error.contains(expected), "{error}");
        program("convert", folder.path(), "a.raw", &["--zero"]).unwrap();
        let error = program("convert", folder.path(), "a.bin", &["--zero", "--repeat", "4"]).unwrap_err();
        assert!(error.contains("a.bin (the recording is too long for the format: "), "{error}");
    }

    #[test]
    fn a_cut_beside_the_recording_says_its_times_and_one_of_a_silence_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let error = program("cut", folder.path(), "a.aedat4", &["--end-us", "1000000"]).unwrap_err();
        let expected = "expected times that meet the recording's, 1718925187000000 to 1718925190000000 us, found 0 us to 1000000 us";
        assert!(error.ends_with(expected), "{error}");
        let error =
            program("cut", folder.path(), "a.aedat4", &["--start-us", "1718925190000001"]).unwrap_err();
        assert!(error.ends_with("found 1718925190000001 us to the end"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a file is left");
        let silence = ["--start-us", "1718925188000000", "--end-us", "1718925189000000"];
        program("cut", folder.path(), "a.aedat4", &silence).unwrap();
        assert!(folder.path().join("a.aedat4").is_file());
    }
}
