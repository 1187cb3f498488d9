//! Gestures after DVS128 Gesture: eleven movements, up to 29 subjects, up to five lights.
//!
//! A recording is one subject under one light who makes the eleven movements one after the other, flowing from each
//! into the next; the label file marks the clips. Everything that is drawn at random comes from streams named
//! after user, light and class, so a recording does not depend on which others are made, nor on the number of threads.
//! Distractors: the idle arm fidgets, body and head go along, someone may walk by behind. Users, split, file names
//! and file formats are those of the official data: what is written here is read by [`crate::datasets::DvsGesture`].
//!
//! Design decision: the time between pictures follows the motion (no joint moves more than `STEP_PX` between two), since
//! event times are interpolated and a fixed rate would be wasted on slow motion and too coarse for fast motion.

mod backdrop;
mod body;
mod motion;
mod subject;

use super::{Canvas, Capsule, Sensor, Surface};
use crate::datasets::GESTURE_CLASSES;
use crate::{Aedat31Writer, Error, EventWriter, Events};
use backdrop::backdrop;
use body::Pose;
use ipnet_rng::Stream;
use motion::{Hands, Motion, mix, resting, smooth};
use rayon::prelude::*;
use std::path::Path;
use subject::{LIGHTS, Light, Subject};

/// Sensor size.
const SIDE: usize = 128;
/// Largest motion of a joint between two pictures \[px\].
const STEP_PX: f64 = 0.7;
/// Shortest and longest time between two pictures \[us\]; under flicker the longest is shorter.
const STEP_US: (u64, u64) = (1000, 5000);
const FLICKER_STEP_US: u64 = 1500;
/// Time from one movement to the next \[us\].
const GAP_US: u64 = 200_000;
/// Time of the first picture \[us\]; the official recordings do not start at 0 either.
const START_US: u64 = 1_000_000;

/// Raised when the same [`GestureSpec`] gives other recordings, so that kept ones are not taken for new ones.
pub const REVISION: u32 = 2;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct GestureSpec {
    /// Seed of everything random.
    pub seed: u64,
    /// Persons, 2..=29; about a fifth of them test (users 24 and up), the others train (users 01 and up).
    pub subjects: usize,
    /// Lights per person, 1..=5.
    pub lights: usize,
    /// Length of a clip \[s\], 0.2..=60; the official ones last about 6 s.
    pub clip_s: f64,
    /// Factor on leak, shot noise and hot pixels, 0..=20; 1 is a DVS128 in a room.
    pub noise: f64,
}

impl Default for GestureSpec {
    /// All 29 persons under one light, short clips.
    fn default() -> Self {
        Self { seed: 1, subjects: 29, lights: 1, clip_s: 1.2, noise: 1.0 }
    }
}

/// What was generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct GestureReport {
    /// Recordings, one per person and light.
    pub recordings: usize,
    /// Labelled clips.
    pub clips: usize,
    /// Events of all recordings.
    pub events: u64,
}

impl GestureSpec {
    fn check(&self) -> Result<(), Error> {
        let check = |ok: bool, what: &str, expected: &str, found: String| {
            let error = || Error::Argument { what: what.to_owned(), expected: expected.to_owned(), found };
            if ok { Ok(()) } else { Err(error()) }
        };
        check((2..=29).contains(&self.subjects), "subjects", "2 to 29", self.subjects.to_string())?;
        check((1..=LIGHTS.len()).contains(&self.lights), "lights", "1 to 5", self.lights.to_string())?;
        check((0.2..=60.0).contains(&self.clip_s), "clip length", "0.2 to 60 s", self.clip_s.to_string())?;
        check((0.0..=20.0).contains(&self.noise), "noise", "0 to 20", self.noise.to_string())
    }

