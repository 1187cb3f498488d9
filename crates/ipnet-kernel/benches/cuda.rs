//! The forward scan on a GPU, beside a copy of the same bytes on the same device and stream.
//!
//! Prints one JSON line a shape and storage: median seconds, GB/s, and the share of the copy's bandwidth.

#[path = "../tests/suite/cases.rs"]
#[allow(dead_code)]
mod cases;

use ipnet_kernel::cuda::{Bf16, CudaBackend, Stored};
use ipnet_kernel::{Firing, ScanShape, ThermalScan};
use std::time::Instant;

const RUNS: usize = 21;

fn median(mut run: impl FnMut()) -> f64 {
    run();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[RUNS / 2]
}

fn bench<E: Stored>(gpu: &CudaBackend, steps: usize, neurons: usize, firing: Firing) {
    let law = cases::without_reset(cases::law(1, 1.0));
    let shape = ScanShape::flat(steps, neurons);
    let scan = ThermalScan::new(&cases::config(&law, firing), shape).expect("a law with meaning");
    let stream = gpu.stream();
    let zeros = |len: usize| stream.alloc_zeros::<f32>(len).expect("memory of the GPU");
    let x = stream.clone_htod(&vec![E::default(); shape.elements()]).expect("memory of the GPU");
    let mut out = x.clone();
    let (gain, bias, heat, mut last) = (zeros(1), zeros(1), zeros(neurons), zeros(neurons));
    let synchronise = || stream.synchronize().expect("the stream");
    let scan_s = median(|| {
        let (gain, bias) = (gain.as_view(), bias.as_view());
        let (out, last) = (&mut out.as_view_mut(), &mut last.as_view_mut());
        gpu.enqueue_forward(&scan, &x.as_view(), [&gain, &bias], &heat.as_view(), out, last)
            .expect("a launch");
        synchronise();
    });
    let copy_s = median(|| {
        stream.memcpy_dtod(&x, &mut out).expect("a copy");
        synchronise();
    });
    let bytes = (2 * shape.elements() * size_of::<E>()) as f64;
    println!(
        "{{\"steps\": {steps}, \"neurons\": {neurons}, \"bf16\": {}, \"firing\": \"{firing:?}\", \"scan_s\": {scan_s}, \
         \"copy_s\": {copy_s}, \"gb_per_s\": {}, \"share_of_copy\": {}}}",
        E::BF16,
        bytes / scan_s / 1e9,
        copy_s / scan_s
    );
}

fn main() {
    let gpu = match CudaBackend::new(0) {
        Ok(gpu) => gpu,
        Err(why) => {
            eprintln!("error: {why}");
            std::process::exit(2);
        }
    };
    for (steps, neurons) in [(16, 1 << 24), (64, 1 << 20), (300, 1 << 18)] {
        for firing in [Firing::Expected, Firing::Sampled] {
            bench::<f32>(&gpu, steps, neurons, firing);
            bench::<Bf16>(&gpu, steps, neurons, firing);
        }
    }
}
