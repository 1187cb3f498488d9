//! Leaky integrate-and-fire neurons, with or without an adaptive threshold, on the blocks of the step law.
//!
//! With membrane `v`, adaptation `a`, and constants z, d that name the reset (zero: z = 1, d = 0; subtract:
//! z = 0, d = threshold; none: both 0):
//! ```text
//! m  = decay v + x
//! o  = m - threshold - strength a
//! s  = 1 if o >= 0 else 0
//! v' = m (1 - z s) - d s
//! a' = rho a + s
//! ```
//! Backward, with `G = dL/d(next state)`, `h = alpha sigma(alpha o) (1 - sigma(alpha o))`:
//! ```text
//! gs = g + G_a - (z m + d) G_v            the last term only where the reset is not detached
//! go = gs h
//! gm = go + (1 - z s) G_v
//! dL/dx = gm,  dL/ddecay += v gm,  G_v <- decay gm,  G_a <- rho G_a - strength go
//! ```
//! A NaN in `x` makes that neuron's spikes NaN from that step on. An infinity is not clamped: the membrane stays infinite (for
//! a decay above 0), so below the neuron is silent for good and above it fires for ever, or with reset zero (infinity times
//! 0) is NaN from the next step on.

use super::block::{
    Cutter, SharedRows, add_per_channel, as_new, fill_per_channel, row_ahead, rows, with_scratch,
};
use super::run::{AtLevel, for_blocks, in_parts, past_cache};
use super::vector::{ByColumns, Columns, Real, Simd, Vector};
use crate::{AlifConfig, Reset, ScanShape};
use std::mem::MaybeUninit;
use std::ops::Range;

/// The constants of the module's equations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neuron<E> {
    pub threshold: E,
    pub zeroing: E,
    pub subtracted: E,
    pub rho: E,
    pub strength: E,
    pub alpha: E,
    /// `-alpha log2(e)`.
    pub steepness: E,
    /// 1, or 0 for a detached reset.
    pub reset_gradient: E,
    /// 1 or 2: whether there is an adaptation.
    pub states: usize,
}

impl<E: Real> Neuron<E> {
    pub(crate) fn new(config: &AlifConfig) -> Self {
        let e = E::from_f64;
        let lif = &config.lif;
        Self {
            threshold: e(lif.threshold),
            zeroing: e(if lif.reset == Reset::Zero { 1.0 } else { 0.0 }),
            subtracted: e(if lif.reset == Reset::Subtract { lif.threshold } else { 0.0 }),
            rho: e(config.adaptation_decay),
            strength: e(config.adaptation_strength),
            alpha: e(lif.surrogate_alpha),
            steepness: e(-lif.surrogate_alpha * std::f64::consts::LOG2_E),
            reset_gradient: e(if lif.detach_reset { 0.0 } else { 1.0 }),
            states: if config.adaptation_strength > 0.0 { 2 } else { 1 },
        }
    }
}

/// The most neurons in a block.
const WIDTH: usize = 1024;

/// `(m, o, s)` of one step.
#[inline(always)]
fn fire<S: Simd>(
    simd: S,
    neuron: &Neuron<S::E>,
    decay: S::V,
    x: S::V,
    v: S::V,
    a: Option<S::V>,
) -> (S::V, S::V, S::V) {
    let (zero, one) = (simd.splat(S::E::from_f64(0.0)), simd.splat(S::E::from_f64(1.0)));
    let m = decay.mul_add(v, x);
    let mut over = m - simd.splat(neuron.threshold);
    if let Some(a) = a {
        over = simd.splat(neuron.strength).neg_mul_add(a, over);
    }
    // The minimum is 1 for every o >= 0 and NaN for a NaN.
    (m, over, over.if_less(zero, zero, one.min_with(one + over)))
}

/// One step of a row: reads the state, writes the spikes and the next state.
struct Step<'a, E, const ADAPTIVE: bool> {
    neuron: Neuron<E>,
    decay: &'a [E],
    x: &'a [E],
    state: &'a [E],
    next: &'a mut [E],
    out: &'a mut [MaybeUninit<E>],
    past_cache: bool,
    /// Rows that are read soon; each empty, or as long as `x`.
    ahead: [&'a [E]; 2],
}

