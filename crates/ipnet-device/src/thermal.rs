//! Heat: a Foster network of 1 to 3 poles.
//!
//! ```text
//! C_i dT_i/dt = P(t) - T_i / R_i,   rise = sum_i T_i,   tau_i = R_i C_i
//! T_i(t + h)  = T_i(t) exp(-h / tau_i) + P R_i (1 - exp(-h / tau_i))      exact for constant P
//! ```
//! Design decision: poles do not couple (Foster, not Cauer), so that a step is exact for constant power whatever
//! its length; any passive thermal impedance seen from the junction can be written so.

/// One pole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pole {
    /// Thermal resistance \[K/W\].
    pub r_k_per_w: f64,
    /// Heat capacity \[J/K\].
    pub c_j_per_k: f64,
}

impl Pole {
    /// `tau = R C` \[s\].
    pub fn tau_s(&self) -> f64 {
        self.r_k_per_w * self.c_j_per_k
    }

    /// Rise after `h_s` at constant `power_w`, from `rise_k`.
    pub fn step(&self, rise_k: f64, power_w: f64, h_s: f64) -> f64 {
        // expm1 keeps the energy balance when h << tau.
        let lost = -(-h_s / self.tau_s()).exp_m1();
        rise_k + lost * (power_w * self.r_k_per_w - rise_k)
    }

    /// Heat \[J\] that leaves the pole through its resistance during such a step, `integral of T / R dt`: exact.
    ///
    /// With the heat stored, `C T`, it closes the balance of each pole: power in = change of `C T` + heat out.
    pub fn outflow_j(&self, rise_k: f64, power_w: f64, h_s: f64) -> f64 {
        let settled_k = power_w * self.r_k_per_w;
        let lost = -(-h_s / self.tau_s()).exp_m1();
        (settled_k * h_s + (rise_k - settled_k) * self.tau_s() * lost) / self.r_k_per_w
    }
}

/// The network: rises of the poles add.
#[derive(Debug, Clone, PartialEq)]
pub struct FosterNetwork {
    poles: Vec<Pole>,
}

impl FosterNetwork {
    /// A network of these poles.
    pub fn new(poles: Vec<Pole>) -> Self {
        Self { poles }
    }

    /// The poles.
    pub fn poles(&self) -> &[Pole] {
        &self.poles
    }

    /// Advances the rises (one per pole) \[K\] by `h_s` at constant `power_w`: exact.
    pub fn step(&self, rises_k: &mut [f64], power_w: f64, h_s: f64) {
        for (rise, pole) in rises_k.iter_mut().zip(&self.poles) {
            *rise = pole.step(*rise, power_w, h_s);
        }
    }

    /// Sum of the thermal resistances: rise per watt in the steady state \[K/W\].
    pub fn r_total_k_per_w(&self) -> f64 {
        self.poles.iter().map(|pole| pole.r_k_per_w).sum()
    }
}
