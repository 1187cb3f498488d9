//! Three-dimensional convolution over time and space, stride 1 in time, "same" zero padding in time:
//!
//! `y[t, b, o] = bias[o] + sum_u conv2d(x[t + u - kt/2, b], w[o, :, u])`.
//!
//! Design decision: the frames that an output frame reads are stacked as channels, `[T * B, kt C, H, W]`, and one
//! [`conv2d`] does the rest; the copy costs `kt` times the input, the arithmetic is that of the fast kernel.

use candle_core::Tensor;

use super::conv2d;
use crate::autograd::{operand, record1, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::parallel;

const OP: &str = "conv3d";

/// `x [T, B, C, H, W]` with `w [O, C, kt, kh, kw]`, `kt` odd, an optional `bias [O]`, and `stride` and `padding` in
/// space: `[T, B, O, H', W']` with [`conv2d`]'s `H'`, `W'`.
///
/// # Errors
/// Shapes that do not fit together, an even `kt`, what [`conv2d`] refuses.
pub fn conv3d(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let &[steps, batch, c_in, ..] = x.dims() else {
        return Err(Error::shape(OP, "x [T, B, C, H, W]", x.shape()));
    };
    let (kt, kh, kw) = match (x.rank(), w.dims()) {
        (5, &[_, c, kt, kh, kw]) if c == c_in && kt % 2 == 1 => (kt, kh, kw),
        (5, _) => return Err(Error::shape(OP, format!("w [O, {c_in}, kt, kh, kw], kt odd"), w.shape())),
        _ => return Err(Error::shape(OP, "x [T, B, C, H, W]", x.shape())),
    };
    let stacked = stack_frames(x, kt)?;
    let w = w.transpose(1, 2)?.contiguous()?.reshape((w.dims()[0], kt * c_in, kh, kw))?;
    let y = conv2d(&stacked, &w, bias, stride, padding)?;
    let &[_, c_out, h_out, w_out] = y.dims() else {
        return Err(Error::shape(OP, "a result of rank 4", y.shape()));
    };
    Ok(y.reshape((steps, batch, c_out, h_out, w_out))?)
}

/// `x [T, B, C, H, W]` to `[T * B, kt C, H, W]`: frame `t + u - kt/2` (zero outside) as channels `u C .. (u + 1) C`.
fn stack_frames(x: &Tensor, kt: usize) -> Result<Tensor> {
    let &[steps, batch, c_in, h, w] = x.dims() else {
        return Err(Error::shape(OP, "x [T, B, C, H, W]", x.shape()));
    };
    if x.elem_count() == 0 {
        return Err(Error::shape(OP, "an x with at least one element", x.shape()));
    }
    if composed::takes(OP, x)? {
        return composed::stack_frames(x, kt);
    }
    let sample = c_in * h * w;
    let x = operand(OP, x)?;
    let source = move |at: usize, shift: usize| {
        (at / batch + shift).checked_sub(kt / 2).filter(|&t| t < steps).map(|t| t * batch + at % batch)
    };
    let x_view = view(OP, &x)?;
    let xs = x_view.slice()?;
    let frames = steps * batch;
    let y = parallel::written(frames * kt * sample, kt * sample, 0..frames, |y, at| {
        for (u, y) in y.chunks_exact_mut(sample).enumerate() {
            if let Some(from) = source(at, u) {
                y.copy_from_slice(&xs[from * sample..(from + 1) * sample]);
            }
        }
    });
    record1(OP, &x, y, (steps * batch, kt * c_in, h, w), move |args| {
        let dx = parallel::written(frames * sample, sample, 0..frames, |dx, at| {
            for u in 0..kt {
                if let Some(to) = source(at, kt - 1 - u) {
                    let dy = &args.grad[(to * kt + u) * sample..(to * kt + u + 1) * sample];
                    dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
                }
            }
        });
        Ok([Some(dx)])
    })
}
