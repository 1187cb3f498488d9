//! Variation of a block: between devices (once) and from pulse to pulse (every step).
//!
//! ```text
//! relative value = max(0.1, 1 + sigma clamp(z, -3, 3)),   z standard normal
//! ```
//! Between devices, z is drawn at (device seed, layer, device): word pairs 0, 1, 2 of the block for critical
//! voltage, heating, barrier. From pulse to pulse, at (seed, layer, step, neuron).

use super::forward::NeuronRows;
use crate::cpu::block::Cutter;
use crate::cpu::draws::{DrawRows, Place, Purpose};
use crate::cpu::vector::{ByColumns, Columns, Job, Real, Simd, Vector, whole_vectors};
use crate::scan::{SPREAD_FLOOR, SPREAD_LIMIT, ThermalScan};
use std::ops::Range;

/// The rows of a block that its spread fills.
pub(crate) struct SpreadRows<'a, E> {
    scan: &'a ThermalScan,
    first_neuron: usize,
    v_critical: &'a mut [E],
    sensitivity: &'a mut [E],
    heating: &'a mut [E],
    barrier: &'a mut [E],
    noise: [&'a mut [E]; 4],
    /// The block of four steps whose noise is drawn, and of which neurons.
    drawn: Option<(u32, Range<usize>)>,
}

/// Rows that [`SpreadRows`] takes from the scratch memory.
pub(crate) const SPREAD_ROWS: usize = 8;

/// The relative value of a draw `z`.
#[inline(always)]
fn relative<S: Simd>(simd: S, sigma: f64, z: S::V) -> S::V {
    let c = |value: f64| simd.splat(S::E::from_f64(value));
    let z = c(-SPREAD_LIMIT).max_with(c(SPREAD_LIMIT).min_with(z));
    c(SPREAD_FLOOR).max_with(c(1.0) + c(sigma) * z)
}

/// A row of sensitivities at one step: `1 / (v_critical relative(sigma, noise))`, to the bit.
struct StepSensitivity<'a, E> {
    sigma: f64,
    v_critical: &'a [E],
    noise: &'a [E],
    sensitivity: &'a mut [E],
}

impl<E: Real> Columns<E> for StepSensitivity<'_, E> {
    fn columns(&self) -> usize {
        self.sensitivity.len()
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let one = simd.splat(E::from_f64(1.0));
        let sensitivity = S::chunks_mut(&mut self.sensitivity[range.clone()]);
        let (v_critical, noise) = (S::chunks(&self.v_critical[range.clone()]), S::chunks(&self.noise[range]));
        for ((s, v), z) in sensitivity.iter_mut().zip(v_critical).zip(noise) {
            let relative = relative(simd, self.sigma, simd.load(z));
            simd.store(one / (simd.load(v) * relative), s);
        }
    }
}

/// Draws `z` of a row, replaced by their relative values.
struct Relative<'a, E> {
    sigma: f64,
    row: &'a mut [E],
}

impl<E: Real> Job<E> for Relative<'_, E> {
    #[inline(always)]
    fn run<S: Simd<E = E>>(self, simd: S) {
        let (part, rest) = self.row.split_at_mut(whole_vectors::<S>(self.row.len()));
        for z in S::chunks_mut(part) {
            simd.store(relative(simd, self.sigma, simd.load(z)), z);
        }
        let tail = simd.tail();
        for z in S::Tail::chunks_mut(rest) {
            tail.store(relative(tail, self.sigma, tail.load(z)), z);
        }
    }
}

impl<'a, E: Real> SpreadRows<'a, E> {
    /// Whether the law of `scan` varies at all: without it nothing is drawn and no row is read.
    pub(crate) fn needed(scan: &ThermalScan) -> bool {
        let spread = &scan.law().spread;
        [spread.barrier_d2d, spread.v_critical_d2d, spread.heat_d2d, spread.v_critical_c2c]
            .iter()
            .any(|sigma| *sigma > 0.0)
    }

    /// Takes its rows and draws the devices of `columns`.
    pub(crate) fn new<S: Simd<E = E>>(
        simd: S,
        scan: &'a ThermalScan,
        columns: &Range<usize>,
        scratch: &mut Cutter<'a, E>,
    ) -> Self {
        let width = columns.len();
        let [v_critical, sensitivity, heating, barrier] = std::array::from_fn(|_| scratch.take(width));
        let noise = std::array::from_fn(|_| scratch.take(width));
        let first_neuron = columns.start;
        let mut rows =
            Self { scan, first_neuron, v_critical, sensitivity, heating, barrier, noise, drawn: None };
        rows.draw_devices(simd);
        rows
    }

    fn draw_devices<S: Simd<E = E>>(&mut self, simd: S) {
        let (config, shape) = (self.scan.config(), self.scan.shape());
        let spread = config.law.spread;
        let devices = shape.channels * shape.inner;
        let width = self.v_critical.len();
        let mut done = 0;
        while done < width {
            let device = (self.first_neuron + done) % devices;
            let run = done..done + (devices - device).min(width - done);
            let [unused, ..] = &mut self.noise;
            let place = Place {
                seed: config.device_seed,
                layer: config.layer,
                purpose: Purpose::Device,
                step_block: 0,
                neuron: device as u32,
            };
            simd.vectorize(DrawRows {
                place,
                rows: [
                    &mut self.v_critical[run.clone()],
                    &mut self.heating[run.clone()],
                    &mut self.barrier[run.clone()],
                    &mut unused[run.clone()],
                ],
            });
            done = run.end;
        }
        for (sigma, row) in [
            (spread.v_critical_d2d, &mut *self.v_critical),
            (spread.heat_d2d, &mut *self.heating),
            (spread.barrier_d2d, &mut *self.barrier),
        ] {
            simd.vectorize(Relative { sigma, row });
        }
        for (s, v) in self.sensitivity.iter_mut().zip(&*self.v_critical) {
            *s = E::from_f64(1.0) / *v;
        }
    }

    /// Makes the sensitivity of neurons `range` of the block that of step `step` (counted from the start of the scan).
    pub(crate) fn set_step<S: Simd<E = E>>(&mut self, simd: S, step: usize, range: &Range<usize>) {
        let config = self.scan.config();
        let sigma = config.law.spread.v_critical_c2c;
        if sigma == 0.0 {
            return;
        }
        let absolute = config.step_offset + step as u64;
        let wanted = Some(((absolute / 4) as u32, range.clone()));
        if self.drawn != wanted {
            let place = Place {
                seed: config.seed,
                layer: config.layer,
                purpose: Purpose::Cycle,
                step_block: (absolute / 4) as u32,
                neuron: (config.neuron_offset + (self.first_neuron + range.start) as u64) as u32,
            };
            let [a, b, c, d] = &mut self.noise;
            let rows =
                [&mut a[range.clone()], &mut b[range.clone()], &mut c[range.clone()], &mut d[range.clone()]];
            simd.vectorize(DrawRows { place, rows });
            self.drawn = wanted;
        }
        let noise = &self.noise[(absolute % 4) as usize][range.clone()];
        let v_critical = &self.v_critical[range.clone()];
        let sensitivity = &mut self.sensitivity[range.clone()];
        simd.vectorize(ByColumns(StepSensitivity { sigma, v_critical, noise, sensitivity }));
    }

    /// The rows as a kernel reads them, with a gain and a bias.
    pub(crate) fn neurons<'b>(&'b self, gain: &'b [E], bias: &'b [E]) -> NeuronRows<'b, E> {
        NeuronRows { gain, bias, sensitivity: self.sensitivity, heating: self.heating, barrier: self.barrier }
    }
}
