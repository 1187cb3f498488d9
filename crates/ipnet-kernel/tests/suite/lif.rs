//! The LIF baselines: in `f64` against the composition of candle operations, in `f32` at every level against `f64`, and their
//! own rules.

use crate::cases::normal;
use crate::composed;
use candle_core::{DType, Device, Tensor, Var};
use ipnet_kernel::cpu::Level;
use ipnet_kernel::{
    AlifConfig, CpuBackend, LifConfig, Reset, ScanShape, alif_scan, alif_scan_from, lif_scan,
};

pub fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

pub fn configs() -> Vec<AlifConfig> {
    let mut configs = Vec::new();
    for reset in [Reset::Zero, Reset::Subtract, Reset::None] {
        for detach_reset in [false, true] {
            for adaptation_strength in [0.0, 0.7] {
                let lif = LifConfig { threshold: 0.8, reset, surrogate_alpha: 4.0, detach_reset };
                configs.push(AlifConfig { lif, adaptation_decay: 0.9, adaptation_strength });
            }
        }
    }
    configs
}

/// A spike has no derivative, so finite differences cannot judge a surrogate; the same graph built of candle
/// operations with `s = sigma(alpha o) + stop_gradient(H(o) - sigma(alpha o))` can: equal to rounding. 70 steps
/// run through two segments of the recomputation.
#[test]
fn spikes_and_gradients_are_those_of_the_composition() {
    for steps in [6, 70] {
        let dims = [steps, 2, 3, 5];
        let elements: usize = dims.iter().product();
        let wide = |name: &str| -> Vec<f64> { normal(name, elements).into_iter().map(f64::from).collect() };
        for config in configs() {
            let tensor =
                |values: &[f64], dims: &[usize]| Tensor::from_slice(values, dims, &Device::Cpu).unwrap();
            let x = Var::from_tensor(&tensor(&wide("lif"), &dims)).unwrap();
            let decay = Var::from_tensor(&tensor(&[0.9, 0.8, 0.5], &[3])).unwrap();
            let w = tensor(&wide("weights"), &dims);
            let run = |y: Tensor| {
                let grads = (&y * &w).unwrap().sum_all().unwrap().backward().unwrap();
                let of = |var: &Var| values(grads.get(var.as_tensor()).expect("a gradient"));
                [values(&y), of(&x), of(&decay)]
            };
            let found = run(alif_scan(&x, &decay, &config).unwrap());
            let expected = run(composed::adaptive(&x, &decay, &config).unwrap());
            assert!(expected[0].iter().sum::<f64>() > 3.0, "{config:?}: too few spikes to show anything");
            assert_eq!(found[0], expected[0], "{config:?}: spikes");
            for (a, b) in found[1..].iter().flatten().zip(expected[1..].iter().flatten()) {
                assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{config:?}: {a} expected {b}");
            }
        }
    }
}

/// Cut in time with the state handed on, the gradients of the drive, the decay and a first state at rest are those of the
/// stream in one piece: what the state's gradient carries back over the cut is all of the later steps.
#[test]
fn gradients_pass_through_the_state() {
    let (dims, cut) = ([9, 2, 3, 5], 4);
    let tensor = |values: Vec<f32>, dims: &[usize]| {
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
    };
    let w = tensor(normal("weights", 9 * 30), &dims);
    for config in configs() {
        let states = if config.adaptation_strength > 0.0 { 2 } else { 1 };
        let x = Var::from_tensor(&tensor(normal("cut", 9 * 30), &dims)).unwrap();
        let decay = Var::from_tensor(&tensor(vec![0.9, 0.8, 0.5], &[3])).unwrap();
        let rest = Var::from_tensor(&tensor(vec![0.0; states * 30], &[states, 2, 3, 5])).unwrap();
        let gradients = |y: &Tensor, vars: &[&Var]| -> Vec<Vec<f64>> {
            let grads = (y * &w).unwrap().sum_all().unwrap().backward().unwrap();
            vars.iter().map(|var| values(grads.get(var.as_tensor()).expect("a gradient"))).collect()
        };
        let whole = alif_scan(&x, &decay, &config).unwrap();
        let (from_rest, _) = alif_scan_from(&x, &decay, &rest, &config).unwrap();
        let (first, middle) = alif_scan_from(&x.narrow(0, 0, cut).unwrap(), &decay, &rest, &config).unwrap();
        let later = x.narrow(0, cut, 9 - cut).unwrap();
        let (later, _) = alif_scan_from(&later, &decay, &middle, &config).unwrap();
        let cut = Tensor::cat(&[first, later], 0).unwrap();
        assert_eq!([values(&from_rest), values(&cut)], [values(&whole), values(&whole)], "{config:?}");
        let expected = gradients(&from_rest, &[&x, &decay, &rest]);
        assert_eq!(gradients(&whole, &[&x, &decay]), expected[..2], "{config:?}: without a state");
        assert!(expected[2].iter().any(|g| *g != 0.0), "{config:?}: nothing reaches the state");
        for (a, b) in gradients(&cut, &[&x, &decay, &rest]).iter().flatten().zip(expected.iter().flatten()) {
            assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{config:?}: {a} expected {b}");
        }
    }
}

