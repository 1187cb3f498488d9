//! The end of a residual block: `y = max(a + b, 0)`, gradient `da = db = dy` where `y > 0`, else 0.
//!
//! A NaN passes through, as in [`crate::relu`].

use candle_core::Tensor;

use crate::autograd::{operand, record2, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::parallel;

/// Rectified sum of two tensors of one shape.
///
/// # Errors
/// Two shapes, a tensor that is not f32.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "add_relu";
    if a.shape() != b.shape() {
        return Err(Error::shape(OP, format!("b of shape {:?}", a.dims()), b.shape()));
    }
    if composed::takes(OP, a)? {
        return composed::relu(&(a + b)?);
    }
    let (a, b) = (operand(OP, a)?, operand(OP, b)?);
    let sum = |a: f32, b: f32| if a + b < 0.0 { 0.0 } else { a + b };
    let y = parallel::map2(view(OP, &a)?.slice()?, view(OP, &b)?.slice()?, sum);
    record2(OP, [&a, &b], y, a.shape(), |args| {
        let through = parallel::map2(args.output, args.grad, |y, dy| if y > 0.0 { dy } else { 0.0 });
        Ok([args.needs[0].then(|| through.clone()), args.needs[1].then_some(through)])
    })
}
