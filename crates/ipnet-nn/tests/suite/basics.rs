//! Normalisation, activation, pooling, affine map, loss, dropout, mean over time.

use candle_core::{Device, Tensor};
use ipnet_nn::*;

use crate::support::{Array, check, relative_error, values};

/// `y = max(x, 0)`.
#[test]
fn relu_is_the_positive_part() {
    check(
        "relu",
        &[Array::normal("relu", &[3, 5, 7])],
        1e-6,
        |t| relu(&t[0]).unwrap(),
        |p| p[0].iter().map(|x| x.max(0.0)).collect(),
    );
}

/// `y = max(a + b, 0)`, the same gradient for both.
#[test]
fn add_relu_is_the_positive_part_of_the_sum() {
    check(
        "add_relu",
        &[Array::normal("add_relu/a", &[3, 5, 7]), Array::normal("add_relu/b", &[3, 5, 7])],
        1e-6,
        |t| add_relu(&t[0], &t[1]).unwrap(),
        |p| p[0].iter().zip(&p[1]).map(|(a, b)| (a + b).max(0.0)).collect(),
    );
}

#[test]
fn a_nan_passes_through_relu_pooling_and_the_loss() {
    let x = Tensor::new(&[[[1.0_f32, f32::NAN], [2.0, 3.0]]], &Device::Cpu).unwrap();
    assert!(values(&relu(&x).unwrap())[1].is_nan());
    assert!(values(&max_pool2d(&x, 2).unwrap())[0].is_nan());
    assert!(values(&avg_pool2d(&x, 2).unwrap())[0].is_nan());
    let loss = cross_entropy(&x.reshape((2, 2)).unwrap(), &[0, 1], 0.0).unwrap();
    assert!(loss.to_scalar::<f32>().unwrap().is_nan());
    let one = Tensor::ones(2, candle_core::DType::F32, &Device::Cpu).unwrap();
    let (_, stats) = batch_norm(&x, &one, &one, 1e-5).unwrap();
    assert!(stats.var[0].is_nan());
}

/// `y = x w^T + b`, with leading dimensions folded.
#[test]
fn linear_is_an_affine_map_of_the_last_dimension() {
    let (rows, n_in, n_out) = (2 * 3, 4, 5);
    let reference = |p: &[Vec<f64>]| -> Vec<f64> {
        let mut y = Vec::new();
        for n in 0..rows {
            for o in 0..n_out {
                let bias = p.get(2).map_or(0.0, |b| b[o]);
                y.push(bias + (0..n_in).map(|i| p[0][n * n_in + i] * p[1][o * n_in + i]).sum::<f64>());
            }
        }
        y
    };
    let inputs = [
        Array::normal("linear/x", &[2, 3, n_in]),
        Array::normal("linear/w", &[n_out, n_in]),
        Array::normal("linear/b", &[n_out]),
    ];
    check("linear", &inputs, 1e-5, |t| linear(&t[0], &t[1], Some(&t[2])).unwrap(), reference);
    check("linear without bias", &inputs[..2], 1e-5, |t| linear(&t[0], &t[1], None).unwrap(), reference);
}

/// A product of several parts of rows, `y = x w^T` in f64.
#[test]
fn linear_joins_its_parts() {
    let (rows, n_in, n_out) = (301, 33, 47);
    let (x, w) = (Array::normal("parts/x", &[rows, n_in]), Array::normal("parts/w", &[n_out, n_in]));
    let y = linear(&x.var(), &w.var(), None).unwrap();
    let expected: Vec<f64> = (0..rows * n_out)
        .map(|at| (0..n_in).map(|i| x.data[at / n_out * n_in + i] * w.data[at % n_out * n_in + i]).sum())
        .collect();
    assert!(relative_error(&values(&y), &expected) < 1e-5);
}

fn batch_norm_f64(p: &[Vec<f64>], [n, c, plane]: [usize; 3], eps: f64) -> Vec<f64> {
    let mut y = vec![0.0; n * c * plane];
    for channel in 0..c {
        let at = |i: usize| (i / plane * c + channel) * plane + i % plane;
        let m = (n * plane) as f64;
        let mean = (0..n * plane).map(|i| p[0][at(i)]).sum::<f64>() / m;
        let var = (0..n * plane).map(|i| (p[0][at(i)] - mean).powi(2)).sum::<f64>() / m;
        for i in 0..n * plane {
            y[at(i)] = p[1][channel] * (p[0][at(i)] - mean) / (var + eps).sqrt() + p[2][channel];
        }
    }
    y
}

