//! The macrospin against analytic motion, equilibrium, escape rates and the Fokker-Planck equation.
//!
//! Statistical bounds are computed, seeds fixed. One spin serves most tests: K = 50 mT, alpha 0.1.

use ipnet_device::DeviceSet;
use ipnet_device::constants::{GAMMA, K_B};
use ipnet_device::macrospin::ensemble::{run, switched_share, thermal_starts};
use ipnet_device::macrospin::fokker_planck::{Density, mean_time_to_equator_s};
use ipnet_device::macrospin::{Macrospin, Segment, heun_step, pulse_segments};
use ipnet_rng::Stream;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// A uniaxial spin with `Delta = delta` at 300 K.
fn uniaxial(delta: f64, damping: f64) -> Macrospin {
    let stiffness_t = 0.05;
    Macrospin {
        damping,
        field_t: [0.0; 3],
        stiffness_t: [0.0, 0.0, stiffness_t],
        damping_like_t: 0.0,
        field_like_t: 0.0,
        polariser: [0.0, 0.0, -1.0],
        moment_a_m2: 2.0 * delta * K_B * 300.0 / stiffness_t,
        temperature_k: 300.0,
    }
}

fn distance(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// In a constant field B along z, with g = gamma / (1 + alpha^2):
/// `phi = g B t`, `tan(theta / 2) = tan(theta_0 / 2) exp(-alpha g B t)`.
fn precession(spin: &Macrospin, theta_0: f64, t_s: f64) -> [f64; 3] {
    let turn = spin.gamma_ll() * spin.field_t[2] * t_s;
    let theta = 2.0 * ((theta_0 / 2.0).tan() * (-spin.damping * turn).exp()).atan();
    [theta.sin() * turn.cos(), theta.sin() * turn.sin(), theta.cos()]
}

fn quiet_in_field() -> Macrospin {
    Macrospin { field_t: [0.0, 0.0, 0.3], stiffness_t: [0.0; 3], temperature_k: 0.0, ..uniaxial(20.0, 0.05) }
}

/// Frequency and damping: the adaptive solution to 1e-9, and Heun to second order (measured).
#[test]
fn precession_and_damping_are_analytic() {
    let spin = quiet_in_field();
    let (theta_0, t_s) = (1.2_f64, 1e-9);
    let start = [theta_0.sin(), 0.0, theta_0.cos()];
    let exact = precession(&spin, theta_0, t_s);
    let mut m = start;
    spin.evolve_adaptive(&mut m, t_s, 1e-12);
    assert!(distance(&m, &exact) < 1e-9, "{:e}", distance(&m, &exact));

    let error = |steps: usize| {
        let schedule = [Segment { spin, dt_s: t_s / steps as f64, steps }];
        distance(&run(&[start], &schedule, 1)[0], &exact)
    };
    let order = (error(500) / error(4000)).log2() / 3.0;
    println!("order of Heun without noise: {order:.3}, error at 4000 steps {:.2e}", error(4000));
    assert!((1.9..2.1).contains(&order), "measured order {order}");
}

/// Damping-like torque alone: `d m_z / dt = g a p_z (1 - m_z^2)`, so m_z = tanh(atanh(m_z0) + g a p_z t); the field-like torque is a field.
#[test]
fn torques_have_their_analytic_motion() {
    let base = Macrospin { field_t: [0.0; 3], damping_like_t: 0.02, damping: 0.01, ..quiet_in_field() };
    let start = [0.6, 0.0, 0.8];
    let mut m = start;
    base.evolve_adaptive(&mut m, 5e-10, 1e-12);
    let expected = (0.8_f64.atanh() - base.gamma_ll() * 0.02 * 5e-10).tanh();
    assert!((m[2] - expected).abs() < 1e-9, "{} {expected}", m[2]);

    let torque = Macrospin { damping_like_t: 0.0, field_like_t: 0.02, ..base };
    let field = Macrospin { damping_like_t: 0.0, field_t: [0.0, 0.0, -0.02], ..base };
    let (mut a, mut b) = (start, start);
    torque.evolve_adaptive(&mut a, 5e-10, 1e-12);
    field.evolve_adaptive(&mut b, 5e-10, 1e-12);
    assert!(distance(&a, &b) < 1e-12);
}

/// Mean distance to a 64 times finer solution on the same Brownian path, over step widths; the order is the least-squares slope.
fn strong_order(spin: &Macrospin, axes: usize) -> f64 {
    const FINE: usize = 1 << 13;
    const PATHS: usize = 64;
    let t_s = 2e-9;
    let h_fine = t_s / FINE as f64;
    let levels: Vec<usize> = vec![16, 32, 64, 128];
    let mut errors = vec![0.0; levels.len()];
    for path in 0..PATHS {
        let mut stream = Stream::named(path as u64, "strong order");
        let sigma = spin.thermal_field_t(h_fine);
        let noise: Vec<[f64; 3]> = (0..FINE)
            .map(|_| std::array::from_fn(|axis| if axis < axes { sigma * stream.normal() } else { 0.0 }))
            .collect();
        let solve = |merge: usize| {
            let mut m = [0.6, 0.0, 0.8];
            for group in noise.chunks(merge) {
                // The field of a coarse step is the mean of the fine ones: the same Wiener increment.
                let mean: [f64; 3] =
                    std::array::from_fn(|axis| group.iter().map(|b| b[axis]).sum::<f64>() / merge as f64);
                heun_step(spin, &mut m, h_fine * merge as f64, mean);
            }
            m
        };
        let reference = solve(1);
        for (error, &merge) in errors.iter_mut().zip(&levels) {
            *error += distance(&solve(merge), &reference) / PATHS as f64;
        }
    }
    let x: Vec<f64> = levels.iter().map(|&merge| (merge as f64).ln()).collect();
    let y: Vec<f64> = errors.iter().map(|error| error.ln()).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mx, my) = (mean(&x), mean(&y));
    let slope = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    slope / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}

