//! The reduction: physical parameters to the few numbers of a [`StepLaw`], with its error.
//!
//! Per pole, with `x = t_p / tau`, G the conductance the pulse sees, `g = (1 - exp(-x)) / x`:
//! ```text
//! state   m = g T(start of the slot)                    mean of the old heat over the pulse
//! decay   a = exp(-dt / tau)
//! heat    h = G R_th g (exp(x) - 1)                     so that a (m + h u^2) is exact for constant G
//! own     h_self += G R_th (1 - g)                      mean of the pulse's own heat over the pulse
//! reset   r = P_reset R_th g (1 - exp(-t_r / tau)) exp((t_p + t_read + t_r) / tau)
//! ```
//! Design decision: the state is the mean rise over the pulse, not the rise at its start. A step law knows one temperature
//! per slot; the mean is the one that makes p right to first order in the change of temperature. A pole that keeps less
//! than `FORGETS` of its rise until the next pulse becomes part of `h_self`, which costs a kernel nothing.
//!
//! What is neglected, and therefore part of the stated error: the curvature of the rate over the pulse, R(V, T) against one G, the
//! quadratic for E_b(T), read heat, and the resistance after switching.

use crate::{Arrhenius, Device, DeviceSet, Error, HeatPole, Spread, StepLaw, Switching};
use nalgebra::{Matrix3, Vector3};

/// A pole whose rise at the end of a pulse falls below this fraction by the end of the slot carries no memory.
const FORGETS: f64 = 1e-4;

/// A device reduced to a step law, and how far the law is from the device.
#[derive(Debug, Clone)]
pub struct Reduction {
    /// The law.
    pub law: StepLaw,
    /// Its error over `0..=v_max` and over every heat it can reach.
    pub error: ReductionError,
}

/// Difference between a step law and the integrated physics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReductionError {
    /// Highest rise that was compared [K]: the highest this law can reach.
    pub max_rise_k: f64,
    /// Largest difference in p.
    pub p_max: f64,
    /// Root mean square difference in p.
    pub p_rms: f64,
    /// Largest difference of the rise at the start of the next slot over the highest rise.
    pub rise_max_ratio: f64,
    /// Largest relative error of the quadratic for the energy barrier.
    pub barrier_max_ratio: f64,
    /// Largest difference between first passage and the state found at the read: back-switching.
    pub back_switching_max: f64,
}

impl DeviceSet {
    /// Reduces this set to its step law.
    ///
    /// # Errors
    /// A pulse that can heat the junction above its Curie temperature or leave no critical voltage.
    pub fn reduce(&self) -> Result<Reduction, Error> {
        let device = self.device();
        let mut law = reduce_device(&device).map_err(|reason| self.unreducible(reason))?;
        law.spread = self.spread(&law);
        if let Some((table, _)) = &self.table {
            law.switching = Switching::Table(table.clone());
        }
        law.validate().map_err(|error| self.unreducible(error.to_string()))?;
        let error = reduction_error(&device, &law);
        Ok(Reduction { law, error })
    }

    fn unreducible(&self, reason: String) -> Error {
        Error::Reduction { set: self.name.clone(), reason }
    }

    /// The spread of the law from the spread of the parameters: first-order propagation, independent parameters.
    fn spread(&self, nominal: &StepLaw) -> Spread {
        const STEP: f64 = 1e-4;
        let mut variance = [0.0; 3];
        for (key, parameter) in self.parameters.iter().filter(|(_, p)| p.sigma_d2d > 0.0) {
            let moved = Device::from_values(&|of| {
                self.value(of).map(|value| if of == *key { value * (1.0 + STEP) } else { value })
            });
            let Ok(law) = reduce_device(&moved) else { continue };
            let (now, then) = (law_scales(nominal), law_scales(&law));
            for (sum, (now, then)) in variance.iter_mut().zip(now.iter().zip(then)) {
                *sum += ((then / now - 1.0) / STEP * parameter.sigma_d2d).powi(2);
            }
        }
        let [barrier, v_critical, heat] = variance.map(f64::sqrt);
        Spread {
            barrier_d2d: barrier,
            v_critical_d2d: v_critical,
            heat_d2d: heat,
            v_critical_c2c: self.parameters["switching.v_critical_v"].sigma_c2c,
        }
    }
}

