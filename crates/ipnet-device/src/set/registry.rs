//! The parameters a set may have: key with unit, meaning, allowed range. One table, read by the parser, by `show`
//! and by the documentation.
//!
//! Design decision: a parameter is one line here and one field of [`crate::Device`]; what is not in this table is refused,
//! so a mistyped key can never be a silent default.

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Domain {
    /// Greater than zero.
    Positive,
    /// Zero or more.
    NonNegative,
    /// Between the two, ends included.
    Within(f64, f64),
    /// Any finite number.
    Finite,
}

impl Domain {
    /// Whether `value` is allowed.
    pub fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Domain::Positive => value > 0.0,
                Domain::NonNegative => value >= 0.0,
                Domain::Within(low, high) => (low..=high).contains(&value),
                Domain::Finite => true,
            }
    }

    /// In words, for an error message.
    pub fn words(self) -> String {
        match self {
            Domain::Positive => "a number > 0".into(),
            Domain::NonNegative => "a number >= 0".into(),
            Domain::Within(low, high) => format!("a number from {low} to {high}"),
            Domain::Finite => "a finite number".into(),
        }
    }
}

/// One parameter of a device.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// `section.key_unit`.
    pub key: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// What its value must be.
    pub domain: Domain,
    /// Whether a set without it is refused.
    pub required: bool,
}

const fn need(key: &'static str, domain: Domain, meaning: &'static str) -> Spec {
    Spec { key, meaning, domain, required: true }
}

const fn may(key: &'static str, domain: Domain, meaning: &'static str) -> Spec {
    Spec { key, meaning, domain, required: false }
}

use Domain::{Finite, NonNegative, Positive, Within};

/// Every parameter, in the order in which `show` prints them.
pub const PARAMETERS: &[Spec] = &[
    need("junction.diameter_m", Positive, "diameter of the pillar (of equal area if it is not round)"),
    need("junction.free_layer_m", Positive, "thickness of the free layer"),
    need("junction.barrier_m", Positive, "thickness of the tunnel barrier"),
    need("junction.ra_ohm_m2", Positive, "resistance-area product, parallel, at zero bias"),
    need("junction.tmr_ratio", NonNegative, "TMR (R_AP - R_P) / R_P at zero bias and ambient temperature"),
    need(
        "junction.tmr_half_v",
        Positive,
        "voltage V_h at which the TMR is half: TMR(V) = TMR_0 / (1 + (V / V_h)^2)",
    ),
    need(
        "junction.polarisation_per_k1p5",
        NonNegative,
        "a of the polarisation P(T) = P_0 (1 - a T^1.5), which gives TMR(T)",
    ),
    may(
        "junction.line_ohm",
        Positive,
        "resistance of a spin-orbit line: the pulse runs through it, not the barrier",
    ),
    may(
        "junction.starts_antiparallel",
        Within(0.0, 1.0),
        "1 if a pulse switches from antiparallel to parallel; 0 (the default) from parallel",
    ),
    need("magnet.ms_a_per_m", Positive, "saturation magnetisation at ambient temperature"),
    need("magnet.curie_k", Positive, "Curie temperature T_C"),
    need("magnet.ms_inner_exponent", Positive, "m of Ms(T) = Ms_0 (1 - (T / T_C)^m)^n (Bloch: m 1.5, n 1)"),
    need("magnet.ms_outer_exponent", Positive, "n of Ms(T) = Ms_0 (1 - (T / T_C)^m)^n"),
    need("magnet.barrier_ms_exponent", Within(1.0, 4.0), "k of the energy barrier E_b ~ Ms^k"),
    need("magnet.stability_ratio", Positive, "Delta_0 = E_b / (k_B T) at ambient temperature and zero bias"),
    need("magnet.damping_ratio", Within(1e-6, 1.0), "Gilbert damping alpha"),
    need(
        "magnet.torque_efficiency_ratio",
        Within(0.0, 50.0),
        "efficiency eta of the damping-like torque (of a line: spin Hall angle times area of the pillar over the line's)",
    ),
    need("magnet.field_like_ratio", Finite, "field-like torque over damping-like torque"),
    need("magnet.vcma_j_per_v_m", Finite, "change of the interface anisotropy with the field in the barrier"),
    need("switching.attempt_s", Positive, "attempt time tau_0"),
    need(
        "switching.v_critical_v",
        Positive,
        "voltage V_c at which the barrier is gone, at ambient temperature",
    ),
    need("switching.v_critical_fall_per_k", Within(0.0, 0.05), "relative fall of V_c per kelvin"),
    need("switching.barrier_exponent", Within(1.0, 3.0), "b of the barrier Delta (1 - V / V_c)^b"),
    need(
        "switching.back_ratio",
        Within(-1.0, 1.0),
        "kappa of the barrier back, Delta (1 + kappa V / V_c)^b: 1 for a spin torque, -1 if V lowers both sides",
    ),
    need("thermal.ambient_k", Positive, "ambient temperature"),
    need("thermal.pole_1.r_k_per_w", Positive, "thermal resistance of pole 1 of the Foster network"),
    need("thermal.pole_1.c_j_per_k", Positive, "heat capacity of pole 1"),
    may("thermal.pole_2.r_k_per_w", Positive, "thermal resistance of pole 2"),
    may("thermal.pole_2.c_j_per_k", Positive, "heat capacity of pole 2"),
    may("thermal.pole_3.r_k_per_w", Positive, "thermal resistance of pole 3"),
    may("thermal.pole_3.c_j_per_k", Positive, "heat capacity of pole 3"),
    need("pulse.width_s", Positive, "width t_p of the write pulse"),
    need("pulse.slot_s", Positive, "length of a slot: one network step"),
    need("pulse.v_max_v", Positive, "largest amplitude"),
    need("pulse.read_v", NonNegative, "amplitude of the read pulse that follows the write pulse"),
    need("pulse.read_s", NonNegative, "width of the read pulse"),
    need("pulse.reset_v", NonNegative, "amplitude (opposite sign) of the reset pulse after a firing"),
    need("pulse.reset_s", NonNegative, "width of the reset pulse"),
];

/// The line of the table for `key`.
pub fn spec(key: &str) -> Option<&'static Spec> {
    PARAMETERS.iter().find(|spec| spec.key == key)
}
