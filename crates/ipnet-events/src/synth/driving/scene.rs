//! What the camera sees: a road in perspective, its marks, its sides, posts and trees, other cars; by day or by night.
//!
//! The camera stands 1.3 m above the road with a focal length of 300 px. A row `y` below the horizon `y_0` shows the ground at
//! `z = h f / (y - y_0)`, a column there the lateral place `u = (x - c_x) z / f - X(z)`, with the road's middle at
//! `X(z) = kappa z^2 / 2 - heading z - offset`. Ground textures fade with distance as pixels grow, so that nothing
//! flickers. At night the ground is lit by the headlights, as `exp(-z / 18 m)` and towards the sides.

use super::route::{Moment, Route};
use crate::synth::{Canvas, Capsule, Surface};
use ipnet_rng::Stream;

pub(super) const WIDTH: usize = 346;
pub(super) const HEIGHT: usize = 260;
const FOCAL_PX: f64 = 300.0;
const CAMERA_M: f64 = 1.3;
pub(super) const HORIZON: usize = 112;
const LANE_M: f64 = 3.5;
const FAR_M: f64 = 120.0;
const TILE: usize = 64;

/// Something that stands beside the road.
#[derive(Debug, Clone, Copy)]
struct Thing {
    way_m: f64,
    side_m: f64,
    height_m: f64,
    radius_m: f64,
    reflectance: f32,
    crown: bool,
}

/// Another car: in front (same lane) or coming towards us.
#[derive(Debug, Clone, Copy)]
struct Car {
    start_m: f64,
    speed_m_per_s: f64,
    oncoming: bool,
    reflectance: f32,
}

/// Everything along a drive.
#[derive(Debug)]
pub(super) struct Scenery {
    pub night: bool,
    tile: Vec<f32>,
    things: Vec<Thing>,
    cars: Vec<Car>,
    /// Marks are there, worn or missing, by sections of the way.
    marks: Vec<f32>,
    asphalt: f32,
    verge: f32,
    /// Light of the headlamps over the ground, row by row from the horizon; empty by day.
    beam: Vec<f32>,
}

/// Length of a section with the same marks \[m\].
const SECTION_M: f64 = 60.0;

impl Scenery {
    pub fn draw(stream: &mut Stream, way_m: f64, night: bool) -> Self {
        let tile = (0..TILE * TILE).map(|_| stream.normal() as f32).collect();
        let mut things = Vec::new();
        let mut way = 0.0;
        while way < way_m + FAR_M {
            way += stream.uniform_in(4.0, 25.0);
            let side = if stream.below(2) == 0 { -1.0 } else { 1.0 };
            let crown = stream.uniform() < 0.5;
            things.push(Thing {
                way_m: way,
                side_m: side * stream.uniform_in(5.5, 14.0),
                height_m: if crown { stream.uniform_in(4.0, 9.0) } else { stream.uniform_in(1.0, 6.0) },
                radius_m: if crown { stream.uniform_in(0.1, 0.25) } else { 0.08 },
                reflectance: stream.uniform_in(0.05, 0.6) as f32,
                crown,
            });
        }
        let mut cars = Vec::new();
        for _ in 0..(way_m / 150.0) as usize + 1 {
            let oncoming = stream.below(3) > 0;
            cars.push(Car {
                start_m: stream.uniform_in(15.0, if oncoming { 3.0 * way_m + 60.0 } else { way_m + 60.0 }),
                speed_m_per_s: if oncoming {
                    -stream.uniform_in(8.0, 20.0)
                } else {
                    stream.uniform_in(6.0, 18.0)
                },
                oncoming,
                reflectance: stream.uniform_in(0.05, 0.7) as f32,
            });
        }
        let section = |stream: &mut Stream| match stream.below(5) {
            0 => 0.0,
            1 => 0.4,
            _ => 1.0,
        };
        let marks = (0..((way_m + FAR_M) / SECTION_M) as usize + 2).map(|_| section(stream)).collect();
        Self {
            night,
            tile,
            things,
            cars,
            marks,
            asphalt: stream.uniform_in(0.12, 0.25) as f32,
            verge: stream.uniform_in(0.1, 0.35) as f32,
            beam: if night { beam() } else { Vec::new() },
        }
    }