/// Barrier, critical voltage and steady heat per V^2 of a law: what its spread multiplies.
fn law_scales(law: &StepLaw) -> [f64; 3] {
    let Switching::Arrhenius(arrhenius) = &law.switching else { return [1.0; 3] };
    let stored = |pole: &HeatPole| pole.heat_k_per_v2 * pole.decay / (1.0 - pole.decay);
    let heat = law.self_heat_k_per_v2 + law.poles.iter().map(stored).sum::<f64>();
    [arrhenius.barrier[0], arrhenius.v_critical[0], heat]
}

/// The step law of one device, without spread or table.
///
/// # Errors
/// In words: why the device has no step law.
pub fn reduce_device(device: &Device) -> Result<StepLaw, String> {
    let pulse = &device.pulse;
    let conductance_s = effective_conductance_s(device);
    let reset_w = device.write_power_w(pulse.reset_v, 0.0, device.fired_state());
    let mut self_heat_k_per_v2 = 0.0;
    let mut poles = Vec::new();
    for pole in device.heat.poles() {
        let tau_s = pole.tau_s();
        let x = pulse.width_s / tau_s;
        let filled = -(-x).exp_m1();
        let mean = filled / x;
        let per_v2 = conductance_s * pole.r_k_per_w;
        self_heat_k_per_v2 += per_v2 * (1.0 - mean);
        if (-(pulse.slot_s - pulse.width_s) / tau_s).exp() < FORGETS {
            continue;
        }
        let reset_end_s = pulse.width_s + pulse.read_s + pulse.reset_s;
        poles.push(HeatPole {
            decay: (-pulse.slot_s / tau_s).exp(),
            heat_k_per_v2: per_v2 * mean * x.exp_m1(),
            reset_k: reset_w
                * pole.r_k_per_w
                * mean
                * -(-pulse.reset_s / tau_s).exp_m1()
                * (reset_end_s / tau_s).exp(),
        });
    }
    if poles.is_empty() {
        // Every pole forgets within a slot: a law without memory still has one pole, empty.
        poles.push(HeatPole { decay: 0.0, heat_k_per_v2: 0.0, reset_k: 0.0 });
    }
    let mut law = StepLaw {
        dt_s: pulse.slot_s,
        t_amb_k: device.ambient_k,
        v_max_v: pulse.v_max_v,
        poles,
        self_heat_k_per_v2,
        switching: Switching::Arrhenius(Arrhenius {
            log_attempts: (pulse.width_s / device.attempt_s).ln(),
            barrier: [device.stability_ratio, 0.0, 0.0],
            v_critical: [device.v_critical_v, -device.v_critical_v * device.v_critical_fall_per_k, 0.0],
            exponent: device.barrier_exponent,
        }),
        spread: Spread::default(),
    };
    let max_rise_k = law.max_rise_k();
    if device.ambient_k + max_rise_k >= device.curie_k {
        return Err(format!(
            "pulses of v_max in every slot heat the junction by {max_rise_k:.0} K to {:.0} K, above its Curie temperature of {} K",
            device.ambient_k + max_rise_k,
            device.curie_k
        ));
    }
    if device.v_critical_v_at(max_rise_k) <= 0.0 {
        return Err(format!("the critical voltage is gone at the highest rise of {max_rise_k:.0} K"));
    }
    if let Switching::Arrhenius(arrhenius) = &mut law.switching {
        arrhenius.barrier = quadratic_barrier(device, max_rise_k);
    }
    Ok(law)
}

/// One conductance [S] for `P = G u^2`: least squares over `0..=v_max` at ambient temperature, weighted as heat is.
fn effective_conductance_s(device: &Device) -> f64 {
    const NODES: usize = 64;
    let (mut num, mut den) = (0.0, 0.0);
    for node in 1..=NODES {
        let u = device.pulse.v_max_v * node as f64 / NODES as f64;
        num += device.write_power_w(u, 0.0, device.initial_state()) * u * u;
        den += u.powi(4);
    }
    num / den
}

