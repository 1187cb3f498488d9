//! A block of neurons through all of time, backward.
//!
//! The heat at each step is not kept by forward: it follows from x (and from what was fired, where a firing
//! heats) with a few multiplications, so a block recomputes it, a segment of time at a time; from one segment to the next a
//! checkpoint is enough.
//!
//! Design decision: a segment goes forward to its slopes and back to its gradients inside one job for each direction, so
//! that no row of a block pays for a call. What is kept of a step lies row after row in the second-level cache. Rows of `[T, N]` that lie a power of two apart fall on the same cache sets:
//! read a second time where they lie they came from memory again (measured at T = 300, N = 16,384: 1.7 times the time).

use super::adjoint::Adjoint;
use super::forward::NeuronRows;
use super::law::Packed;
use super::slopes::{Heat, KEPT, Slopes};
use super::spread::{SPREAD_ROWS, SpreadRows};
use super::window::{BlockNeurons, Window};
use super::{with_flag, with_poles, with_switch};
use crate::cpu::block::{Cutter, SharedRows, add_per_channel, fill_per_channel};
use crate::cpu::vector::{ByColumns, Real, Simd};
use crate::scan::ThermalScan;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A backward pass as its blocks share it.
pub(crate) struct Backward<'a, E> {
    pub scan: &'a ThermalScan,
    pub law: Packed<E>,
    /// Steps between checkpoints.
    pub segment: usize,
    pub x: &'a [E],
    pub gain: &'a [E],
    pub bias: &'a [E],
    pub heat: Option<&'a [E]>,
    pub out: &'a [E],
    pub grad_out: &'a [E],
    pub grad_final_heat: Option<&'a [E]>,
    pub grad_x: Option<SharedRows<'a, MaybeUninit<E>>>,
    pub grad_heat: Option<SharedRows<'a, E>>,
    /// Whether `grad_x` is larger than a cache.
    pub past_cache: bool,
    /// Whether the sums for gain and bias are wanted.
    pub params: bool,
}