/// `f32` runs on vectors, with a tail; cut in time it gives the same bits, and a NaN stays with its neuron.
#[test]
fn vectors_follow_the_reference_and_streams_may_be_cut() {
    let dims = [9, 1, 2, 1037];
    let neurons = 2 * 1037;
    for config in configs() {
        let mut drive = normal("vectors", 9 * neurons);
        drive[3 * neurons + 17] = f32::NAN;
        let x = Tensor::from_slice(&drive, &dims[..], &Device::Cpu).unwrap();
        let decay = Tensor::new(&[0.9_f32, 0.7], &Device::Cpu).unwrap();
        let states = if config.adaptation_strength > 0.0 { 2 } else { 1 };
        let rest = Tensor::zeros((states, 1, 2, 1037), DType::F32, &Device::Cpu).unwrap();
        let (whole, last) = alif_scan_from(&x, &decay, &rest, &config).unwrap();
        let (a, middle) = alif_scan_from(&x.narrow(0, 0, 4).unwrap(), &decay, &rest, &config).unwrap();
        let (b, end) = alif_scan_from(&x.narrow(0, 4, 5).unwrap(), &decay, &middle, &config).unwrap();
        let bits = |t: &Tensor| -> Vec<u32> {
            t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
        };
        assert_eq!([bits(&a), bits(&b)].concat(), bits(&whole), "{config:?}");
        assert_eq!(bits(&end), bits(&last), "{config:?}");

        let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let expected = values(&alif_scan(&wide(&x), &wide(&decay), &config).unwrap());
        let mut differ = 0;
        for (i, (found, expected)) in values(&whole).into_iter().zip(expected).enumerate() {
            let struck = i % neurons == 17 && i / neurons >= 3;
            assert!(found.is_nan() == struck, "{config:?}: element {i} is {found}");
            differ += usize::from(!struck && found != expected);
        }
        assert!(differ <= 2, "{config:?}: {differ} spikes differ from those in f64");
    }
}

/// Every instruction set against the `f64` instance (which the composition above judges): the same spikes, gradients within
/// 1e-5 of the largest of their kind, and among each other the same bits. A spike could only differ where a membrane is
/// within 1e-6 of its threshold; none is here. 582 neurons end inside a vector and run over a block, 70 steps over a segment.
#[test]
fn every_level_follows_f64_and_gives_the_same_bits() {
    let shape = ScanShape { steps: 70, batch: 2, channels: 3, inner: 97 };
    let dims = [shape.steps, shape.batch, shape.channels, shape.inner];
    let (x, g) = (normal("levels", shape.elements()), normal("levels weights", shape.elements()));
    let decay = [0.9_f32, 0.8, 0.5];
    let wide = |values: &[f32], dims: &[usize]| {
        Tensor::from_slice(values, dims, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
    };
    for config in configs() {
        let [wide_x, wide_decay] =
            [wide(&x, &dims), wide(&decay, &[3])].map(|tensor| Var::from_tensor(&tensor).unwrap());
        let spikes = alif_scan(&wide_x, &wide_decay, &config).unwrap();
        let grads = (&spikes * wide(&g, &dims)).unwrap().sum_all().unwrap().backward().unwrap();
        let expected = [&wide_x, &wide_decay].map(|var| values(grads.get(var).unwrap()));
        let spikes = values(&spikes);
        assert!((0.02..0.9).contains(&(spikes.iter().sum::<f64>() / spikes.len() as f64)), "{config:?}");
        let mut first = None;
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let what = format!("{}, {config:?}", level.name());
            let backend = CpuBackend::with_level(level).unwrap();
            let (mut out, mut dx, mut dd) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()], [f32::NAN; 3]);
            backend.lif(shape, &config, &x, &decay, &mut out).unwrap();
            backend.lif_gradient(shape, &config, &x, &decay, &g, &mut dx, &mut dd).unwrap();
            assert!(out.iter().map(|s| f64::from(*s)).eq(spikes.iter().copied()), "{what}: spikes");
            for (found, expected) in [&dx[..], &dd].iter().zip(&expected) {
                let scale = expected.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
                for (i, (a, b)) in found.iter().zip(expected).enumerate() {
                    let off = (f64::from(*a) - b).abs() / scale;
                    assert!(off < 1e-5, "{what}: gradient {i} of {}: {a} expected {b}", found.len());
                }
            }
            let bits: Vec<u32> = out.iter().chain(&dx).chain(&dd).map(|v| v.to_bits()).collect();
            assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{what}: other bits");
        }
    }
}

