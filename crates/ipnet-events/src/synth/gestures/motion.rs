//! Where the hands go: the eleven movements as paths of two hands in space.
//!
//! Hands are given relative to the middle between the shoulders, in lengths of the arm: x to the right of the
//! picture (the person's left), y up, z towards the camera. A movement is a function of a phase that runs at the
//! subject's pace with slow jitter and starts anywhere, so that neither pose nor time in the clip names the class.
//! Clockwise is as the camera sees it. Design decision: clockwise and counter-clockwise visit the same poses, and the
//! class "other" is made of pieces of the named ones (a circle that reverses, both arms at once), so that single frames
//! do not decide between them.
//!
//! No stroke runs the same in both directions, as a person's does not: hands fall faster than they rise, meet faster than they part,
//! and arms roll forwards, all but a few people's. A clip backwards is another movement, and none but the order of its frames says
//! so. How much faster is assumed ([`HASTE`]).

use ipnet_rng::Stream;
use std::f64::consts::{PI, TAU};

/// A point or direction in space.
pub(super) type Vec3 = [f64; 3];

/// Both hands, each with the pull on its elbow away from the subject's habit (0 is habit, 1 is sideways).
#[derive(Debug, Clone, Copy)]
pub(super) struct Hands {
    /// The person's right hand (left in the picture), then the left hand.
    pub at: [Vec3; 2],
    pub elbow_out: [f64; 2],
}

/// One performance of one class.
#[derive(Debug, Clone)]
pub(super) struct Motion {
    class: usize,
    rate_hz: f64,
    start: f64,
    jitter: (f64, f64, f64),
    size: f64,
    offset: Vec3,
    turn: f64,
    style: [f64; 4],
    kind: usize,
    second_kind: usize,
    switch_s: f64,
    fidget: (f64, f64, f64),
}

/// Side of the picture: the right hand is at the left.
const SIDE: [f64; 2] = [-1.0, 1.0];
const SHOULDER: f64 = 0.3;
const OTHERS: usize = 8;
/// The fast half of a stroke passes its middle (1 + HASTE) / (1 - HASTE) = 2.3 times as fast as the slow half. Assumed.
const HASTE: f64 = 0.4;
/// Of 1, the people who roll their arms towards themselves. Assumed.
const BACKWARDS: f64 = 0.1;

impl Motion {
    /// Draws a performance of class `class` (0..11) with a subject's factors on pace and size.
    pub fn draw(stream: &mut Stream, class: usize, pace: f64, amplitude: f64) -> Self {
        let (slow, fast) = match class {
            0 => (1.4, 2.6),
            1 | 2 => (1.2, 2.2),
            3..=6 => (0.9, 1.5),
            7 => (1.2, 2.2),
            8 => (1.5, 2.8),
            9 => (1.8, 3.2),
            _ => (0.9, 1.9),
        };
        let mut between = |low: f64, high: f64| stream.uniform_in(low, high);
        let rate_hz = pace * between(slow, fast);
        let start = between(0.0, TAU);
        let jitter = (between(0.1, 0.5), between(0.2, 0.6), between(0.0, TAU));
        let size = amplitude * between(0.8, 1.15);
        let offset = [between(-0.08, 0.08), between(-0.1, 0.1), between(-0.08, 0.08)];
        let style = [between(-1.0, 1.0), between(-1.0, 1.0), between(-1.0, 1.0), between(-1.0, 1.0)];
        let fidgets = between(0.0, 1.0) < 0.35;
        let fidget = (if fidgets { between(0.05, 0.2) } else { 0.015 }, between(0.4, 1.6), between(0.0, TAU));
        let switch_s = between(0.35, 0.8);
        let turn = if stream.below(2) == 0 { 1.0 } else { -1.0 };
        let kind = stream.below(OTHERS);
        let second_kind = (kind + 1 + stream.below(OTHERS - 1)) % OTHERS;
        Self { class, rate_hz, start, jitter, size, offset, turn, style, kind, second_kind, switch_s, fidget }
    }