    /// The wall of sky and hills behind everything, row by row.
    pub fn sky(&self, stream: &mut Stream) -> Vec<f32> {
        let hills: Vec<f64> = (0..4).map(|_| stream.uniform_in(0.0, 6.3)).collect();
        let pixel = |index: usize| {
            let (x, y) = ((index % WIDTH) as f64, (index / WIDTH) as f64);
            let ridge = HORIZON as f64
                - 8.0
                - 5.0 * (0.03 * x + hills[0]).sin()
                - 3.0 * (0.11 * x + hills[1]).sin()
                - 1.5 * (0.4 * x + hills[2]).sin();
            match (self.night, y < ridge) {
                (false, true) => 0.75 - 0.002 * y as f32,
                (false, false) => 0.2,
                (true, true) => 0.012,
                (true, false) => 0.006,
            }
        };
        (0..WIDTH * HEIGHT).map(pixel).collect()
    }

    /// Draws the picture at `t_s` into `canvas`.
    pub fn paint(&self, canvas: &mut Canvas, route: &Route, t_s: f64) {
        let now = route.at(t_s);
        canvas.clear();
        let bend = route.curvature(now.way_m + 15.0);
        let middle = |z: f64| 0.5 * bend * z * z - now.heading * z - now.offset_m;
        for y in HORIZON + 3..HEIGHT {
            let z = CAMERA_M * FOCAL_PX / (y - HORIZON) as f64;
            if z > FAR_M {
                continue;
            }
            let (per_px, centre) = (z / FOCAL_PX, middle(z));
            let way = now.way_m + z;
            let marks = self.marks[((way / SECTION_M) as usize).min(self.marks.len() - 1)];
            let dash = if way.rem_euclid(9.0) < 3.0 { marks } else { 0.0 };
            let fade = (1.0 / (1.0 + 0.1 * z)) as f32;
            let texture = self.texture_row(3.0 * way);
            let beam = self.beam.get((y - HORIZON) * WIDTH..).unwrap_or_default();
            let (per_px, centre) = (per_px as f32, centre as f32);
            // Half a mark's width and half a pixel, in pixels.
            let half = 0.5 + (0.07 + 0.5 * per_px) / per_px;
            let lane = LANE_M as f32;
            // The car keeps to the right lane: the line between the lanes is half a lane to its left.
            let lines = [(-0.5 * lane, dash), (0.5 * lane, marks), (-1.5 * lane, marks)];
            canvas.fill_row(y, |x| {
                let u = (x as f32 - 0.5 * WIDTH as f32) * per_px - centre;
                let texture = fade * smooth(&texture, 3.0 * u);
                let ground = if (-1.55 * lane..0.6 * lane).contains(&u) {
                    self.asphalt * (1.0 + 0.12 * texture)
                } else {
                    self.verge * (1.0 + 0.45 * texture)
                };
                let inside = |at: f32| (half - (u - at).abs() / per_px).clamp(0.0, 1.0);
                let painted = lines.iter().fold(0.0, |most: f32, &(at, paint)| most.max(paint * inside(at)));
                let value = ground + painted * (0.7 - ground);
                (value * beam.get(x).unwrap_or(&1.0)).clamp(0.004, 0.95)
            });
        }
        self.paint_things(canvas, now, &middle);
        self.paint_cars(canvas, now, &middle, t_s);
    }

    fn paint_things(&self, canvas: &mut Canvas, now: Moment, middle: &impl Fn(f64) -> f64) {
        let first = self.things.partition_point(|thing| thing.way_m < now.way_m + 2.5);
        let last = self.things.partition_point(|thing| thing.way_m < now.way_m + FAR_M);
        for thing in self.things[first..last].iter().rev() {
            let z = thing.way_m - now.way_m;
            let scale = FOCAL_PX / z;
            let x = 0.5 * WIDTH as f64 + (thing.side_m + middle(z)) * scale;
            let foot = HORIZON as f64 + CAMERA_M * scale;
            let top = foot - thing.height_m * scale;
            let light = if self.night { 0.8 * (-z / 18.0).exp() as f32 + 0.01 } else { 1.0 };
            let surface = Surface::plain((thing.reflectance * light).max(0.005));
            let radius = (thing.radius_m * scale) as f32;
            let at = |y: f64| (x as f32, y as f32);
            canvas.paint(&Capsule { a: at(top), b: at(foot), radius_a: radius, radius_b: radius }, &surface);
            if thing.crown {
                let crown = (0.22 * thing.height_m * scale) as f32;
                let shape = Capsule {
                    a: at(top),
                    b: at(top + 0.3 * (foot - top)),
                    radius_a: 0.7 * crown,
                    radius_b: crown,
                };
                canvas.paint(&shape, &Surface::plain((0.5 * thing.reflectance * light).max(0.005)));
            } else if self.night && thing.height_m > 4.0 {
                // A street lamp.
                let lamp = (0.2 * scale) as f32;
                canvas.paint(
                    &Capsule { a: at(top), b: at(top), radius_a: lamp, radius_b: lamp },
                    &Surface::plain(0.9),
                );
            }
        }
    }

