//! The LIF baselines: against the composition of candle operations, in `f64`, and their own rules.

use crate::cases::normal;
use crate::composed;
use candle_core::{DType, Device, Tensor, Var};
use ipnet_kernel::{
    AlifConfig, CpuBackend, LifConfig, Reset, ScanShape, alif_scan, alif_scan_from, lif_scan,
};

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn configs() -> Vec<AlifConfig> {
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
