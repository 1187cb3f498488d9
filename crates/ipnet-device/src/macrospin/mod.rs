//! The macrospin: stochastic Landau-Lifshitz-Gilbert-Slonczewski equation, the ground truth of the switching law.
//!
//! Unit vector m, fields as flux densities \[T\], |gamma| in rad/(s T):
//! ```text
//! W     = B + K m + b p + a m x p + B_thermal              K diagonal: anisotropy and demagnetisation
//! dm/dt = -gamma / (1 + alpha^2) [ m x W + alpha m x (m x W) ]
//! B_thermal ~ Normal(0, 2 alpha k_B T / (gamma Ms V dt)) per component and step
//! ```
//! a is the damping-like and b the field-like torque, p the polarisation they pull towards: with `b = 0` this is the Gilbert equation
//! with the torque `-gamma a m x (m x p)`. Sources: Slonczewski 1996; Brown 1963 for the noise.
//!
//! Design decision: whatever happens to a spin (a pulse, its heat, a pause) is a list of [`Segment`]s of constant numbers. So the
//! integrator knows neither circuits nor heat, and a temperature that moves is as many segments as it needs.

pub mod ensemble;
pub mod fokker_planck;
mod heun;
mod noise;

use crate::constants::{E_CHARGE, GAMMA, HBAR, K_B};
use crate::{Device, dormand_prince};

pub use heun::heun_step;

/// Numbers of a macrospin that do not change within a [`Segment`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Macrospin {
    /// Gilbert damping alpha.
    pub damping: f64,
    /// Applied field B \[T\].
    pub field_t: [f64; 3],
    /// Diagonal of K \[T\]: a field `K_i m_i`. Positive makes an axis easy.
    pub stiffness_t: [f64; 3],
    /// a: damping-like torque \[T\].
    pub damping_like_t: f64,
    /// b: field-like torque \[T\].
    pub field_like_t: f64,
    /// p: unit vector the torques pull towards.
    pub polariser: [f64; 3],
    /// `Ms V` [A m^2].
    pub moment_a_m2: f64,
    /// Temperature \[K\]; 0 for no noise.
    pub temperature_k: f64,
}

/// A stretch of time in which nothing changes but the spin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// The numbers.
    pub spin: Macrospin,
    /// Step \[s\].
    pub dt_s: f64,
    /// Number of steps.
    pub steps: usize,
}

impl Macrospin {
    /// The macrospin of `device` with its easy axis along z at a rise of `rise_k`, under `v` \[V\]: a positive voltage pulls it from
    /// +z (the initial state) to -z; through a spin-orbit line it pulls towards y.
    pub fn of(device: &Device, v: f64, rise_k: f64) -> Self {
        let moment_a_m2 = device.ms_a_per_m * device.magnetisation(rise_k) * device.volume_m3();
        let barrier_j = device.barrier(rise_k) * K_B * device.ambient_k;
        // VCMA takes xi V A / t_barrier from the energy barrier.
        let vcma_j = device.vcma_j_per_v_m * v * device.area_m2() / device.barrier_m;
        let ohm = device.line_ohm.unwrap_or_else(|| device.resistance_ohm(v, rise_k, device.initial_state()));
        let torque_t = HBAR * device.torque_efficiency_ratio * (v / ohm) / (2.0 * E_CHARGE * moment_a_m2);
        Self {
            damping: device.damping_ratio,
            field_t: [0.0; 3],
            stiffness_t: [0.0, 0.0, 2.0 * (barrier_j - vcma_j) / moment_a_m2],
            damping_like_t: torque_t,
            field_like_t: torque_t * device.field_like_ratio,
            polariser: if device.line_ohm.is_some() { [0.0, 1.0, 0.0] } else { [0.0, 0.0, -1.0] },
            moment_a_m2,
            temperature_k: device.ambient_k + rise_k,
        }
    }

    /// `gamma / (1 + alpha^2)` [rad/(s T)].
    pub fn gamma_ll(&self) -> f64 {
        GAMMA / (1.0 + self.damping * self.damping)
    }

    /// `dm/dt` [1/s] without noise.
    pub fn rate(&self, m: &[f64; 3]) -> [f64; 3] {
        let lanes = m.map(|value| [value]);
        heun::rate(self, &lanes, &[[0.0]; 3]).map(|[value]| value)
    }

    /// Standard deviation \[T\] of each component of the thermal field in a step of `dt_s`.
    pub fn thermal_field_t(&self, dt_s: f64) -> f64 {
        (2.0 * self.damping * K_B * self.temperature_k / (GAMMA * self.moment_a_m2 * dt_s)).sqrt()
    }

    /// Energy barrier of the easy axis z in units of `k_B T`, `Ms V (K_z - K_x) / (2 k_B T)`.
    pub fn stability(&self) -> f64 {
        0.5 * self.moment_a_m2 * (self.stiffness_t[2] - self.stiffness_t[0]) / (K_B * self.temperature_k)
    }

    /// Evolves `m` for `duration_s` without noise by an adaptive Runge-Kutta pair of order 5; returns the number of steps.
    ///
    /// `tolerance` is the local error per step; the norm is restored at the end.
    pub fn evolve_adaptive(&self, m: &mut [f64; 3], duration_s: f64, tolerance: f64) -> usize {
        // Time in units of the duration, so that the tolerance is relative to it.
        let slope = |_: f64, m: &[f64; 3], dm: &mut [f64; 3]| *dm = self.rate(m).map(|r| r * duration_s);
        let steps = dormand_prince(slope, m, 0.0, 1.0, tolerance);
        let norm = m.iter().map(|value| value * value).sum::<f64>().sqrt();
        m.iter_mut().for_each(|value| *value /= norm);
        steps
    }
}

/// A write pulse of `v` for `width_s` on `device` with its poles at `rises_k`, as `segments` stretches that follow the temperature of the
/// heat network (which the macrospin's motion does not change: the resistance is that of the initial state).
pub fn pulse_segments(
    device: &Device,
    rises_k: &[f64],
    v: f64,
    width_s: f64,
    dt_s: f64,
    segments: usize,
) -> Vec<Segment> {
    let mut rises_k = rises_k.to_vec();
    let span_s = width_s / segments.max(1) as f64;
    let steps = (span_s / dt_s).round().max(1.0) as usize;
    (0..segments.max(1))
        .map(|_| {
            let power_w = device.write_power_w(v, rises_k.iter().sum(), device.initial_state());
            device.heat.step(&mut rises_k, power_w, 0.5 * span_s);
            let spin = Macrospin::of(device, v, rises_k.iter().sum());
            device.heat.step(&mut rises_k, power_w, 0.5 * span_s);
            Segment { spin, dt_s: span_s / steps as f64, steps }
        })
        .collect()
}
