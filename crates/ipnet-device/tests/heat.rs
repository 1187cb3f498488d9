//! Heat: the exact step against an adaptive ODE, the energy balance, and what the physics says p must do.

use ipnet_device::{Device, DeviceSet, FosterNetwork, Pole, dormand_prince, reduce_device};
use proptest::prelude::*;

fn poles(n: usize) -> impl Strategy<Value = Vec<Pole>> {
    prop::collection::vec((4.0..7.0_f64, -9.5..-6.0_f64), n).prop_map(|raw| {
        raw.into_iter()
            .map(|(log_r, log_tau)| {
                let r_k_per_w = 10.0_f64.powf(log_r);
                Pole { r_k_per_w, c_j_per_k: 10.0_f64.powf(log_tau) / r_k_per_w }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A train of pulses and pauses: exact step against Dormand-Prince at tolerance 1e-13, relative difference below 1e-9; and for
    /// every pole heat in = heat stored + heat out, the outflow integrated by the ODE.
    #[test]
    fn the_step_is_the_ode_and_the_balance_closes(
        poles in poles(3),
        train in prop::collection::vec((0.0..200.0_f64, 1e-9..1e-7_f64), 1..8),
    ) {
        let network = FosterNetwork::new(poles.clone());
        let mut rises_k = vec![0.0; 3];
        let (mut in_j, mut out_j) = (0.0, [0.0; 3]);
        // y = rises in units of R * 100 uW, then the outflow in units of C * R * 100 uW.
        let mut y = [0.0; 6];
        for &(power_uw, h_s) in &train {
            let power_w = power_uw * 1e-6;
            for i in 0..3 {
                out_j[i] += poles[i].outflow_j(rises_k[i], power_w, h_s);
            }
            network.step(&mut rises_k, power_w, h_s);
            in_j += power_w * h_s;
            dormand_prince(|_, y, dy| for i in 0..3 {
                dy[i] = (power_w / 1e-4 - y[i]) / poles[i].tau_s();
                dy[3 + i] = y[i] / poles[i].tau_s();
            }, &mut y, 0.0, h_s, 1e-13);
        }
        for i in 0..3 {
            let unit_k = poles[i].r_k_per_w * 1e-4;
            prop_assert!((rises_k[i] / unit_k - y[i]).abs() <= 1e-9 * y[i].abs().max(1e-6));
            let stored_j = poles[i].c_j_per_k * rises_k[i];
            prop_assert!((in_j - stored_j - out_j[i]).abs() <= 1e-9 * in_j);
            let outflow_ode_j = y[3 + i] * poles[i].c_j_per_k * unit_k;
            prop_assert!((outflow_ode_j - out_j[i]).abs() <= 1e-9 * in_j.max(1e-30));
            prop_assert!(rises_k[i] >= 0.0);
        }
    }

    /// p rises with V; at a fixed V below V_c it rises with T; heat is never negative; and the law agrees with both.
    #[test]
    fn p_rises_with_voltage_and_with_heat(
        preset in prop::sample::select(ipnet_device::preset_names()),
        v in 0.0..1.0_f64, more_v in 0.001..0.2_f64, heat in 0.0..1.0_f64, more_heat in 0.01..0.3_f64,
    ) {
        let device = DeviceSet::load(preset).unwrap().device();
        let law = reduce_device(&device).unwrap();
        let (v_max_v, width_s) = (device.pulse.v_max_v, device.pulse.width_s);
        let top_k = 0.5 * law.max_rise_k();
        let p = |v: f64, heat: f64| {
            let mut rises_k = vec![0.0; device.heat.poles().len()];
            *rises_k.last_mut().unwrap() = heat * top_k;
            let outcome = device.write_pulse(&rises_k, v * v_max_v, width_s);
            assert!(outcome.rises_k.iter().all(|rise| *rise >= 0.0));
            assert!(outcome.occupation <= outcome.p_switch * (1.0 + 1e-6) + 1e-12);
            outcome.p_switch
        };
        let law_p = |v: f64, heat: f64| law.probability(&[heat * top_k], v * v_max_v);
        prop_assert!(p(v + more_v, heat) >= p(v, heat));
        prop_assert!(law_p(v + more_v, heat) >= law_p(v, heat));
        if v < 0.8 {
            prop_assert!(p(v, heat + more_heat) >= p(v, heat));
            prop_assert!(law_p(v, heat + more_heat) >= law_p(v, heat));
        }
        let mut state = vec![heat * top_k; law.poles.len()];
        for _ in 0..20 {
            law.step_expected(&mut state, v * v_max_v);
            prop_assert!(state.iter().all(|rise| *rise >= 0.0 && *rise <= law.max_rise_k()));
        }
    }
}

/// At constant temperature the integrated rate is the closed form 1 - exp(-t_p rate).
#[test]
fn a_pulse_without_heat_has_the_closed_form() {
    let mut device = DeviceSet::load("default").unwrap().device();
    device.ra_ohm_m2 = 1.0;
    for v in [0.0, 0.3, 0.6, 0.9] {
        let closed = -(-50.0 * f64::exp(-20.0 * (1.0 - v))).exp_m1();
        let found = device.write_pulse(&[0.0], v, 50e-9).p_switch;
        assert!((found / closed - 1.0).abs() < 1e-6, "{v}: {found} {closed}");
    }
}

/// The sub-steps of a pulse against an ODE for heat and hazard together, on every preset at its hardest pulses.
#[test]
fn the_pulse_is_the_ode() {
    for name in ipnet_device::preset_names() {
        let device = DeviceSet::load(name).unwrap().device();
        let poles = device.heat.poles().to_vec();
        for share in [0.5, 0.7, 0.9, 1.0] {
            let v = share * device.pulse.v_max_v;
            let width_s = device.pulse.width_s;
            // y = rise of each pole / 100 K, then the hazard; time in units of the pulse.
            let mut y = [0.0; 4];
            dormand_prince(
                |_, y, dy| {
                    *dy = [0.0; 4];
                    let rise_k = 100.0 * y[..3].iter().sum::<f64>();
                    let power_w = device.write_power_w(v, rise_k, device.initial_state());
                    for (i, pole) in poles.iter().enumerate() {
                        dy[i] = (power_w * pole.r_k_per_w / 100.0 - y[i]) * width_s / pole.tau_s();
                    }
                    dy[3] = device.rates_per_s(v, rise_k)[0] * width_s;
                },
                &mut y,
                0.0,
                1.0,
                1e-11,
            );
            let outcome = device.write_pulse(&vec![0.0; poles.len()], v, width_s);
            for (rise_k, y) in outcome.rises_k.iter().zip(&y) {
                assert!((rise_k - 100.0 * y).abs() <= 1e-9 * rise_k.max(1.0), "{name} {v} {rise_k} {y}");
            }
            let exact = -(-y[3]).exp_m1();
            assert!((outcome.p_switch - exact).abs() < 1e-5, "{name} {v}: {} {exact}", outcome.p_switch);
        }
    }
}

/// Log-normal device-to-device factors: mean and standard deviation of 20,000 devices within five standard errors, no draw shared.
#[test]
fn devices_of_a_wafer_spread_as_stated() {
    const N: usize = 20_000;
    let set = DeviceSet::load("default").unwrap();
    let values: Vec<f64> = (0..N).map(|i| Device::sample(&set, 5, i).stability_ratio / 20.0).collect();
    let mean = values.iter().sum::<f64>() / N as f64;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / N as f64).sqrt();
    let sigma = 0.03;
    assert!((mean - 1.0).abs() < 5.0 * sigma / (N as f64).sqrt(), "{mean}");
    assert!((sd - sigma).abs() < 5.0 * sigma / (2.0 * N as f64).sqrt(), "{sd}");
    assert_eq!(Device::sample(&set, 5, 7), Device::sample(&set, 5, 7));
    assert_ne!(Device::sample(&set, 5, 7), Device::sample(&set, 6, 7));
}

/// A junction that is not pulsed relaxes to the equal occupation of its two states, at twice its escape rate.
#[test]
fn retention_is_the_escape_rate_of_both_states() {
    let device = DeviceSet::load("superparamagnetic-50nm").unwrap().device();
    let wait_s = device.retention_s(0.0);
    let kept = device.rest(&mut [0.0], 1.0, wait_s);
    assert!((kept - (0.5 + 0.5 * (-2.0_f64).exp())).abs() < 1e-9, "{kept}");
    assert!((wait_s - 1e-9 * 7.74_f64.exp()).abs() < 1e-12);
}
