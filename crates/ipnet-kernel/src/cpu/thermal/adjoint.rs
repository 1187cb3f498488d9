//! The steps of a window backward.
//!
//! With `y_t` what forward sent on (p or s, the same to the gradient), `g = dL/dy_t`, and `G_i = dL/dT_i` at
//! the start of the next slot:
//! ```text
//! gp      = g + sum_i a_i r_i G_i                                 a firing is seen and heats
//! gtheta  = gp dp/dtheta
//! gu      = gp dp/du + 2 u (h_self gtheta + sum_i a_i h_i G_i)
//! G_i    <- a_i G_i + gtheta
//! gd      = gu where 0 <= gain x + bias <= v_max, else 0          both edges open, as in PyTorch's clamp
//! dL/dx   = gain gd,  dL/dgain += x gd,  dL/dbias += gd
//! ```

use super::forward::NeuronRows;
use super::slopes::KEPT;
use super::window::Window;
use crate::cpu::block::{SharedRows, as_new, rows_mut};
use crate::cpu::vector::{Columns, Real, Simd, Vector};
use std::mem::MaybeUninit;
use std::ops::Range;

/// See the module's equations; the slopes come from [`super::slopes::Slopes`].
pub(crate) struct Adjoint<
    'a,
    'b,
    E,
    const P: usize,
    const SPREAD: bool,
    const RESET: bool,
    const PARAMS: bool,
> {
    pub window: Window<'a, 'b, E>,
    pub neurons: NeuronRows<'a, E>,
    pub kept: &'a [E],
    /// `G_i`, a row per pole.
    pub grad_heat: &'a mut [E],
    /// dL/dx, where it is wanted; else `unwanted`, a row, is written.
    pub grad_x: Option<&'a SharedRows<'b, MaybeUninit<E>>>,
    pub unwanted: &'a mut [E],
    /// Sums over time: dL/dgain and dL/dbias of each neuron.
    pub grad_gain_bias: &'a mut [E],
}

impl<E: Real, const P: usize, const SPREAD: bool, const RESET: bool, const PARAMS: bool> Columns<E>
    for Adjoint<'_, '_, E, P, SPREAD, RESET, PARAMS>
{
    fn columns(&self) -> usize {
        self.window.width()
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let Window { pass, .. } = self.window;
        let law = &pass.law;
        let width = self.window.width();
        // Twice: the derivative of u^2 brings the factor.
        let self_heat = simd.splat(law.self_heat + law.self_heat);
        let pole_heat: [S::V; P] = std::array::from_fn(|i| simd.splat(law.heat[i] + law.heat[i]));
        let reset: [S::V; P] = std::array::from_fn(|i| simd.splat(law.reset[i]));
        let decay: [S::V; P] = std::array::from_fn(|i| simd.splat(law.decay[i]));
        let past_cache = pass.past_cache && self.grad_x.is_some();
        let gain = S::chunks(&self.neurons.gain[range.clone()]);
        let n = gain.len();
        let heating = S::chunks(&self.neurons.heating[if SPREAD { range.clone() } else { 0..0 }]);
        let grad_heat = rows_mut::<E, P>(self.grad_heat, width)
            .map(|row| &mut S::chunks_mut(&mut row[range.clone()])[..n]);
        let sums_width = if PARAMS { width } else { 0 };
        let [grad_gain, grad_bias] = rows_mut::<E, 2>(self.grad_gain_bias, sums_width)
            .map(|row| S::chunks_mut(&mut row[if PARAMS { range.clone() } else { 0..0 }]));
        for t in self.window.steps.clone().rev() {
            let (slopes, kept_x) = self.window.kept(self.kept, t, &range);
            let slopes = S::chunks(slopes).as_chunks::<KEPT>().0;
            let kept_x = S::chunks(kept_x);
            let grad_out = &S::chunks(&self.window.row(pass.grad_out, t)[range.clone()])[..n];
            let grad_x = match self.grad_x {
                // SAFETY: the block that made this job owns these columns.
                Some(grad_x) => unsafe { grad_x.row(t, &self.window.columns) },
                None => as_new(&mut *self.unwanted),
            };
            let grad_x = &mut S::new_chunks(&mut grad_x[range.clone()])[..n];
            let places = slopes.iter().zip(grad_out).zip(gain).zip(grad_x);
            for (i, ((([marked_u, by_u, by_rise], grad_out), gain), grad_x)) in places.enumerate() {
                let adjoint: [S::V; P] =
                    std::array::from_fn(|pole| simd.load(&grad_heat[pole][i]) * decay[pole]);
                let mut by_heat = pole_heat[0] * adjoint[0];
                let mut by_reset = reset[0] * adjoint[0];
                for pole in 1..P {
                    by_heat = pole_heat[pole].mul_add(adjoint[pole], by_heat);
                    by_reset = reset[pole].mul_add(adjoint[pole], by_reset);
                }
                if SPREAD {
                    by_reset = by_reset * simd.load(&heating[i]);
                }
                let mut grad_p = simd.load(grad_out);
                if RESET {
                    grad_p = grad_p + by_reset;
                }
                let grad_rise = grad_p * simd.load(by_rise);
                for pole in 0..P {
                    simd.store(adjoint[pole] + grad_rise, &mut grad_heat[pole][i]);
                }
                let mut power = self_heat.mul_add(grad_rise, by_heat);
                if SPREAD {
                    power = power * simd.load(&heating[i]);
                }
                let mark = simd.load(marked_u);
                let grad_u = mark.abs().mul_add(power, grad_p * simd.load(by_u));
                let inside = grad_u.where_unmarked(mark);
                simd.put(simd.load(gain) * inside, grad_x, past_cache);
                if PARAMS {
                    // At a clamped place the drive does not count, not even an infinite one.
                    let x = simd.load(&kept_x[i]).where_unmarked(mark);
                    simd.store(x.mul_add(inside, simd.load(&grad_gain[i])), &mut grad_gain[i]);
                    simd.store(inside + simd.load(&grad_bias[i]), &mut grad_bias[i]);
                }
            }
        }
    }
}