/// Heun has strong order 1 when the noise commutes (one axis) and 1/2 in general (three axes of a rotation do not commute); strong noise,
/// so that its order is seen and not the second order of the drift.
#[test]
fn the_strong_order_is_measured() {
    let spin = uniaxial(1.0, 0.1);
    let (commuting, general) = (strong_order(&spin, 1), strong_order(&spin, 3));
    println!("strong order of Heun: one noise axis {commuting:.3}, three axes {general:.3}");
    assert!((0.85..1.25).contains(&commuting), "{commuting}");
    assert!((0.4..0.65).contains(&general), "{general}");
}

#[test]
fn the_norm_is_kept_and_threads_change_nothing() {
    let schedule = [Segment { spin: uniaxial(5.0, 0.1), dt_s: 5e-12, steps: 20_000 }];
    let starts = vec![[0.0, 0.0, 1.0]; 21];
    let with_threads = |threads: usize, n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&starts[..n], &schedule, 9))
    };
    let one = with_threads(1, 21);
    for m in &one {
        let norm = m.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!((norm - 1.0).abs() < 1e-12, "{norm}");
    }
    assert_eq!(one, with_threads(4, 21));
    assert_eq!(one[..5], with_threads(2, 5));
    assert_ne!(one, run(&starts, &schedule, 10));
}

/// Free relaxation of a spin with a low barrier: 40 bins of m_z against Boltzmann's `exp(Delta m_z^2)`, chi-square below its 99.9 % quantile.
#[test]
fn equilibrium_is_boltzmann() {
    const N: usize = 40_000;
    const BINS: usize = 40;
    let spin = uniaxial(2.0, 0.2);
    // Starts up and down cancel the slow mode between the wells; twenty times 1 / (alpha gamma K) forgets the rest.
    let dt_s = 8e-12;
    let steps = (20.0 / (0.2 * GAMMA * 0.05) / dt_s) as usize;
    let starts: Vec<[f64; 3]> = (0..N).map(|i| [0.0, 0.0, if i % 2 == 0 { 1.0 } else { -1.0 }]).collect();
    let ends = run(&starts, &[Segment { spin, dt_s, steps }], 4);
    let expected = Density::equilibrium(&spin, 4000, false).binned(BINS);
    let mut counts = vec![0.0; BINS];
    ends.iter().for_each(|m| counts[(((m[2] + 1.0) / 2.0 * BINS as f64) as usize).min(BINS - 1)] += 1.0);
    let chi2: f64 =
        counts.iter().zip(&expected).map(|(n, p)| (n - p * N as f64).powi(2) / (p * N as f64)).sum();
    let bound = ChiSquared::new((BINS - 1) as f64).unwrap().inverse_cdf(0.999);
    println!("chi-square of {BINS} bins, {N} spins: {chi2:.1}, bound {bound:.1}");
    assert!(chi2 < bound, "{chi2} {bound}");
}

#[test]
fn starts_are_the_upper_well() {
    const N: usize = 20_000;
    let spin = uniaxial(8.0, 0.1);
    let expected = Density::equilibrium(&spin, 4000, true).binned(400);
    let mut counts = vec![0.0; 400];
    thermal_starts(&spin, N, 3)
        .iter()
        .for_each(|m| counts[((m[2] + 1.0) * 200.0).min(399.0) as usize] += 1.0);
    let (mut chi2, mut bins) = (0.0, 0.0);
    for (n, p) in counts.iter().zip(&expected).filter(|(_, p)| **p * N as f64 > 5.0) {
        chi2 += (n - p * N as f64).powi(2) / (p * N as f64);
        bins += 1.0;
    }
    assert!(bins > 20.0 && chi2 < ChiSquared::new(bins).unwrap().inverse_cdf(0.999), "{chi2} {bins}");
}

