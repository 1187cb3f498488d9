//! ReLU and average pooling as one operation, for stages without normalisation:
//! `y = avg_pool2d(max(x, 0), k)`, `dx = dy / k^2` where `x > 0`, else 0.
//!
//! Design decision: as in `norm_relu_pool`, the rectified tensor and its gradient, both as large as `x`, are never
//! written.

use candle_core::Tensor;

use crate::autograd::{operand, record1, view};
use crate::error::Result;
use crate::pool::windows;

/// `avg_pool2d(relu(x), k)`: `x [.., H, W]` to `[.., H / k, W / k]`, rounded down.
///
/// # Errors
/// As [`crate::avg_pool2d`].
pub fn relu_avg_pool2d(x: &Tensor, k: usize) -> Result<Tensor> {
    const OP: &str = "relu_avg_pool2d";
    let planes = windows(OP, x, k)?;
    let x = operand(OP, x)?;
    let share = 1.0 / (k * k) as f32;
    // Not x.max(0.0), which would turn the NaN of a diverged layer into 0.
    let rectified = |x: f32| if x < 0.0 { 0.0 } else { x };
    let y = planes.forward(view(OP, &x)?.slice()?, |y, x, _| {
        for (y, rows) in y.chunks_exact_mut(planes.w_out).zip(x.chunks_exact(k * planes.w_in)) {
            for row in rows.chunks_exact(planes.w_in) {
                for (y, cells) in y.iter_mut().zip(row.chunks_exact(k)) {
                    *y += cells.iter().map(|&x| rectified(x)).sum::<f32>();
                }
            }
            y.iter_mut().for_each(|y| *y *= share);
        }
    });
    record1(OP, &x, y, planes.shape(&x), move |args| {
        let [x] = args.inputs;
        Ok([Some(planes.backward(args.grad, |dx, dy, plane| {
            let x = &x[plane * planes.x_len()..(plane + 1) * planes.x_len()];
            let rows = dx.chunks_exact_mut(k * planes.w_in).zip(x.chunks_exact(k * planes.w_in));
            for ((dx, x), dy) in rows.zip(dy.chunks_exact(planes.w_out)) {
                for (dx, x) in dx.chunks_exact_mut(planes.w_in).zip(x.chunks_exact(planes.w_in)) {
                    let windows = dx.chunks_exact_mut(k).zip(x.chunks_exact(k)).zip(dy);
                    for ((dx, x), dy) in windows {
                        for (dx, x) in dx.iter_mut().zip(x) {
                            *dx = if *x > 0.0 { dy * share } else { 0.0 };
                        }
                    }
                }
            }
        }))])
    })
}
