//! Fit: measurements synthesised from a known device come back, and what the data cannot show is said.

use ipnet_device::fit::{DEFAULT_FREE, Measurement, fit, read_csv};
use ipnet_device::{Device, DeviceSet, State};
use ipnet_rng::Stream;
use rayon::prelude::*;

/// A device near the default, but not it.
const TRUTH: &str = r#"
name = "truth"
extends = "default"
[junction]
ra_ohm_m2 = { value = 13e-12, source = "test" }
tmr_ratio = { value = 0.85, source = "test" }
tmr_half_v = { value = 0.55, source = "test" }
[magnet]
stability_ratio = { value = 23, source = "test" }
[switching]
attempt_s = { value = 0.7e-9, source = "test" }
v_critical_v = { value = 1.08, source = "test" }
v_critical_fall_per_k = { value = 1.1e-3, source = "test" }
[thermal.pole_1]
r_k_per_w = { value = 2.7e6, source = "test" }
c_j_per_k = { value = 1.6e-13, source = "test" }
"#;

/// The experiment: P(V) at widths and bath temperatures, paired pulses over intervals, R(V) in both states.
fn plan(baths_k: &[f64]) -> Vec<Measurement> {
    let mut plan = Vec::new();
    let switching = |v_v, width_s, bath_k, heated_by| Measurement::Switching {
        v_v,
        width_s,
        bath_k: Some(bath_k),
        heated_by,
        trials: 20_000,
        switched: 0,
    };
    for &bath_k in baths_k {
        for width_s in [20e-9, 50e-9, 200e-9] {
            for v_v in [0.35, 0.45, 0.55, 0.65, 0.75, 0.85] {
                plan.push(switching(v_v, width_s, bath_k, None));
            }
        }
    }
    for interval_s in [2e-8, 5e-8, 1e-7, 2e-7, 4e-7, 8e-7] {
        for v_v in [0.5, 0.65] {
            plan.push(switching(v_v, 100e-9, 300.0, Some([1.0, interval_s])));
        }
    }
    for state in [State::Parallel, State::Antiparallel] {
        for v_v in [0.02, 0.1, 0.2, 0.4, 0.6, 0.8] {
            plan.push(Measurement::Resistance { v_v, bath_k: None, state, ohm: 1.0, sigma_ohm: 1.0 });
        }
    }
    plan
}

/// Counts by Bernoulli trials, resistances with 0.3 % of noise.
fn synthesise(device: &Device, plan: &[Measurement], seed: u64) -> Vec<Measurement> {
    let mut stream = Stream::named(seed, "fit/noise");
    plan.iter()
        .map(|point| {
            let predicted = point.predict(device);
            match *point {
                Measurement::Switching { v_v, width_s, bath_k, heated_by, trials, .. } => {
                    let switched = (0..trials).filter(|_| stream.uniform() < predicted).count() as u32;
                    Measurement::Switching { v_v, width_s, bath_k, heated_by, trials, switched }
                }
                Measurement::Resistance { v_v, bath_k, state, .. } => {
                    let sigma_ohm = 3e-3 * predicted;
                    let ohm = predicted + sigma_ohm * stream.normal();
                    Measurement::Resistance { v_v, bath_k, state, ohm, sigma_ohm }
                }
            }
        })
        .collect()
}

/// 100 experiments: every parameter is determined, and each lies within two standard errors in at least 90 of them (95.4 expected).
#[test]
fn every_identifiable_parameter_comes_back() {
    const TRIALS: u64 = 100;
    let base = DeviceSet::load("default").unwrap();
    let truth = DeviceSet::from_toml("truth.toml", TRUTH).unwrap();
    let plan = plan(&[250.0, 300.0, 400.0]);
    let within: Vec<Vec<bool>> = (0..TRIALS)
        .into_par_iter()
        .map(|seed| {
            let data = synthesise(&truth.device(), &plan, seed);
            let result = fit(&base, &data, DEFAULT_FREE).unwrap();
            if seed == 0 {
                println!("{}", result.table());
            }
            result
                .parameters
                .iter()
                .map(|p| {
                    assert!(p.determined, "{} is not determined", p.key);
                    (p.value / truth.value(&p.key).unwrap()).ln().abs() < 2.0 * p.relative_error
                })
                .collect()
        })
        .collect();
    for (i, key) in DEFAULT_FREE.iter().enumerate() {
        let hits = within.iter().filter(|row| row[i]).count();
        println!("{key}: within 2 standard errors in {hits} of {TRIALS}");
        assert!(hits >= 90, "{key}: {hits}");
    }
}

/// Without R(V) in the antiparallel state and at one bath temperature, the TMR cannot be seen at all, and not every one of Delta, tau_0, V_c and
/// the heat can; the fit says so and its set still loads.
#[test]
fn what_the_data_cannot_show_is_held_and_said() {
    let base = DeviceSet::load("default").unwrap();
    let truth = DeviceSet::from_toml("truth.toml", TRUTH).unwrap();
    let cold: Vec<Measurement> = plan(&[300.0])
        .into_iter()
        .filter(|point| matches!(point, Measurement::Switching { heated_by: None, width_s, .. } if *width_s < 1e-7))
        .collect();
    let result = fit(&base, &synthesise(&truth.device(), &cold, 1), DEFAULT_FREE).unwrap();
    println!("{}", result.table());
    let held: Vec<&str> =
        result.parameters.iter().filter(|p| !p.determined).map(|p| p.key.as_str()).collect();
    assert!(held.contains(&"junction.tmr_ratio") && held.len() >= 4, "{held:?}");
    assert!(result.table().contains("no measurement depends on it"));
    let toml = result.to_toml("mine", "default", "cold.csv");
    let set = DeviceSet::from_toml("mine.toml", &toml).unwrap();
    for p in result.parameters.iter().filter(|p| p.determined) {
        assert!((set.value(&p.key).unwrap() / p.value - 1.0).abs() < 1e-12);
    }
}

