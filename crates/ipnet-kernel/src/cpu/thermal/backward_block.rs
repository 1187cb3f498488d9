//! A block of neurons through all of time, backward.
//!
//! The heat at each step is not kept by forward: it follows from x (and from what was fired, where a firing
//! heats) with a few multiplications, so a block recomputes it. It is kept for one segment of time at a time;
//! from one segment to the next a checkpoint is enough.
//!
//! Design decision: x and u of the segment are kept beside the heat, row after row, and the width follows from the
//! segment. Rows of `[T, N]` that lie a power of two apart fall on the same cache sets: read a second time where they
//! lie they came from memory again (measured at T = 300, N = 16,384: 1.7 times the time).

use super::backward::{Adjoint, Slopes};
use super::forward::{NeuronRows, NextHeat};
use super::law::{Kind, Packed};
use super::spread::{SPREAD_ROWS, SpreadRows};
use super::{with_flag, with_poles, with_switch};
use crate::cpu::block::{Cutter, SharedRows, add_per_channel, as_new, fill_per_channel};
use crate::cpu::vector::{Real, Simd};
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
        let traces = self.segment + self.segments() + 1;
        (2 + 3 + 2 + 1 + SPREAD_ROWS + 2 * self.segment + (1 + traces) * self.law.poles) * width
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
        let (slopes, sums) = (scratch.take(3 * width), scratch.take(2 * width));
        let unwanted = scratch.take(width);
        let grad_heat = scratch.take(state);
        let checkpoints = scratch.take(self.segments() * state);
        let trace = scratch.take((self.segment + 1) * state);
        let drives = scratch.take(self.segment * 2 * width);
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
        if steps > 0 {
            load_state(&mut checkpoints[..state], self.heat);
        }
        let mut spread = SpreadRows::<E>::needed(self.scan)
            .then(|| SpreadRows::new(simd, self.scan, &columns, &mut scratch));
        let plain = NeuronRows { gain, bias, sensitivity: &[], heating: &[], barrier: &[] };
        let step_row = |t: usize| t * neurons + columns.start..t * neurons + columns.end;

        // Forward over all segments but the last: only the checkpoints stay.
        for segment in 1..self.segments() {
            let rows = spread.as_ref().map_or(plain, |spread| spread.neurons(gain, bias));
            let (done, next) = checkpoints.split_at_mut(segment * state);
            trace[..state].copy_from_slice(&done[(segment - 1) * state..]);
            for t in (segment - 1) * self.segment..segment * self.segment {
                let (now, then) = trace.split_at_mut(state);
                self.next_heat(simd, &step_row(t), rows, now, &mut then[..state], &mut drives[..2 * width]);
                now.copy_from_slice(&then[..state]);
            }
            next[..state].copy_from_slice(&trace[..state]);
        }
        for segment in (0..self.segments()).rev() {
            let first = segment * self.segment;
            let last = steps.min(first + self.segment);
            trace[..state].copy_from_slice(&checkpoints[segment * state..(segment + 1) * state]);
            let rows = spread.as_ref().map_or(plain, |spread| spread.neurons(gain, bias));
            for t in first..last {
                let (now, then) = trace[(t - first) * state..].split_at_mut(state);
                let drive = &mut drives[(t - first) * 2 * width..][..2 * width];
                self.next_heat(simd, &step_row(t), rows, now, &mut then[..state], drive);
            }
            for t in (first..last).rev() {
                if let Some(spread) = &mut spread {
                    spread.set_step(simd, t);
                }
                let rows = spread.as_ref().map_or(plain, |spread| spread.neurons(gain, bias));
                let range = step_row(t);
                let heat = &trace[(t - first) * state..(t - first + 1) * state];
                let drive = &drives[(t - first) * 2 * width..][..2 * width];
                self.slopes(simd, &range, &drive[width..], rows, heat, slopes);
                let grad_x = match &self.grad_x {
                    // SAFETY: the caller owns these columns.
                    Some(grad_x) => unsafe { grad_x.row(t, &columns) },
                    None => as_new(&mut *unwanted),
                };
                self.adjoint(simd, &range, drive, rows, slopes, grad_heat, grad_x, sums);
            }
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

    fn next_heat<S: Simd<E = E>>(
        &self,
        simd: S,
        range: &Range<usize>,
        neurons: NeuronRows<'_, E>,
        heat: &[E],
        next: &mut [E],
        drive: &mut [E],
    ) {
        let (law, x, fired) = (&self.law, &self.x[range.clone()], &self.out[range.clone()]);
        let spread = !neurons.heating.is_empty();
        with_poles!(law.poles, P => with_flag!(spread, SPREAD => with_flag!(law.has_reset(), RESET => {
            simd.vectorize(NextHeat::<E, P, SPREAD, RESET> { law, x, drive, fired, neurons, heat, next });
        })));
    }

    fn slopes<S: Simd<E = E>>(
        &self,
        simd: S,
        range: &Range<usize>,
        u: &[E],
        neurons: NeuronRows<'_, E>,
        heat: &[E],
        slopes: &mut [E],
    ) {
        let law = &self.law;
        let spread = !neurons.heating.is_empty();
        with_poles!(law.poles, P => with_flag!(spread, SPREAD => with_switch!(&law.kind, switch => {
            let grad_out = &self.grad_out[range.clone()];
            simd.vectorize(Slopes::<E, _, P, SPREAD> { law, switch, u, neurons, heat, slopes, grad_out });
        })));
    }

    #[allow(clippy::too_many_arguments)]
    fn adjoint<S: Simd<E = E>>(
        &self,
        simd: S,
        range: &Range<usize>,
        drive: &[E],
        neurons: NeuronRows<'_, E>,
        slopes: &[E],
        grad_heat: &mut [E],
        grad_x: &mut [MaybeUninit<E>],
        grad_gain_bias: &mut [E],
    ) {
        let (law, grad_out) = (&self.law, &self.grad_out[range.clone()]);
        let spread = !neurons.heating.is_empty();
        let table = matches!(law.kind, Kind::Table(_));
        let past_cache = self.past_cache && self.grad_x.is_some();
        // The next block begins with the first step, which this one ends with.
        let row = self.scan.shape().neurons();
        let first = (self.scan.shape().steps - 1 - range.start / row) * row + range.end % row;
        let ahead = self.x.get(first..first + range.len()).unwrap_or(&[]);
        with_poles!(law.poles, P => with_flag!(spread, SPREAD => with_flag!(table, TABLE =>
            with_flag!(self.params, PARAMS => {
                simd.vectorize(Adjoint::<E, P, SPREAD, TABLE, PARAMS> {
                    law, drive, neurons, slopes, grad_out, grad_heat, grad_x, past_cache, ahead,
                    grad_gain_bias,
                });
            })
        )));
    }
}
