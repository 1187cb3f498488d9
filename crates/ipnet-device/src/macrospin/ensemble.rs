//! Many trajectories at once: SIMD over eight, threads over blocks of eight, noise by coordinates.
//!
//! Design decision: trajectory number and step number are the counter of the generator, so a result depends on the seed alone: not on threads, blocks or
//! instruction set. On x86-64 the block loop is compiled a second time for AVX2 and chosen at run time.

use super::heun::{self, Lanes};
use super::{Segment, noise};
use crate::Device;
use crate::macrospin::Macrospin;
use ipnet_rng::{Stream, named_seed};
use rayon::prelude::*;

/// Trajectories per block: two AVX2 registers of f64 per component hide the latency of each other.
const BLOCK: usize = 8;
/// Counter word that sets the noise of trajectories apart from other uses of a key.
const TAG: u32 = 0x4D41_4352;

/// Runs every spin of `starts` (unit vectors) through the `schedule` and returns where it ends.
///
/// Trajectory i draws the noise of (`seed`, i), whatever else runs beside it.
pub fn run(starts: &[[f64; 3]], schedule: &[Segment], seed: u64) -> Vec<[f64; 3]> {
    let hash = named_seed(seed, "macrospin");
    let key = [hash as u32, (hash >> 32) as u32];
    let mut ends = starts.to_vec();
    ends.par_chunks_mut(BLOCK).enumerate().for_each(|(index, block)| {
        let mut m: Lanes<BLOCK> = [[0.0; BLOCK], [0.0; BLOCK], [1.0; BLOCK]];
        for (lane, spin) in block.iter().enumerate() {
            (0..3).for_each(|axis| m[axis][lane] = spin[axis]);
        }
        run_block(&mut m, schedule, (index * BLOCK) as u32, key);
        for (lane, spin) in block.iter_mut().enumerate() {
            *spin = [m[0][lane], m[1][lane], m[2][lane]];
        }
    });
    ends
}

fn run_block(m: &mut Lanes<BLOCK>, schedule: &[Segment], first: u32, key: [u32; 2]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, the only requirement of the function.
        return unsafe { run_block_avx2(m, schedule, first, key) };
    }
    run_lanes(m, schedule, first, key);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_block_avx2(m: &mut Lanes<BLOCK>, schedule: &[Segment], first: u32, key: [u32; 2]) {
    run_lanes(m, schedule, first, key);
}

#[inline(always)]
fn run_lanes(m: &mut Lanes<BLOCK>, schedule: &[Segment], first: u32, key: [u32; 2]) {
    let mut step = 0_u64;
    for segment in schedule {
        let field_t = segment.spin.thermal_field_t(segment.dt_s);
        if field_t == 0.0 {
            (0..segment.steps).for_each(|_| heun::step(&segment.spin, m, segment.dt_s, &[[0.0; BLOCK]; 3]));
            step += segment.steps as u64;
            continue;
        }
        for _ in 0..segment.steps {
            let mut noise_t = noise::normals::<BLOCK>(step, first, TAG, key);
            noise_t.iter_mut().flatten().for_each(|b| *b *= field_t);
            heun::step(&segment.spin, m, segment.dt_s, &noise_t);
            step += 1;
        }
    }
}

/// `n` spins in thermal equilibrium within the upper well (m_z > 0) of a uniaxial `spin`: exact draws from
/// `exp(Delta (m_z^2 - 1))` by rejection, uniform in azimuth.
pub fn thermal_starts(spin: &Macrospin, n: usize, seed: u64) -> Vec<[f64; 3]> {
    let mut stream = Stream::named(seed, "macrospin/starts");
    // Below 1e-6 the well is flat within f64.
    let delta = spin.stability().max(1e-6);
    (0..n)
        .map(|_| {
            let u = loop {
                // 1 - u from the exponential exp(-Delta (1 - u)), which lies above exp(-Delta (1 - u^2)) / const on 0..1.
                let fall = -(stream.uniform() * (-delta).exp_m1()).ln_1p() / delta;
                let u = 1.0 - fall;
                // Target exp(-Delta fall (2 - fall)) over proposal exp(-Delta fall).
                if stream.uniform() < (-delta * fall * (1.0 - fall)).exp() {
                    break u.clamp(0.0, 1.0);
                }
            };
            let (s, c) = (std::f64::consts::TAU * stream.uniform()).sin_cos();
            let across = (1.0 - u * u).sqrt();
            [across * c, across * s, u]
        })
        .collect()
}

/// Share of `n` trajectories of `device` found below the equator after a write pulse: the macrospin's switching probability.
pub fn switched_share(
    device: &Device,
    rises_k: &[f64],
    v: f64,
    width_s: f64,
    dt_s: f64,
    n: usize,
    seed: u64,
) -> f64 {
    let starts = thermal_starts(&Macrospin::of(device, 0.0, rises_k.iter().sum()), n, seed);
    let schedule = super::pulse_segments(device, rises_k, v, width_s, dt_s, 32);
    let ends = run(&starts, &schedule, seed);
    ends.iter().filter(|m| m[2] < 0.0).count() as f64 / n as f64
}