    fn paint_cars(&self, canvas: &mut Canvas, now: Moment, middle: &impl Fn(f64) -> f64, t_s: f64) {
        let mut near: Vec<(f64, &Car)> =
            self.cars.iter().map(|car| (car.start_m + car.speed_m_per_s * t_s - now.way_m, car)).collect();
        near.retain(|(z, _)| (6.0..FAR_M).contains(z));
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (z, car) in near {
            let scale = FOCAL_PX / z;
            let lane = if car.oncoming { -LANE_M } else { 0.0 };
            let x = 0.5 * WIDTH as f64 + (lane + middle(z)) * scale;
            let ground = HORIZON as f64 + CAMERA_M * scale;
            let light = if self.night { 0.6 * (-z / 18.0).exp() as f32 + 0.01 } else { 1.0 };
            let bar = |canvas: &mut Canvas, up: f64, half: f64, radius: f64, reflectance: f32| {
                let y = (ground - up * scale) as f32;
                let (left, right) = ((x - half * scale) as f32, (x + half * scale) as f32);
                let radius = (radius * scale) as f32;
                let shape = Capsule { a: (left, y), b: (right, y), radius_a: radius, radius_b: radius };
                canvas.paint(&shape, &Surface::plain(reflectance));
            };
            bar(canvas, 0.15, 0.75, 0.15, 0.02);
            bar(canvas, 0.55, 0.5, 0.4, (car.reflectance * light).max(0.005));
            bar(canvas, 1.15, 0.35, 0.3, (0.3 * car.reflectance * light).max(0.005));
            let (lamp, size) = match (self.night, car.oncoming) {
                (true, true) => (0.95, 0.14),
                (true, false) => (0.5, 0.1),
                (false, _) => (0.4, 0.08),
            };
            for side in [-0.65, 0.65] {
                let at = ((x + side * scale) as f32, (ground - 0.65 * scale) as f32);
                let radius = (size * scale) as f32;
                canvas.paint(
                    &Capsule { a: at, b: at, radius_a: radius, radius_b: radius },
                    &Surface::plain(lamp),
                );
            }
        }
    }

    /// Knots of smooth noise across the road at `s` along it, in cells of the tile.
    fn texture_row(&self, s: f64) -> [f32; TILE] {
        let (j, q) = (s.floor(), (s - s.floor()) as f32);
        let row = |j: i64| &self.tile[j.rem_euclid(TILE as i64) as usize * TILE..][..TILE];
        let (near, far) = (row(j as i64), row(j as i64 + 1));
        std::array::from_fn(|i| near[i] * (1.0 - q) + far[i] * q)
    }
}

/// Smooth noise at `u` between its knots.
fn smooth(knots: &[f32; TILE], u: f32) -> f32 {
    let (i, p) = (u.floor(), u - u.floor());
    let knot = |i: i32| knots[i.rem_euclid(TILE as i32) as usize];
    knot(i as i32) * (1.0 - p) + knot(i as i32 + 1) * p
}

/// `1.2 exp(-z / 18 m)` ahead, falling to the sides.
fn beam() -> Vec<f32> {
    let pixel = |index: usize| {
        let z = CAMERA_M * FOCAL_PX / ((index / WIDTH) as f64).max(0.5);
        let lateral = ((index % WIDTH) as f64 - 0.5 * WIDTH as f64) * z / FOCAL_PX;
        (1.2 * (-z / 18.0).exp() * (-(lateral / (2.0 + 0.25 * z)).powi(2)).exp()) as f32
    };
    (0..(HEIGHT - HORIZON) * WIDTH).map(pixel).collect()
}
