//! The reduction: physical parameters to the few numbers of a [`StepLaw`], with its error.
//!
//! Per pole, with `x = t_p / tau`, G the conductance the pulse sees, `g = (1 - exp(-x)) / x`:
//! ```text
//! state   m = g T(start of the slot)                    mean of the old heat over the pulse
//! decay   a = exp(-dt / tau)
//! heat    h = G R_th g (exp(x) - 1)                     so that a (m + h u^2) is exact for constant G
//! own     h_self = sum G R_th (1 - g)                  mean of the pulse's own heat over the pulse, then refined
//! reset   r = P_reset R_th g (1 - exp(-t_r / tau)) exp((t_p + t_read + t_r) / tau)
//! ```
//! Design decision: the state is the mean rise over the pulse, not the rise at its start. A step law knows one temperature
//! per slot; the mean is the one that makes p right to first order in the change of temperature. A pole that keeps less
//! than `FORGETS` of its rise until the next pulse becomes part of `h_self`, which costs a kernel nothing.
//!
//! `h_self` is then moved to where p is closest, in least squares, to the integrated physics over all amplitudes and heats: a pulse that
//! heats itself by 100 K switches mostly at its hot end, so that the mean rise is too low for it.
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
    /// Highest rise that was compared \[K\]: the highest this law can reach.
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
    /// Reduces this set to its step law. With a measured table the spread of the barrier is left out.
    ///
    /// # Errors
    /// A pulse that can heat the junction above its Curie temperature or leave no critical voltage.
    pub fn reduce(&self) -> Result<Reduction, Error> {
        let device = self.device();
        let mut law = reduce_device(&device).map_err(|reason| self.unreducible(reason))?;
        law.spread = self.spread(&closed_form(&device).map_err(|reason| self.unreducible(reason))?);
        if let Some((table, _)) = &self.table {
            law.switching = Switching::Table(table.clone());
            // A table has no barrier to vary: its spread is that of the critical voltage and of the heat.
            law.spread.barrier_d2d = 0.0;
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
            let Ok(law) = closed_form(&moved) else { continue };
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
    let mut law = closed_form(device)?;
    let comparison = Comparison::new(device, &law);
    let highest = effective_conductance_s(device) * device.heat.r_total_k_per_w();
    law.self_heat_k_per_v2 = minimise(0.0, highest, |per_v2| {
        law.self_heat_k_per_v2 = per_v2;
        comparison.cases.iter().map(|case| (law.probability(&case.means_k, case.u_v) - case.p).powi(2)).sum()
    });
    finish(device, law)
}

/// The least of a function with one minimum in `low..=high`, by golden section.
fn minimise(mut low: f64, mut high: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    for _ in 0..48 {
        let (left, right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        if f(left) <= f(right) {
            high = right;
        } else {
            low = left;
        }
    }
    0.5 * (low + high)
}

/// The law by the formulas of this file's head, without the refinement of `h_self`.
fn closed_form(device: &Device) -> Result<StepLaw, String> {
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
    let law = StepLaw {
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
    finish(device, law)
}

/// Checks the highest temperature and fits the barrier over the rises that the law can reach.
fn finish(device: &Device, mut law: StepLaw) -> Result<StepLaw, String> {
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

/// One conductance \[S\] for `P = G u^2`: least squares over `0..=v_max` at ambient temperature, weighted as heat is.
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

/// The integrated physics on a grid of amplitudes and starting heats: what a law is compared with.
struct Comparison {
    cases: Vec<Case>,
}

/// One pulse on one warm junction.
struct Case {
    /// Amplitude \[V\].
    u_v: f64,
    /// State of the law's poles before the pulse \[K\].
    means_k: Vec<f64>,
    /// First passage.
    p: f64,
    /// First passage less the occupation found at the read.
    back: f64,
    /// State of the law's poles one slot later, without a firing \[K\].
    next_means_k: Vec<f64>,
}

impl Comparison {
    fn new(device: &Device, law: &StepLaw) -> Self {
        const NODES: usize = 12;
        let pulse = &device.pulse;
        let poles = device.heat.poles();
        // Of the device's poles, those that the law kept, with their mean over a pulse per start value.
        let kept: Vec<(usize, f64)> = poles
            .iter()
            .enumerate()
            .filter(|(_, pole)| (-(pulse.slot_s - pulse.width_s) / pole.tau_s()).exp() >= FORGETS)
            .map(|(i, pole)| (i, pulse.width_s / pole.tau_s()))
            .map(|(i, x)| (i, -(-x).exp_m1() / x))
            .collect();
        let mut cases = Vec::with_capacity((NODES + 1) * (NODES + 1));
        for warm in 0..=NODES {
            // The heat that constant pulses of `v` lead to: the poles in the proportion in which they really fill.
            let v2 = law.v_max_v * law.v_max_v * warm as f64 / NODES as f64;
            let means_k: Vec<f64> = law
                .poles
                .iter()
                .map(|pole| pole.decay * pole.heat_k_per_v2 * v2 / (1.0 - pole.decay))
                .collect();
            let mut start_k = vec![0.0; poles.len()];
            for (mean_k, &(i, share)) in means_k.iter().zip(&kept) {
                start_k[i] = mean_k / share;
            }
            for node in 0..=NODES {
                let u_v = law.v_max_v * node as f64 / NODES as f64;
                let outcome = device.write_pulse(&start_k, u_v, pulse.width_s);
                let occupation = device.occupation_at_read(&outcome.rises_k, outcome.occupation);
                let mut after_k = outcome.rises_k;
                device.finish_slot(&mut after_k, false);
                cases.push(Case {
                    u_v,
                    means_k: means_k.clone(),
                    p: outcome.p_switch,
                    back: outcome.p_switch - occupation,
                    next_means_k: kept.iter().map(|&(i, share)| after_k[i] * share).collect(),
                });
            }
        }
        Self { cases }
    }
}

/// Compares `law` with the integrated physics of `device` on a grid of amplitudes and starting heats.
pub fn reduction_error(device: &Device, law: &StepLaw) -> ReductionError {
    let comparison = Comparison::new(device, law);
    let max_rise_k = law.max_rise_k();
    let mut error = ReductionError {
        max_rise_k,
        p_max: 0.0,
        p_rms: 0.0,
        rise_max_ratio: 0.0,
        barrier_max_ratio: 0.0,
        back_switching_max: 0.0,
    };
    for case in &comparison.cases {
        let difference = (law.probability(&case.means_k, case.u_v) - case.p).abs();
        error.p_max = error.p_max.max(difference);
        error.p_rms += difference * difference / comparison.cases.len() as f64;
        error.back_switching_max = error.back_switching_max.max(case.back.abs());
        let mut next_k = case.means_k.clone();
        law.relax(&mut next_k, case.u_v, 0.0);
        for (ours, exact) in next_k.iter().zip(&case.next_means_k) {
            error.rise_max_ratio = error.rise_max_ratio.max((ours - exact).abs() / max_rise_k);
        }
    }
    error.p_rms = error.p_rms.sqrt();
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

/// The reduction and its error for write pulses of `ratio` times the nominal width: the range in which it is valid.
///
/// Widths that leave no room in the slot for read and reset are left out, as are those that would destroy the junction.
pub fn reduction_over_widths(device: &Device, ratios: &[f64]) -> Vec<(f64, ReductionError)> {
    let room_s = device.pulse.slot_s - device.pulse.read_s - device.pulse.reset_s;
    ratios
        .iter()
        .map(|ratio| device.pulse.width_s * ratio)
        .filter(|width_s| *width_s > 0.0 && *width_s <= room_s)
        .filter_map(|width_s| {
            let mut device = device.clone();
            device.pulse.width_s = width_s;
            let law = reduce_device(&device).ok()?;
            Some((width_s, reduction_error(&device, &law)))
        })
        .collect()
}
