//! The step law: what one neuron does in one pulse slot of `dt_s`, as the few numbers a kernel needs.
//!
//! With heat poles i = 1..P (P <= 3), state `T_i` \[K\] (rise above ambient) and pulse amplitude `u` \[V\]:
//! ```text
//! theta = sum_i T_i + h_self u^2                        temperature rise the pulse sees [K]
//! Delta = (d0 + d1 theta + d2 theta^2) / (1 + theta / T_amb)    thermal stability, E_b(T) / (k_B T)
//! V_c   = c0 + c1 theta + c2 theta^2                    critical voltage [V]
//! q     = ln(t_p / tau_0) - Delta max(0, 1 - u / V_c)^b
//! p     = 1 - exp(-exp(q))                              switching probability
//! T_i'  = a_i (T_i + h_i u^2 + r_i s)                   s = 1 after a firing (sampled) or s = p (expected)
//! ```
//! Design decision: the energy barrier is a quadratic in `theta` and the `1 / T` of Arrhenius is kept exact, so
//! a kernel evaluates both temperature laws with a handful of multiply-adds and one division, while the
//! reduction ([`crate`]) states how far that quadratic is from the magnetisation law it was fitted to. A
//! barrier never turns negative: beyond `V_c` the pulse switches at the attempt rate.

use crate::Error;
use serde::{Deserialize, Serialize};

/// The largest number of heat poles a law may have.
pub const MAX_POLES: usize = 3;

/// One pole of the Foster network, reduced to a pulse slot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeatPole {
    /// `a_i = exp(-dt_s / tau_i)`, in `[0, 1)`.
    pub decay: f64,
    /// `h_i`: rise left by a pulse of 1 V \[K/V^2\].
    pub heat_k_per_v2: f64,
    /// `r_i`: rise left by the reset pulse after a firing \[K\].
    pub reset_k: f64,
}

/// Thermally activated (Neel-Brown) switching within a pulse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Arrhenius {
    /// `ln(t_p / tau_0)`: logarithm of the number of attempts in a pulse.
    pub log_attempts: f64,
    /// `d0, d1, d2`: energy barrier over `k_B T_amb`, per K^0, K^1, K^2 of rise.
    pub barrier: [f64; 3],
    /// `c0, c1, c2`: critical voltage \[V\], per K^0, K^1, K^2 of rise.
    pub v_critical: [f64; 3],
    /// `b`: exponent of the barrier in `1 - u / V_c` (1 or 2 in the literature; any value >= 1).
    pub exponent: f64,
}

/// A measured switching probability p(u, theta) on a regular grid, bilinear between its nodes and held
/// constant beyond its edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwitchingTable {
    /// Amplitude of the first and the last column \[V\].
    pub u_range_v: [f64; 2],
    /// Temperature rise of the first and the last row \[K\].
    pub rise_range_k: [f64; 2],
    /// Number of columns (amplitudes), at least 2.
    pub columns: usize,
    /// Probabilities in `[0, 1]`, row by row: `p[rise * columns + u]`.
    pub p: Vec<f64>,
}

/// How a pulse switches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Switching {
    /// The formula.
    Arrhenius(Arrhenius),
    /// A measured table.
    Table(SwitchingTable),
}

/// Relative spread between devices (drawn once per neuron) and from pulse to pulse (drawn at each step).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// Relative standard deviation of the energy barrier between devices.
    pub barrier_d2d: f64,
    /// Relative standard deviation of the critical voltage between devices.
    pub v_critical_d2d: f64,
    /// Relative standard deviation of the heating `h_i`, `h_self`, `r_i` between devices.
    pub heat_d2d: f64,
    /// Relative standard deviation of the critical voltage from pulse to pulse.
    pub v_critical_c2c: f64,
}

/// A device reduced to one pulse slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLaw {
    /// Length of a slot \[s\]: one network step.
    pub dt_s: f64,
    /// Ambient temperature \[K\].
    pub t_amb_k: f64,
    /// Largest pulse amplitude \[V\].
    pub v_max_v: f64,
    /// Heat poles, 1 to [`MAX_POLES`].
    pub poles: Vec<HeatPole>,
    /// `h_self`: rise that a pulse of 1 V causes on itself \[K/V^2\].
    pub self_heat_k_per_v2: f64,
    /// How a pulse switches.
    pub switching: Switching,
    /// Variation between devices and between pulses.
    pub spread: Spread,
}

