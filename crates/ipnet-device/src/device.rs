//! One device as numbers: the nominal one of a set, or one drawn from its device-to-device spread.
//!
//! Temperature laws (sources in `docs/device.md`), with `T = T_amb + rise`:
//! ```text
//! Ms(T)    = Ms_0 (1 - (T / T_C)^m)^n                      magnetisation
//! E_b(T)   = Delta_0 k_B T_amb (Ms(T) / Ms(T_amb))^k       energy barrier
//! Delta(T) = E_b(T) / (k_B T)                              thermal stability
//! V_c(T)   = V_c (1 - f (T - T_amb))                       critical voltage
//! ```

use crate::set::registry::PARAMETERS;
use crate::{DeviceSet, FosterNetwork, Pole};
use ipnet_rng::Stream;

/// The physical numbers of one junction, SI.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Diameter \[m\].
    pub diameter_m: f64,
    /// Free layer thickness \[m\].
    pub free_layer_m: f64,
    /// Barrier thickness \[m\].
    pub barrier_m: f64,
    /// Resistance-area product, parallel [Ohm m^2].
    pub ra_ohm_m2: f64,
    /// TMR at zero bias and ambient temperature.
    pub tmr_ratio: f64,
    /// Half-value voltage of the TMR \[V\].
    pub tmr_half_v: f64,
    /// Fall of the polarisation [1/K^1.5].
    pub polarisation_per_k1p5: f64,
    /// Resistance of a spin-orbit line, if the pulse runs through one \[Ohm\].
    pub line_ohm: Option<f64>,
    /// Whether a pulse switches from antiparallel to parallel.
    pub starts_antiparallel: bool,
    /// Saturation magnetisation at ambient temperature \[A/m\].
    pub ms_a_per_m: f64,
    /// Curie temperature \[K\].
    pub curie_k: f64,
    /// m of the magnetisation law.
    pub ms_inner_exponent: f64,
    /// n of the magnetisation law.
    pub ms_outer_exponent: f64,
    /// k of the barrier law.
    pub barrier_ms_exponent: f64,
    /// Delta at ambient temperature and zero bias.
    pub stability_ratio: f64,
    /// Gilbert damping.
    pub damping_ratio: f64,
    /// Spin-transfer efficiency.
    pub torque_efficiency_ratio: f64,
    /// Field-like over damping-like torque.
    pub field_like_ratio: f64,
    /// Voltage-controlled anisotropy [J/(V m)].
    pub vcma_j_per_v_m: f64,
    /// Attempt time \[s\].
    pub attempt_s: f64,
    /// Critical voltage at ambient temperature \[V\].
    pub v_critical_v: f64,
    /// Relative fall of the critical voltage [1/K].
    pub v_critical_fall_per_k: f64,
    /// b of the barrier law.
    pub barrier_exponent: f64,
    /// kappa of the barrier back.
    pub back_ratio: f64,
    /// Ambient temperature \[K\].
    pub ambient_k: f64,
    /// The heat network.
    pub heat: FosterNetwork,
    /// The pulses of a slot.
    pub pulse: PulseScheme,
}

/// The pulses of one slot: write, read, and reset after a firing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PulseScheme {
    /// Width of the write pulse \[s\].
    pub width_s: f64,
    /// Length of the slot \[s\].
    pub slot_s: f64,
    /// Largest write amplitude \[V\].
    pub v_max_v: f64,
    /// Read amplitude \[V\].
    pub read_v: f64,
    /// Read width \[s\].
    pub read_s: f64,
    /// Reset amplitude, of the opposite sign \[V\].
    pub reset_v: f64,
    /// Reset width \[s\].
    pub reset_s: f64,
}

impl Device {
    /// Builds a device from checked values; a required key that is missing becomes NaN, which only an unchecked set can have.
    pub(crate) fn from_values(value: &dyn Fn(&str) -> Option<f64>) -> Self {
        let need = |key: &str| value(key).unwrap_or(f64::NAN);
        let poles = (1..=crate::MAX_POLES)
            .filter_map(|i| {
                Some(Pole {
                    r_k_per_w: value(&format!("thermal.pole_{i}.r_k_per_w"))?,
                    c_j_per_k: value(&format!("thermal.pole_{i}.c_j_per_k"))?,
                })
            })
            .collect();
        Self {
            diameter_m: need("junction.diameter_m"),
            free_layer_m: need("junction.free_layer_m"),
            barrier_m: need("junction.barrier_m"),
            ra_ohm_m2: need("junction.ra_ohm_m2"),
            tmr_ratio: need("junction.tmr_ratio"),
            tmr_half_v: need("junction.tmr_half_v"),
            polarisation_per_k1p5: need("junction.polarisation_per_k1p5"),
            line_ohm: value("junction.line_ohm"),
            starts_antiparallel: value("junction.starts_antiparallel") == Some(1.0),
            ms_a_per_m: need("magnet.ms_a_per_m"),
            curie_k: need("magnet.curie_k"),
            ms_inner_exponent: need("magnet.ms_inner_exponent"),
            ms_outer_exponent: need("magnet.ms_outer_exponent"),
            barrier_ms_exponent: need("magnet.barrier_ms_exponent"),
            stability_ratio: need("magnet.stability_ratio"),
            damping_ratio: need("magnet.damping_ratio"),
            torque_efficiency_ratio: need("magnet.torque_efficiency_ratio"),
            field_like_ratio: need("magnet.field_like_ratio"),
            vcma_j_per_v_m: need("magnet.vcma_j_per_v_m"),
            attempt_s: need("switching.attempt_s"),
            v_critical_v: need("switching.v_critical_v"),
            v_critical_fall_per_k: need("switching.v_critical_fall_per_k"),
            barrier_exponent: need("switching.barrier_exponent"),
            back_ratio: need("switching.back_ratio"),
            ambient_k: need("thermal.ambient_k"),
            heat: FosterNetwork::new(poles),
            pulse: PulseScheme {
                width_s: need("pulse.width_s"),
                slot_s: need("pulse.slot_s"),
                v_max_v: need("pulse.v_max_v"),
                read_v: need("pulse.read_v"),
                read_s: need("pulse.read_s"),
                reset_v: need("pulse.reset_v"),
                reset_s: need("pulse.reset_s"),
            },
        }
    }

