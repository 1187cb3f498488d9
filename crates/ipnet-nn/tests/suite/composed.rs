//! The compositions that stand for the operations on a GPU, computed by candle on the CPU: value and every gradient are those of
//! the own kernels, which the rest of this suite compares with f64.

use crate::support::{Array, relative_error, values};
use candle_core::{Device, Tensor, Var};
use ipnet_device::DeviceSet;
use ipnet_kernel::{LifConfig, ScanConfig};
use ipnet_nn::composed::forced;
use ipnet_nn::*;
use std::sync::Arc;

/// Rounding of sums in f32 that are added in another order, over the largest element.
const TOLERANCE: f64 = 1e-5;

/// Both ways give the same value, and the same gradient of `sum_i c_i y_i` (c fixed and random) in every input.
fn same(what: &str, inputs: &[Array], op: impl Fn(&[Tensor]) -> Tensor) {
    let run = |composed: bool| -> Vec<Vec<f32>> {
        let vars: Vec<Var> = inputs.iter().map(Array::var).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let y = if composed { forced(|| op(&tensors)) } else { op(&tensors) };
        let weights = Array::normal(&format!("{what}/weights"), y.dims());
        let c = Tensor::from_vec(weights.f32s(), y.dims(), &Device::Cpu).unwrap();
        let grads = (&y * c).unwrap().sum_all().unwrap().backward().unwrap();
        let of_input = |(index, var): (usize, &Var)| {
            values(grads.get(var).unwrap_or_else(|| panic!("{what}: no gradient for input {index}")))
        };
        let shape = y.dims().iter().map(|&side| side as f32).collect();
        [shape, values(&y)].into_iter().chain(vars.iter().enumerate().map(of_input)).collect()
    };
    for (index, (own, composed)) in run(false).iter().zip(run(true)).enumerate() {
        let expected: Vec<f64> = own.iter().map(|&x| f64::from(x)).collect();
        let error = relative_error(&composed, &expected);
        let of = ["shape".into(), "value".into()];
        let of = of.get(index).cloned().unwrap_or_else(|| format!("gradient of input {}", index - 2));
        assert!(error <= TOLERANCE, "{what}: {of} differs by {error:.2e}");
    }
}

fn array(name: &str, dims: &[usize]) -> Array {
    Array::normal(name, dims)
}

#[test]
fn convolutions_of_any_stride_kernel_and_plane() {
    for ([c_in, c_out], [h, w], [kh, kw], stride, padding) in [
        ([3, 5], [7, 10], [3, 3], 1, 1),
        ([9, 8], [9, 6], [3, 3], 1, 0),
        ([2, 4], [7, 10], [3, 3], 2, 1),
        ([4, 3], [8, 5], [1, 1], 2, 0),
        ([4, 3], [8, 5], [1, 1], 1, 0),
        ([2, 3], [9, 11], [3, 5], 3, 2),
        ([1, 2], [5, 5], [5, 5], 1, 0),
    ] {
        let what = format!("conv2d {h} x {w}, {kh} x {kw}, stride {stride}, padding {padding}");
        let inputs =
            [array("x", &[2, 3, c_in, h, w]), array("w", &[c_out, c_in, kh, kw]), array("b", &[c_out])];
        same(&what, &inputs, |t| conv2d(&t[0], &t[1], Some(&t[2]), stride, padding).unwrap());
        same(&what, &inputs[..2], |t| conv2d(&t[0], &t[1], None, stride, padding).unwrap());
    }
}

#[test]
fn convolutions_over_time() {
    for (steps, batch, k) in [(5, 2, 3), (1, 3, 3), (4, 1, 5), (3, 2, 1)] {
        let inputs = [array("x", &[steps, batch, 4, 3, 5]), array("w", &[6, 4, k]), array("b", &[6])];
        let what = format!("conv_time of {k} over {steps}");
        same(&what, &inputs, |t| conv_time(&t[0], &t[1], Some(&t[2])).unwrap());
        same(&what, &inputs[..2], |t| conv_time(&t[0], &t[1], None).unwrap());
        let inputs = [array("x", &[steps, batch, 4, 6, 5]), array("w", &[3, 4, k, 3, 3]), array("b", &[3])];
        for stride in [1, 2] {
            let what = format!("conv3d of {k} over {steps}, stride {stride}");
            same(&what, &inputs, |t| conv3d(&t[0], &t[1], Some(&t[2]), stride, 1).unwrap());
        }
    }
}

