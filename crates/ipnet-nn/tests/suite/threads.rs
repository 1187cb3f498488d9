//! The same bits in pools of one, two and seven threads.

use candle_core::{Tensor, Var};
use ipnet_kernel::{LifConfig, ScanConfig};
use ipnet_nn::*;

use crate::stage::law;
use crate::support::{Array, values};

/// Runs `f` in a rayon pool of `threads` threads.
fn in_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// Loss and all gradients of a small network, as bits. With [`step_over_time`], [`wide_step`] and [`more_steps`] every operation
/// of this crate.
fn step() -> Vec<u32> {
    let x = Array::normal("threads/x", &[37, 3, 14, 12]).var();
    let w1 = Array::normal("threads/w1", &[10, 3, 3, 3]).scaled(0.2, 0.0).var();
    let w2 = Array::normal("threads/w2", &[9, 10, 3, 3]).scaled(0.1, 0.0).var();
    let b2 = Array::normal("threads/b2", &[9]).var();
    let gamma = Array::normal("threads/gamma", &[10]).var();
    let beta = Array::normal("threads/beta", &[10]).var();
    let w3 = Array::normal("threads/w3", &[11, 27]).scaled(0.3, 0.0).var();
    let b3 = Array::normal("threads/b3", &[11]).var();
    let h = conv2d(&x, &w1, None, 1, 1).unwrap();
    let (h, stats) = batch_norm(&h, &gamma, &beta, 1e-5).unwrap();
    let h = max_pool2d(&relu(&h).unwrap(), 2).unwrap();
    let h = conv2d(&h, &w2, Some(&b2), 2, 1).unwrap();
    let h = dropout(&h, 0.2, DropoutAt { seed: 1, layer: 0, step: 0 }).unwrap();
    let h: Tensor = adaptive_avg_pool2d(&h, 3, 1).unwrap().flatten_from(1).unwrap();
    let logits = linear(&h, &w3, Some(&b3)).unwrap();
    let targets: Vec<u32> = (0..37).map(|i| i % 11).collect();
    let loss = cross_entropy(&logits, &targets, 0.1).unwrap();
    let grads = loss.backward().unwrap();
    let mut numbers = values(&loss);
    numbers.extend(&stats.mean);
    numbers.extend(&stats.var);
    for var in [&x, &w1, &w2, &b2, &gamma, &beta, &w3, &b3] {
        numbers.extend(values(grads.get(var).unwrap()));
    }
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// As [`step`], with channels and planes enough for minimal filtering.
fn wide_step() -> Vec<u32> {
    let x = Array::normal("threads/plane", &[37, 16, 16, 16]).var();
    let w = Array::normal("threads/square", &[16, 16, 3, 3]).scaled(0.1, 0.0).var();
    let (gamma, beta) =
        (Array::normal("threads/bias", &[16]).var(), Array::normal("threads/beta16", &[16]).var());
    let (h, _) = conv_norm_relu_pool(&x, &w, &gamma, &beta, 1, 1e-5).unwrap();
    let loss = h.sqr().unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let mut numbers = values(&loss);
    for var in [&x, &w, &gamma, &beta] {
        numbers.extend(values(grads.get(var).unwrap()));
    }
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// As [`step`], for what neither it nor the others have: an operation each, its operands' gradients for the loss `sum(y^2)`.
fn more_steps() -> Vec<u32> {
    let var = |name: &str, dims: &[usize]| {
        Array::normal(&format!("threads/more/{name}"), dims).scaled(0.3, 0.1).var()
    };
    let mut numbers = Vec::new();
    let mut take = |y: Tensor, operands: &[&Var]| {
        numbers.extend(values(&y));
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        for operand in operands {
            let grad = values(grads.get(operand).unwrap());
            assert!(grad.iter().any(|g| *g != 0.0));
            numbers.extend(grad);
        }
    };
    for (gates, scan) in [(4, lstm_scan as fn(&Tensor, &Tensor, Option<&Tensor>) -> _), (3, gru_scan)] {
        let (x, w) = (var("drive", &[6, 37, gates * 20]), var("w_hh", &[gates * 20, 20]));
        let b = var("b_hh", &[gates * 20]);
        take(scan(&x, &w, Some(&b)).unwrap(), &[&x, &w, &b]);
    }
    let (a, b) = (var("a", &[37, 9, 15, 14]), var("b", &[37, 9, 15, 14]));
    take(add_relu(&a, &b).unwrap(), &[&a, &b]);
    take(relu_avg_pool2d(&a, 2).unwrap(), &[&a]);
    take(avg_pool2d(&a, 2).unwrap(), &[&a]);
    let (gamma, beta) = (var("gamma", &[9]), var("beta", &[9]));
    take(batch_norm_relu_pool(&a, &gamma, &beta, 1e-5).unwrap().0, &[&a, &gamma, &beta]);
    let statistics = [[0.1; 9], [0.9; 9]];
    for normalise in [batch_norm_eval, batch_norm_relu_pool_eval] {
        let y = normalise(&a, &gamma, &beta, &statistics[0], &statistics[1], 1e-5).unwrap();
        take(y, &[&a, &gamma, &beta]);
    }
    // Channels enough for minimal filtering over time.
    let (x, w, bias) = (var("film", &[7, 5, 9, 6, 7]), var("taps", &[10, 9, 3]), var("bias", &[10]));
    take(conv_time(&x, &w, Some(&bias)).unwrap(), &[&x, &w, &bias]);
    take(conv_time_stage(&x, &w, &bias, 2).unwrap(), &[&x, &w, &bias]);
    let (x, w) = (var("frames", &[7, 11, 3, 12, 11]), var("kernel", &[9, 3, 3, 3]));
    let (gain, bias) = (var("gain", &[9]), var("probe", &[9]));
    for reset_k in [0.0, 0.4] {
        let config = ScanConfig::expected(law(reset_k));
        let neurons = Neurons::Thermal { gain: &gain, bias: &bias, config: &config };
        take(conv_stage(&x, &w, &beta, 1, neurons, 2).unwrap(), &[&x, &w, &beta, &gain, &bias]);
    }
    let mut moments = Moments::new(a.elem_count());
    let step = AdamStep { step: 1, learning_rate: 0.01, weight_decay: 0.1, gradient_scale: 0.5 };
    moments.update(&a, &b, step).unwrap();
    numbers.extend([values(&a), moments.first, moments.second].concat());
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// As [`step`], for the operations over time.
fn step_over_time() -> Vec<u32> {
    let (steps, batch) = (5, 11);
    let x = Array::normal("threads/film", &[steps, batch, 2, 6, 7]).var();
    let vars: Vec<_> = [
        ("decay", &[2][..]),
        ("time", &[3, 2, 3]),
        ("volume", &[4, 3, 3, 3, 3]),
        ("gamma", &[4]),
        ("state", &[4, 1, 3, 3]),
        ("lstm", &[42, 42]),
        ("wide", &[16, 4, 3, 3]),
        ("narrow", &[4, 16, 3, 3]),
        ("bias", &[16]),
    ]
    .iter()
    .map(|(name, dims)| Array::normal(&format!("threads/{name}"), dims).scaled(0.2, 0.1).var())
    .collect();
    let h = ema_scan(&x, &vars[0]).unwrap();
    let h = conv_time(&h, &vars[1], None).unwrap();
    let h = conv3d(&h, &vars[2], Some(&vars[3]), 1, 1).unwrap();
    let decay = Neurons::Lif { decay: &vars[8], config: &LifConfig::default() };
    let h = conv_stage(&h, &vars[6], &vars[8], 1, decay, 1).unwrap();
    let h = conv_stage(&h, &vars[7], &vars[3], 1, Neurons::Relu, 1).unwrap();
    let h = group_norm(&h.flatten(0, 1).unwrap(), &vars[3], &vars[3], 2, 1e-5).unwrap();
    let h = h.reshape((steps, batch, 4, 6, 7)).unwrap();
    let h = conv_lstm_scan(&h, &vars[4]).unwrap().flatten_from(2).unwrap();
    let h = rnn_scan(&h, &vars[5], None).unwrap();
    let loss = mean_over_time(&h).unwrap().sqr().unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let mut numbers = values(&loss);
    for var in vars.iter().chain([&x]) {
        numbers.extend(values(grads.get(var).unwrap()));
    }
    numbers.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn bits_over_time_do_not_depend_on_the_number_of_threads() {
    let one = in_pool(1, step_over_time);
    assert!(one.iter().all(|&bits| f32::from_bits(bits).is_finite()));
    for threads in [2, 7] {
        assert!(in_pool(threads, step_over_time) == one, "{threads} threads");
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for step in [step, wide_step, more_steps] {
        let one = in_pool(1, step);
        assert!(one.iter().all(|&bits| f32::from_bits(bits).is_finite()));
        for threads in [2, 7] {
            assert!(in_pool(threads, step) == one, "{threads} threads");
        }
    }
}
