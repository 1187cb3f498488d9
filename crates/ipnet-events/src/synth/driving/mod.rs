//! Driving after DDD-20: a road with bends, traffic, day and night, marks that come and go; a DAVIS346's events and
//! frames with steering and speed, in the layout of DDD-20.
//!
//! Recordings alternate between day and night. The frames come from the same pictures as the events (global
//! shutter, exposure by day and by night, 8 bits with read noise). The clock of the host is the device's plus the
//! recording's start, to which the CAN values are given at 20 Hz; `headlamp_status` tells night from day.
//! Design decision: what a network has to find is in the picture (the bend of the road ahead), what it has to ignore too
//! (posts, trees, cars, missing marks), and the steering leads the bend by a moment, so that a memory of the last seconds helps.

mod route;
mod scene;

use super::{Canvas, PixelModel, Sensor};
use crate::ddd20::{DDD20_SENSOR, Ddd20Writer, Frame};
use crate::{Error, EventWriter, Events};
use ipnet_rng::Stream;
use rayon::prelude::*;
use route::Route;
use scene::{HEIGHT, HORIZON, Scenery, WIDTH};
use std::path::{Path, PathBuf};

/// Unix time of the first recording's start \[us\]; recordings are 1000 s apart.
const FIRST_START_US: i64 = 1_500_000_000_000_000;
const CAN_US: u64 = 50_000;
const FRAME_US: u64 = 40_000;
const STEP_US: (u64, u64) = (1000, 5000);

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
}

impl Default for DrivingSpec {
    fn default() -> Self {
        Self { seed: 1, recordings: 2, seconds: 60.0, noise: 1.0 }
    }
}

/// What was generated.
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
pub fn generate(spec: &DrivingSpec, dir: impl AsRef<Path>) -> Result<DrivingReport, Error> {
    let check = |ok: bool, what: &str, expected: &str, found: String| {
        let error = || Error::Argument { what: what.to_owned(), expected: expected.to_owned(), found };
        if ok { Ok(()) } else { Err(error()) }
    };
    check((1..=100).contains(&spec.recordings), "recordings", "1 to 100", spec.recordings.to_string())?;
    check((0.2..=3600.0).contains(&spec.seconds), "length", "0.2 to 3600 s", spec.seconds.to_string())?;
    check((0.0..=20.0).contains(&spec.noise), "noise", "0 to 20", spec.noise.to_string())?;
    let dir = dir.as_ref();
    std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    let made: Vec<(PathBuf, u64, u64)> = (0..spec.recordings)
        .into_par_iter()
        .map(|number| record(spec, number, dir))
        .collect::<Result<_, _>>()?;
    Ok(DrivingReport {
        events: made.iter().map(|m| m.1).sum(),
        frames: made.iter().map(|m| m.2).sum(),
        files: made.into_iter().map(|m| m.0).collect(),
    })
}

/// The sensor by day and by night.
fn pixel_model(night: bool, noise: f64) -> PixelModel {
    let base = PixelModel::default();
    let noise = noise as f32;
    PixelModel {
        threshold_on: 0.22,
        threshold_off: 0.22,
        illumination: if night { 0.3 } else { 2.0 },
        shot_hz: base.shot_hz * noise * if night { 2.0 } else { 0.7 },
        leak_hz: base.leak_hz * noise,
        hot_share: base.hot_share * noise,
        ..base
    }
}

/// Writes one recording; its path, events and frames.
fn record(spec: &DrivingSpec, number: usize, dir: &Path) -> Result<(PathBuf, u64, u64), Error> {
    let stream = |what: &str| Stream::named(spec.seed, &format!("driving/{number}/{what}"));
    let night = number % 2 == 1;
    let start_us = FIRST_START_US + number as i64 * 1_000_000_000;
    let path = dir.join(format!("rec{}.hdf5", start_us / 1_000_000));
    let route = Route::draw(&mut stream("route"), spec.seconds);
    let scenery = Scenery::draw(&mut stream("scenery"), route.at(spec.seconds).way_m, night);
    let mut canvas = Canvas::new(WIDTH, HEIGHT, scenery.sky(&mut stream("sky")));
    scenery.paint(&mut canvas, &route, 0.0);
    let body = Stream::named(spec.seed, "driving/sensor");
    let mut sensor = Sensor::new(pixel_model(night, spec.noise), &canvas, 0, body, stream("noise"));
    let mut read_noise = stream("frames");
    let mut writer = Box::new(Ddd20Writer::create(&path, start_us)?);
    let end_us = (spec.seconds * 1e6) as u64;
    let (mut events, mut t_us, mut count, mut frames) = (Events::default(), 0, 0, 0);
    let (mut next_can, mut next_frame) = (0, FRAME_US);
    while t_us < end_us {
        let now = route.at(t_us as f64 * 1e-6);
        // A pixel a step, three quarters of the way down the ground.
        let depth = 0.75 * (HEIGHT - HORIZON) as f64;
        let px_per_s = now.speed_m_per_s * depth * depth / (1.3 * 300.0);
        let step = ((1e6 / px_per_s.max(1.0)) as u64).clamp(STEP_US.0, STEP_US.1);
        t_us = (t_us + step).min(end_us);
        scenery.paint(&mut canvas, &route, t_us as f64 * 1e-6);
        sensor.watch(&canvas, 0.0, t_us, &mut events);
        while next_can <= t_us {
            let now = route.at(next_can as f64 * 1e-6);
            let host = start_us + next_can as i64;
            writer.write_signal("steering_wheel_angle", host, now.steering_deg)?;
            writer.write_signal("vehicle_speed", host, 3.6 * now.speed_m_per_s)?;
            writer.write_signal("headlamp_status", host, f64::from(u8::from(night)))?;
            next_can += CAN_US;
        }
        if t_us >= next_frame {
            // What is not final yet would come before the frame's packet: hand everything out first.
            sensor.finish(&mut events);
            count += events.len() as u64;
            writer.write(&events)?;
            events.clear();
            let frame = expose(&canvas, t_us, night, &mut read_noise);
            writer.write_frame(t_us, &frame)?;
            frames += 1;
            next_frame += FRAME_US;
        }
    }
    sensor.finish(&mut events);
    count += events.len() as u64;
    writer.write(&events)?;
    writer.finish()?;
    Ok((path, count, frames))
}

/// A frame of the picture: 8 bits in the upper byte of 16, as the data set's own tools take them.
fn expose(canvas: &Canvas, t_us: u64, night: bool, noise: &mut Stream) -> Frame {
    debug_assert_eq!(canvas.size(), (DDD20_SENSOR.0.into(), DDD20_SENSOR.1.into()));
    let (gain, exposure_us, read) = if night { (400.0, 30_000, 4.0) } else { (230.0, 8_000, 1.5) };
    let pixel = |&value: &f32| {
        let grey = f64::from(value) * gain + read * noise.normal();
        (grey.clamp(0.0, 255.0) as u16) << 8
    };
    let pixels = canvas.pixels().iter().map(pixel).collect();
    Frame { exposure_us: [t_us.saturating_sub(exposure_us), t_us], pixels }
}
