//! Driving after DDD-20: a road with bends, traffic, day and night, marks that come and go; a DAVIS346's events and
//! frames with steering and speed, in the layout of DDD-20.
//!
//! Recordings alternate between day and night. The frames come from the same pictures as the events (global
//! shutter, exposure by day and by night, 8 bits with read noise). The clock of the host is the device's plus the
//! recording's start, to which the CAN values are given at 20 Hz; `headlamp_status` tells night from day.
//! Design decision: what a network has to find is in the picture (the bend of the road ahead), what it has to ignore too
//! (posts, trees, cars, missing marks), and the steering leads the bend by a moment, so that a memory of the last seconds helps.

mod drive;
mod route;
mod scene;

pub(crate) use drive::{Drive, Seen};

#[cfg(feature = "hdf5")]
use crate::{Error, EventWriter, ddd20::Ddd20Writer};
#[cfg(feature = "hdf5")]
use rayon::prelude::*;
#[cfg(feature = "hdf5")]
use std::path::{Path, PathBuf};

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DrivingSpec {
    /// Seed of everything random.
    pub seed: u64,
    /// Recordings, 1..=100, by day and by night in turn.
    pub recordings: usize,
    /// Length of each \[s\], 0.2..=3600.
    pub seconds: f64,
    /// Factor on leak, shot noise and hot pixels, 0..=20.
    pub noise: f64,
    /// Whether the camera takes frames too, 180 kB each 40 ms. Events do not depend on it.
    pub frames: bool,
}

impl Default for DrivingSpec {
    fn default() -> Self {
        Self { seed: 1, recordings: 2, seconds: 60.0, noise: 1.0, frames: true }
    }
}

/// What was generated.
#[cfg(feature = "hdf5")]
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DrivingReport {
    /// The recordings.
    pub files: Vec<PathBuf>,
    /// Events of all of them.
    pub events: u64,
    /// Frames of all of them.
    pub frames: u64,
}

/// Writes `rec<start>.hdf5` for each recording into `dir`, which is made if need be.
///
/// # Errors
/// [`Error::Argument`] for a number of `spec` outside its range, or what the writer gives.
#[cfg(feature = "hdf5")]
pub fn generate(spec: &DrivingSpec, dir: impl AsRef<Path>) -> Result<DrivingReport, Error> {
    let dir = dir.as_ref();
    // Refused before anything is written.
    Drive::new(spec, 0)?;
    std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    let made: Vec<(PathBuf, u64, u64)> = (0..spec.recordings)
        .into_par_iter()
        .map(|number| record(&Drive::new(spec, number)?, dir))
        .collect::<Result<_, _>>()?;
    Ok(DrivingReport {
        events: made.iter().map(|m| m.1).sum(),
        frames: made.iter().map(|m| m.2).sum(),
        files: made.into_iter().map(|m| m.0).collect(),
    })
}

/// Writes one recording; its path, events and frames.
#[cfg(feature = "hdf5")]
fn record(drive: &Drive, dir: &Path) -> Result<(PathBuf, u64, u64), Error> {
    let path = dir.join(drive.file_name());
    let mut writer = Box::new(Ddd20Writer::create(&path, drive.start_us())?);
    for (name, signal) in drive::SIGNALS.iter().zip(drive.signals()) {
        signal.host_us.iter().zip(&signal.value).try_for_each(|(&t, &v)| writer.write_signal(name, t, v))?;
    }
    let (mut events, mut frames) = (0, 0);
    drive.play(&mut |seen| match seen {
        Seen::Events(new) => {
            events += new.len() as u64;
            writer.write(new)
        }
        Seen::Frame(t_us, frame) => {
            frames += 1;
            writer.write_frame(t_us, &frame)
        }
    })?;
    writer.finish()?;
    Ok((path, events, frames))
}