/// An infinite drive makes the membrane infinite for good: below, the neuron stays silent; above, it fires for ever, or, reset
/// to zero (infinity times 0), is NaN from the next step on. No other neuron is touched.
#[test]
fn an_infinite_drive_stays_with_its_neuron() {
    let (steps, neurons) = (6, 21);
    let shape = ScanShape::flat(steps, neurons);
    for config in configs() {
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let backend = CpuBackend::with_level(level).unwrap();
            let run = |x: &[f32]| {
                let mut out = vec![f32::NAN; x.len()];
                backend.lif(shape, &config, x, &[0.9], &mut out).unwrap();
                out
            };
            let mut x = normal("infinite", steps * neurons);
            let clean = run(&x);
            // In a vector, and in what is left over.
            for (n, drive) in
                [(3, f32::INFINITY), (9, f32::NEG_INFINITY), (19, f32::NEG_INFINITY), (20, f32::INFINITY)]
            {
                x[2 * neurons + n] = drive;
            }
            for (i, (found, clean)) in run(&x).into_iter().zip(clean).enumerate() {
                let what = format!("{}, {config:?}: element {i} is {found}", level.name());
                match (i / neurons, i % neurons) {
                    (2.., 9 | 19) => assert_eq!(found, 0.0, "{what}"),
                    (3.., 3 | 20) if config.lif.reset == Reset::Zero => assert!(found.is_nan(), "{what}"),
                    (2.., 3 | 20) => assert_eq!(found, 1.0, "{what}"),
                    _ => assert_eq!(found, clean, "{what}"),
                }
            }
        }
    }
}

/// A clip of no steps has no gradient to give; it is no error.
#[test]
fn no_steps_are_no_work() {
    for config in configs() {
        let mut grad_decay = [f32::NAN];
        let backend = CpuBackend::default();
        let shape = ScanShape::flat(0, 3);
        backend.lif_gradient(shape, &config, &[], &[0.9], &[], &mut [], &mut grad_decay).unwrap();
        assert_eq!(grad_decay, [0.0]);
    }
}

#[test]
fn settings_without_meaning_are_refused() {
    let x = Tensor::zeros((2, 1, 1, 3), DType::F32, &Device::Cpu).unwrap();
    let decay = Tensor::new(&[0.9_f32], &Device::Cpu).unwrap();
    let message = |config: LifConfig| lif_scan(&x, &decay, &config).unwrap_err().to_string();
    let fine = LifConfig::default();
    assert!(lif_scan(&x, &decay, &fine).is_ok());
    assert_eq!(
        message(LifConfig { threshold: 0.0, ..fine }),
        "threshold: expected a positive finite number, found 0"
    );
    assert_eq!(
        message(LifConfig { surrogate_alpha: f64::NAN, ..fine }),
        "surrogate_alpha: expected a positive finite number, found NaN"
    );
    let wrong = AlifConfig { lif: fine, adaptation_decay: 1.0, adaptation_strength: 0.1 };
    assert_eq!(
        alif_scan(&x, &decay, &wrong).unwrap_err().to_string(),
        "adaptation_decay: expected a number in [0, 1), found 1"
    );
}
