//! `ipnet events frames`: counts per pixel and window of time, as a NumPy array.
//!
//! The array gets its name only when it is whole: a recording that turns out to need too many windows, or to be damaged, leaves
//! what stood under that name as it was.

use super::{Input, report_shortfall};
use anyhow::ensure;
use clap::Args;
use ipnet_events::represent::{FrameSpec, to_frame};
use ipnet_events::{Events, PartialFile};
use std::path::{Path, PathBuf};
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
    args.input.keep_from(&args.output)?;
    let windows = windows(&args)?;
    ensure!(
        windows <= args.max_frames,
        "the recording needs {windows} windows of {} us, more than --max-frames {}",
        args.every_us,
        args.max_frames
    );
    let (_, mut reader) = args.input.open()?;
    let sensor = args.input.pictured_sensor(reader.as_ref())?;
    let spec = FrameSpec::new(sensor);
    let mut file = NpyFile::create(&args.output, spec.shape())?;
    let mut frame = vec![0f32; spec.frame_len()];
    let mut part = vec![0f32; spec.frame_len()];
    let mut chunk = Events::default();
    let mut window: Option<(u64, u64)> = None;
    while reader.next_chunk(&mut chunk)? {
        let mut at = 0;
        while at < chunk.len() {
            let (origin, index) = *window.get_or_insert((chunk.t[at], 0));
            let here = (chunk.t[at] - origin) / args.every_us;
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

/// Windows from the first event to the last, told by a first reading: a file of frames may be too large to begin.
fn windows(args: &Frames) -> anyhow::Result<u64> {
    Ok(args.input.span()?.map_or(0, |(first, last)| last.saturating_sub(first) / args.every_us + 1))
}

/// A NumPy file that grows by frames.
struct NpyFile {
    file: PartialFile,
    shape: [usize; 3],
    frames: usize,
}

impl NpyFile {
    fn create(path: &Path, shape: [usize; 3]) -> anyhow::Result<Self> {
        let mut npy = Self { file: PartialFile::create(path)?, shape, frames: 0 };
        npy.file.write(&npy.header())?;
        Ok(npy)
    }

    /// The header of format 1.0, always 128 bytes.
    fn header(&self) -> Vec<u8> {
        let [c, h, w] = self.shape;
        let shape = format!("({}, {c}, {h}, {w})", self.frames);
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let mut header = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        header.extend(format!("{text:<117}\n").as_bytes());
        header
    }

    fn write(&mut self, frame: &[f32]) -> anyhow::Result<()> {
        self.frames += 1;
        for value in frame {
            self.file.write(&value.to_le_bytes())?;
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.file.overwrite(0, &self.header())?;
        let said = format!("{}: {} frames of {:?}", self.file.path().display(), self.frames, self.shape);
        self.file.finish()?;
        eprintln!("{said}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        frames: Frames,
    }

    /// Three events in windows 0, 0 and 2 of 10 us each.
    const RECORDING: &str = "t,x,y,p\n0,0,0,1\n3,1,1,0\n20,1,0,1\n";

    fn frames(input: &Path, output: &Path, max_frames: &str) -> anyhow::Result<ExitCode> {
        let program = ["frames".as_ref(), input.as_os_str(), output.as_os_str()];
        let options = ["--sensor", "2x2", "--every-us", "10", "--max-frames", max_frames].map(AsRef::as_ref);
        run(Program::parse_from(program.into_iter().chain(options)).frames)
    }

    #[test]
    fn every_window_has_its_frame() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, npy) = (folder.path().join("a.csv"), folder.path().join("a.npy"));
        fs::write(&csv, RECORDING).unwrap();
        fs::write(&npy, "an older file").unwrap();
        frames(&csv, &npy, "3").unwrap();
        let bytes = fs::read(&npy).unwrap();
        let header = String::from_utf8_lossy(&bytes[10..128]);
        assert!(header.contains("'shape': (3, 2, 2, 2)") && header.ends_with('\n'), "{header}");
        let values: Vec<f32> =
            bytes[128..].as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
        // [T, 2, H, W], OFF before ON.
        let expected = [[0., 0., 0., 1., 1., 0., 0., 0.], [0.; 8], [0., 0., 0., 0., 0., 1., 0., 0.]];
        assert_eq!(values, expected.concat());
    }

    #[test]
    fn frames_that_fail_leave_the_older_file() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, npy) = (folder.path().join("a.csv"), folder.path().join("a.npy"));
        fs::write(&csv, RECORDING).unwrap();
        fs::write(&npy, "an older file").unwrap();
        let error = frames(&csv, &npy, "2").unwrap_err().to_string();
        assert_eq!(error, "the recording needs 3 windows of 10 us, more than --max-frames 2");
        assert_eq!(fs::read(&npy).unwrap(), b"an older file");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a partial file is left");
    }

    #[test]
    fn a_sensor_beyond_the_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, npy) = (folder.path().join("a.csv"), folder.path().join("a.npy"));
        fs::write(&csv, RECORDING).unwrap();
        let program = ["frames", csv.to_str().unwrap(), npy.to_str().unwrap(), "--sensor", "4097x4096"];
        let error = run(Program::parse_from(program).frames).unwrap_err().to_string();
        let expected = "expected a sensor of at most 16777216 pixels to make pictures of, found 4097 x 4096";
        assert!(error.ends_with(expected), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a partial file is left");
    }

    #[test]
    fn frames_are_not_written_over_their_recording() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("a.csv");
        fs::write(&csv, RECORDING).unwrap();
        let error = frames(&csv, &folder.path().join("./a.csv"), "3").unwrap_err().to_string();
        assert!(error.contains("expected another file to write than the recording"), "{error}");
        assert_eq!(fs::read_to_string(&csv).unwrap(), RECORDING);
    }
}
