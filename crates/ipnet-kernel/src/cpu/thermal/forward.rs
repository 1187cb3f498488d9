//! Steps of a block of neurons, forward.
//!
//! ```text
//! u = clamp(gain x + bias, 0, v_max);  theta = h_self u^2 + sum_i T_i
//! p = 1 - 2^-(2^w(u, theta)),  s = p, or 0 and 1 by `draw < p` when sampled
//! T_i = a_i (T_i + h_i u^2 + r_i s)
//! ```
//! Design decision: a step is two loops over rows that lie in the first-level cache, cut where the exponent `w` is known. A
//! single loop would be one chain of some 130 cycles a vector, and a processor's window holds two of them; of two shorter
//! chains it holds more. (A loop that fires one vector while it computes the next one's exponent was slower: docs/kernel.md.)

use super::forward_block::Forward;
use super::law::{Switch, W_RANGE};
use super::window::BlockNeurons;
use crate::cpu::block::{as_written, rows_mut};
use crate::cpu::draws::{DrawRows, Place, Purpose};
use crate::cpu::vector::{Columns, Real, Simd, Vector};
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

/// All steps of a block.
pub(crate) struct Steps<'a, 'b, 's, E, K, const P: usize, const SPREAD: bool, const SAMPLED: bool> {
    pub pass: &'a Forward<'b, E>,
    pub columns: Range<usize>,
    pub switch: K,
    pub neurons: &'a mut BlockNeurons<'s, E>,
    /// A row per pole: before, then after the steps.
    pub heat: &'a mut [E],
    /// A row of w.
    pub exponent: &'a mut [E],
    /// Numbers in `[0, 1)` for four steps, a row each.
    pub draws: [&'a mut [E]; 4],
}

impl<E: Real, K, const P: usize, const SPREAD: bool, const SAMPLED: bool>
    Steps<'_, '_, '_, E, K, P, SPREAD, SAMPLED>
{
    /// Draws for steps `4 step_block` to `4 step_block + 3`.
    fn draw<S: Simd<E = E>>(&mut self, simd: S, step: u64, range: &Range<usize>) {
        let config = self.pass.scan.config();
        let place = Place {
            seed: config.seed,
            layer: config.layer,
            purpose: Purpose::Firing,
            step_block: (step / 4) as u32,
            neuron: (config.neuron_offset + (self.columns.start + range.start) as u64) as u32,
        };
        let [a, b, c, d] = &mut self.draws;
        let rows =
            [&mut a[range.clone()], &mut b[range.clone()], &mut c[range.clone()], &mut d[range.clone()]];
        simd.vectorize(DrawRows { place, rows });
    }
}

