//! From hands to a picture: two-bone arms by inverse kinematics, a perspective camera, and the order of painting.
//!
//! Shoulder S, hand H at distance d: the elbow lies `a = (u^2 - f^2 + d^2) / 2d` along SH and `sqrt(u^2 - a^2)` beside
//! it, on the side the subject's elbow points to; a hand out of reach is drawn in to the arm's length. The camera stands
//! 2.4 m in front; a point at depth z is `2.4 / (2.4 - z)` times larger.

use super::motion::{Hands, Vec3};
use super::subject::Subject;
use crate::synth::{Canvas, Capsule, Surface};
use std::f64::consts::TAU;

const CAMERA_M: f64 = 2.4;

/// Every point that is drawn, in the camera's metres (origin: base of the neck at rest).
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    neck: Vec3,
    head: Vec3,
    shoulders: [Vec3; 2],
    elbows: [Vec3; 2],
    hands: [Vec3; 2],
    hips: Vec3,
}

impl Pose {
    /// The body whose hands are at `hands`, `t_s` into the recording.
    pub fn new(subject: &Subject, hands: &Hands, t_s: f64) -> Self {
        let (amplitude, rate, phase) = subject.sway;
        let sway = amplitude * (TAU * rate * t_s + phase).sin();
        let breath = 0.003 * (TAU * 0.3 * t_s + phase).sin();
        // The body leans a little towards where the hands are.
        let lean = 0.06 * subject.liveliness * (hands.at[0][0] + hands.at[1][0]);
        let bob = 0.035 * subject.liveliness * (hands.at[0][1] + hands.at[1][1]);
        let neck = [sway + lean, bob + breath, 0.0];
        let reach = subject.upper_arm + subject.forearm;
        let mut pose = Self {
            neck,
            head: [neck[0] + 0.5 * lean + 0.3 * sway, neck[1] + 1.75 * subject.head_radius, 0.02],
            shoulders: [neck; 2],
            elbows: [neck; 2],
            hands: [neck; 2],
            hips: [0.3 * lean, -0.9, 0.0],
        };
        for (i, side) in [-1.0, 1.0].into_iter().enumerate() {
            let shoulder = [
                neck[0] + side * subject.shoulder_half_width,
                neck[1] - 0.06 + 0.03 * hands.at[i][1].max(0.0),
                0.0,
            ];
            let wanted = std::array::from_fn(|k| neck[k] + reach * hands.at[i][k]);
            let out = subject.elbow_out + hands.elbow_out[i];
            let pull = [side * (0.4 + out), -1.0 + 0.4 * out, -0.3];
            pose.shoulders[i] = shoulder;
            (pose.elbows[i], pose.hands[i]) =
                reach_for(shoulder, wanted, subject.upper_arm, subject.forearm, pull);
        }
        pose
    }

    /// The largest distance \[px\] that a joint of the picture moves from `self` to `other`.
    pub fn distance_px(&self, other: &Self, subject: &Subject) -> f64 {
        let joints = |p: &Self| {
            [p.neck, p.head, p.elbows[0], p.elbows[1], p.hands[0], p.hands[1]].map(|j| project(subject, j))
        };
        joints(self)
            .iter()
            .zip(&joints(other))
            .map(|(a, b)| f64::from((a.0 - b.0).hypot(a.1 - b.1)))
            .fold(0.0, f64::max)
    }

