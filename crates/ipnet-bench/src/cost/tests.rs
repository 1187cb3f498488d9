use super::*;
use ipnet_zoo::{LayerCounts, OpCounts, Role};

fn layer(name: &str, role: Role) -> LayerCounts {
    LayerCounts {
        name: name.into(),
        role,
        parameters: 0,
        macs: 0,
        accumulates: 0,
        other_ops: 0,
        weight_reads: 0,
        activation_reads: 0,
        activation_writes: 0,
        state_values: 0,
        state_reads: 0,
        state_writes: 0,
        device_slots: 0,
    }
}

fn lstm() -> OpCounts {
    let memory = LayerCounts {
        macs: 100,
        weight_reads: 100,
        activation_reads: 10,
        activation_writes: 10,
        state_reads: 8,
        state_writes: 8,
        ..layer("lstm", Role::Memory)
    };
    OpCounts { steps: 2, layers: vec![LayerCounts { macs: 1000, ..layer("stage1", Role::Backbone) }, memory] }
}

fn ip() -> OpCounts {
    OpCounts { steps: 2, layers: vec![LayerCounts { macs: 4, device_slots: 4, ..layer("ip", Role::Memory) }] }
}

fn pulse(energy_j: f64) -> DeviceEnergy {
    DeviceEnergy { name: "p".into(), pulse_j: energy_j, reset_j: 0.0 }
}

#[test]
fn a_bill_is_counts_times_unit_energies() {
    let technology = Technology::load("horowitz-45nm").unwrap();
    let found = bill(&lstm().layers, |_| true, &technology, Placing::all(Store::Sram), &pulse(1.0));
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * b, "{a} {b}");
    close(found.compute_j, 1100.0 * 4.6e-12);
    close(found.weights_j, 100.0 * 5e-12);
    close(found.activations_j, 20.0 * 5e-12);
    close(found.state_j, 16.0 * 5e-12);
    assert_eq!(found.pulses_j, 0.0);
    close(found.total_j(), 1100.0 * 4.6e-12 + 136.0 * 5e-12);
}

#[test]
fn an_accounting_counts_what_it_names_and_of_the_memory_alone() {
    let technology = Technology::load("horowitz-45nm").unwrap();
    let energy = |index: usize| memory_energy_j(&lstm(), &ACCOUNTINGS[index], &technology, &pulse(0.0));
    let expected =
        [16.0 * 5.0, 16.0 * 640.0, 116.0 * 5.0, 116.0 * 640.0, 460.0 + 136.0 * 5.0, 460.0 + 136.0 * 640.0];
    for (index, expected_pj) in expected.into_iter().enumerate() {
        assert!((energy(index) * 1e12 - expected_pj).abs() < 1e-6, "{}", ACCOUNTINGS[index].name);
    }
}

#[test]
fn a_ratio_falls_as_the_pulse_costs_more() {
    let technology = Technology::load("horowitz-45nm").unwrap();
    let found = ratios(&lstm(), &ip(), &technology, &[pulse(1e-15), pulse(1e-12)]);
    assert_eq!(found.len(), 2 * ACCOUNTINGS.len());
    for pair in found.chunks(2) {
        assert!(pair[0].value() > pair[1].value(), "{}", pair[0].accounting);
    }
    // State in SRAM: 16 x 5 pJ over 4 x 1 pJ.
    assert!((found[1].value() - 20.0).abs() < 1e-9);
}

#[test]
fn a_write_pulse_costs_u_squared_over_r_times_its_width() {
    let device = ipnet_device::DeviceSet::load("default").unwrap().device();
    let energy = DeviceEnergy::from_device("default", &device, 1.0, 0.0);
    let r_ohm = device.resistance_ohm(1.0, 0.0, device.initial_state());
    let read_j = device.read_power_w(device.pulse.read_v, 0.0, device.initial_state()) * device.pulse.read_s;
    let expected_j = device.pulse.width_s / r_ohm + read_j;
    assert!((energy.pulse_j / expected_j - 1.0).abs() < 1e-12);
    assert_eq!(energy.reset_j, 0.0);
    let firing = DeviceEnergy::from_device("default", &device, 1.0, 0.5);
    assert!(firing.reset_j > 0.0 && firing.pulse_j == energy.pulse_j);
}

#[test]
fn the_28_nm_table_is_the_45_nm_one_times_28_over_45() {
    let (old, new) =
        (Technology::load("horowitz-45nm").unwrap().energy, Technology::load("scaled-28nm").unwrap().energy);
    for (old, new) in [
        (&old.mac_j, &new.mac_j),
        (&old.op_j, &new.op_j),
        (&old.register_j, &new.register_j),
        (&old.sram_j, &new.sram_j),
    ] {
        assert!((new.value / old.value / (28.0 / 45.0) - 1.0).abs() < 1e-4, "{new:?}");
    }
    assert_eq!(old.dram_j.value, new.dram_j.value);
}

#[test]
fn a_number_without_a_source_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let text = include_str!("../../technologies/horowitz-45nm.toml");
    let bare =
        text.replace(text.lines().find(|l| l.starts_with("op_j")).unwrap(), "op_j = { value = 1e-12 }");
    let negative = text.replace("value = 640.0e-12", "value = -1.0");
    for (text, line, word) in [(bare, 7, "a source"), (negative, 10, "above 0 J")] {
        std::fs::write(&path, text).unwrap();
        let error = Technology::load(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}:")) && error.contains(word), "{error}");
    }
}

#[test]
fn the_published_ratio_is_placed_among_the_range() {
    let ratio = |other_j| Ratio { accounting: "a", pulses: "p".into(), other_j, ip_j: 1.0 };
    let found = [ratio(10.0), ratio(2000.0), ratio(9000.0), ratio(0.0)];
    let (low, high, nearest) = placed(&found, 2874.0).unwrap();
    assert_eq!((low, high, nearest.value()), (10.0, 9000.0, 2000.0));
    assert!(placed(&[], 1.0).is_none());
}

#[test]
fn the_energy_table_splits_memory_from_backbone() {
    let technology = Technology::load("horowitz-45nm").unwrap();
    let table = energy_table(&[("lstm", &lstm()), ("ip", &ip())], &technology, &pulse(1e-12)).unwrap();
    assert_eq!(table.rows().len(), 8);
    let total = |row| table.cell(row, "total_j").unwrap().parse::<f64>().unwrap();
    assert_eq!((table.cell(0, "part"), table.cell(1, "part")), (Some("memory"), Some("backbone")));
    assert!((total(0) / (460e-12 + 136.0 * 5e-12) - 1.0).abs() < 1e-3);
    assert!((total(1) / 4.6e-9 - 1.0).abs() < 1e-3);
    assert_eq!(table.cell(4, "pulses_j"), Some("4.000e-12"));
}