impl<E: Real, K: Switch<E>, const P: usize, const SPREAD: bool, const SAMPLED: bool> Columns<E>
    for Steps<'_, '_, '_, E, K, P, SPREAD, SAMPLED>
{
    fn columns(&self) -> usize {
        self.columns.len()
    }

    #[inline(always)]
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>) {
        let (pass, columns) = (self.pass, self.columns.clone());
        let (law, reset) = (&pass.law, pass.law.has_reset());
        let (steps, width) = (pass.scan.shape().steps, columns.len());
        let one = simd.splat(E::from_f64(1.0));
        let (v_max, self_heat) = (simd.splat(law.v_max), simd.splat(law.self_heat));
        let pole_heat: [S::V; P] = std::array::from_fn(|i| simd.splat(law.heat[i]));
        let pole_reset: [S::V; P] = std::array::from_fn(|i| simd.splat(law.reset[i]));
        let decay: [S::V; P] = std::array::from_fn(|i| simd.splat(law.decay[i]));
        // With a reset pulse the decay follows its heat.
        let keep = if reset { [one; P] } else { decay };
        let switch = self.switch.ready(simd);
        for t in 0..steps {
            let step = pass.scan.config().step_offset + t as u64;
            if SAMPLED && (t == 0 || step.is_multiple_of(4)) {
                self.draw(simd, step, &range);
            }
            let draws = &self.draws[(step % 4) as usize][if SAMPLED { range.clone() } else { 0..0 }];
            let draws = S::chunks(draws);
            if SPREAD {
                self.neurons.set_step(simd, t, &range);
            }
            let rows = self.neurons.rows();
            let spread_range = if SPREAD { range.clone() } else { 0..0 };
            let sensitivity = S::chunks(&rows.sensitivity[spread_range.clone()]);
            let heating = S::chunks(&rows.heating[spread_range.clone()]);
            let barrier = S::chunks(&rows.barrier[spread_range]);
            let gain = S::chunks(&rows.gain[range.clone()]);
            let n = gain.len();
            let bias = &S::chunks(&rows.bias[range.clone()])[..n];
            let x = &S::chunks(&pass.row(t, &columns)[range.clone()])[..n];
            let ahead = pass.ahead(t, &columns);
            let ahead = S::chunks(&ahead[if ahead.is_empty() { 0..0 } else { range.clone() }]);
            let exponent = &mut S::chunks_mut(&mut self.exponent[range.clone()])[..n];
            let heat = rows_mut::<E, P>(self.heat, width)
                .map(|row| &mut S::chunks_mut(&mut row[range.clone()])[..n]);
            // SAFETY: the block that made this job owns these columns.
            let out = unsafe { pass.out.row(t, &columns) };
            let out = &mut out[range.clone()];
            let fired = &mut S::new_chunks(out)[..n];
            for i in 0..n {
                if let Some(chunk) = ahead.get(i).filter(|_| S::PIPELINED) {
                    simd.prefetch(chunk);
                }
                let drive = simd.load(&x[i]).mul_add(simd.load(&gain[i]), simd.load(&bias[i]));
                let u = within_driver(simd, drive, v_max);
                let mut power = u * u;
                let (mut felt, mut scale) = (u, one);
                if SPREAD {
                    power = power * simd.load(&heating[i]);
                    felt = u * simd.load(&sensitivity[i]);
                    scale = simd.load(&barrier[i]);
                }
                let mut rise = power;
                for pole in 0..P {
                    let stored = simd.load(&heat[pole][i]);
                    rise = match pole {
                        0 if K::SELF_HEAT => power.mul_add(self_heat, stored),
                        0 => stored,
                        _ => rise + stored,
                    };
                    simd.store(pole_heat[pole].mul_add(power, stored) * keep[pole], &mut heat[pole][i]);
                }
                let w = K::value(simd, switch, felt, rise, scale);
                simd.store(w, &mut exponent[i]);
            }
            for (i, (w, fired)) in exponent.iter().zip(fired).enumerate() {
                if let Some(chunk) = ahead.get(i).filter(|_| !S::PIPELINED) {
                    simd.prefetch(chunk);
                }
                let s = fire::<S, K, SAMPLED>(simd, simd.load(w), draws, i);
                simd.put(s, fired, pass.past_cache);
            }
            if !reset {
                continue;
            }
            // SAFETY: every element of the row was written.
            let fired = S::chunks(unsafe { as_written(out) });
            for (i, fired) in fired.iter().enumerate() {
                let mut s = simd.load(fired);
                if SPREAD {
                    s = s * simd.load(&heating[i]);
                }
                for pole in 0..P {
                    let warm = pole_reset[pole].mul_add(s, simd.load(&heat[pole][i]));
                    simd.store(warm * decay[pole], &mut heat[pole][i]);
                }
            }
        }
    }
}

/// What vector `i` fires at the exponent `w` (of a table: at p).
#[inline(always)]
fn fire<S: Simd, K: Switch<S::E>, const SAMPLED: bool>(
    simd: S,
    w: S::V,
    draws: &[S::Chunk],
    i: usize,
) -> S::V {
    let p = if K::MEASURED { w } else { in_range::<S, K>(simd, w).exp2().one_minus_exp2_neg() };
    if !SAMPLED {
        return p;
    }
    // 0 p is 0, and NaN for a NaN.
    let (zero, one) = (simd.splat(S::E::from_f64(0.0)), simd.splat(S::E::from_f64(1.0)));
    simd.load(&draws[i]).if_less(p, one, zero * p)
}

/// `clamp(drive, 0, v_max)`; a NaN comes through.
#[inline(always)]
pub(crate) fn within_driver<S: Simd>(simd: S, drive: S::V, v_max: S::V) -> S::V {
    v_max.min_with(simd.splat(S::E::from_f64(0.0)).max_with(drive))
}

/// `w` where its powers are normal numbers; a NaN comes through.
#[inline(always)]
pub(crate) fn in_range<S: Simd, K: Switch<S::E>>(simd: S, w: S::V) -> S::V {
    if !K::UNBOUNDED {
        return w;
    }
    let v = |value| simd.splat(S::E::from_f64(value));
    v(W_RANGE[1]).min_with(v(W_RANGE[0]).max_with(w))
}