    /// Device number `index` of a wafer: every parameter with a `sigma_d2d` is multiplied by a log-normal factor of
    /// mean 1 and that relative standard deviation. The same `(seed, index)` is the same device on any machine.
    pub fn sample(set: &DeviceSet, seed: u64, index: usize) -> Self {
        let mut stream = Stream::named(seed, &format!("device/{index}"));
        // One normal per registry line, used or not: adding a sigma to one parameter moves no other draw.
        let factors: Vec<f64> = PARAMETERS
            .iter()
            .map(|spec| {
                let z = stream.normal();
                let sigma = set.parameters.get(spec.key).map_or(0.0, |p| p.sigma_d2d);
                let log_variance = (sigma * sigma).ln_1p();
                (log_variance.sqrt() * z - 0.5 * log_variance).exp()
            })
            .collect();
        Self::from_values(&|key| {
            let place = PARAMETERS.iter().position(|spec| spec.key == key)?;
            Some(set.value(key)? * factors[place])
        })
    }

    /// Area of the pillar [m^2].
    pub fn area_m2(&self) -> f64 {
        std::f64::consts::FRAC_PI_4 * self.diameter_m * self.diameter_m
    }

    /// Volume of the free layer [m^3].
    pub fn volume_m3(&self) -> f64 {
        self.area_m2() * self.free_layer_m
    }

    /// `Ms(T) / Ms(T_amb)` at a rise of `rise_k`; 0 from the Curie temperature on.
    pub fn magnetisation(&self, rise_k: f64) -> f64 {
        power(self.order(rise_k), self.ms_outer_exponent)
    }

    /// `E_b(T) / (k_B T_amb)` at a rise of `rise_k`: the barrier in units of the ambient thermal energy.
    pub fn barrier(&self, rise_k: f64) -> f64 {
        self.stability_ratio * power(self.order(rise_k), self.ms_outer_exponent * self.barrier_ms_exponent)
    }

    /// `(1 - (T / T_C)^m) / (1 - (T_amb / T_C)^m)`, not below 0.
    fn order(&self, rise_k: f64) -> f64 {
        let bare = |t_k: f64| 1.0 - power(t_k / self.curie_k, self.ms_inner_exponent);
        (bare(self.ambient_k + rise_k) / bare(self.ambient_k)).max(0.0)
    }

    /// The same device in a bath of `bath_k`: its ambient quantities are those at that temperature, and every law is unchanged.
    pub fn in_bath(&self, bath_k: f64) -> Self {
        let rise_k = bath_k - self.ambient_k;
        let v_critical_ratio = 1.0 - self.v_critical_fall_per_k * rise_k;
        Self {
            ambient_k: bath_k,
            stability_ratio: self.stability(rise_k),
            ms_a_per_m: self.ms_a_per_m * self.magnetisation(rise_k),
            v_critical_v: self.v_critical_v * v_critical_ratio,
            v_critical_fall_per_k: self.v_critical_fall_per_k / v_critical_ratio,
            tmr_ratio: self.tmr(0.0, rise_k),
            ..self.clone()
        }
    }

    /// `Delta(T) = E_b(T) / (k_B T)` at a rise of `rise_k`.
    pub fn stability(&self, rise_k: f64) -> f64 {
        self.barrier(rise_k) / (1.0 + rise_k / self.ambient_k)
    }

    /// `V_c(T)` \[V\] at a rise of `rise_k`.
    pub fn v_critical_v_at(&self, rise_k: f64) -> f64 {
        self.v_critical_v * (1.0 - self.v_critical_fall_per_k * rise_k)
    }
}

/// `x^exponent`, without the cost of a power where the exponent is 1.
fn power(x: f64, exponent: f64) -> f64 {
    if exponent == 1.0 { x } else { x.powf(exponent) }
}
