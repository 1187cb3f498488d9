//! A block of neurons through all of time, forward.

use super::forward::{Fire, NeuronRows, Rate, Relax};
use super::law::{Kind, Packed};
use super::spread::{SPREAD_ROWS, SpreadRows};
use super::{with_flag, with_poles, with_switch};
use crate::cpu::block::{Cutter, SharedRows, as_written, fill_per_channel};
use crate::cpu::draws::{DrawRows, Place, Purpose};
use crate::cpu::vector::{Real, Simd};
use crate::scan::ThermalScan;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A forward pass as its blocks share it.
pub(crate) struct Forward<'a, E> {
    pub scan: &'a ThermalScan,
    pub law: Packed<E>,
    pub x: &'a [E],
    pub gain: &'a [E],
    pub bias: &'a [E],
    pub heat: Option<&'a [E]>,
    pub out: SharedRows<'a, MaybeUninit<E>>,
    pub final_heat: Option<SharedRows<'a, E>>,
    /// Whether `out` is larger than a cache.
    pub past_cache: bool,
}

impl<E: Real> Forward<'_, E> {
    /// Elements of scratch memory a block of `width` neurons needs.
    pub(crate) fn scratch(&self, width: usize) -> usize {
        (3 + 4 + SPREAD_ROWS + self.law.poles) * width
    }

    /// Runs `columns` through all of time.
    ///
    /// # Safety
    /// No other call has any of `columns` while this one runs.
    pub(crate) unsafe fn block<S: Simd<E = E>>(&self, simd: S, columns: Range<usize>, scratch: &mut [E]) {
        let (config, shape) = (self.scan.config(), self.scan.shape());
        let (neurons, width, poles) = (shape.neurons(), columns.len(), self.law.poles);
        let mut scratch = Cutter(scratch);
        let (gain, bias, rate) = (scratch.take(width), scratch.take(width), scratch.take(width));
        let mut draws: [&mut [E]; 4] = std::array::from_fn(|_| scratch.take(width));
        let heat = scratch.take(poles * width);
        fill_per_channel(gain, columns.start, shape.inner, self.gain);
        fill_per_channel(bias, columns.start, shape.inner, self.bias);
        for (pole, row) in heat.chunks_exact_mut(width).enumerate() {
            let start = pole * neurons + columns.start;
            match self.heat {
                Some(heat) => row.copy_from_slice(&heat[start..start + width]),
                None => row.fill(E::default()),
            }
        }
        let mut spread = SpreadRows::<E>::needed(self.scan)
            .then(|| SpreadRows::new(simd, self.scan, &columns, &mut scratch));
        let (sampled, reset) = (self.scan.is_sampled(), self.law.has_reset());

        for t in 0..shape.steps {
            let step = config.step_offset + t as u64;
            if sampled && (t == 0 || step.is_multiple_of(4)) {
                let place = Place {
                    seed: config.seed,
                    layer: config.layer,
                    purpose: Purpose::Firing,
                    step_block: (step / 4) as u32,
                    neuron: (config.neuron_offset + columns.start as u64) as u32,
                };
                let [a, b, c, d] = &mut draws;
                simd.vectorize(DrawRows { place, rows: [a, b, c, d] });
            }
            if let Some(spread) = &mut spread {
                spread.set_step(simd, t);
            }
            let rows = match &spread {
                Some(spread) => spread.neurons(gain, bias),
                None => NeuronRows { gain, bias, sensitivity: &[], heating: &[], barrier: &[] },
            };
            let x = &self.x[t * neurons + columns.start..t * neurons + columns.end];
            self.rate(simd, x, rows, heat, rate, !reset);
            // SAFETY: the caller owns these columns.
            let out = unsafe { self.out.row(t, &columns) };
            let next = (t + 1).min(shape.steps - 1) * neurons;
            let next_x = &self.x[next + columns.start..next + columns.end];
            let table = matches!(self.law.kind, Kind::Table(_));
            let draws = &*draws[(step % 4) as usize];
            with_flag!(sampled, SAMPLED => with_flag!(table, TABLE => {
                simd.vectorize(Fire::<E, SAMPLED, TABLE> { rate, draws, out, past_cache: self.past_cache, next_x });
            }));
            if reset {
                // SAFETY: `Fire` wrote every element of the row.
                let fired = unsafe { as_written(out) };
                with_poles!(poles, P => with_flag!(spread.is_some(), SPREAD => {
                    simd.vectorize(Relax::<E, P, SPREAD> {
                        law: &self.law, heating: rows.heating, fired, heat,
                    });
                }));
            }
        }
        simd.finish_streams();
        if let Some(final_heat) = &self.final_heat {
            for (pole, row) in heat.chunks_exact(width).enumerate() {
                // SAFETY: the caller owns these columns.
                unsafe { final_heat.row(pole, &columns) }.copy_from_slice(row);
            }
        }
    }

    fn rate<S: Simd<E = E>>(
        &self,
        simd: S,
        x: &[E],
        neurons: NeuronRows<'_, E>,
        heat: &mut [E],
        rate: &mut [E],
        relax: bool,
    ) {
        let law = &self.law;
        let spread = !neurons.heating.is_empty();
        with_poles!(law.poles, P => with_flag!(spread, SPREAD => with_switch!(&law.kind, switch => {
            simd.vectorize(Rate::<E, _, P, SPREAD> { law, switch, relax, x, neurons, heat, rate });
        })));
    }
}