impl<E: Real, const ADAPTIVE: bool> Columns<E> for Step<'_, E, ADAPTIVE> {
    fn columns(&self) -> usize {
        self.x.len()
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let neuron = &self.neuron;
        let one = simd.splat(E::from_f64(1.0));
        let (zeroing, subtracted) = (simd.splat(neuron.zeroing), simd.splat(neuron.subtracted));
        let rho = simd.splat(neuron.rho);
        let width = self.x.len();
        let x = S::chunks(&self.x[range.clone()]);
        let n = x.len();
        let decay = &S::chunks(&self.decay[range.clone()])[..n];
        let out = &mut S::new_chunks(&mut self.out[range.clone()])[..n];
        let [v] = rows::<E, 1>(self.state, width).map(|row| &S::chunks(&row[range.clone()])[..n]);
        let (next_v, next_a) = self.next.split_at_mut(width);
        let next_v = &mut S::chunks_mut(&mut next_v[range.clone()])[..n];
        let [soon, later] = self.ahead;
        let soon = S::chunks(&soon[if soon.is_empty() { 0..0 } else { range.clone() }]);
        let later = S::chunks(&later[if later.is_empty() { 0..0 } else { range.clone() }]);
        let adaptive = if ADAPTIVE { range } else { 0..0 };
        let a = S::chunks(&self.state[width..][adaptive.clone()]);
        let next_a = S::chunks_mut(&mut next_a[adaptive]);
        for i in 0..n {
            if let Some(chunk) = soon.get(i) {
                simd.prefetch(chunk);
            }
            if let Some(chunk) = later.get(i) {
                simd.prefetch(chunk);
            }
            let old_a = if ADAPTIVE { Some(simd.load(&a[i])) } else { None };
            let (m, _, s) =
                fire(simd, neuron, simd.load(&decay[i]), simd.load(&x[i]), simd.load(&v[i]), old_a);
            simd.put(s, &mut out[i], self.past_cache);
            let kept = m * zeroing.neg_mul_add(s, one);
            simd.store(subtracted.neg_mul_add(s, kept), &mut next_v[i]);
            if let Some(old_a) = old_a {
                simd.store(rho.mul_add(old_a, s), &mut next_a[i]);
            }
        }
    }
}

/// The adjoint of [`Step`].
struct Adjoint<'a, E, const ADAPTIVE: bool> {
    neuron: Neuron<E>,
    decay: &'a [E],
    x: &'a [E],
    state: &'a [E],
    grad_out: &'a [E],
    grad_state: &'a mut [E],
    grad_x: &'a mut [MaybeUninit<E>],
    past_cache: bool,
    grad_decay: &'a mut [E],
}

impl<E: Real, const ADAPTIVE: bool> Columns<E> for Adjoint<'_, E, ADAPTIVE> {
    fn columns(&self) -> usize {
        self.x.len()
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let neuron = &self.neuron;
        let c = |value| simd.splat(E::from_f64(value));
        let (zeroing, alpha) = (simd.splat(neuron.zeroing), simd.splat(neuron.alpha));
        let steepness = simd.splat(neuron.steepness);
        let reset_m = simd.splat(neuron.zeroing * neuron.reset_gradient);
        let reset_d = simd.splat(neuron.subtracted * neuron.reset_gradient);
        let (rho, strength) = (simd.splat(neuron.rho), simd.splat(neuron.strength));
        let width = self.x.len();
        let x = S::chunks(&self.x[range.clone()]);
        let n = x.len();
        let decay = &S::chunks(&self.decay[range.clone()])[..n];
        let grad_out = &S::chunks(&self.grad_out[range.clone()])[..n];
        let grad_x = &mut S::new_chunks(&mut self.grad_x[range.clone()])[..n];
        let grad_decay = &mut S::chunks_mut(&mut self.grad_decay[range.clone()])[..n];
        let v = &S::chunks(&self.state[range.clone()])[..n];
        let (grad_v, grad_a) = self.grad_state.split_at_mut(width);
        let grad_v = &mut S::chunks_mut(&mut grad_v[range.clone()])[..n];
        let adaptive = if ADAPTIVE { range } else { 0..0 };
        let a = S::chunks(&self.state[width..][adaptive.clone()]);
        let grad_a = S::chunks_mut(&mut grad_a[adaptive]);
        for i in 0..n {
            let old_a = if ADAPTIVE { Some(simd.load(&a[i])) } else { None };
            let (old_v, decay) = (simd.load(&v[i]), simd.load(&decay[i]));
            let (m, over, s) = fire(simd, neuron, decay, simd.load(&x[i]), old_v, old_a);
            let g_v = simd.load(&grad_v[i]);
            let mut grad_s = reset_m.mul_add(m, reset_d).neg_mul_add(g_v, simd.load(&grad_out[i]));
            if ADAPTIVE {
                grad_s = grad_s + simd.load(&grad_a[i]);
            }
            // h = alpha e / (1 + e)^2 with e = exp(-alpha o); beyond 2^58 it is 0 to f32 and below 4e-18 to f64.
            let e = c(58.0).min_with(c(-58.0).max_with(steepness * over)).exp2();
            let inverse = c(1.0) / (c(1.0) + e);
            let grad_over = grad_s * ((alpha * e) * (inverse * inverse));
            let grad_m = zeroing.neg_mul_add(s, c(1.0)).mul_add(g_v, grad_over);
            simd.put(grad_m, &mut grad_x[i], self.past_cache);
            simd.store(old_v.mul_add(grad_m, simd.load(&grad_decay[i])), &mut grad_decay[i]);
            simd.store(decay * grad_m, &mut grad_v[i]);
            if ADAPTIVE {
                let kept = rho * simd.load(&grad_a[i]);
                simd.store(strength.neg_mul_add(grad_over, kept), &mut grad_a[i]);
            }
        }
    }
}

