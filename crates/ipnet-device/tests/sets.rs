//! Parameter sets: what loads, what is refused and with which words, and what a set reduces to.

use ipnet_device::{DeviceSet, Switching, SwitchingTable, preset_names};

#[test]
fn every_preset_loads_and_reduces() {
    assert!(preset_names().len() >= 5);
    for name in preset_names() {
        let set = DeviceSet::load(name).unwrap();
        let error = set.reduce().unwrap().error;
        assert!(error.p_max < 0.02 && error.p_rms < 0.01, "{name}: {error:?}");
        assert!(error.rise_max_ratio < 1e-3 && error.barrier_max_ratio < 1e-3, "{name}: {error:?}");
        assert_eq!(set.name, name);
        assert_eq!(set.hash().len(), 64);
    }
}

/// The working point of the benchmarks.
#[test]
fn the_default_is_the_working_point() {
    let law = DeviceSet::load("default").unwrap().reduce().unwrap().law;
    let Switching::Arrhenius(switching) = &law.switching else { panic!("a formula was expected") };
    let close = |found: f64, expected: f64, within: f64| {
        assert!((found - expected).abs() <= within, "{found} is not {expected} +- {within}");
    };
    close(switching.stability(0.0, law.t_amb_k), 20.0, 0.01);
    close(switching.stability(110.0, law.t_amb_k) / 20.0, 2.0 / 3.0, 0.01);
    close(switching.log_attempts, 50.0_f64.ln(), 1e-12);
    close(switching.v_critical_v(0.0), 1.0, 1e-12);
    close(switching.v_critical_v(110.0), 0.85, 1e-3);
    assert_eq!(law.poles.len(), 1);
    close(law.poles[0].decay, 0.8, 1e-3);
    close(law.poles[0].heat_k_per_v2, 34.0, 0.2);
    close(law.max_rise_k(), 187.0, 5.0);
    close(law.probability(&[0.0], 0.45), 1e-3, 3e-4);
}

fn refusal(text: &str) -> String {
    DeviceSet::from_toml("mine.toml", text).unwrap_err().to_string()
}

#[test]
fn refusals_name_file_line_and_reason() {
    let base = "name = \"mine\"\nextends = \"default\"\n";
    let cases = [
        ("[junction]\ndiamter_m = { value = 1e-8, source = \"x\" }\n", "mine.toml:4", "unknown key"),
        ("[junction]\nra_ohm_m2 = { value = -1e-12, source = \"x\" }\n", "mine.toml:4", "a number > 0"),
        ("[magnet]\n\ncurie_k = { value = 280, source = \"x\" }\n", "mine.toml:5", "above the ambient 300 K"),
        ("[magnet]\ncurie_k = { value = 1000 }\n", "mine.toml:4", "a source"),
        ("[magnet]\ncurie_k = { value = 1000, assumed = true }\n", "mine.toml:4", "a reason"),
        ("[magnet]\ncurie_k = { value = nan, source = \"x\" }\n", "mine.toml:4", "NaN"),
        ("[magnet]\ncurie_k = 1000\n", "mine.toml:4", "a table { value, source }"),
        ("[magnet]\ncurie_k = { value = 1000, source = \"x\", sigma = 1 }\n", "mine.toml:4", "unknown key"),
        (
            "[magnet]\ncurie_k = { value = 1000, source = \"x\", sigma_c2c = 0.1 }\n",
            "mine.toml:4",
            "v_critical_v only",
        ),
        ("[pulse]\nslot_s = { value = 1e-9, source = \"x\" }\n", "mine.toml:4", "write + read + reset"),
        ("[colour]\nred = 1\n", "mine.toml:3", "unknown key"),
        ("[magnet\n", "mine.toml:3", "not valid TOML"),
    ];
    for (text, place, words) in cases {
        let message = refusal(&format!("{base}{text}"));
        assert!(message.contains(place) && message.contains(words), "{text:?} gave {message:?}");
    }
    assert!(refusal("name = \"bare\"\n").contains("junction.diameter_m"));
    assert!(DeviceSet::load("no-such-set").unwrap_err().to_string().contains("superparamagnetic-50nm"));
}

#[test]
fn a_set_extends_another_and_its_hash_counts_numbers_only() {
    let base = DeviceSet::load("default").unwrap();
    let renamed = DeviceSet::from_toml("a.toml", "name = \"other\"\nextends = \"default\"\n").unwrap();
    assert_eq!(base.hash(), renamed.hash());
    assert_eq!(renamed.extends, ["default"]);
    let text = "extends = \"default\"\n[pulse]\nwidth_s = { value = 20e-9, source = \"bench\" }\n";
    let changed = DeviceSet::from_toml("b.toml", text).unwrap();
    assert_ne!(base.hash(), changed.hash());
    assert_eq!(changed.name, "b");
    assert_eq!(changed.value("pulse.width_s"), Some(20e-9));
    assert_eq!(changed.value("pulse.slot_s"), base.value("pulse.slot_s"));
}