/// `y = gamma (x - mean) / sqrt(var + eps) + beta` with the batch's mean and biased variance.
#[test]
fn batch_norm_differentiates_through_its_statistics() {
    for dims in [&[3, 2, 4, 3][..], &[5, 3], &[2, 3, 7]] {
        let [n, c, plane] = [dims[0], dims[1], dims[2..].iter().product()];
        let inputs = [
            Array::normal("bn/x", dims).scaled(2.0, 0.7),
            Array::normal("bn/gamma", &[c]),
            Array::normal("bn/beta", &[c]),
        ];
        check(
            &format!("batch_norm {dims:?}"),
            &inputs,
            2e-5,
            |t| batch_norm(&t[0], &t[1], &t[2], 1e-5).unwrap().0,
            |p| batch_norm_f64(p, [n, c, plane], 1e-5),
        );
    }
}

#[test]
fn batch_statistics_hold_for_a_channel_with_a_large_mean() {
    let x = Array::normal("bn/large", &[4, 1, 9, 9]).scaled(1.0, 1000.0);
    let one = Tensor::ones(1, candle_core::DType::F32, &Device::Cpu).unwrap();
    let (_, stats) = batch_norm(&x.var(), &one, &one, 1e-5).unwrap();
    let m = x.data.len() as f64;
    let mean = x.data.iter().sum::<f64>() / m;
    let var = x.data.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / m;
    assert_eq!(stats.count, x.data.len());
    assert!((f64::from(stats.mean[0]) - mean).abs() < 1e-4);
    assert!((f64::from(stats.var[0]) - var).abs() < 1e-4 * var, "{} {var}", stats.var[0]);
    assert!((f64::from(stats.unbiased_var()[0]) - var * m / (m - 1.0)).abs() < 1e-4 * var);
}

/// With given statistics `y = gamma (x - mean) / sqrt(var + eps) + beta`, the statistics being constants.
#[test]
fn batch_norm_eval_uses_the_given_statistics() {
    let (mean, var) = ([0.5_f32, -1.0], [2.0_f32, 0.25]);
    let inputs = [
        Array::normal("bne/x", &[3, 2, 2, 3]),
        Array::normal("bne/gamma", &[2]),
        Array::normal("bne/beta", &[2]),
    ];
    check(
        "batch_norm_eval",
        &inputs,
        1e-5,
        |t| batch_norm_eval(&t[0], &t[1], &t[2], &mean, &var, 1e-5).unwrap(),
        |p| {
            let normal = |(i, x): (usize, &f64)| {
                let c = i / 6 % 2;
                p[1][c] * (x - f64::from(mean[c])) / (f64::from(var[c]) + 1e-5).sqrt() + p[2][c]
            };
            p[0].iter().enumerate().map(normal).collect()
        },
    );
}

fn pool_f64(x: &[f64], [planes, h, w]: [usize; 3], k: usize, reduce: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut y = Vec::new();
    for plane in 0..planes {
        for (r, c) in (0..h / k).flat_map(|r| (0..w / k).map(move |c| (r, c))) {
            let cells: Vec<f64> =
                (0..k * k).map(|i| x[(plane * h + r * k + i / k) * w + c * k + i % k]).collect();
            y.push(reduce(&cells));
        }
    }
    y
}

