//! `ipnet events frames`: counts per pixel and window of time, as a NumPy array.

use super::{Input, report_shortfall};
use anyhow::{Context, ensure};
use clap::Args;
use ipnet_events::Events;
use ipnet_events::represent::{FrameSpec, to_frame};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Count the events of each pixel in windows of time; writes .npy, [T, 2, H, W] of 32-bit floats (channel 0 OFF, 1 ON)
#[derive(Args)]
pub struct Frames {
    #[command(flatten)]
    input: Input,
    /// NumPy file to write
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
    /// Length of a window in microseconds, counted from the first event
    #[arg(long, value_name = "US", default_value_t = 50_000)]
    every_us: u64,
    /// Windows to write at most; a recording that needs more is refused
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    max_frames: u64,
}

pub fn run(args: Frames) -> anyhow::Result<ExitCode> {
    ensure!(args.every_us > 0, "expected --every-us of at least 1");
    let (_, mut reader) = args.input.open()?;
    let sensor = args.input.sensor(reader.as_ref())?;
    let spec = FrameSpec::new(sensor);
    let mut file = NpyFile::create(args.output, spec.shape())?;
    let mut frame = vec![0f32; spec.frame_len()];
    let mut part = vec![0f32; spec.frame_len()];
    let mut chunk = Events::default();
    let mut window: Option<(u64, u64)> = None;
    while reader.next_chunk(&mut chunk)? {
        let mut at = 0;
        while at < chunk.len() {
            let (origin, index) = *window.get_or_insert((chunk.t[at], 0));
            let here = (chunk.t[at] - origin) / args.every_us;
            ensure!(here < args.max_frames, "the recording needs more than {} windows", args.max_frames);
            for _ in index..here {
                file.write(&frame)?;
                frame.fill(0.0);
            }
            window = Some((origin, here));
            let end = chunk.t.partition_point(|&t| (t.max(origin) - origin) / args.every_us <= here);
            to_frame(&chunk, std::slice::from_ref(&(at..end)), &spec, &mut part)?;
            frame.iter_mut().zip(&part).for_each(|(sum, count)| *sum += count);
            at = end;
        }
    }
    if window.is_some() {
        file.write(&frame)?;
    }
    report_shortfall(&args.input.path, reader.ledger());
    file.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// A NumPy file that grows by frames.
struct NpyFile {
    path: PathBuf,
    file: BufWriter<File>,
    shape: [usize; 3],
    frames: usize,
}

impl NpyFile {
    fn create(path: PathBuf, shape: [usize; 3]) -> anyhow::Result<Self> {
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        let mut npy = Self { path, file: BufWriter::new(file), shape, frames: 0 };
        npy.write_header()?;
        Ok(npy)
    }

    /// The header of format 1.0, always 128 bytes.
    fn write_header(&mut self) -> anyhow::Result<()> {
        let [c, h, w] = self.shape;
        let shape = format!("({}, {c}, {h}, {w})", self.frames);
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let mut header = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        header.extend(format!("{text:<117}\n").as_bytes());
        self.file.write_all(&header).with_context(|| self.path.display().to_string())
    }

    fn write(&mut self, frame: &[f32]) -> anyhow::Result<()> {
        self.frames += 1;
        for value in frame {
            self.file.write_all(&value.to_le_bytes()).with_context(|| self.path.display().to_string())?;
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.file.seek(SeekFrom::Start(0)).with_context(|| self.path.display().to_string())?;
        self.write_header()?;
        self.file.flush().with_context(|| self.path.display().to_string())?;
        eprintln!("{}: {} frames of {:?}", self.path.display(), self.frames, self.shape);
        Ok(())
    }
}