    /// User numbers: train, test; as in the official data no one is in both.
    fn users(&self) -> (Vec<u32>, Vec<u32>) {
        let test = (self.subjects * 6 + 14) / 29;
        let test = test.max(1) as u32;
        ((1..=self.subjects as u32 - test).collect(), (24..24 + test).collect())
    }
}

/// Writes recordings, label files and the lists of trials into `dir`, which is made if need be.
///
/// # Errors
/// [`Error::Argument`] for a number of `spec` outside its range, [`Error::Io`] where a file cannot be written.
pub fn generate(spec: &GestureSpec, dir: impl AsRef<Path>) -> Result<GestureReport, Error> {
    spec.check()?;
    let dir = dir.as_ref();
    std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    let (train, test) = spec.users();
    let recordings: Vec<(u32, &Light)> = train
        .iter()
        .chain(&test)
        .flat_map(|&user| LIGHTS[..spec.lights].iter().map(move |l| (user, l)))
        .collect();
    let counts: Vec<u64> = recordings
        .par_iter()
        .map(|&(user, light)| record(spec, user, light, dir))
        .collect::<Result<_, _>>()?;
    for (list, users) in [("trials_to_train.txt", &train), ("trials_to_test.txt", &test)] {
        let names = recordings.iter().filter(|(user, _)| users.contains(user));
        let text: String = names.map(|(user, light)| format!("{}.aedat\n", stem(*user, light))).collect();
        let path = dir.join(list);
        std::fs::write(&path, text).map_err(|e| Error::io(&path, e))?;
    }
    Ok(GestureReport {
        recordings: recordings.len(),
        clips: recordings.len() * GESTURE_CLASSES.len(),
        events: counts.iter().sum(),
    })
}

fn stem(user: u32, light: &Light) -> String {
    format!("user{user:02}_{}", light.name)
}

/// Someone who walks by behind the person.
struct Passer {
    start_us: u64,
    x_px: f64,
    speed_px_per_s: f64,
    surface: Surface,
}

/// One recording: who, what, when.
struct Scene {
    subject: Subject,
    motions: Vec<Motion>,
    clip_us: u64,
    passers: Vec<Passer>,
}

impl Scene {
    fn draw(spec: &GestureSpec, user: u32, light: &Light) -> Self {
        let subject = Subject::draw(spec.seed, user);
        let clip_us = (spec.clip_s * 1e6) as u64;
        let (mut motions, mut passers) = (Vec::new(), Vec::new());
        for class in 0..GESTURE_CLASSES.len() {
            let name = format!("gestures/{}/class{}", stem(user, light), class + 1);
            let mut stream = Stream::named(spec.seed, &name);
            motions.push(Motion::draw(&mut stream, class, subject.pace, subject.amplitude));
            if stream.uniform() < 0.1 {
                let from_left = stream.below(2) == 0;
                let speed = stream.uniform_in(60.0, 110.0);
                passers.push(Passer {
                    start_us: Self::start_of(class, clip_us) + stream.below(clip_us as usize / 2) as u64,
                    x_px: if from_left { -12.0 } else { SIDE as f64 + 12.0 },
                    speed_px_per_s: if from_left { speed } else { -speed },
                    surface: Surface::plain(stream.uniform_in(-2.0, -1.2).exp() as f32),
                });
            }
        }
        Self { subject, motions, clip_us, passers }
    }

    /// Start of the clip of `class`.
    fn start_of(class: usize, clip_us: u64) -> u64 {
        START_US + GAP_US + class as u64 * (clip_us + GAP_US)
    }

    fn end_us(&self) -> u64 {
        Self::start_of(self.motions.len(), self.clip_us)
    }

    /// The hands at `t_us`: inside a clip its movement, in a gap from the last movement to the next.
    fn hands(&self, t_us: u64) -> Hands {
        let period = self.clip_us + GAP_US;
        let since = t_us.saturating_sub(START_US);
        let (slot, within) = ((since / period) as usize, since % period);
        let at = |class: usize| {
            let motion = self.motions.get(class)?;
            Some(motion.hands((t_us as f64 - Self::start_of(class, self.clip_us) as f64) * 1e-6))
        };
        let next = at(slot).unwrap_or_else(resting);
        if within >= GAP_US {
            return next;
        }
        let last = slot.checked_sub(1).and_then(at).unwrap_or_else(resting);
        mix(&last, &next, smooth(within as f64 / GAP_US as f64))
    }

