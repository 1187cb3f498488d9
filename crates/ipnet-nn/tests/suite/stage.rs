//! conv_stage: the chain convolution, neurons, average pool, with the neurons of each kind.

use std::sync::Arc;

use candle_core::Tensor;
use ipnet_device::{Arrhenius, HeatPole, Spread, StepLaw, Switching};
use ipnet_kernel::{LifConfig, ReferenceBackend, ScanConfig, ScanShape, ThermalForward, ThermalScan};
use ipnet_nn::*;

use crate::support::{Array, check, relative_error, values};

const T: usize = 3;
const B: usize = 2;
const C: usize = 2;
const O: usize = 3;
const SIDE: [usize; 2] = [5, 6];

/// A law with (or without) heat of a firing.
pub fn law(reset_k: f64) -> Arc<StepLaw> {
    Arc::new(StepLaw {
        dt_s: 1.0,
        t_amb_k: 2.0,
        v_max_v: 1.1,
        poles: vec![HeatPole { decay: 0.8, heat_k_per_v2: 0.35, reset_k }],
        self_heat_k_per_v2: 0.0,
        switching: Switching::Arrhenius(Arrhenius {
            log_attempts: 3.912_023,
            barrier: [20.0, 0.0, 0.0],
            v_critical: [1.4, -0.1, 0.0],
            exponent: 1.0,
        }),
        spread: Spread::default(),
    })
}

fn inputs(name: &str) -> [Array; 3] {
    [
        Array::normal(&format!("{name}/x"), &[T, B, C, SIDE[0], SIDE[1]]),
        Array::normal(&format!("{name}/w"), &[O, C, 3, 3]).scaled(0.2, 0.0),
        Array::normal(&format!("{name}/b"), &[O]).scaled(0.2, 0.0),
    ]
}

/// Convolution with padding 1 in f64: `[T, B, O, H, W]`.
fn conv(x: &[f64], w: &[f64], bias: &[f64]) -> Vec<f64> {
    let [h, width] = SIDE;
    let mut y = Vec::new();
    for x in x.chunks_exact(C * h * width) {
        for o in 0..O {
            for at in 0..h * width {
                let (row, column) = (at / width, at % width);
                let mut sum = bias[o];
                for (tap, w) in w[o * C * 9..(o + 1) * C * 9].iter().enumerate() {
                    let (i, u, v) = (tap / 9, tap / 3 % 3, tap % 3);
                    let (r, c) = ((row + u).wrapping_sub(1), (column + v).wrapping_sub(1));
                    if r < h && c < width {
                        sum += w * x[(i * h + r) * width + c];
                    }
                }
                y.push(sum);
            }
        }
    }
    y
}

/// 2x2 averages of the planes of `z`, the last odd row left out.
fn pool(z: &[f64]) -> Vec<f64> {
    let [h, width] = SIDE;
    let mut y = Vec::new();
    for z in z.chunks_exact(h * width) {
        for cell in 0..(h / 2) * (width / 2) {
            let at = cell / (width / 2) * 2 * width + cell % (width / 2) * 2;
            y.push((z[at] + z[at + 1] + z[at + width] + z[at + width + 1]) / 4.0);
        }
    }
    y
}

/// `y = pool(max(0, z))`, and for a pool of 1 the rectifier alone.
#[test]
fn rectified_stage_follows_its_formula() {
    let all = inputs("stage/relu");
    let stage = |t: &[Tensor], k| conv_stage(&t[0], &t[1], &t[2], 1, Neurons::Relu, k).unwrap();
    let rectify =
        |p: &[Vec<f64>]| conv(&p[0], &p[1], &p[2]).into_iter().map(|z| z.max(0.0)).collect::<Vec<_>>();
    check("stage/relu", &all, 1e-5, |t| stage(t, 2), |p| pool(&rectify(p)));
    check("stage/relu/1", &all, 1e-5, |t| stage(t, 1), rectify);
}