/// The rate at which spins leave a deep well: from trajectories within five standard errors of the Fokker-Planck equation, and the
/// exact mean time of that equation within its known correction of order 1 / Delta of Neel-Brown.
#[test]
fn long_pulses_switch_at_the_neel_brown_rate() {
    let neel_brown_per_s = |spin: &Macrospin| {
        let delta = spin.stability();
        spin.damping
            * spin.gamma_ll()
            * spin.stiffness_t[2]
            * (delta / std::f64::consts::PI).sqrt()
            * (-delta).exp()
    };
    // The mean time is to the equator, from where half of the spins fall back.
    for (delta, within) in [(10.0, 0.12), (20.0, 0.06), (40.0, 0.03)] {
        let spin = uniaxial(delta, 0.1);
        let ratio = 0.5 / mean_time_to_equator_s(&spin) / neel_brown_per_s(&spin);
        println!("Delta {delta}: rate over Neel-Brown {ratio:.4}");
        assert!((ratio - 1.0).abs() < within, "{delta}: {ratio}");
    }
    const N: usize = 10_000;
    let spin = uniaxial(6.0, 0.2);
    let rate_per_s = 0.5 / mean_time_to_equator_s(&spin);
    let dt_s = 8e-12;
    let t_s = 0.3 / rate_per_s;
    let steps = (t_s / dt_s) as usize;
    let ends = run(&thermal_starts(&spin, N, 8), &[Segment { spin, dt_s, steps }], 8);
    let below = ends.iter().filter(|m| m[2] < 0.0).count() as f64 / N as f64;
    // Two states, equal rates: below = (1 - exp(-2 rate t)) / 2.
    let measured = -(1.0 - 2.0 * below).ln() / (2.0 * steps as f64 * dt_s);
    let error = (below * (1.0 - below) / N as f64).sqrt() / (1.0 - 2.0 * below) / (steps as f64 * dt_s);
    println!(
        "Delta 6: measured rate {measured:.4e} +- {error:.1e} /s, by mean time {rate_per_s:.4e}, Neel-Brown {:.4e}",
        neel_brown_per_s(&spin)
    );
    // 1 / (2 mean time) is itself right to about 1 % at Delta 6.
    assert!((measured - rate_per_s).abs() < 5.0 * error + 0.01 * rate_per_s);
}

/// P(m_z < 0) after a heated pulse on the default device, (V, t_p) by (V, t_p): 20,000 trajectories inside the 99 % binomial interval of the
/// Fokker-Planck probability.
#[test]
fn switching_is_the_fokker_planck_solution() {
    const N: usize = 20_000;
    let device = DeviceSet::load("default").unwrap().device();
    for (v, width_s) in [(0.8, 10e-9), (0.9, 8e-9), (1.0, 6e-9), (1.1, 5e-9), (1.2, 4e-9), (1.4, 3e-9)] {
        let share = switched_share(&device, &[40.0], v, width_s, 8e-12, N, 12);
        let schedule = pulse_segments(&device, &[40.0], v, width_s, 8e-12, 32);
        let start = Macrospin::of(&device, 0.0, 40.0);
        let solve = |cells: usize, steps: usize| {
            let mut density = Density::equilibrium(&start, cells, true);
            density.follow(&schedule, steps);
            assert!((density.mass() - 1.0).abs() < 1e-9);
            density.below_equator()
        };
        let (p, coarse) = (solve(1600, 24), solve(800, 12));
        let bound = 2.576 * (p * (1.0 - p) / N as f64).sqrt();
        println!(
            "V {v:.1} t_p {:.0} ns: trajectories {share:.4}, Fokker-Planck {p:.4} (grid error {:.0e}), 99 % +- {bound:.4}",
            width_s * 1e9,
            (p - coarse).abs()
        );
        assert!((p - coarse).abs() < 0.2 * bound, "the solution is not converged");
        assert!((share - p).abs() < bound, "V {v} t_p {width_s}: {share} {p} +- {bound}");
    }
}

/// Without noise the macrospin's critical voltage is where the damping-like torque beats the damping: within 5 % of the set's V_c
/// for the default device, whose damping is stated to be chosen so.
#[test]
fn the_default_damping_gives_the_stated_critical_voltage() {
    let device = DeviceSet::load("default").unwrap().device();
    let at_one_volt = Macrospin::of(&device, 1.0, 0.0);
    let v_critical = at_one_volt.damping * at_one_volt.stiffness_t[2] / at_one_volt.damping_like_t;
    assert!((v_critical / device.v_critical_v - 1.0).abs() < 0.05, "{v_critical}");
}