/// Least-squares quadratic for `E_b(T) / (k_B T_amb)` on the Chebyshev nodes of `0..=max_rise_k`.
fn quadratic_barrier(device: &Device, max_rise_k: f64) -> [f64; 3] {
    const NODES: usize = 32;
    let scale = max_rise_k.max(1e-9);
    let (mut normal, mut right) = (Matrix3::<f64>::zeros(), Vector3::<f64>::zeros());
    for node in 0..NODES {
        let angle = std::f64::consts::PI * (node as f64 + 0.5) / NODES as f64;
        let t = 0.5 * (1.0 - angle.cos());
        let row = Vector3::new(1.0, t, t * t);
        normal += row * row.transpose();
        right += row * device.barrier(t * scale);
    }
    // The normal matrix of 32 distinct nodes is positive definite.
    let k = normal.cholesky().map_or(Vector3::new(device.stability_ratio, 0.0, 0.0), |c| c.solve(&right));
    [k[0], k[1] / scale, k[2] / (scale * scale)]
}

/// Compares `law` with the integrated physics of `device` on a grid of amplitudes and starting heats.
pub fn reduction_error(device: &Device, law: &StepLaw) -> ReductionError {
    const NODES: usize = 12;
    let max_rise_k = law.max_rise_k();
    let kept: Vec<usize> = (0..device.heat.poles().len())
        .filter(|&i| {
            let pulse = &device.pulse;
            (-(pulse.slot_s - pulse.width_s) / device.heat.poles()[i].tau_s()).exp() >= FORGETS
        })
        .collect();
    let mut error = ReductionError {
        max_rise_k,
        p_max: 0.0,
        p_rms: 0.0,
        rise_max_ratio: 0.0,
        barrier_max_ratio: 0.0,
        back_switching_max: 0.0,
    };
    let steady = |pole: &HeatPole, u: f64| pole.decay * pole.heat_k_per_v2 * u * u / (1.0 - pole.decay);
    let mut sum = 0.0;
    for warm in 0..=NODES {
        // The heat that constant pulses of `v` lead to: the poles in the proportion in which they really fill.
        let v = law.v_max_v * (warm as f64 / NODES as f64).sqrt();
        for cold in 0..=NODES {
            let u = law.v_max_v * cold as f64 / NODES as f64;
            let mut means_k: Vec<f64> = law.poles.iter().map(|pole| steady(pole, v)).collect();
            let mut rises_k = vec![0.0; device.heat.poles().len()];
            for (mean_k, &i) in means_k.iter().zip(&kept) {
                let x = device.pulse.width_s / device.heat.poles()[i].tau_s();
                rises_k[i] = mean_k * x / -(-x).exp_m1();
            }
            let outcome = device.write_pulse(&rises_k, u, device.pulse.width_s);
            let difference = (law.probability(&means_k, u) - outcome.p_switch).abs();
            error.p_max = error.p_max.max(difference);
            sum += difference * difference;
            let back = outcome.p_switch - outcome.occupation;
            error.back_switching_max = error.back_switching_max.max(back.abs());
            law.relax(&mut means_k, u, 0.0);
            let mut after_k = outcome.rises_k;
            device.finish_slot(&mut after_k, false);
            for (mean_k, &i) in means_k.iter().zip(&kept) {
                let x = device.pulse.width_s / device.heat.poles()[i].tau_s();
                let gap = (mean_k - after_k[i] * -(-x).exp_m1() / x).abs() / max_rise_k.max(1e-9);
                error.rise_max_ratio = error.rise_max_ratio.max(gap);
            }
        }
    }
    error.p_rms = (sum / ((NODES + 1) * (NODES + 1)) as f64).sqrt();
    if let Switching::Arrhenius(arrhenius) = &law.switching {
        for node in 0..=100 {
            let rise_k = max_rise_k * f64::from(node) / 100.0;
            let exact = device.stability(rise_k);
            let gap = (arrhenius.stability(rise_k, law.t_amb_k) / exact - 1.0).abs();
            error.barrier_max_ratio = error.barrier_max_ratio.max(gap);
        }
    }
    error
}
