//! The draws as statistics: rates, independence, and the spread between devices.

use crate::cases::{config, law, without_reset};
use ipnet_kernel::{
    CpuBackend, Firing, ReferenceBackend, ScanBackend, ScanConfig, ScanShape, ThermalForward, ThermalScan,
};

const NEURONS: usize = 40_000;

fn run(config: &ScanConfig, steps: usize, drive: f32) -> Vec<f32> {
    let scan = ThermalScan::new(config, ScanShape::flat(steps, NEURONS)).unwrap();
    let (x, mut out) = (vec![drive; steps * NEURONS], vec![0.0; steps * NEURONS]);
    let io =
        ThermalForward { x: &x, gain: &[1.0], bias: &[0.0], heat: None, out: &mut out, final_heat: None };
    CpuBackend::default().thermal_forward(&scan, io).unwrap();
    out
}

/// Equal neurons fire with probability p: the number of spikes is binomial, so its mean lies within
/// 5 sqrt(p (1 - p) / n) of p; neighbours and steps are independent, so the product of two has the mean p^2
/// within 5 sqrt(p^2 (1 - p^2) / n).
#[test]
fn spikes_are_independent_draws_of_p() {
    let law = without_reset(law(1, 1.0));
    for drive in [0.65, 0.7, 0.75] {
        let p = run(&config(&law, Firing::Expected), 2, drive);
        let s = run(&config(&law, Firing::Sampled), 2, drive);
        let n = NEURONS as f64;
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / n;
        for t in 0..2 {
            let p = f64::from(p[t * NEURONS]);
            assert!((0.01..0.99).contains(&p), "p = {p} shows nothing");
            let spikes = &s[t * NEURONS..(t + 1) * NEURONS];
            let rate = mean(&mut spikes.iter().map(|s| f64::from(*s)));
            assert!((rate - p).abs() < 5.0 * (p * (1.0 - p) / n).sqrt(), "step {t}: rate {rate}, p {p}");
            let pairs = mean(&mut (0..NEURONS).map(|i| f64::from(spikes[i] * spikes[(i + 1) % NEURONS])));
            let bound = 5.0 * (p * p * (1.0 - p * p) / n).sqrt();
            assert!((pairs - p * p).abs() < bound, "step {t}: neighbours {pairs}, p^2 {}", p * p);
        }
        let both = mean(&mut (0..NEURONS).map(|i| f64::from(s[i] * s[NEURONS + i])));
        let product = f64::from(p[0]) * f64::from(p[NEURONS]);
        let bound = 5.0 * (product * (1.0 - product) / n).sqrt();
        assert!((both - product).abs() < bound, "steps: {both}, p p' {product}");
    }
}

/// Another seed, layer or training step draws other spikes; the chip stays the same chip.
#[test]
fn seeds_mean_what_they_say() {
    let mut law = without_reset(law(1, 1.0));
    let base = config(&law, Firing::Sampled);
    let spikes = |config: &ScanConfig| run(config, 4, 0.85);
    let first = spikes(&base);
    assert_eq!(first, spikes(&base));
    assert_ne!(first, spikes(&ScanConfig { seed: 1, ..base.clone() }));
    assert_ne!(first, spikes(&ScanConfig { layer: 4, ..base.clone() }));
    assert_eq!(first, spikes(&ScanConfig { device_seed: 1, ..base.clone() }), "no spread, no chip");
    law.spread.v_critical_d2d = 0.05;
    let chip = config(&law, Firing::Expected);
    let p = run(&chip, 1, 0.85);
    assert_eq!(p, run(&ScanConfig { seed: 1, ..chip.clone() }, 1, 0.85), "the chip does not change");
    assert_ne!(p, run(&ScanConfig { device_seed: 1, ..chip }, 1, 0.85));
}

/// With `V_c (1 + sigma z)` alone, `q = L - Delta (1 - u / (V_c (1 + sigma z)))` gives z back from p: its mean
/// and variance are those of a normal number cut at 3 (variance 0.9951), within 5 standard errors.
#[test]
fn the_spread_between_devices_is_normal() {
    let mut law = without_reset(law(1, 1.0));
    law.self_heat_k_per_v2 = 0.0;
    for (between_pulses, name) in [(false, "device to device"), (true, "cycle to cycle")] {
        let sigma = 0.04;
        law.spread = Default::default();
        if between_pulses {
            law.spread.v_critical_c2c = sigma;
        } else {
            law.spread.v_critical_d2d = sigma;
        }
        let drive = 0.8_f64;
        let p = run(&config(&law, Firing::Expected), 1, drive as f32);
        let z: Vec<f64> = p
            .iter()
            .map(|p| {
                let q = (-(-f64::from(*p)).ln_1p()).ln();
                let fraction = (3.912_023 - q) / 20.0;
                (drive / (1.0 - fraction) - 1.0) / sigma
            })
            .collect();
        let n = z.len() as f64;
        let mean = z.iter().sum::<f64>() / n;
        let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 5.0 / n.sqrt(), "{name}: mean {mean}");
        assert!((variance - 0.9951).abs() < 5.0 * (2.0 / n).sqrt(), "{name}: variance {variance}");
        assert!(z.iter().all(|z| z.abs() < 3.01), "{name}: beyond 3 sigma");
    }
}

/// The hottest device of a spread must still be a device.
#[test]
fn a_spread_that_leaves_the_law_is_refused() {
    let mut law = law(1, 1.0);
    law.spread.heat_d2d = 1.0;
    law.poles[0].heat_k_per_v2 = 150.0;
    let refused = ThermalScan::new(&config(&law, Firing::Expected), ScanShape::flat(1, 1)).unwrap_err();
    assert!(refused.to_string().starts_with("step law: "), "{refused}");
    let mut table = crate::cases::table_law(1);
    table.spread.barrier_d2d = 0.1;
    let refused = ThermalScan::new(&config(&table, Firing::Expected), ScanShape::flat(1, 1)).unwrap_err();
    assert!(refused.to_string().contains("which has no barrier"), "{refused}");
    assert!(ReferenceBackend.name().contains("f64"));
}
