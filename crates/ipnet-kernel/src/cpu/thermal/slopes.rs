//! The heat of a block during some steps, and the slopes of its firing: what the way back needs of each step.
//!
//! With `r = 2^w`, `p = 1 - 2^-r`:
//! ```text
//! dp/dw     = ln(2)^2 r 2^-r
//! dp/du     = dp/dw dw/du,   dp/dtheta = dp/dw dw/dtheta          (a table has both itself)
//! ```
//! Kept of a step, vector by vector: u with the sign as a mark of a drive beyond its edges, dp/du, dp/dtheta; behind them,
//! where the gradients of gain and bias are wanted, a row of x.
//!
//! Design decision: a step is two loops, cut where the exponent `w` is known. A single loop would be one chain of some 130
//! cycles a vector, and the processor's window holds two of them; of two shorter chains it holds more.

use super::forward::{NeuronRows, in_range, within_driver};
use super::law::Switch;
use super::window::{BlockNeurons, Window};
use crate::cpu::block::rows_mut;
use crate::cpu::vector::{Columns, Real, Simd, Vector};
use std::f64::consts::LN_2;
use std::ops::Range;

/// Heat after the steps of a window, without the probability. The bits are those of the forward pass.
pub(crate) struct Heat<'a, 'b, E, const P: usize, const SPREAD: bool, const RESET: bool> {
    pub window: Window<'a, 'b, E>,
    pub neurons: NeuronRows<'a, E>,
    /// A row per pole: before, then after the steps.
    pub heat: &'a mut [E],
}

impl<E: Real, const P: usize, const SPREAD: bool, const RESET: bool> Columns<E>
    for Heat<'_, '_, E, P, SPREAD, RESET>
{
    fn columns(&self) -> usize {
        self.window.width()
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let Window { pass, .. } = self.window;
        let poles = Poles::<S, P, RESET>::new(simd, &pass.law);
        let v_max = simd.splat(pass.law.v_max);
        let width = self.window.width();
        let gain = S::chunks(&self.neurons.gain[range.clone()]);
        let n = gain.len();
        let bias = &S::chunks(&self.neurons.bias[range.clone()])[..n];
        let heating = S::chunks(&self.neurons.heating[if SPREAD { range.clone() } else { 0..0 }]);
        let mut heat =
            rows_mut::<E, P>(self.heat, width).map(|row| &mut S::chunks_mut(&mut row[range.clone()])[..n]);
        for t in self.window.steps.clone() {
            let x = &S::chunks(&self.window.row(pass.x, t)[range.clone()])[..n];
            let fired = S::chunks(&self.window.row(pass.out, t)[if RESET { range.clone() } else { 0..0 }]);
            for i in 0..n {
                let drive = simd.load(&x[i]).mul_add(simd.load(&gain[i]), simd.load(&bias[i]));
                let u = within_driver(simd, drive, v_max);
                let mut power = u * u;
                let mut s = if RESET { simd.load(&fired[i]) } else { u };
                if SPREAD {
                    let heating = simd.load(&heating[i]);
                    power = power * heating;
                    s = s * heating;
                }
                for (pole, row) in heat.iter_mut().enumerate() {
                    let stored = simd.load(&row[i]);
                    simd.store(poles.next(pole, stored, power, s), &mut row[i]);
                }
            }
        }
    }
}

/// The constants of the heat poles.
struct Poles<S: Simd, const P: usize, const RESET: bool> {
    heat: [S::V; P],
    reset: [S::V; P],
    decay: [S::V; P],
}

impl<S: Simd, const P: usize, const RESET: bool> Poles<S, P, RESET> {
    #[inline(always)]
    fn new(simd: S, law: &super::law::Packed<S::E>) -> Self {
        Self {
            heat: std::array::from_fn(|i| simd.splat(law.heat[i])),
            reset: std::array::from_fn(|i| simd.splat(law.reset[i])),
            decay: std::array::from_fn(|i| simd.splat(law.decay[i])),
        }
    }

    /// `a (T + h power + r s)`.
    #[inline(always)]
    fn next(&self, pole: usize, stored: S::V, power: S::V, s: S::V) -> S::V {
        let mut warm = self.heat[pole].mul_add(power, stored);
        if RESET {
            warm = self.reset[pole].mul_add(s, warm);
        }
        warm * self.decay[pole]
    }
}

/// Values that are kept of a neuron and step, besides x: u with its mark, dp/du, dp/dtheta.
pub(crate) const KEPT: usize = 3;

/// The heat and the slopes of each step of a window.
pub(crate) struct Slopes<'a, 'b, 's, E, K, const P: usize, const SPREAD: bool, const RESET: bool> {
    pub window: Window<'a, 'b, E>,
    pub switch: K,
    pub neurons: &'a mut BlockNeurons<'s, E>,
    /// A row per pole: before, then after the steps.
    pub heat: &'a mut [E],
    /// A row of w.
    pub exponent: &'a mut [E],
    /// What is kept of each step: see [`Window::kept`].
    pub kept: &'a mut [E],
}

