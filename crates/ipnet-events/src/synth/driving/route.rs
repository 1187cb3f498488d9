//! The drive: curvature, speed and steering over time, integrated in steps of 10 ms.
//!
//! The road's curvature is a sum of three waves along the way; the driver slows down in bends (lateral acceleration about
//! 2 m/s^2) and for traffic, and steers `delta = ratio * (L + K v^2) * kappa` a moment ahead (wheel base L, understeer K, in
//! radians at the wheel, given in degrees, left positive as in OpenXC). Small corrections and the lateral offset they cause
//! are a damped random motion.

use ipnet_rng::Stream;
use std::f64::consts::TAU;

const STEP_S: f64 = 0.01;
const WHEEL_BASE_M: f64 = 2.85;
const UNDERSTEER_S2_PER_M: f64 = 0.0025;
const STEERING_RATIO: f64 = 15.0;
/// The driver turns the wheel this long before the bend.
const AHEAD_S: f64 = 0.3;

/// One moment of the drive.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Moment {
    /// Way driven \[m\].
    pub way_m: f64,
    pub speed_m_per_s: f64,
    /// Offset from the middle of the lane \[m\], right positive.
    pub offset_m: f64,
    /// Heading relative to the road \[rad\], right positive.
    pub heading: f64,
    /// At the wheel \[deg\], left positive.
    pub steering_deg: f64,
}

/// A whole drive.
#[derive(Debug, Clone)]
pub(super) struct Route {
    waves: [(f64, f64, f64); 3],
    moments: Vec<Moment>,
}

impl Route {
    /// Draws a drive of `seconds` through country or town.
    pub fn draw(stream: &mut Stream, seconds: f64) -> Self {
        let twisty = stream.uniform_in(0.3, 1.0);
        let mut wave = |depth: f64, length: f64| (twisty * depth, length, stream.uniform_in(0.0, TAU));
        let waves = [wave(0.004, 410.0), wave(0.006, 173.0), wave(0.004, 71.0)];
        let cruise = stream.uniform_in(9.0, 22.0);
        let mut route = Self { waves, moments: Vec::new() };
        let mut now = Moment { speed_m_per_s: 0.8 * cruise, ..Moment::default() };
        let (mut pull, mut sway) = (0.0, 0.0);
        let mut stop = stream.uniform_in(20.0, 120.0);
        for step in 0..=(seconds / STEP_S).ceil() as usize {
            let ahead = route.curvature(now.way_m + AHEAD_S * now.speed_m_per_s);
            let bend = (2.0 / route.curvature(now.way_m + 20.0).abs().max(1e-4)).sqrt();
            // Now and then the car slows down to a crawl, as at a light.
            let since = step as f64 * STEP_S - stop;
            let wanted = if (0.0..6.0).contains(&since) { 1.0 } else { cruise.min(bend) };
            if since > 6.0 {
                stop += stream.uniform_in(40.0, 160.0);
            }
            let push = (wanted - now.speed_m_per_s).clamp(-3.0, 1.5);
            now.speed_m_per_s = (now.speed_m_per_s + push * STEP_S).max(0.0);
            pull += STEP_S * (-pull / 0.8) + 0.25 * STEP_S.sqrt() * stream.normal();
            sway += STEP_S * (pull - 1.5 * sway - 1.0 * now.offset_m);
            now.offset_m += STEP_S * sway;
            now.heading = sway / now.speed_m_per_s.max(3.0);
            let wheel = STEERING_RATIO * (WHEEL_BASE_M + UNDERSTEER_S2_PER_M * now.speed_m_per_s.powi(2));
            now.steering_deg = -(wheel * ahead).to_degrees() - 2.0 * pull;
            now.way_m += now.speed_m_per_s * STEP_S;
            route.moments.push(now);
        }
        route
    }

    /// Curvature of the road at `way_m` [1/m], right positive.
    pub fn curvature(&self, way_m: f64) -> f64 {
        self.waves.iter().map(|&(depth, length, phase)| depth * (TAU * way_m / length + phase).sin()).sum()
    }

    /// The moment `t_s` after the start.
    pub fn at(&self, t_s: f64) -> Moment {
        let place = (t_s / STEP_S).clamp(0.0, (self.moments.len() - 1) as f64);
        let (i, part) = (place as usize, place.fract());
        let (a, b) = (self.moments[i], self.moments[(i + 1).min(self.moments.len() - 1)]);
        let mix = |a: f64, b: f64| a + part * (b - a);
        Moment {
            way_m: mix(a.way_m, b.way_m),
            speed_m_per_s: mix(a.speed_m_per_s, b.speed_m_per_s),
            offset_m: mix(a.offset_m, b.offset_m),
            heading: mix(a.heading, b.heading),
            steering_deg: mix(a.steering_deg, b.steering_deg),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a bend to the right the wheel is turned right (negative), and the way is the integral of the speed.
    #[test]
    fn the_wheel_follows_the_road() {
        let route = Route::draw(&mut Stream::named(1, "test/route"), 60.0);
        let (mut product, mut way) = (0.0, route.at(0.0).way_m);
        for step in 1..6000 {
            let now = route.at(0.01 * f64::from(step));
            product += now.steering_deg * route.curvature(now.way_m);
            way += 0.01 * now.speed_m_per_s;
            assert!(now.offset_m.abs() < 2.0 && now.speed_m_per_s < 40.0);
        }
        assert!(product < 0.0);
        assert!((way - route.at(59.99).way_m).abs() < 0.01 * way, "{way}");
    }
}
