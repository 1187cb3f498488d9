//! A block of neurons through all of time, forward.

use super::forward::Steps;
use super::law::Packed;
use super::spread::{SPREAD_ROWS, SpreadRows};
use super::window::BlockNeurons;
use super::{with_flag, with_poles, with_switch};
use crate::cpu::block::{Cutter, SharedRows, fill_per_channel, row_ahead};
use crate::cpu::vector::{ByColumns, Real, Simd};
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

    /// The drive of `columns` at step `t`.
    pub(crate) fn row(&self, t: usize, columns: &Range<usize>) -> &[E] {
        let start = t * self.scan.shape().neurons();
        &self.x[start + columns.start..start + columns.end]
    }

    /// What is read after step `t` of `columns`: the next step, or after the last one the first of the next block.
    pub(crate) fn ahead(&self, t: usize, columns: &Range<usize>) -> &[E] {
        let shape = self.scan.shape();
        let next = if t + 1 < shape.steps { (t + 1) * shape.neurons() + columns.start } else { columns.end };
        row_ahead(self.x, next, columns.len())
    }

    /// Runs `columns` through all of time.
    ///
    /// # Safety
    /// No other call has any of `columns` while this one runs.
    pub(crate) unsafe fn block<S: Simd<E = E>>(&self, simd: S, columns: Range<usize>, scratch: &mut [E]) {
        let (shape, law) = (self.scan.shape(), &self.law);
        let (all, width) = (shape.neurons(), columns.len());
        let mut scratch = Cutter(scratch);
        let (gain, bias, exponent) = (scratch.take(width), scratch.take(width), scratch.take(width));
        let draws: [&mut [E]; 4] = std::array::from_fn(|_| scratch.take(width));
        let heat = scratch.take(law.poles * width);
        fill_per_channel(gain, columns.start, shape.inner, self.gain);
        fill_per_channel(bias, columns.start, shape.inner, self.bias);
        for (pole, row) in heat.chunks_exact_mut(width).enumerate() {
            let start = pole * all + columns.start;
            match self.heat {
                Some(heat) => row.copy_from_slice(&heat[start..start + width]),
                None => row.fill(E::default()),
            }
        }
        let spread = SpreadRows::<E>::needed(self.scan)
            .then(|| SpreadRows::new(simd, self.scan, &columns, &mut scratch));
        let neurons = &mut BlockNeurons { gain, bias, spread };
        self.steps(simd, columns.clone(), neurons, heat, exponent, draws);
        simd.finish_streams();
        if let Some(final_heat) = &self.final_heat {
            for (pole, row) in heat.chunks_exact(width).enumerate() {
                // SAFETY: the caller owns these columns.
                unsafe { final_heat.row(pole, &columns) }.copy_from_slice(row);
            }
        }
    }

    fn steps<S: Simd<E = E>>(
        &self,
        simd: S,
        columns: Range<usize>,
        neurons: &mut BlockNeurons<'_, E>,
        heat: &mut [E],
        exponent: &mut [E],
        draws: [&mut [E]; 4],
    ) {
        let (pass, spread) = (self, neurons.spread.is_some());
        with_poles!(self.law.poles, P => with_flag!(spread, SPREAD => with_flag!(self.scan.is_sampled(), SAMPLED =>
            with_switch!(&self.law.kind, switch => {
                simd.vectorize(ByColumns(Steps::<E, _, P, SPREAD, SAMPLED> {
                    pass, columns, switch, neurons, heat, exponent, draws,
                }));
            })
        )));
    }
}
