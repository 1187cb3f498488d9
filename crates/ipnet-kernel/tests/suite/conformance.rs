//! One suite for every backend: what `ScanBackend` promises. An instrument is a line more at the end.

use crate::cases::{config, laws, normal};
use crate::emulated::Emulated;
use ipnet_kernel::cpu::Level;
#[cfg(feature = "cuda")]
use ipnet_kernel::cuda::CudaBackend;
use ipnet_kernel::{
    CpuBackend, Error, Firing, ReferenceBackend, ScanBackend, ScanConfig, ScanShape, ThermalBackward,
    ThermalForward, ThermalScan,
};

/// Sizes that end inside a vector, inside a block and beyond one, and a scan longer than a segment.
pub fn shapes() -> [ScanShape; 4] {
    [
        ScanShape { steps: 7, batch: 2, channels: 3, inner: 11 },
        ScanShape { steps: 5, batch: 1, channels: 2, inner: 700 },
        ScanShape { steps: 150, batch: 1, channels: 1, inner: 3 },
        ScanShape::flat(3, 1),
    ]
}

pub fn gains(shape: ScanShape) -> [Vec<f32>; 2] {
    let per_channel = |first: f32, step: f32| (0..shape.channels).map(|c| first + step * c as f32).collect();
    [per_channel(0.3, 0.05), per_channel(0.45, -0.03)]
}

struct Run {
    out: Vec<f32>,
    heat: Vec<f32>,
}

