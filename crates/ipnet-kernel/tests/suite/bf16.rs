//! bfloat16 storage beside the law in double precision: one body for whatever runs the CUDA kernels.

use crate::cases::{config, laws, normal};
use crate::conformance::{F64, gains, shapes};
use ipnet_kernel::cuda_source::Bf16;
use ipnet_kernel::{Firing, ScanBackend, ThermalBackward, ThermalForward, ThermalScan};

/// What reads and writes bfloat16, from ambient temperature.
pub trait Bf16Backend {
    /// The firing.
    fn forward(&self, scan: &ThermalScan, x: &[Bf16], gains: [&[f32]; 2]) -> Vec<Bf16>;

    /// Gradients of x, and of gain and bias.
    fn backward(
        &self,
        scan: &ThermalScan,
        x: &[Bf16],
        gains: [&[f32]; 2],
        out: &[Bf16],
        grad_out: &[Bf16],
    ) -> (Vec<Bf16>, [Vec<f32>; 2]);
}

/// x, out and their gradients as bfloat16 beside the law in double precision on the same rounded x. A stored number is off by half
/// a unit of its last place, 2^-9 of itself; twice that is allowed. Where a firing heats, the heat follows the firing as it is
/// stored, which moves later probabilities by a few times as much; backward reads the same stored firing both ways.
pub fn agrees_within_its_rounding(backend: &dyn Bf16Backend) {
    let stored = |values: &[f32]| values.iter().copied().map(Bf16::from).collect::<Vec<_>>();
    let widened = |values: &[Bf16]| values.iter().copied().map(f32::from).collect::<Vec<_>>();
    let rounding = 2.0_f32.powi(-8);
    for (name, law) in laws() {
        let heats = law.poles.iter().any(|pole| pole.reset_k > 0.0);
        for shape in shapes() {
            let scan = ThermalScan::new(&config(&law, Firing::Expected), shape).unwrap();
            let [gain, bias] = gains(shape);
            let x = stored(&normal("bf16", shape.elements()));
            let out = backend.forward(&scan, &x, [&gain, &bias]);
            let (x32, out32) = (widened(&x), widened(&out));
            let mut expected = vec![0.0; x.len()];
            let io = ThermalForward {
                x: &x32,
                gain: &gain,
                bias: &bias,
                heat: None,
                out: &mut expected,
                final_heat: None,
            };
            F64.thermal_forward(&scan, io).unwrap();
            let share = if heats { 4.0 * rounding } else { rounding };
            for (i, (a, b)) in out32.iter().zip(&expected).enumerate() {
                assert!((a - b).abs() <= share * b + 2e-6, "{name}, {shape:?}, p[{i}]: {a} expected {b}");
            }

            let grad_out = stored(&normal("bf16 weights", x.len()));
            let (found_x, [found_gain, found_bias]) =
                backend.backward(&scan, &x, [&gain, &bias], &out, &grad_out);
            let mut grads = [x.len(), shape.channels, shape.channels].map(|len| vec![f32::NAN; len]);
            let [grad_x, grad_gain, grad_bias] = &mut grads;
            let io = ThermalBackward {
                x: &x32,
                gain: &gain,
                bias: &bias,
                heat: None,
                out: &out32,
                grad_out: &widened(&grad_out),
                grad_final_heat: None,
                grad_x: Some(grad_x),
                grad_gain_bias: Some([grad_gain, grad_bias]),
                grad_heat: None,
            };
            F64.thermal_backward(&scan, io).unwrap();
            let scale = grads[0].iter().fold(1e-3_f32, |m, g| m.max(g.abs()));
            for (i, (a, b)) in widened(&found_x).iter().zip(&grads[0]).enumerate() {
                let allowed = rounding * b.abs() + 2e-4 * scale;
                assert!((a - b).abs() <= allowed, "{name}, {shape:?}, dx[{i}]: {a} expected {b}");
            }
            // Sums are kept in f32 and f64: what is allowed is a share of what went into them, which may cancel.
            let mut parts = [&gain, &gain].map(|gain| vec![0.0_f32; gain.len()]);
            for (i, (g, x)) in grads[0].iter().zip(&x32).enumerate() {
                let channel = i % shape.neurons() / shape.inner % shape.channels;
                let inside = (g / gain[channel]).abs();
                parts[0][channel] += inside * x.abs();
                parts[1][channel] += inside;
            }
            let found = [("gain", found_gain), ("bias", found_bias)];
            for (((what, found), expected), parts) in found.into_iter().zip(&grads[1..]).zip(&parts) {
                for (channel, ((a, b), parts)) in found.iter().zip(expected).zip(parts).enumerate() {
                    let off = (a - b).abs() / parts;
                    assert!(
                        off <= 1e-5,
                        "{name}, {shape:?}, d{what}[{channel}]: {a} expected {b} of {parts}"
                    );
                }
            }
        }
    }
}
