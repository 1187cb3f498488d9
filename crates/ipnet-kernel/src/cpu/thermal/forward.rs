//! One time step of a row of neurons, forward: three short loops over rows that lie in the first-level cache.
//!
//! Design decision: the step is cut in two where the exponent `w` is known. A single loop would be one
//! dependency chain of about 150 cycles per vector and the processor's window holds four of them; two
//! shorter chains overlap until the arithmetic units are the limit (measured: see docs/kernel.md).

use super::law::{Packed, Switch, W_RANGE};
use crate::cpu::block::{rows, rows_mut};
use crate::cpu::vector::{Job, Real, Simd, Vector, whole_vectors};
use std::mem::MaybeUninit;
use std::ops::Range;

/// Per-neuron constants of a block, a row each.
#[derive(Clone, Copy)]
pub(crate) struct NeuronRows<'a, E> {
    pub gain: &'a [E],
    pub bias: &'a [E],
    /// `1 / (relative critical voltage)`, relative heating, relative barrier: read when there is a spread.
    pub sensitivity: &'a [E],
    pub heating: &'a [E],
    pub barrier: &'a [E],
}

/// Drive to exponent: writes w (or p of a table) and adds the heat of the pulse.
///
/// ```text
/// u = clamp(gain x + bias, 0, v_max);  theta = h_self u^2 + sum_i T_i;  T_i = (T_i + h_i u^2) a_i
/// ```
/// The factor `a_i` is left out when a firing adds heat too: then [`Relax`] applies it.
pub(crate) struct Rate<'a, E, K, const P: usize, const SPREAD: bool> {
    pub law: &'a Packed<E>,
    pub switch: K,
    pub relax: bool,
    pub x: &'a [E],
    pub neurons: NeuronRows<'a, E>,
    pub heat: &'a mut [E],
    pub rate: &'a mut [E],
}

impl<E: Real, K: Switch<E>, const P: usize, const SPREAD: bool> Job<E> for Rate<'_, E, K, P, SPREAD> {
    #[inline(always)]
    fn run<S: Simd<E = E>>(mut self, simd: S) {
        let (len, whole) = (self.x.len(), whole_vectors::<S>(self.x.len()));
        if S::WIDTH > 1 {
            self.part(simd, 0..whole);
        }
        self.rest(simd.tail(), whole..len);
    }
}

impl<E: Real, K: Switch<E>, const P: usize, const SPREAD: bool> Rate<'_, E, K, P, SPREAD> {
    /// What is left over, compiled once for all instruction sets.
    #[inline(never)]
    fn rest<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        self.part(simd, range);
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let law = self.law;
        let v = |value| simd.splat(value);
        let (zero, one) = (v(E::from_f64(0.0)), v(E::from_f64(1.0)));
        let (v_max, self_heat) = (v(law.v_max), v(law.self_heat));
        let pole_heat: [S::V; P] = std::array::from_fn(|i| v(law.heat[i]));
        let keep = |i: usize| if self.relax { law.decay[i] } else { E::from_f64(1.0) };
        let keep: [S::V; P] = std::array::from_fn(|i| v(keep(i)));
        let switch = self.switch.ready(simd);

        let x = S::chunks(&self.x[range.clone()]);
        let n = x.len();
        let gain = &S::chunks(&self.neurons.gain[range.clone()])[..n];
        let bias = &S::chunks(&self.neurons.bias[range.clone()])[..n];
        let spread_range = if SPREAD { range.clone() } else { 0..0 };
        let sensitivity = S::chunks(&self.neurons.sensitivity[spread_range.clone()]);
        let heating = S::chunks(&self.neurons.heating[spread_range.clone()]);
        let barrier = S::chunks(&self.neurons.barrier[spread_range]);
        let rate = &mut S::chunks_mut(&mut self.rate[range.clone()])[..n];
        let width = self.x.len();
        let heat = rows_mut::<E, P>(self.heat, width).map(|row| S::chunks_mut(&mut row[range.clone()]));
        for row in &heat {
            assert_eq!(row.len(), n);
        }
        for i in 0..n {
            let u = simd.load(&x[i]).mul_add(simd.load(&gain[i]), simd.load(&bias[i]));
            let u = v_max.min_with(zero.max_with(u));
            let mut power = u * u;
            let (mut felt, mut scale) = (u, one);
            if SPREAD {
                power = power * simd.load(&heating[i]);
                felt = u * simd.load(&sensitivity[i]);
                scale = simd.load(&barrier[i]);
            }
            let mut rise = zero;
            for pole in 0..P {
                let stored = simd.load(&heat[pole][i]);
                rise = if pole == 0 { power.mul_add(self_heat, stored) } else { rise + stored };
                simd.store(pole_heat[pole].mul_add(power, stored) * keep[pole], &mut heat[pole][i]);
            }
            simd.store(K::value(simd, switch, felt, rise, scale), &mut rate[i]);
        }
    }
}

