//! One time step of a row of neurons, backward.
//!
//! With `y_t` what forward sent on (p or s, the same to the gradient), `g = dL/dy_t`, and `G_i = dL/dT_i` at
//! the start of the next slot:
//! ```text
//! gp      = g + sum_i a_i r_i G_i                                 a firing is seen and heats
//! gw      = gp ln(2)^2 2^w 2^-(2^w)                               (a table has dp/du and dp/dtheta themselves)
//! gtheta  = gw dw/dtheta
//! gu      = gw dw/du + 2 u (h_self gtheta + sum_i a_i h_i G_i)
//! G_i    <- a_i G_i + gtheta
//! gd      = gu where 0 <= gain x + bias <= v_max, else 0          both edges open, as in PyTorch's clamp
//! dL/dx   = gain gd,  dL/dgain += x gd,  dL/dbias += gd
//! ```

use super::forward::{NeuronRows, in_range};
use super::law::{Packed, Switch};
use crate::cpu::block::{rows, rows_mut};
use crate::cpu::vector::{Job, Real, Simd, Vector, whole_vectors};
use std::f64::consts::LN_2;
use std::mem::MaybeUninit;
use std::ops::Range;

/// `2^w`, `dw/du` and `dw/dtheta` of a step (of a table dp/du and dp/dtheta), from the drive and the heat at its start.
pub(crate) struct Slopes<'a, E, K, const P: usize, const SPREAD: bool> {
    pub law: &'a Packed<E>,
    pub switch: K,
    /// The drive between its edges.
    pub u: &'a [E],
    pub neurons: NeuronRows<'a, E>,
    pub heat: &'a [E],
    /// Three rows: 2^w (unused by a table), dw/du, dw/dtheta.
    pub slopes: &'a mut [E],
    /// What is read next.
    pub grad_out: &'a [E],
}

impl<E: Real, K: Switch<E>, const P: usize, const SPREAD: bool> Job<E> for Slopes<'_, E, K, P, SPREAD> {
    #[inline(always)]
    fn run<S: Simd<E = E>>(mut self, simd: S) {
        let (len, whole) = (self.u.len(), whole_vectors::<S>(self.u.len()));
        if S::WIDTH > 1 {
            self.part(simd, 0..whole);
        }
        self.rest(simd.tail(), whole..len);
    }
}

impl<E: Real, K: Switch<E>, const P: usize, const SPREAD: bool> Slopes<'_, E, K, P, SPREAD> {
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
        let self_heat = v(law.self_heat);
        let switch = self.switch.ready(simd);
        let drive = S::chunks(&self.u[range.clone()]);
        let n = drive.len();
        let grad_out = &S::chunks(&self.grad_out[range.clone()])[..n];
        let spread_range = if SPREAD { range.clone() } else { 0..0 };
        let sensitivity = S::chunks(&self.neurons.sensitivity[spread_range.clone()]);
        let heating = S::chunks(&self.neurons.heating[spread_range.clone()]);
        let barrier = S::chunks(&self.neurons.barrier[spread_range]);
        let width = self.u.len();
        let heat = rows::<E, P>(self.heat, width).map(|row| &S::chunks(&row[range.clone()])[..n]);
        let [rate_row, u_row, rise_row] =
            rows_mut::<E, 3>(self.slopes, width).map(|row| S::chunks_mut(&mut row[range.clone()]));
        let (rate_row, u_row, rise_row) = (&mut rate_row[..n], &mut u_row[..n], &mut rise_row[..n]);
        for i in 0..n {
            simd.prefetch(&grad_out[i]);
            let u = simd.load(&drive[i]);
            let mut power = u * u;
            let (mut felt, mut scale, mut sense) = (u, one, one);
            if SPREAD {
                power = power * simd.load(&heating[i]);
                sense = simd.load(&sensitivity[i]);
                felt = u * sense;
                scale = simd.load(&barrier[i]);
            }
            let mut rise = zero;
            for (pole, heat) in heat.iter().enumerate() {
                let stored = simd.load(&heat[i]);
                rise = if pole == 0 { power.mul_add(self_heat, stored) } else { rise + stored };
            }
            let [w, by_u, by_rise] = K::slopes(simd, switch, felt, rise, scale);
            let rate = if K::MEASURED { w } else { in_range(simd, w).exp2() };
            simd.store(rate, &mut rate_row[i]);
            simd.store(if SPREAD { by_u * sense } else { by_u }, &mut u_row[i]);
            simd.store(by_rise, &mut rise_row[i]);
        }
    }
}

/// The adjoint of a step: see the module's equations.
pub(crate) struct Adjoint<'a, E, const P: usize, const SPREAD: bool, const TABLE: bool, const PARAMS: bool> {
    pub law: &'a Packed<E>,
    /// Two rows: x and u.
    pub drive: &'a [E],
    pub neurons: NeuronRows<'a, E>,
    pub slopes: &'a [E],
    pub grad_out: &'a [E],
    /// `G_i`, a row per pole.
    pub grad_heat: &'a mut [E],
    pub grad_x: &'a mut [MaybeUninit<E>],
    pub past_cache: bool,
    /// What the next block reads first; empty, or as long as `x`.
    pub ahead: &'a [E],
    /// Sums over time: dL/dgain and dL/dbias of each neuron.
    pub grad_gain_bias: &'a mut [E],
}

