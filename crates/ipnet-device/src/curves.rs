//! The curves of a device paper, as numbers: whoever draws them adds nothing.
//!
//! All by the integrated physics of [`Device`], not by its step law.

use crate::Device;

/// One line of a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it shows.
    pub label: String,
    /// `(x, y)`.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    fn new(label: String, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { label, points: points.into_iter().collect() }
    }
}

const POINTS: usize = 160;

fn spread(low: f64, high: f64) -> impl Iterator<Item = f64> {
    (0..=POINTS).map(move |i| low + (high - low) * i as f64 / POINTS as f64)
}

fn spread_log(low: f64, high: f64) -> impl Iterator<Item = f64> {
    spread(low.ln(), high.ln()).map(f64::exp)
}

/// The slowest time constant of the heat network \[s\].
fn slowest_s(device: &Device) -> f64 {
    device.heat.poles().iter().map(|pole| pole.tau_s()).fold(0.0, f64::max)
}

fn cold(device: &Device) -> Vec<f64> {
    vec![0.0; device.heat.poles().len()]
}

/// Rises \[K\] of the poles after many slots of constant `v`, without firings: the warm junction of a busy neuron.
fn busy(device: &Device, v: f64) -> Vec<f64> {
    let mut rises_k = cold(device);
    let slots = (12.0 * slowest_s(device) / device.pulse.slot_s).ceil().clamp(4.0, 400.0) as usize;
    for _ in 0..slots {
        rises_k = device.write_pulse(&rises_k, v, device.pulse.width_s).rises_k;
        device.finish_slot(&mut rises_k, false);
    }
    rises_k
}

/// Temperature rise \[K\] against time \[ns\] during and after one pulse, at 60, 80 and 100 % of the largest amplitude.
pub fn heating(device: &Device) -> Vec<Series> {
    let width_s = device.pulse.width_s;
    let end_s = width_s + 4.0 * slowest_s(device).max(0.25 * width_s);
    let state = device.initial_state();
    [0.6, 0.8, 1.0]
        .into_iter()
        .map(|share| {
            let v = share * device.pulse.v_max_v;
            let mut rises_k = cold(device);
            let (mut t_s, mut points) = (0.0, vec![(0.0, 0.0)]);
            // Quadratic spacing from each edge shows a fast pole beside a slow one.
            for (from_s, until_s, on) in [(0.0, width_s, true), (width_s, end_s, false)] {
                for i in 1..=POINTS {
                    let next_s = from_s + (until_s - from_s) * (i as f64 / POINTS as f64).powi(2);
                    let rise_k = rises_k.iter().sum();
                    let power_w = if on { device.write_power_w(v, rise_k, state) } else { 0.0 };
                    device.heat.step(&mut rises_k, power_w, next_s - t_s);
                    t_s = next_s;
                    points.push((1e9 * t_s, rises_k.iter().sum()));
                }
            }
            Series::new(format!("{v:.2} V"), points)
        })
        .collect()
}

/// p against amplitude \[V\] on a junction that pulses of 0, 50, 75 and 100 % of the largest power keep warm.
pub fn p_against_voltage(device: &Device) -> Vec<Series> {
    let pulse = &device.pulse;
    [0.0_f64, 0.5, 0.75, 1.0]
        .into_iter()
        .map(|power| {
            let warm_k = busy(device, pulse.v_max_v * power.sqrt());
            let p = |v: f64| device.write_pulse(&warm_k, v, pulse.width_s).p_switch;
            let rise_k: f64 = warm_k.iter().sum();
            Series::new(
                format!("{:.0} K", device.ambient_k + rise_k),
                spread(0.0, pulse.v_max_v).map(|v| (v, p(v))),
            )
        })
        .collect()
}

/// The amplitude \[V\] at which a cold junction switches with probability `p`, by bisection.
pub fn amplitude_for(device: &Device, p: f64) -> f64 {
    let (mut low, mut high) = (0.0, device.pulse.v_max_v);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if device.write_pulse(&cold(device), middle, device.pulse.width_s).p_switch < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// p of the second of two pulses against the interval \[ns\] between them: the first has the largest amplitude, the second one that switches a cold
/// junction with 1, 10 or 50 %.
pub fn p_against_interval(device: &Device) -> Vec<Series> {
    let pulse = &device.pulse;
    let heated = device.write_pulse(&cold(device), pulse.v_max_v, pulse.width_s).rises_k;
    let slowest_s = slowest_s(device);
    [0.01, 0.1, 0.5]
        .into_iter()
        .map(|p_cold| {
            let v = amplitude_for(device, p_cold);
            let p = |interval_s: f64| {
                let mut rises_k = heated.clone();
                device.heat.step(&mut rises_k, 0.0, interval_s);
                device.write_pulse(&rises_k, v, pulse.width_s).p_switch
            };
            Series::new(
                format!("{v:.2} V ({:.0} % cold)", 100.0 * p_cold),
                spread_log(1e-3 * slowest_s, 10.0 * slowest_s).map(|t_s| (1e9 * t_s, p(t_s))),
            )
        })
        .collect()
}

/// p against the width \[ns\] of a pulse on a cold junction, at 40, 60, 80 and 100 % of V_c.
pub fn p_against_width(device: &Device) -> Vec<Series> {
    let width_s = device.pulse.width_s;
    [0.4, 0.6, 0.8, 1.0]
        .into_iter()
        .map(|share| {
            let v = share * device.v_critical_v;
            let p = |t_s: f64| device.write_pulse(&cold(device), v, t_s).p_switch;
            Series::new(
                format!("{v:.2} V"),
                spread_log(0.02 * width_s, 50.0 * width_s).map(|t_s| (1e9 * t_s, p(t_s))),
            )
        })
        .collect()
}

/// Mean resistance \[kOhm\], read at the voltage itself, while write pulses sweep V from 0 up, down to the negative end and back.
/// Every pulse starts cold.
pub fn resistance_loop(device: &Device) -> Vec<Series> {
    let v_max_v = device.pulse.v_max_v;
    let mut occupation = 0.0;
    let mut branch = |label: &str, from_v: f64, to_v: f64| {
        let points: Vec<(f64, f64)> = spread(from_v, to_v)
            .map(|v| {
                occupation = device.pulse_from(&cold(device), occupation, v, device.pulse.width_s).occupation;
                let fired = device.resistance_ohm(v, 0.0, device.fired_state());
                let initial = device.resistance_ohm(v, 0.0, device.initial_state());
                (v, 1e-3 * (occupation * fired + (1.0 - occupation) * initial))
            })
            .collect();
        Series::new(label.into(), points)
    };
    branch("from 0 up", 0.0, v_max_v);
    let down = branch("downwards", v_max_v, -v_max_v);
    let up = branch("upwards", -v_max_v, v_max_v);
    vec![up, down]
}
