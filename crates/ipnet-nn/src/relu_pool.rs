//! ReLU and average pooling as one operation, for stages without normalisation:
//! `y = avg_pool2d(max(x, 0), k)`, `dx = dy / k^2` where `x > 0`, else 0.
//!
//! Design decision: as in `norm_relu_pool`, the rectified tensor and its gradient, both as large as `x`, are never
//! written.

use candle_core::Tensor;

use crate::autograd::{operand, record1, view};
use crate::composed;
use crate::conv::with_scratch;
use crate::error::Result;
use crate::pool::windows;

/// `avg_pool2d(relu(x), k)`: `x [.., H, W]` to `[.., H / k, W / k]`, rounded down.
///
/// # Errors
/// As [`crate::avg_pool2d`].
pub fn relu_avg_pool2d(x: &Tensor, k: usize) -> Result<Tensor> {
    const OP: &str = "relu_avg_pool2d";
    let planes = windows(OP, x, k)?;
    if composed::takes(OP, x)? {
        return composed::avg_pool2d(&planes, &composed::relu(x)?, k);
    }
    let x = operand(OP, x)?;
    let y = planes.forward(view(OP, &x)?.slice()?, |y, x, _| {
        with_scratch(x.len(), |rectified| {
            for (to, &x) in rectified.iter_mut().zip(x) {
                // Not x.max(0.0), which would turn the NaN of a diverged layer into 0.
                *to = if x < 0.0 { 0.0 } else { x };
            }
            planes.average(k, rectified, y);
        });
    });
    record1(OP, &x, y, planes.shape(&x), move |args| {
        let [x] = args.inputs;
        Ok([Some(planes.backward(args.grad, |dx, dy, plane| {
            planes.spread(k, dy, dx);
            for (dx, &x) in dx.iter_mut().zip(&x[plane * planes.x_len()..]) {
                *dx = if x > 0.0 { *dx } else { 0.0 };
            }
        }))])
    })
}
