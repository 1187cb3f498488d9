//! Operations over time: recurrent scans, moving average, convolution over time, and group normalisation.

use ipnet_nn::*;

use crate::support::{Array, check, values};

const T: usize = 4;
const B: usize = 5;
const H: usize = 3;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `step(x gates, r gates, h, c)` over time for each row, with `r = w_hh h + b_hh` and gates as `[G][H]`.
fn scan_f64(p: &[Vec<f64>], gates: usize, step: impl Fn(&[f64], &[f64], &mut [f64], &mut [f64])) -> Vec<f64> {
    let mut y = vec![0.0; T * B * H];
    for b in 0..B {
        let (mut h, mut c) = (vec![0.0; H], vec![0.0; H]);
        for t in 0..T {
            let x = &p[0][(t * B + b) * gates * H..(t * B + b + 1) * gates * H];
            let r: Vec<f64> = (0..gates * H)
                .map(|g| {
                    p.get(2).map_or(0.0, |bias| bias[g]) + (0..H).map(|j| p[1][g * H + j] * h[j]).sum::<f64>()
                })
                .collect();
            step(x, &r, &mut h, &mut c);
            y[(t * B + b) * H..(t * B + b + 1) * H].copy_from_slice(&h);
        }
    }
    y
}

fn lstm_step(x: &[f64], r: &[f64], h: &mut [f64], c: &mut [f64]) {
    let units = h.len();
    for j in 0..units {
        let gate = |g: usize| x[g * units + j] + r[g * units + j];
        c[j] = sigmoid(gate(1)) * c[j] + sigmoid(gate(0)) * gate(2).tanh();
        h[j] = sigmoid(gate(3)) * c[j].tanh();
    }
}

fn inputs(gates: usize) -> [Array; 3] {
    [
        Array::normal("scan/x", &[T, B, gates * H]),
        Array::normal("scan/w", &[gates * H, H]).scaled(0.7, 0.0),
        Array::normal("scan/b", &[gates * H]),
    ]
}

/// `c' = f c + i g`, `h' = o tanh(c')`.
#[test]
fn lstm_back_propagates_through_all_steps() {
    let all = inputs(4);
    check(
        "lstm",
        &all,
        1e-5,
        |t| lstm_scan(&t[0], &t[1], Some(&t[2])).unwrap(),
        |p| scan_f64(p, 4, lstm_step),
    );
    check(
        "lstm, no b_hh",
        &all[..2],
        1e-5,
        |t| lstm_scan(&t[0], &t[1], None).unwrap(),
        |p| scan_f64(p, 4, lstm_step),
    );
}

/// A single step never sees the recurrent weight: its gradient is zero, for more gates than fit one part.
#[test]
fn one_step_gives_the_recurrent_weight_no_gradient() {
    let (x, w) = (Array::normal("one/x", &[1, 2, 40]).var(), Array::normal("one/w", &[40, 10]).var());
    let grads = lstm_scan(&x, &w, None).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(values(grads.get(&w).unwrap()), [0.0; 400]);
}

/// `h' = (1 - z) n + z h`, `n = tanh(x_n + r (w_n h + b_n))`.
#[test]
fn gru_back_propagates_through_all_steps() {
    let step = |x: &[f64], r: &[f64], h: &mut [f64], _: &mut [f64]| {
        for j in 0..H {
            let (reset, z) = (sigmoid(x[j] + r[j]), sigmoid(x[H + j] + r[H + j]));
            let n = (x[2 * H + j] + reset * r[2 * H + j]).tanh();
            h[j] = (1.0 - z) * n + z * h[j];
        }
    };
    check(
        "gru",
        &inputs(3),
        1e-5,
        |t| gru_scan(&t[0], &t[1], Some(&t[2])).unwrap(),
        |p| scan_f64(p, 3, step),
    );
}

/// `h' = tanh(x + w h + b)`.
#[test]
fn rnn_back_propagates_through_all_steps() {
    let step = |x: &[f64], r: &[f64], h: &mut [f64], _: &mut [f64]| {
        for j in 0..H {
            h[j] = (x[j] + r[j]).tanh();
        }
    };
    check(
        "rnn",
        &inputs(1),
        1e-5,
        |t| rnn_scan(&t[0], &t[1], Some(&t[2])).unwrap(),
        |p| scan_f64(p, 1, step),
    );
}