impl<E: Real> Backward<'_, E> {
    fn segments(&self) -> usize {
        self.scan.shape().steps.div_ceil(self.segment)
    }

    /// Elements of scratch memory a block of `width` neurons needs.
    pub(crate) fn scratch(&self, width: usize) -> usize {
        let state = (2 + self.segments()) * self.law.poles;
        (2 + 2 + 2 + SPREAD_ROWS + self.kept_values() + state) * width
    }

    /// Values that a block keeps of a segment, for each neuron.
    pub(crate) fn kept_values(&self) -> usize {
        self.segment * (KEPT + usize::from(self.params))
    }

    /// Runs `columns` back through all of time; adds the sums of its channels to `sums`: dL/dgain, dL/dbias.
    ///
    /// # Safety
    /// No other call has any of `columns` while this one runs.
    pub(crate) unsafe fn block<S: Simd<E = E>>(
        &self,
        simd: S,
        columns: Range<usize>,
        scratch: &mut [E],
        [gain_sums, bias_sums]: [&mut [f64]; 2],
    ) {
        let shape = self.scan.shape();
        let (steps, neurons, width) = (shape.steps, shape.neurons(), columns.len());
        let state = self.law.poles * width;
        let mut scratch = Cutter(scratch);
        let (gain, bias) = (scratch.take(width), scratch.take(width));
        let sums = scratch.take(2 * width);
        let (unwanted, exponent) = (scratch.take(width), scratch.take(width));
        let (grad_heat, heat) = (scratch.take(state), scratch.take(state));
        let checkpoints = scratch.take(self.segments() * state);
        let kept = scratch.take(self.kept_values() * width);
        fill_per_channel(gain, columns.start, shape.inner, self.gain);
        fill_per_channel(bias, columns.start, shape.inner, self.bias);
        sums.fill(E::default());
        let load_state = |rows: &mut [E], source: Option<&[E]>| {
            for (pole, row) in rows.chunks_exact_mut(width).enumerate() {
                let start = pole * neurons + columns.start;
                match source {
                    Some(source) => row.copy_from_slice(&source[start..start + width]),
                    None => row.fill(E::default()),
                }
            }
        };
        load_state(grad_heat, self.grad_final_heat);
        load_state(heat, self.heat);
        let spread = SpreadRows::<E>::needed(self.scan)
            .then(|| SpreadRows::new(simd, self.scan, &columns, &mut scratch));
        let mut neurons = BlockNeurons { gain, bias, spread };
        let window = |segment: usize| {
            let steps = segment * self.segment..steps.min((segment + 1) * self.segment);
            Window { pass: self, columns: columns.clone(), steps }
        };
        // Forward over all segments but the last: only the checkpoints stay.
        for (segment, checkpoint) in checkpoints.chunks_exact_mut(state).enumerate() {
            checkpoint.copy_from_slice(heat);
            if segment + 1 < self.segments() {
                self.heat_after(simd, window(segment), neurons.rows(), heat);
            }
        }
        for segment in (0..self.segments()).rev() {
            heat.copy_from_slice(&checkpoints[segment * state..][..state]);
            self.slopes(simd, window(segment), &mut neurons, [heat, exponent, kept]);
            self.adjoint(simd, window(segment), neurons.rows(), kept, [grad_heat, unwanted, sums]);
        }
        simd.finish_streams();
        if let Some(wanted) = &self.grad_heat {
            for (pole, row) in grad_heat.chunks_exact(width).enumerate() {
                // SAFETY: the caller owns these columns.
                unsafe { wanted.row(pole, &columns) }.copy_from_slice(row);
            }
        }
        if self.params {
            add_per_channel(&sums[..width], columns.start, shape.inner, gain_sums);
            add_per_channel(&sums[width..], columns.start, shape.inner, bias_sums);
        }
    }

    fn heat_after<S: Simd<E = E>>(
        &self,
        simd: S,
        window: Window<'_, '_, E>,
        neurons: NeuronRows<'_, E>,
        heat: &mut [E],
    ) {
        let spread = !neurons.heating.is_empty();
        with_poles!(self.law.poles, P => with_flag!(spread, SPREAD => with_flag!(self.law.has_reset(), RESET => {
            simd.vectorize(ByColumns(Heat::<E, P, SPREAD, RESET> { window, neurons, heat }));
        })));
    }

    fn slopes<S: Simd<E = E>>(
        &self,
        simd: S,
        window: Window<'_, '_, E>,
        neurons: &mut BlockNeurons<'_, E>,
        [heat, exponent, kept]: [&mut [E]; 3],
    ) {
        let spread = neurons.spread.is_some();
        with_poles!(self.law.poles, P => with_flag!(spread, SPREAD => with_flag!(self.law.has_reset(), RESET =>
            with_switch!(&self.law.kind, switch => {
                simd.vectorize(ByColumns(Slopes::<E, _, P, SPREAD, RESET> {
                    window, switch, neurons, heat, exponent, kept,
                }));
            })
        )));
    }

    fn adjoint<S: Simd<E = E>>(
        &self,
        simd: S,
        window: Window<'_, '_, E>,
        neurons: NeuronRows<'_, E>,
        kept: &[E],
        [grad_heat, unwanted, grad_gain_bias]: [&mut [E]; 3],
    ) {
        let (spread, grad_x) = (!neurons.heating.is_empty(), self.grad_x.as_ref());
        with_poles!(self.law.poles, P => with_flag!(spread, SPREAD => with_flag!(self.law.has_reset(), RESET =>
            with_flag!(self.params, PARAMS => {
                simd.vectorize(ByColumns(Adjoint::<E, P, SPREAD, RESET, PARAMS> {
                    window, neurons, kept, grad_heat, grad_x, unwanted, grad_gain_bias,
                }));
            })
        )));
    }
}
