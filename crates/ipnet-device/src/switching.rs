//! Thermally activated switching (Neel-Brown), its rate integrated over a pulse while the temperature moves.
//!
//! ```text
//! rate there  = exp(-Delta(T) max(0, 1 - V / V_c(T))^b) / tau_0
//! rate back   = exp(-Delta(T) max(0, 1 + kappa V / V_c(T))^b) / tau_0
//! p(first passage) = 1 - exp(-integral of the rate there dt)
//! dn/dt            = (1 - n) rate there - n rate back            occupation of the fired state
//! ```
//! A firing is a first passage: what the law of the step calls p. The occupation at the end of the pulse (and at the read) is smaller
//! when a device switches back; the difference is reported by the reduction, not hidden in p.

use crate::{Device, FosterNetwork};

/// What a pulse did to a junction.
#[derive(Debug, Clone, PartialEq)]
pub struct PulseOutcome {
    /// Probability that the junction switched at least once.
    pub p_switch: f64,
    /// Probability that it stands in the fired state at the end.
    pub occupation: f64,
    /// Rises of the poles \[K\] at the end if it did not switch.
    pub rises_k: Vec<f64>,
}

/// Sub-steps of a pulse. They grow quadratically from its edge, so that a pole much faster than the pulse is resolved too:
/// the first of 32 steps is 1/1024 of the pulse.
const SUB_STEPS: usize = 32;

impl Device {
    /// Rates `[there, back]` [1/s] at a bias of `v` and a rise of `rise_k`.
    pub fn rates_per_s(&self, v: f64, rise_k: f64) -> [f64; 2] {
        let delta = self.stability(rise_k);
        let x = v / self.v_critical_v_at(rise_k);
        let rate =
            |fraction: f64| (-delta * fraction.max(0.0).powf(self.barrier_exponent)).exp() / self.attempt_s;
        [rate(1.0 - x), rate(1.0 + self.back_ratio * x)]
    }

    /// A write pulse of `v` for `width_s` on a junction in its initial state with these rises of the poles.
    ///
    /// Power follows R(V, T) of the unswitched state within each sub-step; the rate is integrated by Simpson's rule.
    pub fn write_pulse(&self, rises_k: &[f64], v: f64, width_s: f64) -> PulseOutcome {
        self.pulse_from(rises_k, 0.0, v, width_s)
    }

    /// As [`Device::write_pulse`], from an `occupation` of the fired state; a negative `v` drives back.
    pub fn pulse_from(&self, rises_k: &[f64], occupation: f64, v: f64, width_s: f64) -> PulseOutcome {
        let state = self.initial_state();
        let mut rises_k = rises_k.to_vec();
        let (mut hazard, mut occupation) = (0.0, occupation);
        let mut rates = self.rates_per_s(v, rises_k.iter().sum());
        for k in 0..SUB_STEPS {
            let edge = |k: usize| (k as f64 / SUB_STEPS as f64).powi(2) * width_s;
            let h_s = edge(k + 1) - edge(k);
            let half = |rises_k: &mut [f64], heat: &FosterNetwork| {
                let power_w = self.write_power_w(v, rises_k.iter().sum(), state);
                heat.step(rises_k, power_w, 0.5 * h_s);
            };
            half(&mut rises_k, &self.heat);
            let middle = self.rates_per_s(v, rises_k.iter().sum());
            half(&mut rises_k, &self.heat);
            let end = self.rates_per_s(v, rises_k.iter().sum());
            let [there, back] = [0, 1].map(|i| (rates[i] + 4.0 * middle[i] + end[i]) / 6.0);
            hazard += h_s * there;
            occupation = relax_occupation(occupation, there, back, h_s);
            rates = end;
        }
        PulseOutcome { p_switch: -(-hazard).exp_m1(), occupation, rises_k }
    }

    /// No bias for `wait_s`: cools the poles in place and returns the occupation of the fired state at its end, from `occupation`
    /// (retention: the fired state decays, and the initial one may switch by itself).
    pub fn rest(&self, rises_k: &mut [f64], occupation: f64, wait_s: f64) -> f64 {
        let mut occupation = occupation;
        for k in 0..SUB_STEPS {
            let edge = |k: usize| (k as f64 / SUB_STEPS as f64).powi(2) * wait_s;
            let h_s = edge(k + 1) - edge(k);
            self.heat.step(rises_k, 0.0, 0.5 * h_s);
            let [there, back] = self.rates_per_s(0.0, rises_k.iter().sum());
            self.heat.step(rises_k, 0.0, 0.5 * h_s);
            occupation = relax_occupation(occupation, there, back, h_s);
        }
        occupation
    }

    /// Mean time \[s\] for which a state survives without bias at a rise of `rise_k`.
    pub fn retention_s(&self, rise_k: f64) -> f64 {
        1.0 / self.rates_per_s(0.0, rise_k)[0]
    }

    /// Occupation of the fired state at the read, for a write pulse that left `occupation`: what survives the middle of the read pulse.
    pub fn occupation_at_read(&self, rises_k: &[f64], occupation: f64) -> f64 {
        self.rest(&mut rises_k.to_vec(), occupation, 0.5 * self.pulse.read_s)
    }

    /// Heats the poles by a read pulse and, if the junction `fired`, by the reset pulse after it, then cools them to the end of the slot.
    pub fn finish_slot(&self, rises_k: &mut [f64], fired: bool) {
        let pulse = &self.pulse;
        let state = if fired { self.fired_state() } else { self.initial_state() };
        let mut rest_s = pulse.slot_s - pulse.width_s - pulse.read_s;
        let power_w = self.read_power_w(pulse.read_v, rises_k.iter().sum(), state);
        self.heat.step(rises_k, power_w, pulse.read_s);
        if fired {
            let power_w = self.write_power_w(pulse.reset_v, rises_k.iter().sum(), state);
            self.heat.step(rises_k, power_w, pulse.reset_s);
            rest_s -= pulse.reset_s;
        }
        self.heat.step(rises_k, 0.0, rest_s.max(0.0));
    }
}

/// Exact step of `dn/dt = (1 - n) there - n back` at constant rates.
fn relax_occupation(n: f64, there: f64, back: f64, h_s: f64) -> f64 {
    let total = there + back;
    if total == 0.0 {
        return n;
    }
    let settled = there / total;
    settled + (n - settled) * (-total * h_s).exp()
}