/// `y = mean` and `y = max` of each window; what fills no window has gradient 0.
#[test]
fn pools_reduce_windows_and_leave_out_the_rest() {
    for (dims, k) in [([2, 3, 4, 6], 2), ([1, 2, 5, 7], 2), ([2, 1, 7, 6], 3), ([1, 2, 2, 3], 1)] {
        let x = [Array::normal("pool", &dims)];
        let planes = [dims[0] * dims[1], dims[2], dims[3]];
        check(
            &format!("avg_pool2d {dims:?} {k}"),
            &x,
            1e-6,
            |t| avg_pool2d(&t[0], k).unwrap(),
            |p| pool_f64(&p[0], planes, k, |cells| cells.iter().sum::<f64>() / cells.len() as f64),
        );
        check(
            &format!("max_pool2d {dims:?} {k}"),
            &x,
            1e-6,
            |t| max_pool2d(&t[0], k).unwrap(),
            |p| pool_f64(&p[0], planes, k, |cells| cells.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        );
    }
}

/// At a tie the whole gradient goes to the first maximum.
#[test]
fn max_pool_gives_a_tie_to_the_first() {
    let x = Array { dims: vec![1, 1, 2, 2], data: vec![1.0, 2.0, 2.0, 0.0] }.var();
    let grads = max_pool2d(&x, 2).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(values(grads.get(&x).unwrap()), [0.0, 1.0, 0.0, 0.0]);
}

/// Cell `i` of `n_out` averages rows `floor(i n / n_out) .. ceil((i + 1) n / n_out)`.
#[test]
fn adaptive_pool_averages_overlapping_cells() {
    for (h, w, ho, wo) in [(6, 4, 3, 2), (5, 7, 2, 3), (3, 3, 1, 1), (2, 3, 4, 3)] {
        let range = |i: usize, n: usize, o: usize| (i * n / o, ((i + 1) * n).div_ceil(o));
        check(
            &format!("adaptive {h}x{w} to {ho}x{wo}"),
            &[Array::normal("adaptive", &[2, h, w])],
            1e-5,
            |t| adaptive_avg_pool2d(&t[0], ho, wo).unwrap(),
            |p| {
                let mut y = Vec::new();
                for (plane, i, j) in
                    (0..2).flat_map(|n| (0..ho).flat_map(move |i| (0..wo).map(move |j| (n, i, j))))
                {
                    let ((r0, r1), (c0, c1)) = (range(i, h, ho), range(j, w, wo));
                    let cells = (r0..r1).flat_map(|r| (c0..c1).map(move |c| (plane * h + r) * w + c));
                    y.push(cells.map(|at| p[0][at]).sum::<f64>() / ((r1 - r0) * (c1 - c0)) as f64);
                }
                y
            },
        );
    }
}

/// `L = -1/B sum q ln softmax(z)`, `q = (1 - a) [k = target] + a / K`.
#[test]
fn cross_entropy_smooths_its_targets() {
    let targets = [2, 0, 3];
    for smoothing in [0.0, 0.1] {
        check(
            &format!("cross_entropy {smoothing}"),
            &[Array::normal("logits", &[3, 4]).scaled(3.0, 0.0)],
            1e-5,
            |t| cross_entropy(&t[0], &targets, smoothing).unwrap(),
            |p| {
                let mut loss = 0.0;
                for (z, &target) in p[0].chunks(4).zip(&targets) {
                    let log_sum = z.iter().map(|z| z.exp()).sum::<f64>().ln();
                    for (k, z) in z.iter().enumerate() {
                        let hit = if k == target as usize { 1.0 - smoothing } else { 0.0 };
                        loss -= (hit + smoothing / 4.0) * (z - log_sum) / 3.0;
                    }
                }
                vec![loss]
            },
        );
    }
}

#[test]
fn cross_entropy_holds_for_logits_of_thousands() {
    let logits = Tensor::new(&[[5000.0_f32, 0.0], [-5000.0, 0.0]], &Device::Cpu).unwrap();
    let loss = cross_entropy(&logits, &[0, 0], 0.0).unwrap().to_scalar::<f32>().unwrap();
    assert_eq!(loss, 2500.0);
}

/// `y = x m / (1 - p)`: the mask read off at x = 1 is the one that the value and the gradient at x use.
#[test]
fn dropout_scales_what_it_keeps() {
    let at = DropoutAt { seed: 5, layer: 1, step: 9 };
    let dims = [3, 7];
    let ones = Tensor::ones(&dims, candle_core::DType::F32, &Device::Cpu).unwrap();
    let mask: Vec<f64> = values(&dropout(&ones, 0.3, at).unwrap()).iter().map(|&m| f64::from(m)).collect();
    assert!(mask.iter().all(|&m| m == 0.0 || (m - 1.0 / 0.7).abs() < 1e-6));
    check(
        "dropout",
        &[Array::normal("dropout", &dims)],
        1e-6,
        |t| dropout(&t[0], 0.3, at).unwrap(),
        |p| p[0].iter().zip(&mask).map(|(x, m)| x * m).collect(),
    );
}

/// The number kept of `n` is Binomial(n, 1 - p): within five standard deviations; another step draws another mask.
#[test]
fn dropout_keeps_the_share_it_should() {
    let n = 100_003;
    let ones = Tensor::ones(n, candle_core::DType::F32, &Device::Cpu).unwrap();
    let mask = |step| values(&dropout(&ones, 0.25, DropoutAt { seed: 5, layer: 0, step }).unwrap());
    let kept = mask(0).iter().filter(|&&m| m != 0.0).count() as f64;
    let sd = (n as f64 * 0.25 * 0.75).sqrt();
    assert!((kept - 0.75 * n as f64).abs() < 5.0 * sd, "{kept} of {n}");
    assert_eq!(mask(0), mask(0));
    assert_ne!(mask(0), mask(1));
}

/// `y = 1/T sum_t x[t]`.
#[test]
fn mean_over_time_averages_steps() {
    check(
        "mean_over_time",
        &[Array::normal("mean", &[3, 2, 4])],
        1e-6,
        |t| mean_over_time(&t[0]).unwrap(),
        |p| (0..8).map(|i| (p[0][i] + p[0][8 + i] + p[0][16 + i]) / 3.0).collect(),
    );
}

/// `y = avg_2x2(max(0, batch_norm(x)))`; odd rows and columns count in the statistics and stand in no window.
#[test]
fn the_fused_stage_is_normalisation_relu_and_pool() {
    let fused = |p: &[Vec<f64>], [n, c, h, w]: [usize; 4], v: Vec<f64>| {
        let rectified: Vec<f64> = v.iter().map(|v| v.max(0.0)).collect();
        assert_eq!(p[1].len(), c);
        pool_f64(&rectified, [n * c, h, w], 2, |cells| cells.iter().sum::<f64>() / 4.0)
    };
    for dims in [[3, 2, 4, 6], [2, 3, 5, 7], [1, 1, 2, 2], [4, 2, 3, 2]] {
        let [n, c, h, w] = dims;
        let inputs = [
            Array::normal("stage/x", &dims).scaled(2.0, 0.7),
            Array::normal("stage/gamma", &[c]),
            Array::normal("stage/beta", &[c]),
        ];
        check(
            &format!("batch_norm_relu_pool {dims:?}"),
            &inputs,
            5e-5,
            |t| batch_norm_relu_pool(&t[0], &t[1], &t[2], 1e-2).unwrap().0,
            |p| fused(p, dims, batch_norm_f64(p, [n, c, h * w], 1e-2)),
        );
        let (mean, var) = (vec![0.5_f32; c], vec![2.0_f32; c]);
        check(
            &format!("batch_norm_relu_pool_eval {dims:?}"),
            &inputs,
            1e-5,
            |t| batch_norm_relu_pool_eval(&t[0], &t[1], &t[2], &mean, &var, 1e-2).unwrap(),
            |p| {
                let v = |(i, x): (usize, &f64)| {
                    let channel = i / (h * w) % c;
                    p[1][channel] * (x - 0.5) / 2.01_f64.sqrt() + p[2][channel]
                };
                fused(p, dims, p[0].iter().enumerate().map(v).collect())
            },
        );
    }
}

/// A convolution joined to what follows it is the two of them, to the bit, gradients too.
#[test]
fn a_convolution_joined_to_its_norm_is_the_two_of_them() {
    for ([n, c, h, w], out, padding) in
        [([5, 3, 6, 9], 4, 1), ([18, 8, 12, 11], 16, 1), ([2, 2, 5, 5], 3, 0), ([3, 16, 4, 4], 8, 1)]
    {
        let vars = [
            Array::normal("joined/x", &[n, c, h, w]).var(),
            Array::normal("joined/w", &[out, c, 3, 3]).scaled(0.2, 0.0).var(),
            Array::normal("joined/gamma", &[out]).var(),
            Array::normal("joined/beta", &[out]).var(),
        ];
        let [x, w, gamma, beta] = &vars;
        let joined = conv_norm_relu_pool(x, w, gamma, beta, padding, 1e-3).unwrap();
        let z = conv2d(x, w, None, 1, padding).unwrap();
        let apart = batch_norm_relu_pool(&z, gamma, beta, 1e-3).unwrap();
        assert_eq!(joined.1, apart.1);
        let numbers = |y: &Tensor| -> Vec<Vec<f32>> {
            let weight = Array::normal("joined/weight", y.dims()).var();
            let gradients = (y * weight.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            [values(y)].into_iter().chain(vars.iter().map(|v| values(gradients.get(v).unwrap()))).collect()
        };
        assert_eq!(numbers(&joined.0), numbers(&apart.0));
    }
}

/// `y = avg_pool(max(x, 0), k)`.
#[test]
fn relu_and_pool_fused_equal_their_parts() {
    for (dims, k) in [([2, 3, 4, 6], 2), ([3, 2, 5, 7], 2), ([1, 2, 7, 6], 3)] {
        let [n, c, h, w] = dims;
        check(
            &format!("relu_avg_pool2d {dims:?} {k}"),
            &[Array::normal("relu_pool/x", &dims)],
            1e-6,
            |t| relu_avg_pool2d(&t[0], k).unwrap(),
            |p| {
                let rectified: Vec<f64> = p[0].iter().map(|x| x.max(0.0)).collect();
                pool_f64(&rectified, [n * c, h, w], k, |cells| cells.iter().sum::<f64>() / cells.len() as f64)
            },
        );
    }
}