    /// Paints the person, from back to front.
    pub fn paint(&self, canvas: &mut Canvas, subject: &Subject, side_light: f32) {
        let lit = |surface: Surface| Surface { side_light, ..surface };
        let mut bone = |a: Vec3, b: Vec3, radius_a: f64, radius_b: f64, surface: Surface| {
            let scale = |p: Vec3| (subject.px_per_m * CAMERA_M / (CAMERA_M - p[2])) as f32;
            let capsule = Capsule {
                a: project(subject, a),
                b: project(subject, b),
                radius_a: radius_a as f32 * scale(a),
                radius_b: radius_b as f32 * scale(b),
            };
            canvas.paint(&capsule, &lit(surface));
        };
        let width = subject.shoulder_half_width;
        let chest = [self.neck[0], self.neck[1] - 0.17, self.neck[2]];
        let skin = Surface::plain(subject.skin);
        let head_top = [self.head[0], self.head[1] + 0.3 * subject.head_radius, self.head[2]];
        let chin = [self.head[0], self.head[1] - 0.45 * subject.head_radius, self.head[2]];
        bone(
            self.head,
            head_top,
            1.05 * subject.head_radius,
            1.05 * subject.head_radius,
            Surface::plain(subject.hair),
        );
        bone(self.neck, self.head, 0.055, 0.05, Surface::plain(0.8 * subject.skin));
        bone(self.shoulders[0], self.shoulders[1], 0.06, 0.06, subject.shirt);
        bone(chest, self.hips, 0.92 * width, 0.8 * width, subject.shirt);
        bone(self.head, chin, 0.92 * subject.head_radius, 0.62 * subject.head_radius, skin);
        let mut order = [0, 1];
        if self.hands[0][2] > self.hands[1][2] {
            order = [1, 0];
        }
        for i in order {
            let r = subject.arm_radius;
            bone(self.shoulders[i], self.elbows[i], 1.15 * r, 0.95 * r, subject.sleeve);
            bone(self.elbows[i], self.hands[i], 0.9 * r, 0.7 * r, subject.forearm_skin);
            let along: Vec3 =
                std::array::from_fn(|k| self.hands[i][k] + 0.25 * (self.hands[i][k] - self.elbows[i][k]));
            bone(self.hands[i], along, 0.9 * r, 1.05 * r, skin);
        }
    }
}

/// Elbow and hand of an arm that reaches for `wanted`.
fn reach_for(shoulder: Vec3, wanted: Vec3, upper: f64, fore: f64, pull: Vec3) -> (Vec3, Vec3) {
    let dot = |a: Vec3, b: Vec3| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let along: Vec3 = std::array::from_fn(|k| wanted[k] - shoulder[k]);
    let far = dot(along, along).sqrt();
    let d = far.clamp((upper - fore).abs() + 0.05, upper + fore - 0.003);
    // A hand at the shoulder has no direction: let it hang.
    let unit = if far > 1e-6 { along.map(|v| v / far) } else { [0.0, -1.0, 0.0] };
    let lift = dot(pull, unit);
    let side: Vec3 = std::array::from_fn(|k| pull[k] - lift * unit[k]);
    let norm = dot(side, side).sqrt().max(1e-6);
    let a = (upper * upper - fore * fore + d * d) / (2.0 * d);
    let b = (upper * upper - a * a).max(0.0).sqrt();
    let elbow = std::array::from_fn(|k| shoulder[k] + a * unit[k] + b * side[k] / norm);
    let hand = std::array::from_fn(|k| shoulder[k] + d * unit[k]);
    (elbow, hand)
}

fn project(subject: &Subject, p: Vec3) -> (f32, f32) {
    let scale = subject.px_per_m * CAMERA_M / (CAMERA_M - p[2]);
    ((subject.neck_px.0 + scale * p[0]) as f32, (subject.neck_px.1 - scale * p[1]) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bones_keep_their_lengths_and_the_hand_arrives_where_it_can() {
        let dist = |a: Vec3, b: Vec3| (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt();
        let shoulder = [0.2, 0.1, 0.0];
        for (wanted, arrives) in
            [([0.4, 0.3, 0.3], true), ([0.2, -0.4, 0.05], true), ([2.0, 0.0, 0.0], false), (shoulder, false)]
        {
            let (elbow, hand) = reach_for(shoulder, wanted, 0.29, 0.33, [1.0, -1.0, 0.0]);
            assert!((dist(shoulder, elbow) - 0.29).abs() < 1e-9, "upper arm to {wanted:?}");
            assert!((dist(elbow, hand) - 0.33).abs() < 1e-9, "forearm to {wanted:?}");
            assert_eq!(dist(hand, wanted) < 1e-9, arrives, "{wanted:?}");
        }
    }
}