/// Exponent to firing: `p = 1 - 2^-(2^w)`, and 0 or 1 by `draw < p` when sampled.
pub(crate) struct Fire<'a, E, const SAMPLED: bool, const TABLE: bool> {
    pub rate: &'a [E],
    pub draws: &'a [E],
    pub out: &'a mut [MaybeUninit<E>],
    pub past_cache: bool,
    /// What is read next; empty, or as long as `rate`.
    pub next_x: &'a [E],
}

impl<E: Real, const SAMPLED: bool, const TABLE: bool> Job<E> for Fire<'_, E, SAMPLED, TABLE> {
    #[inline(always)]
    fn run<S: Simd<E = E>>(mut self, simd: S) {
        let (len, whole) = (self.rate.len(), whole_vectors::<S>(self.rate.len()));
        if S::WIDTH > 1 {
            self.part(simd, 0..whole);
        }
        self.rest(simd.tail(), whole..len);
    }
}

/// `w` where its powers are normal numbers; a NaN comes through.
#[inline(always)]
pub(crate) fn in_range<S: Simd>(simd: S, w: S::V) -> S::V {
    let v = |value| simd.splat(S::E::from_f64(value));
    v(W_RANGE[1]).min_with(v(W_RANGE[0]).max_with(w))
}

impl<E: Real, const SAMPLED: bool, const TABLE: bool> Fire<'_, E, SAMPLED, TABLE> {
    /// What is left over, compiled once for all instruction sets.
    #[inline(never)]
    fn rest<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        self.part(simd, range);
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let (zero, one) = (simd.splat(E::from_f64(0.0)), simd.splat(E::from_f64(1.0)));
        let rate = S::chunks(&self.rate[range.clone()]);
        let out = &mut S::new_chunks(&mut self.out[range.clone()])[..rate.len()];
        let next_x = S::chunks(&self.next_x[if self.next_x.is_empty() { 0..0 } else { range.clone() }]);
        let draws = S::chunks(&self.draws[if SAMPLED { range } else { 0..0 }]);
        for i in 0..rate.len() {
            if let Some(chunk) = next_x.get(i) {
                simd.prefetch(chunk);
            }
            let rate = simd.load(&rate[i]);
            let p = if TABLE { rate } else { in_range(simd, rate).exp2().one_minus_exp2_neg() };
            // 0 p is 0, and NaN for a NaN.
            let s = if SAMPLED { simd.load(&draws[i]).if_less(p, one, zero * p) } else { p };
            simd.put(s, &mut out[i], self.past_cache);
        }
    }
}

/// Heat of the reset pulse and decay: `T_i = a_i (T_i + r_i s)`.
pub(crate) struct Relax<'a, E, const P: usize, const SPREAD: bool> {
    pub law: &'a Packed<E>,
    pub heating: &'a [E],
    pub fired: &'a [E],
    pub heat: &'a mut [E],
}

impl<E: Real, const P: usize, const SPREAD: bool> Job<E> for Relax<'_, E, P, SPREAD> {
    #[inline(always)]
    fn run<S: Simd<E = E>>(mut self, simd: S) {
        let (len, whole) = (self.fired.len(), whole_vectors::<S>(self.fired.len()));
        if S::WIDTH > 1 {
            self.part(simd, 0..whole);
        }
        self.rest(simd.tail(), whole..len);
    }
}

