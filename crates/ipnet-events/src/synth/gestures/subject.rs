//! Who moves, and under which light.
//!
//! A subject keeps build, clothes and habits over all recordings; a light keeps brightness, direction, flicker and the
//! bandwidth that goes with it. The names of the lights are those of DVS128 Gesture; their numbers are ours.

use crate::synth::{PixelModel, Surface};
use ipnet_rng::Stream;

/// Build, clothes and habits of one person. Lengths in metres.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub shoulder_half_width: f64,
    pub upper_arm: f64,
    pub forearm: f64,
    pub arm_radius: f64,
    pub head_radius: f64,
    /// Where the base of the neck stands in the picture \[px\], and how large a metre is there \[px\].
    pub neck_px: (f64, f64),
    pub px_per_m: f64,
    pub shirt: Surface,
    pub sleeve: Surface,
    pub forearm_skin: Surface,
    pub skin: f32,
    pub hair: f32,
    /// Factors on the pace and the size of every movement.
    pub pace: f64,
    pub amplitude: f64,
    /// Slow sway of the whole body: amplitude \[m\], rate \[Hz\], phase.
    pub sway: (f64, f64, f64),
    /// How far the elbows point outwards rather than down, -0.3..1.
    pub elbow_out: f64,
    /// How much the body goes along with the arms, 0..1.
    pub liveliness: f64,
}

impl Subject {
    pub fn draw(seed: u64, user: u32) -> Self {
        let mut s = Stream::named(seed, &format!("gestures/user{user:02}"));
        let size = s.uniform_in(0.9, 1.1);
        let cloth = |s: &mut Stream| Surface {
            reflectance: s.uniform_in(-3.2, -0.5).exp() as f32,
            stripe_depth: if s.uniform() < 0.4 { s.uniform_in(0.15, 0.5) as f32 } else { 0.0 },
            stripe_px: s.uniform_in(4.0, 9.0) as f32,
            side_light: 0.0,
        };
        let shirt = cloth(&mut s);
        let skin = s.uniform_in(-1.9, -0.6).exp() as f32;
        let jacket = s.uniform() < 0.3;
        let sleeve = if jacket { cloth(&mut s) } else { shirt };
        let long_sleeves = s.uniform() < 0.5;
        Self {
            shoulder_half_width: 0.185 * size * s.uniform_in(0.93, 1.07),
            upper_arm: 0.29 * size * s.uniform_in(0.95, 1.05),
            forearm: 0.33 * size * s.uniform_in(0.95, 1.05),
            arm_radius: 0.052 * s.uniform_in(0.85, 1.25),
            head_radius: 0.095 * s.uniform_in(0.93, 1.08),
            neck_px: (64.0 + 5.0 * s.uniform_in(-1.0, 1.0), 52.0 + 6.0 * s.uniform_in(-1.0, 1.0)),
            px_per_m: 74.0 * s.uniform_in(0.88, 1.12),
            shirt,
            sleeve,
            forearm_skin: if long_sleeves { sleeve } else { Surface::plain(skin) },
            skin,
            hair: s.uniform_in(-3.5, -1.0).exp() as f32,
            pace: s.uniform_in(0.8, 1.3),
            amplitude: s.uniform_in(0.75, 1.15),
            sway: (
                s.uniform_in(0.008, 0.025),
                s.uniform_in(0.3, 0.8),
                s.uniform_in(0.0, std::f64::consts::TAU),
            ),
            elbow_out: s.uniform_in(-0.3, 1.0),
            liveliness: s.uniform_in(0.1, 1.0),
        }
    }
}

/// A lighting condition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    pub name: &'static str,
    /// Intensity of a white surface.
    pub illumination: f32,
    /// Brightness slope across round things: positive is light from the right.
    pub side: f32,
    /// Flicker: relative depth and rate \[Hz\].
    pub flicker: (f64, f64),
    /// Slow drift of the light (clouds): depth in ln I.
    pub drift: f64,
}

/// The five lights of the official recordings; a generated set with n lights has the first n.
pub(super) const LIGHTS: [Light; 5] = [
    Light { name: "led", illumination: 0.5, side: 0.12, flicker: (0.0, 0.0), drift: 0.0 },
    Light { name: "natural", illumination: 1.6, side: -0.3, flicker: (0.0, 0.0), drift: 0.08 },
    Light { name: "fluorescent", illumination: 0.8, side: 0.0, flicker: (0.05, 120.0), drift: 0.0 },
    Light { name: "lab", illumination: 0.3, side: 0.2, flicker: (0.0, 0.0), drift: 0.0 },
    Light { name: "fluorescent_led", illumination: 1.1, side: 0.05, flicker: (0.03, 120.0), drift: 0.0 },
];

impl Light {
    /// The sensor under this light; `noise` scales leak, shot noise and hot pixels.
    pub fn pixel_model(&self, noise: f64) -> PixelModel {
        let base = PixelModel::default();
        PixelModel {
            illumination: self.illumination,
            leak_hz: base.leak_hz * noise as f32,
            // Shot noise grows as the light falls.
            shot_hz: base.shot_hz * noise as f32 / self.illumination.sqrt(),
            hot_share: base.hot_share * noise as f32,
            ..base
        }
    }

    /// ln of the light at `t_s` relative to its mean.
    pub fn log_gain(&self, t_s: f64) -> f32 {
        let (depth, rate) = self.flicker;
        let flicker = depth * (std::f64::consts::TAU * rate * t_s).sin();
        (flicker + self.drift * (0.9 * t_s).sin() * (0.23 * t_s).cos()) as f32
    }

    /// Whether the light changes at all.
    pub fn is_steady(&self) -> bool {
        self.flicker.0 == 0.0 && self.drift == 0.0
    }
}
