//! Resistance R(V, T, state) of the junction.
//!
//! ```text
//! R_P     = RA / A
//! P(T)    = P_0 (1 - a T^1.5)                      spin polarisation
//! TMR(T)  = 2 P^2 / (1 - P^2)                      Julliere, equal electrodes
//! TMR(V)  = TMR(T) / (1 + (V / V_h)^2)
//! R_AP    = R_P (1 + TMR(V, T))
//! ```
//! Source: the UMN SPICE model (J. Kim et al., CICC 2015). R_P does not depend on V or T: across MgO it moves by
//! a few per cent where TMR moves by a factor.

use crate::Device;

/// Magnetic state of the junction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Low resistance.
    Parallel,
    /// High resistance.
    Antiparallel,
}

impl Device {
    /// The state in which a slot begins.
    pub fn initial_state(&self) -> State {
        if self.starts_antiparallel { State::Antiparallel } else { State::Parallel }
    }

    /// The state that a firing leaves, until the reset pulse.
    pub fn fired_state(&self) -> State {
        if self.starts_antiparallel { State::Parallel } else { State::Antiparallel }
    }

    /// TMR at a bias of `v` \[V\] and a rise of `rise_k` \[K\].
    pub fn tmr(&self, v: f64, rise_k: f64) -> f64 {
        let squared_at_ambient = self.tmr_ratio / (2.0 + self.tmr_ratio);
        let fall = |t_k: f64| (1.0 - self.polarisation_per_k1p5 * t_k.powf(1.5)).max(0.0);
        let ratio = fall(self.ambient_k + rise_k) / fall(self.ambient_k);
        let squared = squared_at_ambient * ratio * ratio;
        let at_zero_bias = 2.0 * squared / (1.0 - squared);
        at_zero_bias / (1.0 + (v / self.tmr_half_v).powi(2))
    }

    /// Resistance of the junction \[Ohm\].
    pub fn resistance_ohm(&self, v: f64, rise_k: f64, state: State) -> f64 {
        let parallel = self.ra_ohm_m2 / self.area_m2();
        match state {
            State::Parallel => parallel,
            State::Antiparallel => parallel * (1.0 + self.tmr(v, rise_k)),
        }
    }

    /// Joule power \[W\] of a write or reset pulse of `v`: in the junction, or in the spin-orbit line if there is one.
    pub fn write_power_w(&self, v: f64, rise_k: f64, state: State) -> f64 {
        v * v / self.line_ohm.unwrap_or_else(|| self.resistance_ohm(v, rise_k, state))
    }

    /// Joule power \[W\] of a read pulse, which always crosses the barrier.
    pub fn read_power_w(&self, v: f64, rise_k: f64, state: State) -> f64 {
        v * v / self.resistance_ohm(v, rise_k, state)
    }
}