fn forward(backend: &dyn ScanBackend, scan: &ThermalScan, x: &[f32], heat: Option<&[f32]>) -> Run {
    let shape = scan.shape();
    let [gain, bias] = gains(shape);
    let state = scan.poles() * shape.neurons();
    let mut run = Run { out: vec![f32::NAN; shape.elements()], heat: vec![f32::NAN; state] };
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

/// Gradients of `sum(weights * out) + sum(state weights * final heat)`: x, gain, bias, heat.
fn gradients(backend: &dyn ScanBackend, scan: &ThermalScan, x: &[f32]) -> [Vec<f32>; 4] {
    let shape = scan.shape();
    let [gain, bias] = gains(shape);
    let state = scan.poles() * shape.neurons();
    let heat: Vec<f32> = normal("heat", state).iter().map(|z| 10.0 * z.abs()).collect();
    let out = forward(backend, scan, x, Some(&heat)).out;
    let (weights, state_weights) = (normal("weights", x.len()), normal("state weights", state));
    let mut grads = [x.len(), shape.channels, shape.channels, state].map(|len| vec![f32::NAN; len]);
    let [grad_x, grad_gain, grad_bias, grad_heat] = &mut grads;
    let io = ThermalBackward {
        x,
        gain: &gain,
        bias: &bias,
        heat: Some(&heat),
        out: &out,
        grad_out: &weights,
        grad_final_heat: Some(&state_weights),
        grad_x: Some(grad_x),
        grad_gain_bias: Some([grad_gain, grad_bias]),
        grad_heat: Some(grad_heat),
    };
    backend.thermal_backward(scan, io).unwrap();
    grads
}

/// Every p within 2e-6 of the law in double precision, heat within 1e-5 of its largest value.
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

/// Spikes equal those of the reference wherever its p is further than 2e-6 from the number drawn: with the same
/// draws a spike can only differ there, so at most a few in a million do.
fn spikes_agree(backend: &dyn ScanBackend) {
    let shape = ScanShape { steps: 9, batch: 2, channels: 3, inner: 400 };
    for (name, law) in laws() {
        let config = ScanConfig { step_offset: 6, ..config(&law, Firing::Sampled) };
        let scan = ThermalScan::new(&config, shape).unwrap();
        let x = normal("spikes", shape.elements());
        let found = forward(backend, &scan, &x, None).out;
        let expected = forward(&ReferenceBackend, &scan, &x, None).out;
        assert!(found.iter().all(|s| *s == 0.0 || *s == 1.0), "{name}: neither 0 nor 1");
        let rate = expected.iter().sum::<f32>() / expected.len() as f32;
        assert!((0.02..0.9).contains(&rate), "{name}: rate {rate} shows nothing");
        let differ = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert!(differ <= 1, "{name}: {differ} of {} spikes differ", found.len());
    }
}

/// Cut in time anywhere, with the heat handed on: the same bits.
fn streams_agree(backend: &dyn ScanBackend) {
    for (name, law) in laws() {
        for firing in [Firing::Expected, Firing::Sampled] {
            let shape = ScanShape { steps: 11, batch: 1, channels: 2, inner: 9 };
            let neurons = shape.neurons();
            let whole = ThermalScan::new(&config(&law, firing), shape).unwrap();
            let x = normal("streams", shape.elements());
            let expected = forward(backend, &whole, &x, None);
            for cut in [1, 4, 6] {
                let first = ThermalScan::new(whole.config(), ScanShape { steps: cut, ..shape }).unwrap();
                let later = ScanConfig { step_offset: cut as u64, ..whole.config().clone() };
                let later =
                    ThermalScan::new(&later, ScanShape { steps: shape.steps - cut, ..shape }).unwrap();
                let a = forward(backend, &first, &x[..cut * neurons], None);
                let b = forward(backend, &later, &x[cut * neurons..], Some(&a.heat));
                assert_eq!([a.out, b.out].concat(), expected.out, "{name}, {firing:?}, cut at {cut}");
                assert_eq!(b.heat, expected.heat, "{name}, {firing:?}, cut at {cut}: heat");
            }
        }
    }
}

/// Cut in the batch, with the neurons' offset: the same bits, and the same devices in each sample.
fn batches_agree(backend: &dyn ScanBackend) {
    for (name, law) in laws() {
        let shape = ScanShape { steps: 6, batch: 3, channels: 2, inner: 7 };
        let (sample, neurons) = (shape.channels * shape.inner, shape.neurons());
        let whole = ThermalScan::new(&config(&law, Firing::Sampled), shape).unwrap();
        let x = normal("batches", shape.elements());
        let expected = forward(backend, &whole, &x, None).out;
        for b in 0..shape.batch {
            let of_sample = |values: &[f32]| -> Vec<f32> {
                let rows = values.chunks_exact(neurons);
                rows.flat_map(|row| row[b * sample..(b + 1) * sample].to_vec()).collect()
            };
            let config = ScanConfig { neuron_offset: (b * sample) as u64, ..whole.config().clone() };
            let scan = ThermalScan::new(&config, ScanShape { batch: 1, ..shape }).unwrap();
            assert_eq!(
                forward(backend, &scan, &of_sample(&x), None).out,
                of_sample(&expected),
                "{name}, sample {b}"
            );
        }
    }
}

/// A NaN stays with its neuron, from its step on; an infinity is clamped like any number.
fn odd_numbers_follow_the_rule(backend: &dyn ScanBackend) {
    for (name, law) in laws() {
        for firing in [Firing::Expected, Firing::Sampled] {
            let shape = ScanShape::flat(5, 21);
            let scan = ThermalScan::new(&config(&law, firing), shape).unwrap();
            let mut x = normal("odd", shape.elements());
            let clean = forward(backend, &scan, &x, None).out;
            (x[2 * 21 + 4], x[4 * 21 + 20]) = (f32::NAN, f32::NAN);
            let out = forward(backend, &scan, &x, None).out;
            for (i, (found, clean)) in out.iter().zip(&clean).enumerate() {
                let struck = (i % 21 == 4 && i / 21 >= 2) || i == 4 * 21 + 20;
                assert!(
                    if struck { found.is_nan() } else { found == clean },
                    "{name}, {firing:?}: element {i}: {found}"
                );
            }
            let (mut infinite, mut large) =
                (normal("odd", shape.elements()), normal("odd", shape.elements()));
            (infinite[3], infinite[9], infinite[20]) = (f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY);
            (large[3], large[9], large[20]) = (1e6, -1e6, 1e6);
            let [a, b] = [infinite, large].map(|x| forward(backend, &scan, &x, None).out);
            assert_eq!(a, b, "{name}, {firing:?}: infinities");
            let mut infinite = normal("odd", shape.elements());
            (infinite[3], infinite[9], infinite[20]) = (f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY);
            let (mut gain, mut bias) = ([f32::NAN], [f32::NAN]);
            let io = ThermalBackward {
                x: &infinite,
                gain: &[0.3],
                bias: &[0.4],
                heat: None,
                out: &a,
                grad_out: &vec![1.0; a.len()],
                grad_final_heat: None,
                grad_x: None,
                grad_gain_bias: Some([&mut gain, &mut bias]),
                grad_heat: None,
            };
            backend.thermal_backward(&scan, io).unwrap();
            assert!(gain[0].is_finite() && bias[0].is_finite(), "{name}, {firing:?}: {gain:?}, {bias:?}");
        }
    }
}

/// No steps hand the heat through, no neurons are no work, and a wrong size is refused.
fn sizes_are_checked(backend: &dyn ScanBackend) {
    let (_, law) = laws().remove(0);
    let config = config(&law, Firing::Expected);
    let none = ThermalScan::new(&config, ScanShape::flat(0, 3)).unwrap();
    assert_eq!(forward(backend, &none, &[], Some(&[1.0, 2.0, 3.0])).heat, [1.0, 2.0, 3.0]);
    let empty = ThermalScan::new(&config, ScanShape::flat(4, 0)).unwrap();
    assert!(forward(backend, &empty, &[], None).out.is_empty());

    let scan = ThermalScan::new(&config, ScanShape::flat(2, 3)).unwrap();
    let refused = |x: &[f32], gain: &[f32], heat: Option<&[f32]>, out: usize| {
        let mut out = vec![0.0; out];
        let io = ThermalForward { x, gain, bias: &[0.4], heat, out: &mut out, final_heat: None };
        backend.thermal_forward(&scan, io).unwrap_err()
    };
    let x = [0.1; 6];
    assert!(matches!(refused(&x[..5], &[0.3], None, 6), Error::Shape { what: "x", .. }));
    assert!(matches!(refused(&x, &[], None, 6), Error::Shape { what: "gain", .. }));
    assert!(matches!(refused(&x, &[0.3], None, 7), Error::Shape { what: "out", .. }));
    assert!(matches!(refused(&x, &[0.3], Some(&[0.0; 2]), 6), Error::Shape { what: "heat", .. }));
    for heat in [f32::NAN, f32::INFINITY, -1.0] {
        let heat = [0.0, heat, 0.0];
        assert!(matches!(refused(&x, &[0.3], Some(&heat), 6), Error::Setting { what: "heat", .. }));
    }
}

/// Gradients against those of the `f64` instance of the kernels (itself checked by finite differences):
/// within 2e-4 of the largest of their kind, since f32 heat at 100 K carries 1e-5 into the exponent.
fn gradients_agree(backend: &dyn ScanBackend) {
    for (name, law) in laws() {
        for shape in shapes() {
            let scan = ThermalScan::new(&config(&law, Firing::Expected), shape).unwrap();
            let x = normal("gradients", shape.elements());
            let found = gradients(backend, &scan, &x);
            let expected = gradients(&F64, &scan, &x);
            for (what, (a, b)) in ["x", "gain", "bias", "heat"].iter().zip(found.iter().zip(&expected)) {
                let scale = b.iter().fold(1e-3_f32, |m, g| m.max(g.abs()));
                for (i, (a, b)) in a.iter().zip(b).enumerate() {
                    let off = (a - b).abs() / scale;
                    assert!(off < 2e-4, "{name}, {shape:?}, d{what}[{i}]: {a} expected {b}, scale {scale}");
                }
            }
        }
    }
}

/// The `f64` instance of the CPU kernels behind the `f32` trait.
pub struct F64;

impl ScanBackend for F64 {
    fn name(&self) -> &'static str {
        "cpu-f64"
    }
    fn thermal_forward(&self, scan: &ThermalScan, io: ThermalForward<'_>) -> ipnet_kernel::Result<()> {
        io.check(scan)?;
        let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let (mut out, mut heat) = (wide(io.out), vec![0.0; scan.poles() * scan.shape().neurons()]);
        let (x, gain, bias, from) = (wide(io.x), wide(io.gain), wide(io.bias), io.heat.map(wide));
        let wide_io = ThermalForward {
            x: &x,
            gain: &gain,
            bias: &bias,
            heat: from.as_deref(),
            out: &mut out,
            final_heat: Some(&mut heat),
        };
        CpuBackend::reference_forward(scan, wide_io)?;
        io.out.iter_mut().zip(out).for_each(|(to, from)| *to = from as f32);
        if let Some(to) = io.final_heat {
            to.iter_mut().zip(heat).for_each(|(to, from)| *to = from as f32);
        }
        Ok(())
    }
    fn thermal_backward(&self, scan: &ThermalScan, io: ThermalBackward<'_>) -> ipnet_kernel::Result<()> {
        io.check(scan)?;
        let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let (shape, state) = (scan.shape(), scan.poles() * scan.shape().neurons());
        let mut grads = [shape.elements(), shape.channels, shape.channels, state].map(|n| vec![0.0; n]);
        let [grad_x, grad_gain, grad_bias, grad_heat] = &mut grads;
        let (x, gain, bias, heat) = (wide(io.x), wide(io.gain), wide(io.bias), io.heat.map(wide));
        let (out, grad_out) = (wide(io.out), wide(io.grad_out));
        let grad_final_heat = io.grad_final_heat.map(wide);
        let wide_io = ThermalBackward {
            x: &x,
            gain: &gain,
            bias: &bias,
            heat: heat.as_deref(),
            out: &out,
            grad_out: &grad_out,
            grad_final_heat: grad_final_heat.as_deref(),
            grad_x: Some(grad_x),
            grad_gain_bias: Some([grad_gain, grad_bias]),
            grad_heat: Some(grad_heat),
        };
        CpuBackend::reference_backward(scan, wide_io)?;
        let narrow = |to: Option<&mut [f32]>, from: &[f64]| {
            to.into_iter().flatten().zip(from).for_each(|(to, from)| *to = *from as f32);
        };
        let [grad_x, grad_gain, grad_bias, grad_heat] = &grads;
        let [to_gain, to_bias] = io.grad_gain_bias.map_or([None, None], |pair| pair.map(Some));
        narrow(io.grad_x, grad_x);
        narrow(to_gain, grad_gain);
        narrow(to_bias, grad_bias);
        narrow(io.grad_heat, grad_heat);
        Ok(())
    }
}