/// The three rows of docs/device.md against nine parameters: m measurements determine at most m of them, and a fit of one parameter more
/// than there are measurements holds one, however closely each is measured.
#[test]
fn fewer_measurements_than_parameters_leave_the_rest_held() {
    let base = DeviceSet::load("default").unwrap();
    let docs = include_str!("../../../docs/device.md");
    let csv = docs.split_once("```csv\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let data = read_csv("docs/device.md", csv.as_bytes()).unwrap();
    assert_eq!(data.len(), 3);
    for m in 1..=data.len() {
        for free in [
            DEFAULT_FREE,
            &[
                "junction.ra_ohm_m2",
                "switching.v_critical_v",
                "magnet.stability_ratio",
                "thermal.pole_1.r_k_per_w",
            ][..m + 1],
        ] {
            let result = fit(&base, &data[..m], free).unwrap();
            println!("{m} measurements\n{}", result.table());
            let determined = result.parameters.iter().filter(|p| p.determined).count();
            assert!(determined <= m, "{m} measurements determine {determined} parameters");
            for p in result.parameters.iter().filter(|p| !p.determined) {
                assert_eq!(p.value, p.base, "{}", p.key);
                assert!(p.relative_error > 0.5, "{}: {}", p.key, p.relative_error);
            }
            let toml = result.to_toml("mine", "default", "three.csv");
            assert_eq!(toml.matches("standard error").count(), determined, "{toml}");
        }
    }
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let base = DeviceSet::load("default").unwrap();
    let data = synthesise(&base.device(), &plan(&[300.0])[..4], 1);
    let key = "junction.ra_ohm_m2";
    assert!(fit(&base, &data, &[key, key]).unwrap_err().to_string().contains("named twice"));
    let table = "extends = \"default\"\n[table]\nu_range_v = [0.0, 1.0]\nrise_range_k = [0.0, 100.0]\n\
                 p = [[0.0, 0.5], [0.2, 1.0]]\nsource = \"bench\"\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.toml").to_str().unwrap().to_owned();
    std::fs::write(&file, table).unwrap();
    let measured = DeviceSet::load(&file).unwrap();
    assert!(fit(&measured, &data, &[key]).unwrap_err().to_string().contains("measured table"));
    let variants = measured.variants(&file, 1.25).unwrap();
    let of_formula = |key: &str| key.starts_with("switching.") || key.starts_with("magnet.");
    assert!(!variants.sets.is_empty() && variants.sets.iter().all(|set| !of_formula(set.key)));
    assert!(variants.left_out.iter().any(|(key, why)| of_formula(key) && why.contains("measured table")));
}

#[test]
fn a_csv_is_read_and_its_mistakes_named() {
    let header = "kind,v_v,width_s,bath_k,heat_v,interval_s,trials,switched,state,ohm,sigma_ohm\n";
    let good = "# a comment\nswitch,0.6,5e-8,300,,,2000,713,,,\npair,0.5,5e-8,,0.9,2e-7,100,3,,,\nresistance,0.1,,,,,,,ap,12930,40\n";
    let data = read_csv("m.csv", format!("{header}{good}").as_bytes()).unwrap();
    assert_eq!(data.len(), 3);
    assert!(matches!(data[1], Measurement::Switching { heated_by: Some([0.9, 2e-7]), bath_k: None, .. }));
    let cases = [
        ("switch,0.6,5e-8,300,,,10,11,,,", "switched <= trials"),
        ("switch,0.6,-1,300,,,10,1,,,", "width_s"),
        ("pair,0.6,1e-8,300,,,10,1,,,", "heat_v"),
        ("switch,0.6,1e-8,300,0.9,2e-7,10,1,,,", "nothing for a single pulse"),
        ("resistance,0.1,,,,,,,up,1,1", "p or ap"),
        ("voltage,0.1,,,,,,,ap,1,1", "switch, pair or resistance"),
        ("switch,zero,5e-8,300,,,10,1,,,", "m.csv:2"),
        ("switch,0.6", "m.csv:2"),
    ];
    for (row, words) in cases {
        let message = read_csv("m.csv", format!("{header}{row}\n").as_bytes()).unwrap_err().to_string();
        assert!(message.contains(words) && message.contains("m.csv:2"), "{row}: {message}");
    }
}

/// A bath is an ambient: a device moved there and back is itself, and its laws agree with a rise.
#[test]
fn a_bath_is_a_rise() {
    let device = DeviceSet::load("default").unwrap().device();
    let warm = device.in_bath(360.0);
    assert!((warm.stability(20.0) / device.stability(80.0) - 1.0).abs() < 1e-12);
    assert!((warm.v_critical_v_at(20.0) / device.v_critical_v_at(80.0) - 1.0).abs() < 1e-12);
    assert!((warm.tmr(0.3, 20.0) / device.tmr(0.3, 80.0) - 1.0).abs() < 1e-12);
    assert!(
        (warm.magnetisation(20.0) * warm.ms_a_per_m / (device.magnetisation(80.0) * device.ms_a_per_m) - 1.0)
            .abs()
            < 1e-12
    );
}