/// The LSTM's equations per pixel, with a 3x3 "same" convolution of the state.
#[test]
fn conv_lstm_back_propagates_through_all_steps() {
    let (steps, batch, c, h, w) = (3, 2, 2, 3, 4);
    let reference = |p: &[Vec<f64>]| -> Vec<f64> {
        let units = c * h * w;
        let mut y = vec![0.0; steps * batch * units];
        for b in 0..batch {
            let (mut state, mut cell) = (vec![0.0; units], vec![0.0; units]);
            for t in 0..steps {
                let mut r = vec![0.0; 4 * units];
                for (at, r) in r.iter_mut().enumerate() {
                    let (o, row, col) = (at / (h * w), at / w % h, at % w);
                    for (i, u, v) in
                        (0..c).flat_map(|i| (0..3).flat_map(move |u| (0..3).map(move |v| (i, u, v))))
                    {
                        let (y, x) = (row + u, col + v);
                        if (1..=h).contains(&y) && (1..=w).contains(&x) {
                            *r += p[1][((o * c + i) * 3 + u) * 3 + v] * state[(i * h + y - 1) * w + x - 1];
                        }
                    }
                }
                let x = &p[0][(t * batch + b) * 4 * units..(t * batch + b + 1) * 4 * units];
                lstm_step(x, &r, &mut state, &mut cell);
                y[(t * batch + b) * units..(t * batch + b + 1) * units].copy_from_slice(&state);
            }
        }
        y
    };
    let inputs = [
        Array::normal("convlstm/x", &[steps, batch, 4 * c, h, w]),
        Array::normal("convlstm/w", &[4 * c, c, 3, 3]).scaled(0.3, 0.0),
    ];
    check("conv_lstm", &inputs, 1e-5, |t| conv_lstm_scan(&t[0], &t[1]).unwrap(), reference);
}

/// `y[t] = a y[t - 1] + (1 - a) x[t]`.
#[test]
fn ema_decays_per_channel() {
    for dims in [&[4, 2, 3, 2, 3][..], &[1, 1, 2], &[5, 3, 2]] {
        let (frame, plane) = (dims[1..].iter().product::<usize>(), dims[3..].iter().product::<usize>());
        let decay = Array { dims: vec![dims[2]], data: vec![0.5, 0.875, 0.25][..dims[2]].to_vec() };
        check(
            &format!("ema {dims:?}"),
            &[Array::normal("ema", dims), decay],
            1e-5,
            |t| ema_scan(&t[0], &t[1]).unwrap(),
            |p| {
                let mut y = vec![0.0; p[0].len()];
                for i in 0..y.len() {
                    let a = p[1][i / plane % dims[2]];
                    y[i] = (1.0 - a) * p[0][i] + if i >= frame { a * y[i - frame] } else { 0.0 };
                }
                y
            },
        );
    }
}

/// `y[t, b, o, :] = bias[o] + sum_{i, u} w[o, i, u] x[t + u - k/2, b, i, :]`.
#[test]
fn conv_time_reads_neighbouring_steps() {
    // The last four have channels enough for minimal filtering; of whole and cut tiles, vectors and panels.
    for (steps, k, c, o, [h, w]) in [
        (4, 3, 3, 2, [2, 2]),
        (2, 5, 3, 2, [2, 2]),
        (3, 1, 3, 2, [2, 2]),
        (4, 3, 8, 16, [2, 4]),
        (5, 3, 9, 10, [1, 5]),
        (1, 3, 8, 8, [7, 7]),
        (9, 3, 17, 8, [1, 1]),
    ] {
        let (batch, space) = (2, h * w);
        let reference = |p: &[Vec<f64>]| -> Vec<f64> {
            let mut y = vec![0.0; steps * batch * o * space];
            for (at, y) in y.iter_mut().enumerate() {
                let (t, b, oc, s) =
                    (at / (batch * o * space), at / (o * space) % batch, at / space % o, at % space);
                *y = p.get(2).map_or(0.0, |bias| bias[oc]);
                for (i, u) in (0..c).flat_map(|i| (0..k).map(move |u| (i, u))) {
                    if (k / 2..steps + k / 2).contains(&(t + u)) {
                        let x = (((t + u - k / 2) * batch + b) * c + i) * space + s;
                        *y += p[1][(oc * c + i) * k + u] * p[0][x];
                    }
                }
            }
            y
        };
        let inputs = [
            Array::normal("time/x", &[steps, batch, c, h, w]),
            Array::normal("time/w", &[o, c, k]),
            Array::normal("time/b", &[o]),
        ];
        check(
            &format!("conv_time {steps} {k} {c} {o}"),
            &inputs,
            1e-5,
            |t| conv_time(&t[0], &t[1], Some(&t[2])).unwrap(),
            reference,
        );
        check(
            &format!("conv_time {steps} {k} {c} {o}, no bias"),
            &inputs[..2],
            1e-5,
            |t| conv_time(&t[0], &t[1], None).unwrap(),
            reference,
        );
        for pool in 1..=h.min(w).min(3) {
            check(
                &format!("conv_time_stage {steps} {k} {c} {o}, pool {pool}"),
                &inputs,
                1e-5,
                |t| conv_time_stage(&t[0], &t[1], &t[2], pool).unwrap(),
                |p| averages_of_rectified(&reference(p), [h, w], pool),
            );
        }
    }
}

/// `max(0, z)` averaged over whole windows of `pool x pool`.
fn averages_of_rectified(z: &[f64], [h, w]: [usize; 2], pool: usize) -> Vec<f64> {
    let mut y = Vec::new();
    for plane in z.chunks_exact(h * w) {
        for cell in 0..(h / pool) * (w / pool) {
            let (row, column) = (cell / (w / pool) * pool, cell % (w / pool) * pool);
            let window = (0..pool * pool).map(|i| plane[(row + i / pool) * w + column + i % pool].max(0.0));
            y.push(window.sum::<f64>() / (pool * pool) as f64);
        }
    }
    y
}

