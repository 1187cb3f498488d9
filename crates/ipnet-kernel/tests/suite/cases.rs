//! Laws, shapes and inputs that every test draws from.

use ipnet_device::{Arrhenius, HeatPole, Spread, StepLaw, Switching, SwitchingTable};
use ipnet_kernel::{Firing, ScanConfig};
use ipnet_rng::Stream;
use std::sync::Arc;

/// A law near the working point of the physics notes, with `poles` poles of heat, reset heat and own heat.
pub fn law(poles: usize, exponent: f64) -> StepLaw {
    let pole = |i: usize| HeatPole {
        decay: [0.8, 0.95, 0.3][i],
        heat_k_per_v2: [25.0, 4.0, 30.0][i],
        reset_k: [6.0, 1.5, 9.0][i],
    };
    StepLaw {
        dt_s: 20e-9,
        t_amb_k: 300.0,
        v_max_v: 1.1,
        poles: (0..poles).map(pole).collect(),
        self_heat_k_per_v2: 12.0,
        switching: Switching::Arrhenius(Arrhenius {
            log_attempts: 3.912_023,
            barrier: [20.0, -0.018, 4e-6],
            v_critical: [1.0, -6e-4, 2e-7],
            exponent,
        }),
        spread: Spread::default(),
    }
}

/// The same law as a table on a grid.
pub fn table_law(poles: usize) -> StepLaw {
    let formula = law(poles, 1.0);
    let Switching::Arrhenius(arrhenius) = &formula.switching else { panic!("`law` gives a formula") };
    let (columns, rows) = (45, 31);
    let (u_range_v, rise_range_k) = ([0.05, 1.05], [0.0, 260.0]);
    let node = |[a, b]: [f64; 2], i: usize, n: usize| a + (b - a) * i as f64 / (n - 1) as f64;
    let p = (0..rows * columns)
        .map(|at| {
            let (row, column) = (at / columns, at % columns);
            arrhenius.probability(node(u_range_v, column, columns), node(rise_range_k, row, rows), 300.0)
        })
        .collect();
    let table = SwitchingTable { u_range_v, rise_range_k, columns, p };
    StepLaw { switching: Switching::Table(table), ..formula }
}

/// Some spread in everything a law has.
pub fn with_spread(mut law: StepLaw) -> StepLaw {
    let barrier_d2d = if matches!(law.switching, Switching::Table(_)) { 0.0 } else { 0.06 };
    law.spread = Spread { barrier_d2d, v_critical_d2d: 0.05, heat_d2d: 0.1, v_critical_c2c: 0.03 };
    law
}

/// The law without heat from a firing: the heat then follows from the drive alone.
pub fn without_reset(mut law: StepLaw) -> StepLaw {
    law.poles.iter_mut().for_each(|pole| pole.reset_k = 0.0);
    law
}

/// The law of the textbooks, which has a kernel of its own: a constant barrier, a linear critical voltage, no own heat.
pub fn plain_law(poles: usize) -> StepLaw {
    let mut law = law(poles, 1.0);
    law.self_heat_k_per_v2 = 0.0;
    if let Switching::Arrhenius(arrhenius) = &mut law.switching {
        arrhenius.barrier = [20.0, 0.0, 0.0];
        arrhenius.v_critical = [1.0, -6e-4, 0.0];
    }
    law
}

/// Every law the suite is run with, by name.
pub fn laws() -> Vec<(String, StepLaw)> {
    let mut laws = Vec::new();
    for poles in 1..=3 {
        for exponent in [1.0, 2.0, 1.5] {
            laws.push((format!("{poles} poles, b = {exponent}"), law(poles, exponent)));
        }
        laws.push((format!("{poles} poles, table"), table_law(poles)));
        laws.push((format!("{poles} poles, textbook"), plain_law(poles)));
    }
    let alike = laws.clone();
    laws.extend(alike.iter().map(|(name, law)| (format!("{name}, spread"), with_spread(law.clone()))));
    laws.push(("no reset heat".into(), without_reset(law(1, 1.0))));
    laws.push(("no reset heat, textbook".into(), without_reset(plain_law(1))));
    laws.push(("no reset heat, textbook, spread".into(), with_spread(without_reset(plain_law(2)))));
    laws
}

/// `config` for a law.
pub fn config(law: &StepLaw, firing: Firing) -> ScanConfig {
    ScanConfig {
        firing,
        seed: 0x1234_5678_9abc,
        device_seed: 77,
        layer: 3,
        ..ScanConfig::expected(Arc::new(law.clone()))
    }
}

/// Normal numbers: drives as batch-normalised inputs have them.
pub fn normal(name: &str, len: usize) -> Vec<f32> {
    let mut stream = Stream::named(11, name);
    (0..len).map(|_| stream.normal() as f32).collect()
}
