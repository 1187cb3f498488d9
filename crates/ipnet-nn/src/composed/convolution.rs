//! Convolutions as one matrix product with the columns of the input (im2col), the columns by slices.
//!
//! Design decision: candle's own `conv2d` has a backward pass that fails for stride 2 on planes that are not square and that is,
//! on a GPU, a transposed convolution without shared memory. Columns of the whole batch, `[C kh kw, N H' W']`, make value and both
//! gradients one matrix product each; the gradient of a slice is right for any stride.

use super::every;
use crate::conv::Geometry;
use crate::error::Result;
use candle_core::Tensor;

/// See [`crate::conv2d`], whose operands are checked as `g`.
pub(crate) fn conv2d(g: &Geometry, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let frames = x.reshape((g.batch, g.c_in, g.h_in, g.w_in))?.transpose(0, 1)?;
    let y = correlate(&frames, w, g.stride, [g.padding; 2], [g.h_out, g.w_out])?;
    let y = with_bias(&y, bias)?.transpose(0, 1)?;
    let mut shape = x.dims().to_vec();
    let rank = shape.len();
    shape[rank - 3..].copy_from_slice(&[g.c_out, g.h_out, g.w_out]);
    Ok(y.reshape(shape)?)
}

/// See [`crate::conv_time`]: a convolution with a kernel `[k, 1]` over planes of time and space.
pub(crate) fn conv_time(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (c_out, c_in, k) = w.dims3()?;
    let (steps, batch) = (x.dim(0)?, x.dim(1)?);
    let space = x.dims()[3..].iter().product::<usize>();
    // [T, B, C, P] to [C, B, T, P], and back.
    let order = [2, 1, 0, 3];
    let planes = x.reshape((steps, batch, c_in, space))?.permute(order)?;
    let y = correlate(&planes, &w.reshape((c_out, c_in, k, 1))?, 1, [k / 2, 0], [steps, space])?;
    let mut shape = x.dims().to_vec();
    shape[2] = c_out;
    Ok(with_bias(&y, bias)?.permute(order)?.reshape(shape)?)
}

/// `x [T, B, C, H, W]` to `[T * B, kt C, H, W]`: frame `t + u - kt/2` (zero outside) as channels `u C .. (u + 1) C`.
pub(crate) fn stack_frames(x: &Tensor, kt: usize) -> Result<Tensor> {
    let (steps, batch, c_in, h, w) = x.dims5()?;
    let padded = x.pad_with_zeros(0, kt / 2, kt / 2)?;
    let shifted: Vec<Tensor> =
        (0..kt).map(|u| padded.narrow(0, u, steps)?.contiguous()).collect::<candle_core::Result<_>>()?;
    Ok(Tensor::cat(&shifted, 2)?.reshape((steps * batch, kt * c_in, h, w))?)
}

/// `x [C, N, H, W]` with `w [O, C, kh, kw]`: `[O, N, H', W']`.
fn correlate(
    x: &Tensor,
    w: &Tensor,
    stride: usize,
    [pad_h, pad_w]: [usize; 2],
    [h_out, w_out]: [usize; 2],
) -> Result<Tensor> {
    let (c_out, c_in, kh, kw) = w.dims4()?;
    let batch = x.dim(1)?;
    let x = x.pad_with_zeros(2, pad_h, pad_h)?.pad_with_zeros(3, pad_w, pad_w)?;
    let pixels = batch * h_out * w_out;
    let mut taps = Vec::with_capacity(kh * kw);
    for row in 0..kh {
        let rows = every(&x, 2, row, stride, h_out)?;
        for column in 0..kw {
            taps.push(every(&rows, 3, column, stride, w_out)?.reshape((c_in, 1, pixels))?);
        }
    }
    let columns = Tensor::cat(&taps, 1)?.reshape((c_in * kh * kw, pixels))?;
    let y = w.reshape((c_out, c_in * kh * kw))?.matmul(&columns)?;
    Ok(y.reshape((c_out, batch, h_out, w_out))?)
}

/// `y [O, ..]` with `bias [O]` added.
fn with_bias(y: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    match bias {
        Some(bias) => Ok(y.broadcast_add(&bias.reshape((bias.elem_count(), 1, 1, 1))?)?),
        None => Ok(y.clone()),
    }
}
