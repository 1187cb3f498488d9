//! The same bits in pools of one, two and seven threads.

use candle_core::Tensor;
use ipnet_kernel::LifConfig;
use ipnet_nn::*;

use crate::support::{Array, values};

/// Runs `f` in a rayon pool of `threads` threads.
fn in_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// Loss and all gradients of a small network, as bits: with [`step_over_time`] and [`wide_step`], every operation of training.
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
    for step in [step, wide_step] {
        let one = in_pool(1, step);
        assert!(one.iter().all(|&bits| f32::from_bits(bits).is_finite()));
        for threads in [2, 7] {
            assert!(in_pool(threads, step) == one, "{threads} threads");
        }
    }
}