#[test]
fn conv_time_stage_refuses_what_does_not_fit() {
    let of = |dims: &[usize]| Array::normal("stage", dims).var().as_detached_tensor();
    let (x, w, b) = (of(&[2, 1, 8, 4, 4]), of(&[8, 8, 3]), of(&[8]));
    for (x, w, b, pool, expected) in [
        (&x.flatten(0, 1).unwrap(), &w, &b, 2, "x [T, B, C, H, W]"),
        (&x, &of(&[8, 7, 3]), &b, 2, "w [O >= 1, 8, k], k odd"),
        (&x, &of(&[8, 8, 2]), &b, 2, "w [O >= 1, 8, k], k odd"),
        (&x, &w, &of(&[7]), 2, "bias [8]"),
        (&x, &w, &b, 5, "planes of at least 5 x 5"),
        (&x, &w, &b, 0, ">= 1"),
    ] {
        let error = conv_time_stage(x, w, b, pool).unwrap_err().to_string();
        assert!(error.contains("conv_time_stage") && error.contains(expected), "{error}");
    }
}

/// `y[t, b, o, r, c] = bias[o] + sum_{i, q, u, v} w[o, i, q, u, v] x[t + q - 1, b, i, r s + u - 1, c s + v - 1]`.
#[test]
fn conv3d_reads_neighbouring_frames() {
    for stride in [1, 2] {
        let (steps, batch, c, h, w, o) = (3, 2, 2, 3, 4, 2);
        let (ho, wo) = ((h - 1) / stride + 1, (w - 1) / stride + 1);
        let reference = |p: &[Vec<f64>]| -> Vec<f64> {
            let mut y = vec![0.0; steps * batch * o * ho * wo];
            for (at, y) in y.iter_mut().enumerate() {
                let (t, b) = (at / (batch * o * ho * wo), at / (o * ho * wo) % batch);
                let (oc, row, col) = (at / (ho * wo) % o, at / wo % ho, at % wo);
                *y = p[2][oc];
                for tap in 0..c * 27 {
                    let (i, q, u, v) = (tap / 27, tap / 9 % 3, tap / 3 % 3, tap % 3);
                    let (t, r, k) = (t + q, row * stride + u, col * stride + v);
                    if (1..=steps).contains(&t) && (1..=h).contains(&r) && (1..=w).contains(&k) {
                        let x = ((((t - 1) * batch + b) * c + i) * h + r - 1) * w + k - 1;
                        *y += p[1][oc * c * 27 + tap] * p[0][x];
                    }
                }
            }
            y
        };
        let inputs = [
            Array::normal("volume/x", &[steps, batch, c, h, w]),
            Array::normal("volume/w", &[o, c, 3, 3, 3]),
            Array::normal("volume/b", &[o]),
        ];
        check(
            &format!("conv3d {stride}"),
            &inputs,
            1e-5,
            |t| conv3d(&t[0], &t[1], Some(&t[2]), stride, 1).unwrap(),
            reference,
        );
    }
}

/// `y = gamma (x - mean) / sqrt(var + eps) + beta`, mean and biased variance of each sample's group of channels.
#[test]
fn group_norm_differentiates_through_its_statistics() {
    for (dims, groups) in [([2, 4, 3, 2], 2), ([3, 3, 2, 2], 1), ([2, 2, 3, 3], 2)] {
        let (channels, plane) = (dims[1], dims[2] * dims[3]);
        let group = channels / groups * plane;
        let inputs = [
            Array::normal("gn/x", &dims).scaled(2.0, 0.7),
            Array::normal("gn/gamma", &[channels]),
            Array::normal("gn/beta", &[channels]),
        ];
        check(
            &format!("group_norm {dims:?} {groups}"),
            &inputs,
            2e-5,
            |t| group_norm(&t[0], &t[1], &t[2], groups, 1e-5).unwrap(),
            |p| {
                let mut y = Vec::new();
                for x in p[0].chunks(group) {
                    let mean = x.iter().sum::<f64>() / group as f64;
                    let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / group as f64;
                    for x in x {
                        let c = y.len() / plane % channels;
                        y.push(p[1][c] * (x - mean) / (var + 1e-5).sqrt() + p[2][c]);
                    }
                }
                y
            },
        );
    }
}

/// Without a tracked operand nothing is kept, and the result is the same.
#[test]
fn conv_time_stage_without_gradients() {
    let [x, w, b] =
        [&[5, 2, 9, 4, 5][..], &[8, 9, 3], &[8]].map(|dims| Array::normal("untracked", dims).var());
    let tracked = conv_time_stage(&x, &w, &b, 2).unwrap();
    let [x, w, b] = [x, w, b].map(|var| var.as_detached_tensor());
    let untracked = conv_time_stage(&x, &w, &b, 2).unwrap();
    assert!(tracked.track_op() && !untracked.track_op());
    assert_eq!(values(&tracked), values(&untracked));
}