impl Arrhenius {
    /// Switching probability of a pulse of `u_v` \[V\] at a temperature rise of `rise_k` \[K\] over `t_amb_k`.
    pub fn probability(&self, u_v: f64, rise_k: f64, t_amb_k: f64) -> f64 {
        let q = self.log_attempts - self.stability(rise_k, t_amb_k) * self.barrier_fraction(u_v, rise_k);
        -(-q.exp()).exp_m1()
    }

    /// `Delta(T)` at a rise of `rise_k` \[K\].
    pub fn stability(&self, rise_k: f64, t_amb_k: f64) -> f64 {
        polynomial(&self.barrier, rise_k) / (1.0 + rise_k / t_amb_k)
    }

    /// `V_c(T)` \[V\] at a rise of `rise_k` \[K\].
    pub fn v_critical_v(&self, rise_k: f64) -> f64 {
        polynomial(&self.v_critical, rise_k)
    }

    fn barrier_fraction(&self, u_v: f64, rise_k: f64) -> f64 {
        (1.0 - u_v / self.v_critical_v(rise_k)).max(0.0).powf(self.exponent)
    }
}

impl SwitchingTable {
    /// Bilinear p at `u_v` \[V\] and `rise_k` \[K\], constant beyond the edges.
    pub fn probability(&self, u_v: f64, rise_k: f64) -> f64 {
        let rows = self.p.len() / self.columns;
        let (c, fc) = cell(u_v, self.u_range_v, self.columns);
        let (r, fr) = cell(rise_k, self.rise_range_k, rows);
        let at = |row: usize, column: usize| self.p[row * self.columns + column];
        let low = at(r, c) + fc * (at(r, c + 1) - at(r, c));
        let high = at(r + 1, c) + fc * (at(r + 1, c + 1) - at(r + 1, c));
        low + fr * (high - low)
    }
}

/// The cell of a regular grid that holds `value`, and the place in it (0..=1).
fn cell(value: f64, [first, last]: [f64; 2], nodes: usize) -> (usize, f64) {
    let place = ((value - first) / (last - first)).clamp(0.0, 1.0) * (nodes - 1) as f64;
    let index = (place as usize).min(nodes - 2);
    (index, place - index as f64)
}

fn polynomial([k0, k1, k2]: &[f64; 3], x: f64) -> f64 {
    k0 + x * (k1 + x * k2)
}

impl StepLaw {
    /// The pulse that a synaptic sum of `drive_v` \[V\] makes: `clamp(drive, 0, v_max)`.
    pub fn pulse_v(&self, drive_v: f64) -> f64 {
        drive_v.clamp(0.0, self.v_max_v)
    }

    /// Switching probability of a pulse `u_v` \[V\] on a junction whose poles hold `heat_k` \[K\].
    pub fn probability(&self, heat_k: &[f64], u_v: f64) -> f64 {
        let rise_k = heat_k.iter().sum::<f64>() + self.self_heat_k_per_v2 * u_v * u_v;
        match &self.switching {
            Switching::Arrhenius(law) => law.probability(u_v, rise_k, self.t_amb_k),
            Switching::Table(table) => table.probability(u_v, rise_k),
        }
    }

    /// Heat at the start of the next slot, after a pulse `u_v` \[V\] and a firing `s` (0, 1, or p when expected).
    pub fn relax(&self, heat_k: &mut [f64], u_v: f64, s: f64) {
        for (heat, pole) in heat_k.iter_mut().zip(&self.poles) {
            *heat = pole.decay * (*heat + pole.heat_k_per_v2 * u_v * u_v + pole.reset_k * s);
        }
    }

    /// One slot with expected firing: returns p and leaves the heat of the next slot in `heat_k` (one per pole).
    pub fn step_expected(&self, heat_k: &mut [f64], drive_v: f64) -> f64 {
        let u_v = self.pulse_v(drive_v);
        let p = self.probability(heat_k, u_v);
        self.relax(heat_k, u_v, p);
        p
    }

    /// The highest temperature rise \[K\] this law can reach: pulses of `v_max` and a reset in every slot.
    pub fn max_rise_k(&self) -> f64 {
        let v2 = self.v_max_v * self.v_max_v;
        let stored =
            |pole: &HeatPole| pole.decay * (pole.heat_k_per_v2 * v2 + pole.reset_k) / (1.0 - pole.decay);
        self.poles.iter().map(stored).sum::<f64>() + self.self_heat_k_per_v2 * v2
    }