/// A forward pass: `x` `[T, N]`, `decay` `[C]`, states `[1 or 2, N]`.
pub(crate) struct LifForward<'a, E> {
    pub shape: ScanShape,
    pub neuron: Neuron<E>,
    pub x: &'a [E],
    pub decay: &'a [E],
    pub state: Option<&'a [E]>,
    pub out: SharedRows<'a, MaybeUninit<E>>,
    pub final_state: Option<SharedRows<'a, E>>,
}

/// A backward pass; `sums` are for dL/ddecay, `[C]`.
pub(crate) struct LifBackward<'a, E> {
    pub shape: ScanShape,
    pub neuron: Neuron<E>,
    pub segment: usize,
    pub x: &'a [E],
    pub decay: &'a [E],
    pub state: Option<&'a [E]>,
    pub grad_out: &'a [E],
    pub grad_final_state: Option<&'a [E]>,
    pub grad_x: SharedRows<'a, MaybeUninit<E>>,
    pub grad_state: Option<SharedRows<'a, E>>,
    pub grad_decay: &'a mut [E],
}

fn load_state<E: Real>(rows: &mut [E], source: Option<&[E]>, columns: &Range<usize>, neurons: usize) {
    for (i, row) in rows.chunks_exact_mut(columns.len()).enumerate() {
        match source {
            Some(source) => row.copy_from_slice(&source[i * neurons..][columns.clone()]),
            None => row.fill(E::default()),
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn step<S: Simd>(
    simd: S,
    neuron: Neuron<S::E>,
    decay: &[S::E],
    x: &[S::E],
    state: &[S::E],
    next: &mut [S::E],
    out: &mut [MaybeUninit<S::E>],
    past_cache: bool,
    ahead: [&[S::E]; 2],
) {
    if neuron.states == 2 {
        simd.vectorize(ByColumns(Step::<S::E, true> {
            neuron,
            decay,
            x,
            state,
            next,
            out,
            past_cache,
            ahead,
        }));
    } else {
        simd.vectorize(ByColumns(Step::<S::E, false> {
            neuron,
            decay,
            x,
            state,
            next,
            out,
            past_cache,
            ahead,
        }));
    }
}

impl<E: Real> AtLevel<E> for LifForward<'_, E> {
    fn with<S: Simd<E = E> + Sync>(self, simd: S) {
        let (shape, states) = (self.shape, self.neuron.states);
        let (neurons, past_cache) = (shape.neurons(), past_cache::<E>(shape));
        for_blocks(neurons, WIDTH, shape.steps, |columns| {
            let width = columns.len();
            with_scratch((1 + 2 * states) * width, |scratch| {
                let mut scratch = Cutter(scratch);
                let decay = scratch.take(width);
                let (mut now, mut next) = (scratch.take(states * width), scratch.take(states * width));
                fill_per_channel(decay, columns.start, shape.inner, self.decay);
                load_state(now, self.state, &columns, neurons);
                for t in 0..shape.steps {
                    let x = &self.x[t * neurons..][columns.clone()];
                    // SAFETY: blocks are disjoint ranges of columns.
                    let out = unsafe { self.out.row(t, &columns) };
                    // After the last step comes the first of the next block.
                    let last = t + 1 == shape.steps;
                    let soon = if last { columns.end } else { (t + 1) * neurons + columns.start };
                    let ahead = [row_ahead(self.x, soon, width), &[]];
                    step(simd, self.neuron, decay, x, now, next, out, past_cache, ahead);
                    std::mem::swap(&mut now, &mut next);
                }
                simd.finish_streams();
                if let Some(wanted) = &self.final_state {
                    for (i, row) in now.chunks_exact(width).enumerate() {
                        // SAFETY: blocks are disjoint ranges of columns.
                        unsafe { wanted.row(i, &columns) }.copy_from_slice(row);
                    }
                }
            });
        });
    }
}

impl<E: Real> LifBackward<'_, E> {
    /// # Safety
    /// No other call has any of `columns` while this one runs.
    unsafe fn block<S: Simd<E = E>>(&self, simd: S, columns: Range<usize>, sums: &mut [f64]) {
        let (shape, states, width) = (self.shape, self.neuron.states, columns.len());
        let (neurons, state) = (shape.neurons(), states * width);
        let segments = shape.steps.div_ceil(self.segment);
        let elements = (3 + self.segment) * width + (1 + segments + self.segment + 1) * state;
        with_scratch(elements, |scratch| {
            let mut scratch = Cutter(scratch);
            let (decay, unwanted) = (scratch.take(width), scratch.take(width));
            let (grad_decay, grad_state) = (scratch.take(width), scratch.take(state));
            let checkpoints = scratch.take(segments * state);
            let trace = scratch.take((self.segment + 1) * state);
            let kept_x = scratch.take(self.segment * width);
            fill_per_channel(decay, columns.start, shape.inner, self.decay);
            grad_decay.fill(E::default());
            load_state(grad_state, self.grad_final_state, &columns, neurons);
            if segments > 0 {
                load_state(&mut checkpoints[..state], self.state, &columns, neurons);
            }
            let mut advance = |t: usize, x: &mut [E], now: &[E], then: &mut [E]| {
                x.copy_from_slice(&self.x[t * neurons..][columns.clone()]);
                // The way back reads the gradient, the next block its own x.
                let ahead = [
                    &self.grad_out[t * neurons..][columns.clone()],
                    row_ahead(self.x, t * neurons + columns.end, width),
                ];
                step(simd, self.neuron, decay, x, now, then, as_new(&mut *unwanted), false, ahead);
            };
            for segment in 1..segments {
                let (done, next) = checkpoints.split_at_mut(segment * state);
                trace[..state].copy_from_slice(&done[(segment - 1) * state..]);
                for t in (segment - 1) * self.segment..segment * self.segment {
                    let (now, then) = trace.split_at_mut(state);
                    advance(t, &mut kept_x[..width], now, &mut then[..state]);
                    now.copy_from_slice(&then[..state]);
                }
                next[..state].copy_from_slice(&trace[..state]);
            }
            for segment in (0..segments).rev() {
                let first = segment * self.segment;
                let last = shape.steps.min(first + self.segment);
                trace[..state].copy_from_slice(&checkpoints[segment * state..][..state]);
                for t in first..last {
                    let (now, then) = trace[(t - first) * state..].split_at_mut(state);
                    advance(t, &mut kept_x[(t - first) * width..][..width], now, &mut then[..state]);
                }
                for t in (first..last).rev() {
                    self.adjoint(
                        simd,
                        t,
                        &columns,
                        decay,
                        &kept_x[(t - first) * width..][..width],
                        &trace[(t - first) * state..][..state],
                        grad_state,
                        grad_decay,
                    );
                }
            }
            simd.finish_streams();
            if let Some(wanted) = &self.grad_state {
                for (i, row) in grad_state.chunks_exact(width).enumerate() {
                    // SAFETY: the caller owns these columns.
                    unsafe { wanted.row(i, &columns) }.copy_from_slice(row);
                }
            }
            add_per_channel(grad_decay, columns.start, shape.inner, sums);
        });
    }

    #[allow(clippy::too_many_arguments)]
    fn adjoint<S: Simd<E = E>>(
        &self,
        simd: S,
        t: usize,
        columns: &Range<usize>,
        decay: &[E],
        x: &[E],
        state: &[E],
        grad_state: &mut [E],
        grad_decay: &mut [E],
    ) {
        let (neuron, neurons) = (self.neuron, self.shape.neurons());
        let past_cache = past_cache::<E>(self.shape);
        let grad_out = &self.grad_out[t * neurons..][columns.clone()];
        // SAFETY: `block` owns these columns.
        let grad_x = unsafe { self.grad_x.row(t, columns) };
        if neuron.states == 2 {
            simd.vectorize(ByColumns(Adjoint::<E, true> {
                neuron,
                decay,
                x,
                state,
                grad_out,
                grad_state,
                grad_x,
                past_cache,
                grad_decay,
            }));
        } else {
            simd.vectorize(ByColumns(Adjoint::<E, false> {
                neuron,
                decay,
                x,
                state,
                grad_out,
                grad_state,
                grad_x,
                past_cache,
                grad_decay,
            }));
        }
    }
}

impl<E: Real> AtLevel<E> for LifBackward<'_, E> {
    fn with<S: Simd<E = E> + Sync>(mut self, simd: S) {
        let shape = self.shape;
        let grad_decay = std::mem::take(&mut self.grad_decay);
        let bytes = self.segment * size_of::<E>() * (1 + self.neuron.states);
        in_parts(shape, bytes, WIDTH, [grad_decay], |columns, [sums]| {
            // SAFETY: blocks are disjoint ranges of columns.
            unsafe { self.block(simd, columns, sums) };
        });
    }
}
