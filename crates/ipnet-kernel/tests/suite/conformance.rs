//! One suite for every backend: what `ScanBackend` promises.

use crate::cases::{config, laws, normal};
use ipnet_kernel::cpu::Level;
use ipnet_kernel::{
    CpuBackend, Firing, ReferenceBackend, ScanBackend, ScanShape, ThermalForward, ThermalScan,
};

/// Sizes that end inside a vector, inside a block and beyond one.
fn shapes() -> Vec<ScanShape> {
    vec![
        ScanShape { steps: 7, batch: 2, channels: 3, inner: 11 },
        ScanShape { steps: 5, batch: 1, channels: 2, inner: 700 },
        ScanShape::flat(3, 1),
    ]
}

struct Run {
    out: Vec<f32>,
    heat: Vec<f32>,
}

fn forward(backend: &dyn ScanBackend, scan: &ThermalScan, x: &[f32], heat: Option<&[f32]>) -> Run {
    let shape = scan.shape();
    let gain: Vec<f32> = (0..shape.channels).map(|c| 0.3 + 0.05 * c as f32).collect();
    let bias: Vec<f32> = (0..shape.channels).map(|c| 0.45 - 0.03 * c as f32).collect();
    let mut run =
        Run { out: vec![f32::NAN; shape.elements()], heat: vec![f32::NAN; scan.poles() * shape.neurons()] };
    let io = ThermalForward {
        x,
        gain: &gain,
        bias: &bias,
        heat,
        out: &mut run.out,
        final_heat: Some(&mut run.heat),
    };
    backend.thermal_forward(scan, io).unwrap();
    run
}

/// Every value within 2e-6 of the law in double precision, heat within 1e-5 of its largest value.
fn values_agree(backend: &dyn ScanBackend) {
    for (name, law) in laws() {
        for shape in shapes() {
            let scan = ThermalScan::new(&config(&law, Firing::Expected), shape).unwrap();
            let x = normal("values", shape.elements());
            let found = forward(backend, &scan, &x, None);
            let expected = forward(&ReferenceBackend, &scan, &x, None);
            for (i, (a, b)) in found.out.iter().zip(&expected.out).enumerate() {
                assert!((a - b).abs() < 2e-6, "{name}, {shape:?}, element {i}: {a} expected {b}");
            }
            let scale = expected.heat.iter().fold(1.0_f32, |m, h| m.max(*h));
            for (a, b) in found.heat.iter().zip(&expected.heat) {
                assert!((a - b).abs() < 1e-5 * scale, "{name}, {shape:?}, heat: {a} expected {b}");
            }
        }
    }
}

#[test]
fn quick() {
    for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
        println!("{}", level.name());
        values_agree(&CpuBackend::with_level(level).unwrap());
    }
}
