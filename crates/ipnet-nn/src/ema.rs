//! Exponential moving average over time, per channel: `y[t] = a[c] y[t - 1] + (1 - a[c]) x[t]`, `y[-1] = 0`.
//!
//! Adjoint: `g[t] = dy[t] + a g[t + 1]`, `dx[t] = (1 - a) g[t]`, `da = sum_t g[t] (y[t - 1] - x[t])`. A linear memory
//! with the same time constant as a device's heat: what a network gains beyond it comes from the nonlinearity.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::autograd::{operand, record2, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::parallel;

const OP: &str = "ema_scan";

/// Moving average of `x [T, B, C, ..]` with one decay per channel, `a [C]`: a tensor of `x`'s shape.
///
/// # Errors
/// Shapes that do not fit together, an empty `x`, a tensor that is not f32.
pub fn ema_scan(x: &Tensor, decay: &Tensor) -> Result<Tensor> {
    let &[steps, _, channels, ..] = x.dims() else {
        return Err(Error::shape(OP, "x [T, B, C, ..]", x.shape()));
    };
    if x.elem_count() == 0 {
        return Err(Error::shape(OP, "an x with at least one element", x.shape()));
    }
    if decay.dims() != [channels] {
        return Err(Error::shape(OP, format!("decay [{channels}]"), decay.shape()));
    }
    if composed::takes(OP, x)? {
        return composed::ema_scan(x, decay);
    }
    let plane = x.dims()[3..].iter().product::<usize>();
    let (x, decay) = (operand(OP, x)?, operand(OP, decay)?);
    let (x_view, decay_view) = (view(OP, &x)?, view(OP, &decay)?);
    let (xs, a) = (x_view.slice()?, decay_view.slice()?);
    let frame = xs.len() / steps;
    let mut y = parallel::zeros(xs.len());
    for t in 0..steps {
        let (past, now) = y.split_at_mut(t * frame);
        let before = past.get(t.wrapping_sub(1).wrapping_mul(frame)..).filter(|_| t > 0);
        let now = now[..frame].par_chunks_mut(plane).zip(xs[t * frame..].par_chunks(plane));
        now.enumerate().for_each(|(i, (y, x))| {
            let a = a[i % channels];
            let before = before.map(|before| &before[i * plane..(i + 1) * plane]);
            for (j, (y, x)) in y.iter_mut().zip(x).enumerate() {
                *y = a * before.map_or(0.0, |before| before[j]) + (1.0 - a) * x;
            }
        });
    }
    record2(OP, [&x, &decay], y, x.shape(), move |args| {
        let [x, a] = args.inputs;
        // First g, all steps, in the place of dx; then da from it; then dx = (1 - a) g.
        let mut dx = args.grad.to_vec();
        for t in (0..steps - 1).rev() {
            let (now, later) = dx[t * frame..].split_at_mut(frame);
            now.par_chunks_mut(plane).zip(later.par_chunks(plane)).enumerate().for_each(|(i, (g, later))| {
                for (g, later) in g.iter_mut().zip(later) {
                    *g += a[i % channels] * later;
                }
            });
        }
        let da = args.needs[1].then(|| {
            parallel::sum_over(x.len() / plane, channels, |i, da| {
                let range = i * plane..(i + 1) * plane;
                let (g, x) = (&dx[range.clone()], &x[range.clone()]);
                let of_x = parallel::sum_by(g, x, |g, x| g * x);
                let of_y = range.start.checked_sub(frame).map_or(0.0, |start| {
                    parallel::sum_by(g, &args.output[start..start + plane], |g, y| g * y)
                });
                da[i % channels] += (of_y - of_x) as f32;
            })
        });
        dx.par_chunks_mut(plane).enumerate().for_each(|(i, g)| {
            g.iter_mut().for_each(|g| *g *= 1.0 - a[i % channels]);
        });
        Ok([Some(dx), da])
    })
}
