//! Forward and backward of the operations a network spends its step in, one rayon thread unless
//! `RAYON_NUM_THREADS` says otherwise.
//!
//! `conv_2_32_64`: the stack conv 3x3 2 -> 32 -> 64 on `[B, 2, S, S]`; the others on `[16, 32, 64, 64]`.

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use ipnet_nn::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn var(name: &str, dims: &[usize]) -> Var {
    let mut stream = ipnet_rng::Stream::named(1, name);
    let data: Vec<f32> = (0..dims.iter().product()).map(|_| 0.1 * stream.normal() as f32).collect();
    Var::from_vec(data, dims, &Device::Cpu).expect("a variable")
}

fn step(y: &Tensor) {
    black_box(y.mean_all().and_then(|loss| loss.backward()).expect("a gradient"));
}

fn benches(c: &mut Criterion) {
    for (batch, side) in [(16, 64), (16, 32), (128, 32)] {
        let x = var("x", &[batch, 2, side, side]).as_detached_tensor();
        let (w1, w2) = (var("w1", &[32, 2, 3, 3]), var("w2", &[64, 32, 3, 3]));
        c.bench_function(&format!("conv_2_32_64/B{batch}_{side}x{side}"), |b| {
            b.iter(|| {
                let h = conv2d(&x, &w1, None, 1, 1).expect("a convolution");
                step(&conv2d(&h, &w2, None, 1, 1).expect("a convolution"));
            })
        });
    }
    let x = var("x", &[16, 32, 64, 64]);
    let (gamma, beta) = (var("gamma", &[32]), var("beta", &[32]));
    c.bench_function("relu", |b| b.iter(|| step(&relu(&x).expect("relu"))));
    c.bench_function("avg_pool2d", |b| b.iter(|| step(&avg_pool2d(&x, 2).expect("a pool"))));
    c.bench_function("max_pool2d", |b| b.iter(|| step(&max_pool2d(&x, 2).expect("a pool"))));
    c.bench_function("batch_norm", |b| {
        b.iter(|| step(&batch_norm(&x, &gamma, &beta, 1e-5).expect("a norm").0))
    });
    c.bench_function("group_norm", |b| {
        b.iter(|| step(&group_norm(&x, &gamma, &beta, 4, 1e-5).expect("a norm")))
    });
    let (xproj, w_hh) = (var("xproj", &[16, 8, 1024]), var("w_hh", &[1024, 256]));
    c.bench_function("lstm_scan/T16_B8_H256", |b| {
        b.iter(|| step(&lstm_scan(&xproj, &w_hh, None).expect("a scan")))
    });
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = benches
}
criterion_main!(group);