/// A module of tests for one backend; `$backend` gives it, or says why not.
macro_rules! conformance {
    ($name:ident, $backend:expr, $($test:ident),*) => {
        mod $name {
            use super::*;
            $(
                #[test]
                fn $test() {
                    match $backend {
                        Ok(backend) => super::$test(&backend),
                        Err(why) => {
                            let needed = std::env::var_os("IPNET_NEEDS_CUDA").is_some();
                            assert!(!needed || stringify!($name) != "cuda", "{why}");
                            println!("skipped: {why}");
                        }
                    }
                }
            )*
        }
    };
}

macro_rules! conformance_with_gradients {
    ($name:ident, $backend:expr) => {
        conformance!(
            $name,
            $backend,
            values_agree,
            spikes_agree,
            streams_agree,
            batches_agree,
            odd_numbers_follow_the_rule,
            sizes_are_checked,
            gradients_agree
        );
    };
}

// Between two scans these two round their state to the `f32` of the trait, so only `f32` backends stream exactly.
conformance!(reference, ipnet_kernel::Result::Ok(ReferenceBackend), batches_agree, sizes_are_checked);
conformance!(
    cpu_f64,
    ipnet_kernel::Result::Ok(F64),
    values_agree,
    spikes_agree,
    batches_agree,
    odd_numbers_follow_the_rule,
    sizes_are_checked
);
conformance_with_gradients!(cpu_scalar, CpuBackend::with_level(Level::Scalar));
conformance_with_gradients!(cpu_avx2, CpuBackend::with_level(Level::Avx2));
conformance_with_gradients!(cpu_avx512, CpuBackend::with_level(Level::Avx512));
conformance_with_gradients!(cpu_neon, CpuBackend::with_level(Level::Neon));
#[cfg(feature = "cuda")]
conformance_with_gradients!(cuda, CudaBackend::new(0));
// What the host checks is not the kernels': without `sizes_are_checked`.
conformance!(
    cuda_emulated,
    Emulated::new(),
    values_agree,
    spikes_agree,
    streams_agree,
    batches_agree,
    odd_numbers_follow_the_rule,
    gradients_agree
);

