//! `ipnet events`: recordings of event cameras, whatever their format.
//!
//! Every command works chunk by chunk, so memory does not grow with the recording, and prints to stderr what a
//! recording fell short of where that was allowed.

mod convert;
mod frames;
mod info;
mod play;

use super::keep;
use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use ipnet_events::{Error, EventReader, Events, Format, Ledger, OpenOptions, Shortfall, open};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Pixels of a sensor of which pictures are made, at most: `frames` then holds 256 MiB, `play` 128 MiB. A size is a word that a
/// header or the user states; memory for it must not be the machine's.
const MAX_PIXELS: u64 = 1 << 24;

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
        let (format, reader) = open(&self.path, &options)?;
        let assumed = format == Format::Bin && self.sensor.is_none();
        Ok((format, if assumed { Box::new(AssumedSensor(reader)) } else { reader }))
    }

    /// Times of the first and the last event \[us\], told by reading the whole recording; none if it holds no event.
    fn span(&self) -> anyhow::Result<Option<(u64, u64)>> {
        let (_, mut reader) = self.open()?;
        let (mut chunk, mut span) = (Events::default(), None);
        while reader.next_chunk(&mut chunk)? {
            if let (Some(&first), Some(&last)) = (chunk.t.first(), chunk.t.last()) {
                span = Some((span.map_or(first, |(first, _)| first), last));
            }
        }
        Ok(span)
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

    /// As [`Input::sensor`], for what holds numbers of every pixel.
    ///
    /// # Errors
    /// A sensor of more than [`MAX_PIXELS`].
    fn pictured_sensor(&self, reader: &dyn EventReader) -> anyhow::Result<(u16, u16)> {
        let (width, height) = self.sensor(reader)?;
        ensure!(
            u64::from(width) * u64::from(height) <= MAX_PIXELS,
            "{}: expected a sensor of at most {MAX_PIXELS} pixels to make pictures of, found {width} x {height}",
            self.path.display()
        );
        Ok((width, height))
    }
}

/// A reader whose sensor is taken to be that of N-MNIST, as nobody has stated one: an event outside it names the cure.
struct AssumedSensor(Box<dyn EventReader>);

impl EventReader for AssumedSensor {
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.0.sensor_size()
    }

    fn read_into(&mut self, out: &mut Events, limit: usize) -> Result<usize, Error> {
        self.0.read_into(out, limit).map_err(|error| match error {
            Error::Format { path, offset, expected, found } if expected.starts_with("a pixel inside") => {
                let expected = format!("{expected} (N-MNIST's sensor; give another with --sensor WxH)");
                Error::Format { path, offset, expected, found }
            }
            other => other,
        })
    }

    fn events_left_estimate(&self) -> usize {
        self.0.events_left_estimate()
    }

    fn ledger(&self) -> &Ledger {
        self.0.ledger()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_of_another_sensor_names_the_option_that_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        // An ON event in column 90 at 7 us.
        std::fs::write(&path, [90, 0, 0x80, 0, 7]).unwrap();
        let input =
            |sensor| Input { path: path.clone(), from: None, sensor, stream: None, allow_shortfall: false };
        let error = input(None).span().unwrap_err().to_string();
        let expected = "expected a pixel inside 34 x 34 (N-MNIST's sensor; give another with --sensor WxH), found (90, 0)";
        assert!(error.ends_with(expected), "{error}");
        assert_eq!(input(Some((128, 128))).span().unwrap(), Some((7, 7)));
        let error = input(Some((40, 40))).span().unwrap_err().to_string();
        assert!(error.ends_with("expected a pixel inside 40 x 40, found (90, 0)"), "{error}");
    }
}