    /// The hands `t_s` after the clip's start.
    pub fn hands(&self, t_s: f64) -> Hands {
        let (depth, rate, shift) = self.jitter;
        let phase = self.start + TAU * self.rate_hz * t_s + depth * (TAU * rate * t_s + shift).sin();
        let mut hands = self.rest(t_s);
        match self.class {
            0 => self.clap(&mut hands, phase),
            1 => self.wave(&mut hands, 0, phase),
            2 => self.wave(&mut hands, 1, phase),
            3 => self.circle(&mut hands, 0, falling(-1.0, phase)),
            4 => self.circle(&mut hands, 0, falling(1.0, phase)),
            5 => self.circle(&mut hands, 1, falling(-1.0, phase)),
            6 => self.circle(&mut hands, 1, falling(1.0, phase)),
            7 => self.roll(&mut hands, phase),
            8 => self.drums(&mut hands, phase, t_s),
            9 => self.guitar(&mut hands, phase, t_s),
            _ => {
                // Two made-up movements, one flowing into the other.
                let mut second = hands;
                self.other(&mut hands, self.kind, phase, t_s);
                self.other(&mut second, self.second_kind, phase, t_s);
                let blend = smooth((t_s / self.switch_s - 1.0) * 2.0);
                hands = mix(&hands, &second, blend);
            }
        }
        hands
    }

    /// Arms at the sides (or, by style, a hand on the hip), with small idle movements.
    fn rest(&self, t_s: f64) -> Hands {
        let mut hands = resting();
        let (size, rate, shift) = self.fidget;
        for (i, side) in SIDE.iter().enumerate() {
            if self.style[i] > 0.6 {
                hands.at[i] = [side * 0.36, -0.72, 0.1];
                hands.elbow_out[i] = 1.0;
            }
            let angle = TAU * rate * t_s + shift + i as f64;
            hands.at[i][0] += size * angle.sin();
            hands.at[i][1] += 0.6 * size * (1.0 + (0.7 * angle).cos());
            hands.at[i][2] += 0.5 * size;
        }
        hands
    }

    fn clap(&self, hands: &mut Hands, phase: f64) {
        let open = 0.03 + 0.36 * self.size * (0.5 - 0.5 * hasty(phase, 1.5 * PI).cos()).powf(0.7);
        for (i, side) in SIDE.iter().enumerate() {
            let lift = 0.06 * self.style[2] * (0.5 * phase).sin() * side;
            hands.at[i] = self.moved([side * open, -0.28 + 0.2 * self.style[3] + lift, 0.55]);
            hands.elbow_out[i] = 0.3;
        }
    }

    fn wave(&self, hands: &mut Hands, i: usize, phase: f64) {
        let phase = hasty(phase, 0.0);
        let x = SHOULDER + 0.3 + 0.3 * self.size * phase.sin();
        let y = 0.42 + 0.15 * self.style[2] - 0.1 * phase.sin().abs();
        hands.at[i] = self.moved([SIDE[i] * x, y, 0.3]);
        hands.elbow_out[i] = 0.4;
    }

    /// Counter-clockwise for the camera as `angle` grows.
    fn circle(&self, hands: &mut Hands, i: usize, angle: f64) {
        let radius = 0.52 * self.size;
        let squash = 1.0 + 0.15 * self.style[2];
        let x = SIDE[i] * (SHOULDER + 0.22 + 0.12 * self.style[3]) + radius * squash * angle.cos();
        hands.at[i] = self.moved([x, 0.02 + radius / squash * angle.sin(), 0.5]);
        hands.elbow_out[i] = 0.2;
    }

    /// Over the top away from the person, or towards them.
    fn roll(&self, hands: &mut Hands, phase: f64) {
        let backwards = self.style[3] > 1.0 - 2.0 * BACKWARDS;
        let angle = if backwards { phase } else { -phase };
        for (i, side) in SIDE.iter().enumerate() {
            let a = angle + if i == 0 { 0.0 } else { PI };
            let radius = 0.17 + 0.05 * self.size;
            let y = -0.3 + 0.12 * self.style[2] + radius * a.sin();
            hands.at[i] = self.moved([-side * 0.2, y, 0.5 + radius * a.cos()]);
            hands.elbow_out[i] = 1.2;
        }
    }