/// All instruction sets, any thread count: the same bits forward, and the same gradients.
#[test]
fn every_level_and_thread_count_gives_the_same_bits() {
    let shape = ScanShape { steps: 13, batch: 2, channels: 3, inner: 901 };
    for (name, law) in laws() {
        let scan = ThermalScan::new(&config(&law, Firing::Sampled), shape).unwrap();
        let x = normal("bits", shape.elements());
        let scalar = CpuBackend::with_level(Level::Scalar).unwrap();
        let expected = (forward(&scalar, &scan, &x, None), gradients(&scalar, &scan, &x));
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let backend = CpuBackend::with_level(level).unwrap();
                let (found, grads) =
                    pool.install(|| (forward(&backend, &scan, &x, None), gradients(&backend, &scan, &x)));
                let what = format!("{name}, {}, {threads} threads", level.name());
                assert!(found.out == expected.0.out && found.heat == expected.0.heat, "{what}: forward");
                assert!(grads == expected.1, "{what}: gradients");
            }
        }
    }
}

/// Results that are written past the caches (8 MiB and more), with rows that start on a vector's boundary and with rows
/// that do not: the bits of the same neurons in a small scan.
#[test]
fn a_large_result_has_the_bits_of_a_small_one() {
    let law = crate::cases::without_reset(crate::cases::law(1, 1.0));
    let (steps, kept) = (2, 3000);
    for neurons in [1 << 20, (1 << 20) + 5] {
        let backend = CpuBackend::default();
        let x = normal("large", steps * neurons);
        let last = |values: &[f32]| -> Vec<f32> {
            values.chunks_exact(neurons).flat_map(|row| row[neurons - kept..].to_vec()).collect()
        };
        let run = |x: &[f32]| {
            let shape = ScanShape::flat(steps, x.len() / steps);
            let scan = ThermalScan::new(&config(&law, Firing::Expected), shape).unwrap();
            let (mut out, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            let io =
                ThermalForward { x, gain: &[0.3], bias: &[0.4], heat: None, out: &mut out, final_heat: None };
            backend.thermal_forward(&scan, io).unwrap();
            let io = ThermalBackward {
                x,
                gain: &[0.3],
                bias: &[0.4],
                heat: None,
                out: &out,
                grad_out: x,
                grad_final_heat: None,
                grad_x: Some(&mut dx),
                grad_gain_bias: None,
                grad_heat: None,
            };
            backend.thermal_backward(&scan, io).unwrap();
            [out, dx]
        };
        let large = run(&x).map(|result| last(&result));
        assert!(large == run(&last(&x)), "{neurons} neurons");
        assert!(large[0].iter().any(|p| *p > 0.1) && large[1].iter().any(|g| *g != 0.0));
    }
}