    fn pose(&self, t_us: u64) -> Pose {
        Pose::new(&self.subject, &self.hands(t_us), t_us as f64 * 1e-6)
    }

    fn paint(&self, canvas: &mut Canvas, t_us: u64, light: &Light) {
        canvas.clear();
        for passer in self.passers.iter().filter(|passer| passer.start_us <= t_us) {
            let walked = passer.speed_px_per_s * (t_us - passer.start_us) as f64 * 1e-6;
            let x = (passer.x_px + walked) as f32;
            if (-20.0..SIDE as f32 + 20.0).contains(&x) {
                let body = Capsule { a: (x, 62.0), b: (x, 128.0), radius_a: 5.0, radius_b: 5.0 };
                canvas.paint(&body, &passer.surface);
                let head = Capsule { a: (x, 48.0), b: (x, 50.0), radius_a: 3.5, radius_b: 3.5 };
                canvas.paint(&head, &passer.surface);
            }
        }
        self.pose(t_us).paint(canvas, &self.subject, light.side);
    }

    /// Time of the picture after the one at `t_us`.
    fn next_picture(&self, t_us: u64, light: &Light) -> u64 {
        let longest = if light.flicker.0 > 0.0 { FLICKER_STEP_US } else { STEP_US.1 };
        let here = self.pose(t_us);
        let mut step = longest;
        while step > STEP_US.0 && here.distance_px(&self.pose(t_us + step), &self.subject) > STEP_PX {
            step = (step * 2 / 3).max(STEP_US.0);
        }
        t_us + step
    }
}

/// Writes one recording and its labels; the number of events.
fn record(spec: &GestureSpec, user: u32, light: &Light, dir: &Path) -> Result<u64, Error> {
    let name = stem(user, light);
    let stream = |what: &str| Stream::named(spec.seed, &format!("gestures/{name}/{what}"));
    let scene = Scene::draw(spec, user, light);
    let mut canvas = Canvas::new(SIDE, SIDE, backdrop(&mut stream("backdrop"), SIDE, SIDE));
    scene.paint(&mut canvas, START_US, light);
    let body = Stream::named(spec.seed, "gestures/sensor");
    let mut sensor = Sensor::new(light.pixel_model(spec.noise), &canvas, START_US, body, stream("noise"));
    let mut writer = Box::new(Aedat31Writer::create(dir.join(format!("{name}.aedat")), (128, 128))?);
    let (mut events, mut count, mut t_us) = (Events::default(), 0, START_US);
    while t_us < scene.end_us() {
        t_us = scene.next_picture(t_us, light).min(scene.end_us());
        scene.paint(&mut canvas, t_us, light);
        let gain = if light.is_steady() { 0.0 } else { light.log_gain(t_us as f64 * 1e-6) };
        sensor.watch(&canvas, gain, t_us, &mut events);
        if events.len() > 1 << 15 {
            count += events.len() as u64;
            writer.write(&events)?;
            events.clear();
        }
    }
    sensor.finish(&mut events);
    count += events.len() as u64;
    writer.write(&events)?;
    writer.finish()?;
    let mut labels = String::from("class,startTime_usec,endTime_usec\n");
    for class in 0..scene.motions.len() {
        let start = Scene::start_of(class, scene.clip_us);
        labels += &format!("{},{start},{}\n", class + 1, start + scene.clip_us);
    }
    let path = dir.join(format!("{name}_labels.csv"));
    std::fs::write(&path, labels).map_err(|e| Error::io(&path, e))?;
    Ok(count)
}