impl<E: Real, const P: usize, const SPREAD: bool, const TABLE: bool, const PARAMS: bool> Job<E>
    for Adjoint<'_, E, P, SPREAD, TABLE, PARAMS>
{
    #[inline(always)]
    fn run<S: Simd<E = E>>(mut self, simd: S) {
        let (len, whole) = (self.grad_out.len(), whole_vectors::<S>(self.grad_out.len()));
        if S::WIDTH > 1 {
            self.part(simd, 0..whole);
        }
        self.rest(simd.tail(), whole..len);
    }
}

impl<E: Real, const P: usize, const SPREAD: bool, const TABLE: bool, const PARAMS: bool>
    Adjoint<'_, E, P, SPREAD, TABLE, PARAMS>
{
    /// What is left over, compiled once for all instruction sets.
    #[inline(never)]
    fn rest<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        self.part(simd, range);
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let law = self.law;
        let v = |value| simd.splat(value);
        let c = |value| simd.splat(E::from_f64(value));
        let zero = c(0.0);
        // Twice: the derivative of u^2 brings the factor.
        let self_heat = v(law.self_heat + law.self_heat);
        let pole_heat: [S::V; P] = std::array::from_fn(|i| v(law.heat[i] + law.heat[i]));
        let reset: [S::V; P] = std::array::from_fn(|i| v(law.reset[i]));
        let decay: [S::V; P] = std::array::from_fn(|i| v(law.decay[i]));
        let width = self.grad_out.len();
        let [x, u] = rows::<E, 2>(self.drive, width).map(|row| S::chunks(&row[range.clone()]));
        let n = x.len();
        let u = &u[..n];
        let gain = &S::chunks(&self.neurons.gain[range.clone()])[..n];
        let bias = &S::chunks(&self.neurons.bias[range.clone()])[..n];
        let heating = S::chunks(&self.neurons.heating[if SPREAD { range.clone() } else { 0..0 }]);
        let grad_out = &S::chunks(&self.grad_out[range.clone()])[..n];
        let ahead = S::chunks(&self.ahead[if self.ahead.is_empty() { 0..0 } else { range.clone() }]);
        let grad_x = &mut S::new_chunks(&mut self.grad_x[range.clone()])[..n];
        let [rate_row, u_row, rise_row] =
            rows::<E, 3>(self.slopes, width).map(|row| &S::chunks(&row[range.clone()])[..n]);
        let grad_heat =
            rows_mut::<E, P>(self.grad_heat, width).map(|row| S::chunks_mut(&mut row[range.clone()]));
        let sums_width = if PARAMS { width } else { 0 };
        let [grad_gain, grad_bias] = rows_mut::<E, 2>(self.grad_gain_bias, sums_width)
            .map(|row| S::chunks_mut(&mut row[if PARAMS { range.clone() } else { 0..0 }]));
        for i in 0..n {
            if let Some(chunk) = ahead.get(i) {
                simd.prefetch(chunk);
            }
            let mut adjoint = [zero; P];
            let (mut by_heat, mut by_reset) = (zero, zero);
            for pole in 0..P {
                adjoint[pole] = simd.load(&grad_heat[pole][i]) * decay[pole];
                by_heat = pole_heat[pole].mul_add(adjoint[pole], by_heat);
                by_reset = reset[pole].mul_add(adjoint[pole], by_reset);
            }
            let mut heating_of = c(1.0);
            if SPREAD {
                heating_of = simd.load(&heating[i]);
                by_reset = by_reset * heating_of;
            }
            let grad_p = simd.load(&grad_out[i]) + by_reset;
            let grad_w = if TABLE { grad_p } else { grad_p * rate_slope(simd, simd.load(&rate_row[i])) };
            let grad_rise = grad_w * simd.load(&rise_row[i]);
            for pole in 0..P {
                simd.store(adjoint[pole] + grad_rise, &mut grad_heat[pole][i]);
            }
            let x = simd.load(&x[i]);
            let gain = simd.load(&gain[i]);
            let drive = x.mul_add(gain, simd.load(&bias[i]));
            let u = simd.load(&u[i]);
            let mut power = self_heat.mul_add(grad_rise, by_heat);
            if SPREAD {
                power = power * heating_of;
            }
            let grad_u = u.mul_add(power, grad_w * simd.load(&u_row[i]));
            let inside = grad_u.where_equal(u, drive);
            let result = gain * inside;
            simd.put(result, &mut grad_x[i], self.past_cache);
            if PARAMS {
                // At a clamped place the drive does not count, not even an infinite one.
                let sum = x.where_equal(u, drive).mul_add(inside, simd.load(&grad_gain[i]));
                simd.store(sum, &mut grad_gain[i]);
                let sum = inside + simd.load(&grad_bias[i]);
                simd.store(sum, &mut grad_bias[i]);
            }
        }
    }
}

/// `dp/dw = ln(2)^2 r 2^-r` with `r = 2^w`.
#[inline(always)]
fn rate_slope<S: Simd>(simd: S, rate: S::V) -> S::V {
    let ln2_squared = simd.splat(S::E::from_f64(2.0 * LN_2.log2()));
    rate * (ln2_squared - rate).exp2()
}
