//! `ipnet synth`: recordings of scenes that never were, in the official file formats.

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use ipnet_events::synth::gestures::{self, GestureSpec};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `ipnet synth ...`.
#[derive(Args)]
pub struct Synth {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Gestures(Gestures),
    Driving(Driving),
}

/// Eleven arm and hand movements in the layout of DVS128 Gesture.
///
/// Writes userNN_LIGHT.aedat (AEDAT 3.1) with userNN_LIGHT_labels.csv for each person and light, and the lists
/// trials_to_train.txt and trials_to_test.txt. Persons up to user23 train, user24 and up test. The same options give
/// the same bytes on any number of threads.
#[derive(Args)]
struct Gestures {
    /// Folder to write to; made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Seed of persons, movements and noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of persons, 2 to 29
    #[arg(long, default_value_t = 29)]
    subjects: usize,
    /// Number of lights, 1 to 5: led, natural, fluorescent, lab, fluorescent_led
    #[arg(long, default_value_t = 3)]
    lights: usize,
    /// Length of a clip in seconds
    #[arg(long, value_name = "S", default_value_t = 6.0)]
    clip: f64,
    /// Factor on the sensor's noise: 0 is none, 1 an ordinary room
    #[arg(long, default_value_t = 1.0)]
    noise: f64,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// Drives by day and by night in the layout of DDD-20.
///
/// Writes rec<start>.hdf5 for each recording: a DAVIS346's events and frames, steering_wheel_angle, vehicle_speed and
/// headlamp_status. Recordings are by day and by night in turn.
#[derive(Args)]
#[cfg_attr(not(feature = "hdf5"), allow(dead_code))]
struct Driving {
    /// Folder to write to; made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Seed of roads, traffic and noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of recordings, 1 to 100
    #[arg(long, default_value_t = 2)]
    recordings: usize,
    /// Length of a recording in seconds
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    seconds: f64,
    /// Factor on the sensor's noise: 0 is none, 1 an ordinary sensor
    #[arg(long, default_value_t = 1.0)]
    noise: f64,
    /// Leave out the camera's frames, which are most of a file
    #[arg(long)]
    no_frames: bool,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: Synth) -> anyhow::Result<ExitCode> {
    match command.what {
        What::Gestures(args) => gestures(args),
        What::Driving(args) => driving(args),
    }
}

/// Refuses a folder that holds recordings: the synthetic ones bear official names and would take the place of real ones, or mix
/// with those of another seed.
fn without_recordings(dir: &Path, ending: &str) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.with_context(|| dir.display().to_string())?.path();
        let is_recording = path.extension().is_some_and(|found| found == ending);
        ensure!(
            !is_recording,
            "{}: expected a folder without recordings, found {}",
            dir.display(),
            path.display()
        );
    }
    Ok(())
}

fn gestures(args: Gestures) -> anyhow::Result<ExitCode> {
    let Gestures { dir, seed, subjects, lights, clip, noise, json } = args;
    without_recordings(&dir, "aedat")?;
    let spec = GestureSpec { seed, subjects, lights, clip_s: clip, noise };
    let report = gestures::generate(&spec, &dir)?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!(
            "{}: {} recordings, {} clips, {} events",
            dir.display(),
            report.recordings,
            report.clips,
            report.events
        );
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(feature = "hdf5"))]
fn driving(args: Driving) -> anyhow::Result<ExitCode> {
    anyhow::bail!(
        "{}: expected a program that writes HDF5: build it with --features hdf5 (or hdf5-static)",
        args.dir.display()
    )
}

#[cfg(feature = "hdf5")]
fn driving(args: Driving) -> anyhow::Result<ExitCode> {
    use ipnet_events::synth::driving::{DrivingSpec, generate};
    let Driving { dir, seed, recordings, seconds, noise, no_frames, json } = args;
    without_recordings(&dir, "hdf5")?;
    let report = generate(&DrivingSpec { seed, recordings, seconds, noise, frames: !no_frames }, &dir)?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!(
            "{}: {} recordings, {} events, {} frames",
            dir.display(),
            recordings,
            report.events,
            report.frames
        );
    }
    Ok(ExitCode::SUCCESS)
}