#[test]
fn a_chain_of_sets_that_returns_to_itself_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.toml"), "extends = \"b.toml\"\n").unwrap();
    std::fs::write(dir.path().join("b.toml"), "extends = \"a.toml\"\n").unwrap();
    let message = DeviceSet::load(dir.path().join("a.toml").to_str().unwrap()).unwrap_err().to_string();
    assert!(message.contains("returns to itself"), "{message}");
}

/// Results go by the name of a set: a file must not take a preset's.
#[test]
fn a_file_with_a_presets_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let load = |file: &str, text: &str| {
        let path = dir.path().join(file);
        std::fs::write(&path, text).unwrap();
        DeviceSet::load(path.to_str().unwrap()).map(|set| set.name).map_err(|error| error.to_string())
    };
    let refused = load("default.toml", "extends = \"default\"\n").unwrap_err();
    assert!(refused.contains("default.toml:1: name: expected one that no preset has"), "{refused}");
    assert!(load("mine.toml", "name = \"default\"\nextends = \"default\"\n").is_err());
    assert_eq!(load("default.toml", "name = \"mine\"\nextends = \"default\"\n").unwrap(), "mine");
}

/// A refusal names the user's file: for what is missing, and for a value that contradicts one of the preset's.
#[test]
fn a_refusal_of_the_whole_set_names_the_file_at_fault() {
    let alone = refusal("[junction]\n");
    assert!(alone.starts_with("mine.toml:1: ") && alone.contains("`extends`"), "{alone}");
    let slow = "extends = \"default\"\n[pulse]\nwidth_s = { value = 1e-6, source = \"bench\" }\n";
    let slow = refusal(slow);
    assert!(slow.starts_with("preset default:") && slow.contains("pulse.width_s at mine.toml:3"), "{slow}");
    // A set that is not there is named by where it was looked for: beside the file that extends it.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    std::fs::write(&path, "extends = \"base.toml\"\n").unwrap();
    let lost = DeviceSet::load(path.to_str().unwrap()).unwrap_err().to_string();
    assert!(lost.contains(&format!("{:?}", dir.path().join("base.toml").to_str().unwrap())), "{lost}");
}

#[test]
fn a_measured_table_stands_in_for_the_formula() {
    let text = "extends = \"default\"\n[table]\nu_range_v = [0.0, 1.0]\nrise_range_k = [0.0, 100.0]\np = [[0.0, 0.5], [0.2, 1.0]]\nsource = \"bench\"\n";
    let law = DeviceSet::from_toml("t.toml", text).unwrap().reduce().unwrap().law;
    assert!(
        (law.probability(&[0.0], 0.5) - 0.25 - law.self_heat_k_per_v2 * 0.25 / 100.0 * 0.35).abs() < 1e-12
    );
    let uneven = text.replace("[0.2, 1.0]", "[0.2]");
    assert!(refusal(&uneven).contains("a row of 2"));
}

#[test]
fn a_table_is_bilinear_and_held_at_its_edges() {
    let table = SwitchingTable {
        u_range_v: [0.0, 1.0],
        rise_range_k: [0.0, 100.0],
        columns: 2,
        p: vec![0.0, 0.3, 0.1, 0.8],
    };
    assert_eq!(table.probability(1.0, 100.0), 0.8);
    assert_eq!(table.probability(2.0, -5.0), 0.3);
    assert!((table.probability(0.5, 50.0) - 0.3).abs() < 1e-12);
}

/// Where the formulas say what must happen: a 10 % higher V_c makes switching rarer, a 10 % higher thermal resistance keeps more heat.
#[test]
fn sensitivity_has_the_sign_of_the_physics() {
    let (nominal, moved) = DeviceSet::load("default").unwrap().sensitivity().unwrap();
    assert!((nominal.p_cold - 0.1).abs() < 0.005, "{nominal:?}");
    let of = |key: &str| moved.iter().find(|s| s.key == key).and_then(|s| s.behaviour).unwrap();
    assert!(of("switching.v_critical_v").p_cold < nominal.p_cold);
    assert!(of("magnet.stability_ratio").p_cold < nominal.p_cold);
    let warmer = of("thermal.pole_1.r_k_per_w");
    assert!(warmer.rise_k > nominal.rise_k && warmer.memory_slots > nominal.memory_slots);
    // The TMR enters the reset heat only, and with it the range over which the barrier is fitted.
    assert!((of("junction.tmr_ratio").p_cold / nominal.p_cold - 1.0).abs() < 1e-6);
}