#[test]
fn normalisations_and_what_follows_them() {
    for shape in [vec![3, 4, 5, 7], vec![2, 2, 6, 4], vec![17, 3]] {
        let channels = shape[1];
        let parameters = [array("gamma", &[channels]).scaled(0.3, 1.0), array("beta", &[channels])];
        let inputs = [array("x", &shape).scaled(2.0, 0.7), parameters[0].clone(), parameters[1].clone()];
        let (mean, var) = (vec![0.3; channels], vec![1.7; channels]);
        same("batch_norm", &inputs, |t| batch_norm(&t[0], &t[1], &t[2], 1e-5).unwrap().0);
        same("eval", &inputs, |t| batch_norm_eval(&t[0], &t[1], &t[2], &mean, &var, 1e-5).unwrap());
        let groups = if channels % 2 == 0 { 2 } else { 1 };
        same("group_norm", &inputs, |t| group_norm(&t[0], &t[1], &t[2], groups, 1e-5).unwrap());
        if shape.len() < 4 {
            continue;
        }
        same("relu pool", &inputs, |t| batch_norm_relu_pool(&t[0], &t[1], &t[2], 1e-5).unwrap().0);
        same("relu pool eval", &inputs, |t| {
            batch_norm_relu_pool_eval(&t[0], &t[1], &t[2], &mean, &var, 1e-5).unwrap()
        });
        let [x, gamma, beta] = inputs;
        let inputs = [x, array("w", &[channels, channels, 3, 3]), gamma, beta];
        same("conv relu pool", &inputs, |t| {
            conv_norm_relu_pool(&t[0], &t[1], &t[2], &t[3], 1, 1e-5).unwrap().0
        });
    }
}

#[test]
fn statistics_are_read_back() {
    let tensors = [array("x", &[3, 4, 5, 7]).scaled(2.0, 9.0), array("gamma", &[4]), array("beta", &[4])];
    let [x, gamma, beta] = tensors.map(|array| array.var());
    let own = batch_norm(&x, &gamma, &beta, 1e-5).unwrap().1;
    let composed = forced(|| batch_norm(&x, &gamma, &beta, 1e-5).unwrap().1);
    assert_eq!(composed.count, own.count);
    for (a, b) in composed.mean.iter().zip(&own.mean).chain(composed.var.iter().zip(&own.var)) {
        assert!((a - b).abs() < 1e-5 * b.abs(), "{a} and {b}");
    }
}

#[test]
fn pools_of_sizes_that_do_and_do_not_divide() {
    for (dims, k) in [(vec![2, 3, 6, 8], 2), (vec![3, 7, 5], 2), (vec![2, 2, 10, 9], 3), (vec![4, 5], 1)] {
        let x = [array("x", &dims)];
        same("avg", &x, |t| avg_pool2d(&t[0], k).unwrap());
        same("max", &x, |t| max_pool2d(&t[0], k).unwrap());
        same("relu avg", &x, |t| relu_avg_pool2d(&t[0], k).unwrap());
        // Few different values, so that windows have ties.
        let mut ties = x[0].clone();
        ties.data.iter_mut().for_each(|x| *x = x.round());
        same("max with ties", &[ties], |t| max_pool2d(&t[0], k).unwrap());
        for [h, w] in [[1, 1], [2, 3], [4, 3]] {
            same("adaptive", &x, |t| adaptive_avg_pool2d(&t[0], h, w).unwrap());
        }
    }
}

#[test]
fn scans_step_by_step() {
    for (steps, batch, units) in [(5, 3, 4), (1, 2, 3), (7, 9, 1)] {
        let inputs = |gates: usize| {
            let rows = gates * units;
            let w = array("w", &[rows, units]).scaled(0.7, 0.0);
            [array("x", &[steps, batch, rows]), w, array("b", &[rows])]
        };
        same("lstm", &inputs(4), |t| lstm_scan(&t[0], &t[1], Some(&t[2])).unwrap());
        same("lstm without bias", &inputs(4)[..2], |t| lstm_scan(&t[0], &t[1], None).unwrap());
        same("gru", &inputs(3), |t| gru_scan(&t[0], &t[1], Some(&t[2])).unwrap());
        same("rnn", &inputs(1), |t| rnn_scan(&t[0], &t[1], Some(&t[2])).unwrap());
        let maps = [array("x", &[steps, batch, 8, 5, 3]), array("w", &[8, 2, 3, 3]).scaled(0.4, 0.0)];
        same("conv_lstm", &maps, |t| conv_lstm_scan(&t[0], &t[1]).unwrap());
        let traces = [array("x", &[steps, batch, units, 2, 3]), array("a", &[units]).scaled(0.05, 0.8)];
        same("ema", &traces, |t| ema_scan(&t[0], &t[1]).unwrap());
        same("ema of vectors", &[array("x", &[steps, batch, units]), traces[1].clone()], |t| {
            ema_scan(&t[0], &t[1]).unwrap()
        });
        same("mean", &traces[..1], |t| mean_over_time(&t[0]).unwrap());
    }
}