    fn drums(&self, hands: &mut Hands, phase: f64, t_s: f64) {
        let together = self.style[2] > 0.7;
        for (i, side) in SIDE.iter().enumerate() {
            let a = phase + if i == 1 && !together { PI } else { 0.0 };
            let lift = 0.5 + 0.5 * hasty(a, PI).sin();
            let roam = 0.12 * (1.3 * t_s + self.start + i as f64).sin();
            let x = side * (0.26 + 0.1 * self.style[3]) + roam;
            hands.at[i] = self.moved([x, -0.5 + 0.36 * self.size * lift, 0.55]);
            hands.elbow_out[i] = 0.3;
        }
    }

    fn guitar(&self, hands: &mut Hands, phase: f64, t_s: f64) {
        let (strum, neck) = if self.style[2] > 0.8 { (1, 0) } else { (0, 1) };
        let swing = 0.27 * self.size * hasty(phase, PI).sin();
        hands.at[strum] = self.moved([SIDE[strum] * 0.08 - 0.3 * swing, -0.52 + swing, 0.38]);
        let slide = 0.1 * (2.1 * t_s + self.start).sin();
        hands.at[neck] =
            self.moved([SIDE[neck] * (0.62 + slide), -0.2 + 0.12 * self.style[3] + 0.3 * slide, 0.35]);
        hands.elbow_out[strum] = 0.8;
        hands.elbow_out[neck] = 0.1;
    }

    /// Movements outside the ten, built from the same pieces.
    fn other(&self, hands: &mut Hands, kind: usize, phase: f64, t_s: f64) {
        let swing = TAU * 0.5 * (t_s / self.switch_s);
        let arm = usize::from(self.style[2] > 0.0);
        match kind {
            // One arm that circles to and fro.
            0 => self.circle(hands, arm, self.start + 1.7 * PI * swing.sin()),
            // Both arms circle, mirrored.
            1 => {
                let angle = falling(self.turn, phase);
                self.circle(hands, 0, angle);
                self.circle(hands, 1, PI - angle);
            }
            // Both hands wave.
            2 => {
                self.wave(hands, 0, phase);
                self.wave(hands, 1, phase + self.style[3]);
            }
            // Boxing.
            3 => {
                for (i, side) in SIDE.iter().enumerate() {
                    let a = hasty(phase + if i == 1 { PI } else { 0.0 }, 0.0);
                    let reach = 0.35 + 0.5 * a.sin().max(0.0);
                    hands.at[i] = self.moved([side * (0.2 - 0.15 * a.sin().max(0.0)), -0.1, reach]);
                }
            }
            // Jumping jack without the jump.
            4 => {
                for (i, side) in SIDE.iter().enumerate() {
                    let a = 0.4 + 1.2 * (1.0 + phase.sin());
                    hands.at[i] = [side * (SHOULDER + 0.95 * a.sin()), -0.95 * a.cos(), 0.1];
                }
            }
            // Conducting a figure of eight.
            5 => {
                let (x, y) = (0.4 * self.size * phase.sin(), 0.3 * self.size * (2.0 * phase).sin());
                hands.at[arm] = self.moved([SIDE[arm] * (SHOULDER + 0.1) + x, 0.1 + y, 0.5]);
            }
            // Crawl.
            6 => {
                for (i, side) in SIDE.iter().enumerate() {
                    let a = self.turn * phase + if i == 1 { PI } else { 0.0 };
                    hands.at[i] = self.moved([side * SHOULDER, 0.1 + 0.6 * a.sin(), 0.3 + 0.5 * a.cos()]);
                    hands.elbow_out[i] = 0.7;
                }
            }
            // Arms that open and close in front of the chest, as in clapping, but never meet.
            _ => {
                for (i, side) in SIDE.iter().enumerate() {
                    let open = 0.35 + 0.3 * self.size * hasty(phase, PI).sin();
                    hands.at[i] = self.moved([side * open, 0.1 * self.style[3], 0.5]);
                    hands.elbow_out[i] = 0.6;
                }
            }
        }
    }

