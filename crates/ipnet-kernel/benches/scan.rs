//! The scans beside a copy of the same bytes: the floor is 8 bytes a neuron-step forward, 20 with backward.
//!
//! Throughput is in neuron-steps; `RAYON_NUM_THREADS=1` gives one thread. `candle` is the same work as a user calls it:
//! fresh tensors, and autograd's own additions.

use candle_core::{Device, Tensor, Var};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ipnet_device::{Arrhenius, HeatPole, Spread, StepLaw, Switching};
use ipnet_kernel::cpu::Level;
use ipnet_kernel::{
    AlifConfig, CpuBackend, LifConfig, ScanBackend, ScanConfig, ScanShape, ThermalBackward, ThermalForward,
    ThermalScan, thermal_scan,
};
use ipnet_rng::Stream;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn law() -> Arc<StepLaw> {
    Arc::new(StepLaw {
        dt_s: 20e-9,
        t_amb_k: 300.0,
        v_max_v: 1.1,
        poles: vec![HeatPole { decay: 0.8, heat_k_per_v2: 25.0, reset_k: 0.0 }],
        self_heat_k_per_v2: 0.0,
        switching: Switching::Arrhenius(Arrhenius {
            log_attempts: 3.912_023,
            barrier: [20.0, -0.018, 4e-6],
            v_critical: [1.0, -6e-4, 2e-7],
            exponent: 1.0,
        }),
        spread: Spread::default(),
    })
}

fn scans(criterion: &mut Criterion) {
    for (steps, neurons) in [(16, 1 << 20), (64, 1 << 16), (300, 1 << 14)] {
        let shape = ScanShape::flat(steps, neurons);
        let mut group = criterion.benchmark_group(format!("T{steps} N{neurons}"));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(1))
            .warm_up_time(Duration::from_millis(200));
        group.throughput(Throughput::Elements(shape.elements() as u64));
        let mut stream = Stream::named(1, "bench");
        let x: Vec<f32> = (0..shape.elements()).map(|_| stream.normal() as f32).collect();
        let (mut out, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        group.bench_function("copy of x", |b| b.iter(|| out.copy_from_slice(black_box(&x))));
        let forward = |backend: &CpuBackend, scan: &ThermalScan, out: &mut [f32]| {
            let io =
                ThermalForward { x: &x, gain: &[0.35], bias: &[0.45], heat: None, out, final_heat: None };
            backend.thermal_forward(scan, io).expect("buffers of the shape");
        };
        let backward = |backend: &CpuBackend, scan: &ThermalScan, out: &[f32], dx: &mut [f32]| {
            let io = ThermalBackward {
                x: &x,
                gain: &[0.35],
                bias: &[0.45],
                heat: None,
                out,
                grad_out: &x,
                grad_final_heat: None,
                grad_x: Some(dx),
                grad_gain_bias: None,
                grad_heat: None,
            };
            backend.thermal_backward(scan, io).expect("buffers of the shape");
        };
        let expected = ScanConfig::expected(law());
        let scan = ThermalScan::new(&expected, shape).expect("a law with meaning");
        let sampled = ThermalScan::new(&ScanConfig::sampled(law(), 1, 0), shape).expect("a law with meaning");
        for level in Level::ALL.into_iter().filter(|level| level.is_available() && *level != Level::Scalar) {
            let backend = CpuBackend::with_level(level).expect("an available level");
            let id = |what: &str| BenchmarkId::new(what, level.name());
            group.bench_function(id("forward"), |b| b.iter(|| forward(&backend, &scan, &mut out)));
            group.bench_function(id("sampled"), |b| b.iter(|| forward(&backend, &sampled, &mut out)));
            group.bench_function(id("backward"), |b| b.iter(|| backward(&backend, &scan, &out, &mut dx)));
        }
        let lif = AlifConfig { lif: LifConfig::default(), adaptation_decay: 0.9, adaptation_strength: 0.0 };
        let backend = CpuBackend::default();
        group.bench_function("lif forward", |b| {
            b.iter(|| backend.lif(shape, &lif, &x, &[0.9], &mut out).expect("buffers of the shape"));
        });
        group.bench_function("lif backward", |b| {
            b.iter(|| {
                backend
                    .lif_gradient(shape, &lif, &x, &[0.9], &x, &mut dx, &mut [0.0])
                    .expect("buffers of the shape");
            });
        });
        let tensor = |values: &[f32], dims: &[usize]| {
            Tensor::from_slice(values, dims, &Device::Cpu).expect("a tensor")
        };
        let (gain, bias) = (tensor(&[0.35], &[1]), tensor(&[0.45], &[1]));
        let x = tensor(&x, &[steps, neurons]);
        group.bench_function("candle forward", |b| {
            b.iter(|| thermal_scan(&x, &gain, &bias, &expected).expect("tensors of the shape"));
        });
        let trained = Var::from_tensor(&x).expect("a variable");
        group.bench_function("candle forward and backward", |b| {
            b.iter(|| {
                let y = thermal_scan(&trained, &gain, &bias, &expected).expect("tensors of the shape");
                y.backward().expect("a gradient")
            });
        });
        group.finish();
    }
}

criterion_group!(benches, scans);
criterion_main!(benches);
