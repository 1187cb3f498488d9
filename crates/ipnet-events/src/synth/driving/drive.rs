//! One drive, played moment by moment: the car's signals at once, events and frames in order of time.

use super::DrivingSpec;
use super::route::Route;
use super::scene::{HEIGHT, HORIZON, Scenery, WIDTH};
use crate::ddd20::{DDD20_SENSOR, Frame, Signal};
use crate::synth::{Canvas, PixelModel, Sensor};
use crate::{Error, Events};
use ipnet_rng::Stream;

/// Unix time of the first recording's start \[us\]; recordings are 1000 s apart.
const FIRST_START_US: i64 = 1_500_000_000_000_000;
const CAN_US: u64 = 50_000;
const FRAME_US: u64 = 40_000;
/// Shortest and longest time from one picture of the scene to the next.
const STEP_US: (u64, u64) = (4000, 10_000);
/// How far the ground moves from picture to picture, three quarters of the way down to the bumper \[px\].
const STEP_PX: f64 = 4.0;

/// Names of the signals, in the order of [`Drive::signals`].
#[cfg(feature = "hdf5")]
pub(super) const SIGNALS: [&str; 3] = ["steering_wheel_angle", "vehicle_speed", "headlamp_status"];

/// What a drive gives, in order of time.
pub(crate) enum Seen<'a> {
    /// Events since the last time.
    Events(&'a Events),
    /// A frame that arrives at this device time \[us\].
    Frame(u64, Frame),
}

/// One drive of a [`DrivingSpec`].
pub(crate) struct Drive {
    spec: DrivingSpec,
    number: usize,
    night: bool,
    route: Route,
}

impl Drive {
    /// Drive `number` (from 0) of `spec`: by day if even, by night if odd.
    ///
    /// # Errors
    /// [`Error::Argument`] for a number outside its range.
    pub fn new(spec: &DrivingSpec, number: usize) -> Result<Self, Error> {
        let DrivingSpec { recordings, seconds, noise, .. } = *spec;
        let check = |ok: bool, what: &str, expected: &str, found: String| {
            let error = || Error::Argument { what: what.to_owned(), expected: expected.to_owned(), found };
            if ok { Ok(()) } else { Err(error()) }
        };
        check((1..=100).contains(&recordings), "recordings", "1 to 100", recordings.to_string())?;
        check((0.2..=3600.0).contains(&seconds), "length", "0.2 to 3600 s", seconds.to_string())?;
        check((0.0..=20.0).contains(&noise), "noise", "0 to 20", noise.to_string())?;
        check(number < recordings, "number of a drive", "less than the recordings", number.to_string())?;
        let route = Route::draw(&mut stream(spec, number, "route"), seconds);
        Ok(Self { spec: *spec, number, night: number % 2 == 1, route })
    }

    /// The host's Unix time at the start \[us\].
    pub fn start_us(&self) -> i64 {
        FIRST_START_US + self.number as i64 * 1_000_000_000
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("rec{}.hdf5", self.start_us() / 1_000_000)
    }

    fn end_us(&self) -> u64 {
        (self.spec.seconds * 1e6) as u64
    }

    /// Steering \[deg\], speed \[km/h\] and headlamps, 20 times a second.
    pub fn signals(&self) -> [Signal; 3] {
        let times: Vec<u64> = (0..=self.end_us() / CAN_US).map(|i| i * CAN_US).collect();
        let host_us: Vec<i64> = times.iter().map(|&t| self.start_us() + t as i64).collect();
        let moment = |&t_us: &u64| self.route.at(t_us as f64 * 1e-6);
        let steering = times.iter().map(|t| moment(t).steering_deg).collect();
        let speed = times.iter().map(|t| 3.6 * moment(t).speed_m_per_s).collect();
        let headlamps = vec![f64::from(u8::from(self.night)); times.len()];
        [steering, speed, headlamps].map(|value| Signal { host_us: host_us.clone(), value })
    }

    /// Plays the drive, frames among its events.
    ///
    /// # Errors
    /// What `show` returns.
    pub fn play(&self, show: &mut dyn FnMut(Seen<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let stream = |what: &str| stream(&self.spec, self.number, what);
        let (route, night) = (&self.route, self.night);
        let scenery = Scenery::draw(&mut stream("scenery"), route.at(self.spec.seconds).way_m, night);
        let mut canvas = Canvas::new(WIDTH, HEIGHT, scenery.sky(&mut stream("sky")));
        scenery.paint(&mut canvas, route, 0.0);
        let body = Stream::named(self.spec.seed, "driving/sensor");
        let model = pixel_model(night, self.spec.noise);
        let mut sensor = Sensor::new(model, &canvas, 0, body, stream("noise"));
        let mut read_noise = stream("frames");
        let (mut events, mut t_us, mut next_frame) = (Events::default(), 0, FRAME_US);
        while t_us < self.end_us() {
            let depth = 0.75 * (HEIGHT - HORIZON) as f64;
            let speed_m_per_s = route.at(t_us as f64 * 1e-6).speed_m_per_s;
            let px_per_s = speed_m_per_s * depth * depth / (1.3 * 300.0);
            let step = ((STEP_PX * 1e6 / px_per_s.max(1.0)) as u64).clamp(STEP_US.0, STEP_US.1);
            t_us = (t_us + step).min(self.end_us());
            scenery.paint(&mut canvas, route, t_us as f64 * 1e-6);
            sensor.watch(&canvas, 0.0, t_us, &mut events);
            if t_us >= next_frame {
                // What is not final yet would come before the frame: hand everything out first.
                sensor.finish(&mut events);
                show(Seen::Events(&events))?;
                events.clear();
                if self.spec.frames {
                    show(Seen::Frame(t_us, expose(&canvas, t_us, night, &mut read_noise)))?;
                }
                next_frame += FRAME_US;
            }
        }
        sensor.finish(&mut events);
        show(Seen::Events(&events))
    }
}

fn stream(spec: &DrivingSpec, number: usize, what: &str) -> Stream {
    Stream::named(spec.seed, &format!("driving/{number}/{what}"))
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
