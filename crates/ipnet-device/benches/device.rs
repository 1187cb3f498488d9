//! Criterion benches of the device: step law, reduction, macrospin, Fokker-Planck. Run on one core: `RAYON_NUM_THREADS=1`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipnet_device::macrospin::ensemble::run;
use ipnet_device::macrospin::fokker_planck::Density;
use ipnet_device::macrospin::{Macrospin, Segment, pulse_segments};
use ipnet_device::{DeviceSet, preset_names, reduce_device};
use std::hint::black_box;

fn step_law(c: &mut Criterion) {
    let law = DeviceSet::load("default").and_then(|set| set.reduce()).expect("the default reduces").law;
    const N: usize = 4096;
    let drive_v: Vec<f64> = (0..N).map(|i| 1.1 * i as f64 / N as f64).collect();
    let mut group = c.benchmark_group("step_law");
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("f64, 4096 neurons", |b| {
        let mut heat_k = vec![[0.0]; N];
        b.iter(|| {
            let fired: f64 =
                heat_k.iter_mut().zip(&drive_v).map(|(heat, v)| law.step_expected(heat, *v)).sum();
            black_box(fired)
        });
    });
    group.finish();
}

fn reduction(c: &mut Criterion) {
    for name in preset_names() {
        let device = DeviceSet::load(name).expect("a preset loads").device();
        c.bench_function(&format!("reduction/{name}"), |b| b.iter(|| reduce_device(black_box(&device))));
    }
}

fn macrospin(c: &mut Criterion) {
    let device = DeviceSet::load("default").expect("the default loads").device();
    let mut group = c.benchmark_group("macrospin");
    const SPINS: usize = 64;
    const STEPS: usize = 1000;
    group.throughput(Throughput::Elements((SPINS * STEPS) as u64));
    let starts = vec![[0.6, 0.0, 0.8]; SPINS];
    for (name, temperature_k) in [("thermal noise", 300.0), ("no noise", 0.0)] {
        let spin = Macrospin { temperature_k, ..Macrospin::of(&device, 0.5, 0.0) };
        let schedule = [Segment { spin, dt_s: 1e-12, steps: STEPS }];
        group.bench_function(name, |b| b.iter(|| run(black_box(&starts), &schedule, 1)));
    }
    group.finish();
}

fn fokker_planck(c: &mut Criterion) {
    let device = DeviceSet::load("default").expect("the default loads").device();
    let schedule = pulse_segments(&device, &[40.0], 1.0, 6e-9, 8e-12, 32);
    let start = Macrospin::of(&device, 0.0, 40.0);
    c.bench_function("fokker_planck/800 cells, 384 steps", |b| {
        b.iter(|| {
            let mut density = Density::equilibrium(&start, 800, true);
            density.follow(&schedule, 12);
            black_box(density.below_equator())
        });
    });
}

criterion_group!(benches, step_law, reduction, macrospin, fokker_planck);
criterion_main!(benches);
