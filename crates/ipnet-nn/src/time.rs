//! Mean over time: `y[..] = 1/T sum_t x[t, ..]`, `dx[t, ..] = dy[..] / T`.

use candle_core::Tensor;

use crate::autograd::{operand, record1, view};
use crate::composed;
use crate::error::{Error, Result};

/// Mean of `x [T, ..]` over its first dimension: `[..]`.
///
/// # Errors
/// A scalar or an empty `x`, a tensor that is not f32.
pub fn mean_over_time(x: &Tensor) -> Result<Tensor> {
    const OP: &str = "mean_over_time";
    let [steps, rest @ ..] = x.dims() else {
        return Err(Error::shape(OP, "x [T, ..]", x.shape()));
    };
    if x.elem_count() == 0 {
        return Err(Error::shape(OP, "an x with at least one element", x.shape()));
    }
    let steps = *steps;
    let shape = rest.to_vec();
    if composed::takes(OP, x)? {
        return composed::mean_over_time(x);
    }
    let x = operand(OP, x)?;
    let len = x.elem_count() / steps;
    let share = 1.0 / steps as f32;
    let mut y = vec![0.0; len];
    for step in view(OP, &x)?.slice()?.chunks_exact(len) {
        for (y, x) in y.iter_mut().zip(step) {
            *y += x;
        }
    }
    y.iter_mut().for_each(|y| *y *= share);
    record1(OP, &x, y, shape, move |args| {
        let one: Vec<f32> = args.grad.iter().map(|dy| dy * share).collect();
        Ok([Some(one.repeat(steps))])
    })
}