/// `y = pool(p)`, p the switching probability by the f64 reference of the law, with and without heat of a firing.
#[test]
fn thermal_stage_follows_its_formula() {
    for reset_k in [0.0, 0.4] {
        let [x, w, b] = inputs("stage/thermal");
        let gain = Array::normal("stage/gain", &[O]).scaled(0.05, 0.35);
        let bias = Array::normal("stage/bias", &[O]).scaled(0.02, 0.45);
        let config = ScanConfig::expected(law(reset_k));
        let shape = ScanShape { steps: T, batch: B, channels: O, inner: SIDE[0] * SIDE[1] };
        let scan = ThermalScan::new(&config, shape).unwrap();
        check(
            "stage/thermal",
            &[x, w, b, gain, bias],
            3e-5,
            |t| {
                let neurons = Neurons::Thermal { gain: &t[3], bias: &t[4], config: &config };
                conv_stage(&t[0], &t[1], &t[2], 1, neurons, 2).unwrap()
            },
            |p| {
                let z = conv(&p[0], &p[1], &p[2]);
                let mut out = vec![0.0; z.len()];
                let io = ThermalForward {
                    x: &z,
                    gain: &p[3],
                    bias: &p[4],
                    heat: None,
                    out: &mut out,
                    final_heat: None,
                };
                ReferenceBackend::forward(&scan, io).unwrap();
                pool(&out)
            },
        );
    }
}

/// The stage and its three parts, value and gradients, where a surrogate gradient has no finite difference.
#[test]
fn lif_stage_equals_its_parts() {
    let config = LifConfig::default();
    let run = |fused: bool| {
        let [x, w, b] = inputs("stage/lif").map(|array| array.scaled(1.5, 0.1).var());
        let decay = Array::normal("stage/decay", &[O]).scaled(0.05, 0.8).var();
        let y = if fused {
            conv_stage(&x, &w, &b, 1, Neurons::Lif { decay: &decay, config: &config }, 2).unwrap()
        } else {
            let z = conv2d(&x, &w, Some(&b), 1, 1).unwrap();
            avg_pool2d(&ipnet_kernel::lif_scan(&z, &decay, &config).unwrap(), 2).unwrap()
        };
        let c = Array::normal("stage/lif/c", y.dims()).var();
        let grads = (&y * c.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
        let mut all = vec![values(&y)];
        all.extend([&x, &w, &b, &decay].map(|var| values(grads.get(var).unwrap())));
        all
    };
    let (fused, parts) = (run(true), run(false));
    assert!(parts[0].iter().any(|y| *y > 0.0), "no neuron fires");
    for (fused, parts) in fused.iter().zip(&parts) {
        let parts: Vec<f64> = parts.iter().map(|x| f64::from(*x)).collect();
        let error = relative_error(fused, &parts);
        assert!(error <= 1e-6, "off by {error:.2e}");
    }
}

/// A neuron parameter of another length, a frame that is not `[T, B, C, H, W]`, a pool larger than the plane.
#[test]
fn stage_refuses_what_does_not_fit() {
    let [x, w, b] = inputs("stage/refused").map(|array| array.var().as_tensor().clone());
    let short = b.narrow(0, 0, 2).unwrap();
    let neurons = Neurons::Lif { decay: &short, config: &LifConfig::default() };
    let error = conv_stage(&x, &w, &b, 1, neurons, 2).unwrap_err().to_string();
    assert!(error.contains("[3]") && error.contains("[2]"), "{error}");
    assert!(conv_stage(&x.flatten(0, 1).unwrap(), &w, &b, 1, Neurons::Relu, 2).is_err());
    let error = conv_stage(&x, &w, &b, 1, Neurons::Relu, 6).unwrap_err().to_string();
    assert!(error.contains("at least 6 x 6") && error.contains("5 x 6"), "{error}");
}
