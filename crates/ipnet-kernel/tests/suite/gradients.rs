//! The gradient of the candle operation, in `f64`.

use crate::cases::{config, laws, normal, without_reset};
use crate::{cases, composed};
use candle_core::{DType, Device, Tensor, Var};
use ipnet_kernel::{
    Firing, ReferenceBackend, ScanConfig, ScanShape, ThermalForward, ThermalScan, thermal_scan,
    thermal_scan_from,
};

fn wide(name: &str, len: usize) -> Vec<f64> {
    normal(name, len).into_iter().map(f64::from).collect()
}

fn var(values: &[f64], dims: &[usize]) -> Var {
    Var::from_tensor(&Tensor::from_slice(values, dims, &Device::Cpu).unwrap()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// With `L = sum_t,n w y + sum_i,n w' T_i(T)` and a central difference of step h,
/// `dL/dz = (L(z + h) - L(z - h)) / 2h + O(h^2) + O(eps L / h)`: about 1e-9 here for h = 1e-6.
/// L is computed by the reference, which shares nothing with the kernels but the draws.
#[test]
fn every_gradient_is_that_of_finite_differences() {
    let shape = ScanShape { steps: 6, batch: 1, channels: 2, inner: 3 };
    let (neurons, dims) = (shape.neurons(), [shape.steps, 1, shape.channels, shape.inner]);
    for (name, law) in laws() {
        let config = config(&law, Firing::Expected);
        let scan = ThermalScan::new(&config, shape).unwrap();
        let poles = scan.poles();
        let heat: Vec<f64> = wide("heat", poles * neurons).iter().map(|z| 10.0 * z.abs() + 1.0).collect();
        let mut inputs = [wide("x", shape.elements()), vec![0.31, 0.38], vec![0.45, 0.41], heat];
        let (w, v) = (wide("w", shape.elements()), wide("v", poles * neurons));
        let loss = |inputs: &[Vec<f64>; 4]| {
            let [x, gain, bias, heat] = inputs;
            let mut out = vec![0.0; x.len()];
            let io = ThermalForward { x, gain, bias, heat: Some(heat), out: &mut out, final_heat: None };
            let last = ReferenceBackend::forward(&scan, io).unwrap();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(&out, &w) + dot(&last, &v)
        };

        let state_dims = [poles, 1, shape.channels, shape.inner];
        let vars = [
            var(&inputs[0], &dims),
            var(&inputs[1], &[2]),
            var(&inputs[2], &[2]),
            var(&inputs[3], &state_dims),
        ];
        let [x, gain, bias, state] = &vars;
        let (out, last) = thermal_scan_from(x, gain, bias, state, &config).unwrap();
        let weighted = |values: &Tensor, weights: &[f64]| {
            let weights = Tensor::from_slice(weights, values.shape(), &Device::Cpu).unwrap();
            (values * weights).unwrap().sum_all().unwrap()
        };
        let total = (weighted(&out, &w) + weighted(&last, &v)).unwrap();
        assert!((values(&total)[0] - loss(&inputs)).abs() < 1e-9, "{name}: the loss itself");
        let grads = total.backward().unwrap();

        for (which, what) in ["x", "gain", "bias", "heat"].into_iter().enumerate() {
            let analytic = values(grads.get(vars[which].as_tensor()).expect("a gradient for every variable"));
            for at in 0..inputs[which].len() {
                let h = if what == "heat" { 1e-4 } else { 1e-6 };
                let z = inputs[which][at];
                inputs[which][at] = z + h;
                let above = loss(&inputs);
                inputs[which][at] = z - h;
                let below = loss(&inputs);
                inputs[which][at] = z;
                let numeric = (above - below) / (2.0 * h);
                let off = (analytic[at] - numeric).abs() / numeric.abs().max(1.0);
                assert!(off < 1e-6, "{name}: dL/d{what}[{at}] = {} but {numeric}", analytic[at]);
            }
        }
    }
}

/// The same graph as a loop of candle operations, differentiated by candle, gives the same numbers: firing
/// expected and sampled (`s = p + stop_gradient(s - p)`), with and without heat from the firing.
#[test]
fn the_operation_is_the_composition_of_candle_operations() {
    let dims = [5, 2, 3, 4];
    let shape = ScanShape::of(&dims).unwrap();
    let mut compared = 0;
    for poles in 1..=3 {
        for exponent in [1.0, 2.0, 1.5] {
            let law = cases::law(poles, exponent);
            for law in [without_reset(law.clone()), law] {
                for firing in [Firing::Expected, Firing::Sampled] {
                    let config = ScanConfig { step_offset: 2, ..config(&law, firing) };
                    let x = var(&wide("composed", shape.elements()), &dims);
                    let (gain, bias) = (var(&[0.3, 0.35, 0.4], &[3]), var(&[0.5, 0.45, 0.4], &[3]));
                    let w =
                        Tensor::from_slice(&wide("w", shape.elements()), &dims[..], &Device::Cpu).unwrap();
                    let run = |y: Tensor| {
                        let grads = (&y * &w).unwrap().sum_all().unwrap().backward().unwrap();
                        let of = |var: &Var| values(grads.get(var.as_tensor()).expect("a gradient"));
                        [values(&y), of(&x), of(&gain), of(&bias)]
                    };
                    let found = run(thermal_scan(&x, &gain, &bias, &config).unwrap());
                    let expected = run(composed::thermal(&x, &gain, &bias, &config).unwrap());
                    for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
                        let off = (a - b).abs() / b.abs().max(1.0);
                        assert!(off < 1e-9, "{poles} poles, b = {exponent}, {firing:?}: {a} expected {b}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert_eq!(compared, 36 * (2 * shape.elements() + 6));
}

/// A frozen argument costs no gradient and gets none; a channels-last view is as good as a contiguous tensor.
#[test]
fn only_what_is_trained_gets_a_gradient_and_views_are_read_right() {
    let law = cases::law(1, 1.0);
    let config = config(&law, Firing::Expected);
    let device = Device::Cpu;
    let x = Tensor::from_slice(&normal("view", 4 * 2 * 3 * 5), (4, 2, 5, 3), &device).unwrap();
    let view = x.transpose(2, 3).unwrap();
    let gain = Var::from_slice(&[0.3_f32, 0.35, 0.4], 3, &device).unwrap();
    let bias = Tensor::new(&[0.4_f32, 0.45, 0.5], &device).unwrap();
    let y = thermal_scan(&view, &gain, &bias, &config).unwrap();
    let same = thermal_scan(&view.contiguous().unwrap(), &gain, &bias, &config).unwrap();
    assert_eq!(values(&y), values(&same));
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(gain.as_tensor()).is_some());
    assert!(grads.get(&bias).is_none() && grads.get(&x).is_none());
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let config = config(&cases::law(1, 1.0), Firing::Expected);
    let device = Device::Cpu;
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &device).unwrap();
    let message =
        |x: &Tensor, gain: &Tensor| thermal_scan(x, gain, &zeros(&[3]), &config).unwrap_err().to_string();
    let x = zeros(&[2, 1, 3, 4]);
    assert_eq!(message(&x, &zeros(&[4])), "gain: expected [3], found [4]");
    assert_eq!(message(&zeros(&[3]), &zeros(&[3])), "x: expected [T, N] or [T, B, C, ...], found [3]");
    let wide = zeros(&[3]).to_dtype(DType::F64).unwrap();
    assert_eq!(message(&x, &wide), "gain: expected elements of F32 as x has, found F64");
    let half = |t: &Tensor| t.to_dtype(DType::F16).unwrap();
    let refused = thermal_scan(&half(&x), &half(&zeros(&[3])), &half(&zeros(&[3])), &config).unwrap_err();
    assert!(refused.to_string().contains("elements of f32"), "{refused}");
    let short =
        thermal_scan_from(&x, &zeros(&[3]), &zeros(&[3]), &zeros(&[2, 1, 3, 4]), &config).unwrap_err();
    assert_eq!(short.to_string(), "heat: expected [1, 1, 3, 4], found [2, 1, 3, 4]");
}