/// A gate far from 0 has a small gradient and no NaN.
#[test]
fn a_saturated_gate_has_a_gradient() {
    let inputs = [array("x", &[3, 2, 8]).scaled(300.0, 0.0), array("w", &[8, 2])];
    same("saturated lstm", &inputs, |t| lstm_scan(&t[0], &t[1], None).unwrap());
}

#[test]
fn dense_layers_losses_and_elementwise_operations() {
    let inputs = [array("x", &[4, 3, 5]), array("w", &[7, 5]), array("b", &[7])];
    same("linear", &inputs, |t| linear(&t[0], &t[1], Some(&t[2])).unwrap());
    same("linear without bias", &inputs[..2], |t| linear(&t[0], &t[1], None).unwrap());
    // With zeros, at which the rectifier is shut.
    let mut x = array("x", &[5, 6, 3]);
    x.data.iter_mut().step_by(4).for_each(|x| *x = 0.0);
    let other = array("y", &[5, 6, 3]);
    same("relu", &[x.clone()], |t| relu(&t[0]).unwrap());
    same("add_relu", &[x.clone(), other], |t| add_relu(&t[0], &t[1]).unwrap());
    let at = DropoutAt { seed: 3, layer: 1, step: 7 };
    for p in [0.0, 0.4] {
        same("dropout", &[x.clone()], |t| dropout(&t[0], p, at).unwrap());
    }
    for smoothing in [0.0, 0.1] {
        let logits = [array("logits", &[6, 5]).scaled(30.0, 0.0)];
        same("cross_entropy", &logits, |t| cross_entropy(&t[0], &[0, 4, 2, 2, 1, 3], smoothing).unwrap());
    }
}

/// What is not a number comes through the rectifier and the pools, and an infinity is no NaN.
#[test]
fn odd_numbers_come_through_as_in_the_kernels() {
    let odd = [f32::NAN, 1.0, f32::NEG_INFINITY, f32::INFINITY, -1.0, 0.0, f32::NAN, 2.0, f32::NAN];
    for turn in 0..odd.len() {
        let mut x = odd;
        x.rotate_left(turn);
        let x = Tensor::from_slice(&x, (1, 3, 3), &Device::Cpu).unwrap();
        for op in [relu, |x: &Tensor| max_pool2d(x, 3), |x: &Tensor| max_pool2d(x, 2)] {
            let (own, composed) = (values(&op(&x).unwrap()), values(&forced(|| op(&x).unwrap())));
            let bits = |values: &[f32]| values.iter().map(|x| (x.is_nan(), *x > 0.0)).collect::<Vec<_>>();
            assert_eq!(bits(&own), bits(&composed), "{own:?} and {composed:?}");
        }
    }
}

#[test]
fn stages_with_each_kind_of_neuron() {
    let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
    let config = ScanConfig::expected(law);
    let inputs = [
        array("x", &[4, 2, 3, 6, 7]),
        array("w", &[5, 3, 3, 3]).scaled(0.4, 0.0),
        array("b", &[5]),
        array("gain", &[5]).scaled(0.02, 0.3),
        array("bias", &[5]).scaled(0.02, 0.45),
    ];
    same("stage", &inputs[..3], |t| conv_stage(&t[0], &t[1], &t[2], 1, Neurons::Relu, 2).unwrap());
    let over_time =
        [array("film", &[6, 2, 8, 5, 6]), array("taps", &[9, 8, 3]).scaled(0.4, 0.0), array("b", &[9])];
    same("time stage", &over_time, |t| conv_time_stage(&t[0], &t[1], &t[2], 2).unwrap());
    same("thermal stage", &inputs, |t| {
        let neurons = Neurons::Thermal { gain: &t[3], bias: &t[4], config: &config };
        conv_stage(&t[0], &t[1], &t[2], 1, neurons, 2).unwrap()
    });
    same("lif stage", &inputs[..4], |t| {
        let neurons = Neurons::Lif { decay: &t[3], config: &LifConfig::default() };
        conv_stage(&t[0], &t[1], &t[2], 1, neurons, 3).unwrap()
    });
}

/// Nothing is kept of a pass that no gradient will be asked of.
#[test]
fn without_tracked_operands_there_is_no_graph() {
    let x = Tensor::from_vec(array("x", &[2, 3, 4, 4]).f32s(), (2, 3, 4, 4), &Device::Cpu).unwrap();
    let y = forced(|| max_pool2d(&relu(&x).unwrap(), 2).unwrap());
    assert!(!y.track_op());
}