    /// Refuses a law that has no meaning: see [`Error::StepLaw`].
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |what: &str, expected: &str, found: String| {
            Err(Error::StepLaw { what: what.into(), expected: expected.into(), found })
        };
        let positive = [("dt_s", self.dt_s), ("t_amb_k", self.t_amb_k), ("v_max_v", self.v_max_v)];
        for (what, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(what, "a positive finite number", value.to_string());
            }
        }
        if self.poles.is_empty() || self.poles.len() > MAX_POLES {
            return refuse("poles", "1 to 3 heat poles", self.poles.len().to_string());
        }
        for (i, pole) in self.poles.iter().enumerate() {
            if !(0.0..1.0).contains(&pole.decay) {
                return refuse(&format!("poles[{i}].decay"), "a number in [0, 1)", pole.decay.to_string());
            }
            for (name, heat) in [("heat_k_per_v2", pole.heat_k_per_v2), ("reset_k", pole.reset_k)] {
                if !(heat >= 0.0 && heat.is_finite()) {
                    return refuse(&format!("poles[{i}].{name}"), "a number >= 0", heat.to_string());
                }
            }
        }
        if !(self.self_heat_k_per_v2 >= 0.0 && self.self_heat_k_per_v2.is_finite()) {
            return refuse("self_heat_k_per_v2", "a number >= 0", self.self_heat_k_per_v2.to_string());
        }
        let spread = &self.spread;
        for (name, sigma) in [
            ("barrier_d2d", spread.barrier_d2d),
            ("v_critical_d2d", spread.v_critical_d2d),
            ("heat_d2d", spread.heat_d2d),
            ("v_critical_c2c", spread.v_critical_c2c),
        ] {
            if !(0.0..=1.0).contains(&sigma) {
                return refuse(
                    &format!("spread.{name}"),
                    "a relative deviation in [0, 1]",
                    sigma.to_string(),
                );
            }
        }
        match &self.switching {
            Switching::Arrhenius(law) => self.validate_arrhenius(law, refuse),
            Switching::Table(table) => {
                let rows = table.p.len() / table.columns.max(1);
                if table.columns < 2 || rows < 2 || table.p.len() != rows * table.columns {
                    return refuse(
                        "table",
                        "at least 2 x 2 probabilities, rows of equal length",
                        table.p.len().to_string(),
                    );
                }
                for (name, [first, last]) in
                    [("table.u_range_v", table.u_range_v), ("table.rise_range_k", table.rise_range_k)]
                {
                    if !(first < last && first.is_finite() && last.is_finite()) {
                        let found = format!("{first} to {last}");
                        return refuse(name, "finite ends, the first below the last", found);
                    }
                }
                match table.p.iter().find(|p| !(0.0..=1.0).contains(*p)) {
                    Some(p) => refuse("table.p", "probabilities in [0, 1]", p.to_string()),
                    None => Ok(()),
                }
            }
        }
    }

    fn validate_arrhenius(
        &self,
        law: &Arrhenius,
        refuse: impl Fn(&str, &str, String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !law.log_attempts.is_finite() {
            return refuse("log_attempts", "a finite number", law.log_attempts.to_string());
        }
        if !(law.exponent >= 1.0 && law.exponent.is_finite()) {
            return refuse("exponent", "a number >= 1", law.exponent.to_string());
        }
        const NODES: usize = 64;
        for node in 0..=NODES {
            let rise_k = self.max_rise_k() * node as f64 / NODES as f64;
            let (delta, v_c) = (law.stability(rise_k, self.t_amb_k), law.v_critical_v(rise_k));
            if !(delta >= 0.0 && delta.is_finite()) {
                return refuse(
                    "barrier",
                    &format!("Delta >= 0 up to a rise of {rise_k:.1} K"),
                    delta.to_string(),
                );
            }
            if !(v_c > 0.0 && v_c.is_finite()) {
                return refuse(
                    "v_critical",
                    &format!("V_c > 0 up to a rise of {rise_k:.1} K"),
                    v_c.to_string(),
                );
            }
        }
        Ok(())
    }
}