    fn moved(&self, at: Vec3) -> Vec3 {
        [at[0] + self.offset[0], at[1] + self.offset[1], at[2] + self.offset[2]]
    }
}

/// `phase` with the same turns that is fastest where it is `at`.
fn hasty(phase: f64, at: f64) -> f64 {
    phase + HASTE * (phase - at).sin()
}

/// The angle of a circle that is turned in the direction of `sense` (1 or -1) and is fastest where it falls: at pi where the angle
/// grows, at 0 where it shrinks.
fn falling(sense: f64, phase: f64) -> f64 {
    sense * hasty(phase, if sense > 0.0 { PI } else { 0.0 })
}

/// Arms hanging down.
pub(super) fn resting() -> Hands {
    Hands { at: SIDE.map(|side| [side * (SHOULDER + 0.1), -0.95, 0.08]), elbow_out: [0.3; 2] }
}

/// From `a` (weight 0) to `b` (weight 1).
pub(super) fn mix(a: &Hands, b: &Hands, weight: f64) -> Hands {
    let lerp = |a: f64, b: f64| a + weight * (b - a);
    Hands {
        at: std::array::from_fn(|i| std::array::from_fn(|k| lerp(a.at[i][k], b.at[i][k]))),
        elbow_out: std::array::from_fn(|i| lerp(a.elbow_out[i], b.elbow_out[i])),
    }
}

/// 0 below 0, 1 above 1, smooth between.
pub(super) fn smooth(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds in which `height` falls, of those in which it moves, over whole turns at 1000 steps each.
    fn share_of_falling(height: impl Fn(f64) -> f64) -> f64 {
        let steps = (0..1000).map(|step| TAU * f64::from(step) / 1000.0);
        let falls = steps.filter(|phase| height(phase + TAU / 1000.0) < height(*phase)).count();
        falls as f64 / 1000.0
    }

    /// The fast half of a turn ends where `phase + HASTE sin(phase) = pi / 2`, counted from the fast point: it lasts `phase / pi`
    /// of the turn.
    #[test]
    fn a_stroke_takes_less_time_down_than_up() {
        let mut end = PI / 2.0;
        for _ in 0..50 {
            end = PI / 2.0 - HASTE * end.sin();
        }
        let expected = end / PI;
        assert!(expected < 0.4);
        for sense in [1.0, -1.0] {
            let share = share_of_falling(|phase| falling(sense, phase).sin());
            assert!((share - expected).abs() < 2e-3, "{sense}: {share}, {expected}");
        }
        let share = share_of_falling(|phase| hasty(phase, PI).sin());
        assert!((share - expected).abs() < 2e-3, "{share}, {expected}");
    }

    /// Backwards in time a class is not what it was: no shift in time puts the reversed path of the hands on the path itself.
    #[test]
    fn no_movement_is_its_own_reversal() {
        for class in 0..10 {
            let mut motion = Motion::draw(&mut Stream::named(1, "motion"), class, 1.0, 1.0);
            (motion.jitter.0, motion.fidget.0, motion.rate_hz) = (0.0, 0.0, 1.0);
            let path: Vec<Hands> = (0..100).map(|step| motion.hands(f64::from(step) / 100.0)).collect();
            let distance = |a: &Hands, b: &Hands| {
                let both = a.at.iter().flatten().zip(b.at.iter().flatten());
                both.map(|(a, b)| (a - b).powi(2)).sum::<f64>()
            };
            let between = |pairs: &dyn Fn(usize) -> (usize, usize)| {
                let squares = (0..100).map(pairs).map(|(a, b)| distance(&path[a], &path[b]));
                (squares.sum::<f64>() / 100.0).sqrt()
            };
            let nearest = (0..100)
                .map(|shift| between(&|step| (step, (100 + shift - step) % 100)))
                .fold(f64::INFINITY, f64::min);
            // For scale: how far the hands get in a quarter of a turn.
            let scale = between(&|step| (step, (step + 25) % 100));
            assert!(nearest > 0.05 * scale, "{class}: {nearest} of {scale}");
        }
    }
}