impl<E: Real, K: Switch<E>, const P: usize, const SPREAD: bool, const RESET: bool> Columns<E>
    for Slopes<'_, '_, '_, E, K, P, SPREAD, RESET>
{
    fn columns(&self) -> usize {
        self.window.width()
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let Window { pass, .. } = self.window;
        let law = &pass.law;
        let one = simd.splat(E::from_f64(1.0));
        let (v_max, self_heat) = (simd.splat(law.v_max), simd.splat(law.self_heat));
        let poles = Poles::<S, P, RESET>::new(simd, law);
        let switch = self.switch.ready(simd);
        let n = range.len() / S::WIDTH;
        let exponent = &mut S::chunks_mut(&mut self.exponent[range.clone()])[..n];
        let mut heat = rows_mut::<E, P>(self.heat, self.window.width())
            .map(|row| &mut S::chunks_mut(&mut row[range.clone()])[..n]);
        for t in self.window.steps.clone() {
            if SPREAD {
                self.neurons.set_step(simd, t, &range);
            }
            let rows = self.neurons.rows();
            let spread_range = if SPREAD { range.clone() } else { 0..0 };
            let sensitivity = S::chunks(&rows.sensitivity[spread_range.clone()]);
            let heating = S::chunks(&rows.heating[spread_range.clone()]);
            let barrier = S::chunks(&rows.barrier[spread_range]);
            let gain = &S::chunks(&rows.gain[range.clone()])[..n];
            let bias = &S::chunks(&rows.bias[range.clone()])[..n];
            let x = &S::chunks(&self.window.row(pass.x, t)[range.clone()])[..n];
            let grad_out = &S::chunks(&self.window.row(pass.grad_out, t)[range.clone()])[..n];
            let ahead = self.window.ahead(t);
            let ahead = S::chunks(&ahead[if ahead.is_empty() { 0..0 } else { range.clone() }]);
            let fired = S::chunks(&self.window.row(pass.out, t)[if RESET { range.clone() } else { 0..0 }]);
            let (slopes, kept_x) = self.window.kept_mut(self.kept, t, &range);
            let slopes = S::chunks_mut(slopes).as_chunks_mut::<KEPT>().0;
            for (to, from) in S::chunks_mut(kept_x).iter_mut().zip(x) {
                *to = *from;
            }
            let slopes = &mut slopes[..n];
            let mut before = [one; 3];
            for i in 0..n {
                if S::PIPELINED || K::MEASURED {
                    prefetch(simd, [grad_out, ahead], i);
                }
                let drive = simd.load(&x[i]).mul_add(simd.load(&gain[i]), simd.load(&bias[i]));
                let u = within_driver(simd, drive, v_max);
                simd.store(u.marked_unless_equal(drive), &mut slopes[i][0]);
                let mut power = u * u;
                let mut s = if RESET { simd.load(&fired[i]) } else { u };
                let (mut felt, mut scale, mut sense) = (u, one, one);
                if SPREAD {
                    let heating = simd.load(&heating[i]);
                    power = power * heating;
                    s = s * heating;
                    sense = simd.load(&sensitivity[i]);
                    felt = u * sense;
                    scale = simd.load(&barrier[i]);
                }
                let mut rise = power;
                for (pole, row) in heat.iter_mut().enumerate() {
                    let stored = simd.load(&row[i]);
                    rise = match pole {
                        0 if K::SELF_HEAT => power.mul_add(self_heat, stored),
                        0 => stored,
                        _ => rise + stored,
                    };
                    simd.store(poles.next(pole, stored, power, s), &mut row[i]);
                }
                let [w, by_u, by_rise] = K::slopes(simd, switch, felt, rise, scale);
                let by_u = if SPREAD { by_u * sense } else { by_u };
                if S::PIPELINED && !K::MEASURED {
                    if let Some(last) = i.checked_sub(1) {
                        keep_slopes::<S, K>(simd, before, &mut slopes[last]);
                    }
                    before = [w, by_u, by_rise];
                } else {
                    simd.store(w, &mut exponent[i]);
                    simd.store(by_u, &mut slopes[i][1]);
                    simd.store(by_rise, &mut slopes[i][2]);
                }
            }
            if K::MEASURED {
                continue;
            }
            if S::PIPELINED {
                if let Some(last) = slopes.last_mut() {
                    keep_slopes::<S, K>(simd, before, last);
                }
                continue;
            }
            for (i, (slopes, exponent)) in slopes.iter_mut().zip(exponent.iter()).enumerate() {
                prefetch(simd, [grad_out, ahead], i);
                let [_, by_u, by_rise] = &*slopes;
                let exponent = [simd.load(exponent), simd.load(by_u), simd.load(by_rise)];
                keep_slopes::<S, K>(simd, exponent, slopes);
            }
        }
    }
}

/// Asks for chunk `i` of each row that has one.
#[inline(always)]
fn prefetch<S: Simd>(simd: S, rows: [&[S::Chunk]; 2], i: usize) {
    let [first, second] = rows;
    for chunk in [first.get(i), second.get(i)].into_iter().flatten() {
        simd.prefetch(chunk);
    }
}

/// Keeps dp/du and dp/dtheta, from w and its slopes.
#[inline(always)]
fn keep_slopes<S: Simd, K: Switch<S::E>>(
    simd: S,
    [w, by_u, by_rise]: [S::V; 3],
    kept: &mut [S::Chunk; KEPT],
) {
    let slope = firing_slope::<S, K>(simd, w);
    simd.store(by_u * slope, &mut kept[1]);
    simd.store(by_rise * slope, &mut kept[2]);
}

/// `dp/dw = ln(2)^2 r 2^-r` with `r = 2^w`.
#[inline(always)]
fn firing_slope<S: Simd, K: Switch<S::E>>(simd: S, w: S::V) -> S::V {
    let ln2_squared = simd.splat(S::E::from_f64(2.0 * LN_2.log2()));
    let rate = in_range::<S, K>(simd, w).exp2();
    rate * (ln2_squared - rate).exp2()
}
