//! Rectifier `y = max(x, 0)`, gradient `dx = dy` where `y > 0`, else 0.
//!
//! A NaN passes through, so that a diverged layer shows in the loss instead of turning into zeros.

use candle_core::Tensor;

use crate::autograd::{operand, record1, view};
use crate::composed;
use crate::error::Result;
use crate::parallel;

/// Rectifier of a tensor of any shape.
///
/// # Errors
/// A tensor that is not f32.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    const OP: &str = "relu";
    if composed::takes(OP, x)? {
        return composed::relu(x);
    }
    let x = operand(OP, x)?;
    let y = parallel::map1(view(OP, &x)?.slice()?, |x| if x < 0.0 { 0.0 } else { x });
    record1(OP, &x, y, x.shape(), |args| {
        Ok([Some(parallel::map2(args.output, args.grad, |y, dy| if y > 0.0 { dy } else { 0.0 }))])
    })
}