impl<E: Real, const P: usize, const SPREAD: bool> Relax<'_, E, P, SPREAD> {
    /// What is left over, compiled once for all instruction sets.
    #[inline(never)]
    fn rest<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        self.part(simd, range);
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let decay: [S::V; P] = std::array::from_fn(|i| simd.splat(self.law.decay[i]));
        let reset: [S::V; P] = std::array::from_fn(|i| simd.splat(self.law.reset[i]));
        let fired = S::chunks(&self.fired[range.clone()]);
        let heating = S::chunks(&self.heating[if SPREAD { range.clone() } else { 0..0 }]);
        let width = self.fired.len();
        let heat = rows_mut::<E, P>(self.heat, width).map(|row| S::chunks_mut(&mut row[range.clone()]));
        for i in 0..fired.len() {
            let mut s = simd.load(&fired[i]);
            if SPREAD {
                s = s * simd.load(&heating[i]);
            }
            for pole in 0..P {
                let warm = reset[pole].mul_add(s, simd.load(&heat[pole][i]));
                simd.store(warm * decay[pole], &mut heat[pole][i]);
            }
        }
    }
}

/// The heat of the next step from that of this one, without the probability: what backward recomputes.
///
/// With `RESET` the firing is read from what forward sent on; the bits are those of [`Rate`] and [`Relax`].
pub(crate) struct NextHeat<'a, E, const P: usize, const SPREAD: bool, const RESET: bool> {
    pub law: &'a Packed<E>,
    pub x: &'a [E],
    /// Two rows for the steps backward: x and u.
    pub drive: &'a mut [E],
    pub fired: &'a [E],
    pub neurons: NeuronRows<'a, E>,
    pub heat: &'a [E],
    pub next: &'a mut [E],
}

impl<E: Real, const P: usize, const SPREAD: bool, const RESET: bool> Job<E>
    for NextHeat<'_, E, P, SPREAD, RESET>
{
    #[inline(always)]
    fn run<S: Simd<E = E>>(mut self, simd: S) {
        let (len, whole) = (self.x.len(), whole_vectors::<S>(self.x.len()));
        if S::WIDTH > 1 {
            self.part(simd, 0..whole);
        }
        self.rest(simd.tail(), whole..len);
    }
}

impl<E: Real, const P: usize, const SPREAD: bool, const RESET: bool> NextHeat<'_, E, P, SPREAD, RESET> {
    /// What is left over, compiled once for all instruction sets.
    #[inline(never)]
    fn rest<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        self.part(simd, range);
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let law = self.law;
        let v = |value| simd.splat(value);
        let (zero, v_max) = (v(E::from_f64(0.0)), v(law.v_max));
        let pole_heat: [S::V; P] = std::array::from_fn(|i| v(law.heat[i]));
        let reset: [S::V; P] = std::array::from_fn(|i| v(law.reset[i]));
        let decay: [S::V; P] = std::array::from_fn(|i| v(law.decay[i]));
        let x = S::chunks(&self.x[range.clone()]);
        let n = x.len();
        let gain = &S::chunks(&self.neurons.gain[range.clone()])[..n];
        let bias = &S::chunks(&self.neurons.bias[range.clone()])[..n];
        let fired = S::chunks(&self.fired[if RESET { range.clone() } else { 0..0 }]);
        let heating = S::chunks(&self.neurons.heating[if SPREAD { range.clone() } else { 0..0 }]);
        let width = self.x.len();
        let heat = rows::<E, P>(self.heat, width).map(|row| S::chunks(&row[range.clone()]));
        let next = rows_mut::<E, P>(self.next, width).map(|row| S::chunks_mut(&mut row[range.clone()]));
        let [kept_x, kept_u] =
            rows_mut::<E, 2>(self.drive, width).map(|row| S::chunks_mut(&mut row[range.clone()]));
        let (kept_x, kept_u) = (&mut kept_x[..n], &mut kept_u[..n]);
        for i in 0..n {
            let x = simd.load(&x[i]);
            simd.store(x, &mut kept_x[i]);
            let u = x.mul_add(simd.load(&gain[i]), simd.load(&bias[i]));
            let u = v_max.min_with(zero.max_with(u));
            simd.store(u, &mut kept_u[i]);
            let mut power = u * u;
            let mut s = if RESET { simd.load(&fired[i]) } else { zero };
            if SPREAD {
                let heating = simd.load(&heating[i]);
                power = power * heating;
                s = s * heating;
            }
            for pole in 0..P {
                let mut warm = pole_heat[pole].mul_add(power, simd.load(&heat[pole][i]));
                if RESET {
                    warm = reset[pole].mul_add(s, warm);
                }
                simd.store(warm * decay[pole], &mut next[pole][i]);
            }
        }
    }
}
