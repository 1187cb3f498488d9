//! Convolution over time alone, the `(k, 1, 1)` kernel of a (2+1)D network (Tran et al. 2018), "same" zero padding:
//!
//! `y[t, b, o, :] = bias[o] + sum_u w[o, :, u] . x[t + u - k/2, b, :, :]`.
//!
//! Design decision: three taps are computed where the processor has AVX2 by minimal filtering (`winograd`); everything
//! else is one product for each offset `u`, `[O, C] x [C, space]`, that adds up in place.

use candle_core::Tensor;

#[cfg(target_arch = "x86_64")]
use super::winograd::OverTime;
use super::{Gradients, backward_bias};
use crate::autograd::{operand, record2, record3, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::matmul::{Mat, matmul};
use crate::parallel;

const OP: &str = "conv_time";

/// The extents of a convolution over time.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    steps: usize,
    batch: usize,
    c_in: usize,
    c_out: usize,
    k: usize,
    space: usize,
}

impl Extent {
    /// Of `x [T, B, C, ..]`, `w [O, C, k]` and `bias [O]`, checked for the operation `op`.
    pub(crate) fn new(op: &'static str, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let &[steps, batch, c_in, ..] = x.dims() else {
            return Err(Error::shape(op, "x [T, B, C, ..]", x.shape()));
        };
        if x.elem_count() == 0 {
            return Err(Error::shape(op, "an x with at least one element", x.shape()));
        }
        let (c_out, k) = match w.dims() {
            &[o, c, k] if o > 0 && c == c_in && k % 2 == 1 => (o, k),
            _ => return Err(Error::shape(op, format!("w [O >= 1, {c_in}, k], k odd"), w.shape())),
        };
        if let Some(bias) = bias.filter(|bias| bias.dims() != [c_out]) {
            return Err(Error::shape(op, format!("bias [{c_out}]"), bias.shape()));
        }
        Ok(Self { steps, batch, c_in, c_out, k, space: x.dims()[3..].iter().product() })
    }

    /// Pairs of offset and sample that the output of `sample = t * batch + b` reads; for the adjoint, mirrored.
    fn taps(self, sample: usize, mirrored: bool) -> impl Iterator<Item = (usize, usize)> {
        let (t, b) = (sample / self.batch, sample % self.batch);
        (0..self.k).filter_map(move |u| {
            let shift = if mirrored { self.k - 1 - u } else { u };
            let source = (t + shift).checked_sub(self.k / 2).filter(|&source| source < self.steps)?;
            Some((u, source * self.batch + b))
        })
    }

    /// Itself, for `winograd`, if it handles it.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn filtered(&self) -> Option<OverTime> {
        let Self { steps, batch, c_in, c_out, k, space } = *self;
        Some(OverTime { steps, batch, space, c_in, c_out }).filter(|over_time| over_time.applies(k))
    }

    /// The matrix `w[:, :, u]`, `[O, C]`.
    fn tap<'a>(&self, w: &'a [f32], u: usize) -> Mat<'a> {
        Mat { data: &w[u..], row_stride: self.c_in * self.k, col_stride: self.k }
    }
}

/// `x [T, B, C, ..]` with `w [O, C, k]`, `k` odd, and an optional `bias [O]`: `[T, B, O, ..]`.
///
/// # Errors
/// Shapes that do not fit together, an even kernel, an empty operand, a tensor that is not f32.
pub fn conv_time(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let e = Extent::new(OP, x, w, bias)?;
    if composed::takes(OP, x)? {
        return composed::conv_time(x, w, bias);
    }
    let mut shape = x.dims().to_vec();
    shape[2] = e.c_out;
    let (x, w) = (operand(OP, x)?, operand(OP, w)?);
    let Some(bias) = bias else {
        let y = forward(&e, view(OP, &x)?.slice()?, view(OP, &w)?.slice()?, None);
        return record2(OP, [&x, &w], y, shape, move |args| {
            let ([x, w], [need_x, need_w]) = (args.inputs, args.needs);
            let gradients = backward(&e, x, w, [need_x, need_w, false], args.grad);
            Ok([gradients.dx, gradients.dw])
        });
    };
    let bias = operand(OP, bias)?;
    let y = forward(&e, view(OP, &x)?.slice()?, view(OP, &w)?.slice()?, Some(view(OP, &bias)?.slice()?));
    record3(OP, [&x, &w, &bias], y, shape, move |args| {
        let [x, w, _] = args.inputs;
        let gradients = backward(&e, x, w, args.needs, args.grad);
        Ok([gradients.dx, gradients.dw, gradients.db])
    })
}

fn backward(e: &Extent, x: &[f32], w: &[f32], needs: [bool; 3], dy: &[f32]) -> Gradients {
    #[cfg(target_arch = "x86_64")]
    if let Some(filtered) = e.filtered() {
        return filtered.backward(x, w, needs, |part, use_it| {
            use_it(&filtered.frames(dy, e.c_out, part));
        });
    }
    Gradients {
        dx: needs[0].then(|| backward_x(e, w, dy)),
        dw: needs[1].then(|| backward_w(e, x, dy)),
        db: needs[2].then(|| backward_bias(e.c_out, e.space, dy)),
    }
}

fn forward(e: &Extent, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if let Some(filtered) = e.filtered() {
        return filtered.correlate(x, w, bias);
    }
    let (x_sample, y_sample, samples) = (e.c_in * e.space, e.c_out * e.space, e.steps * e.batch);
    parallel::written(samples * y_sample, y_sample, 0..samples, |y, sample| {
        if let Some(bias) = bias {
            for (plane, &bias) in y.chunks_exact_mut(e.space).zip(bias) {
                plane.fill(bias);
            }
        }
        for (u, source) in e.taps(sample, false) {
            let x = Mat::rows(&x[source * x_sample..(source + 1) * x_sample], e.space);
            matmul([e.c_out, e.c_in, e.space], e.tap(w, u), x, y, e.space, true);
        }
    })
}

fn backward_x(e: &Extent, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let (x_sample, y_sample, samples) = (e.c_in * e.space, e.c_out * e.space, e.steps * e.batch);
    parallel::written(samples * x_sample, x_sample, 0..samples, |dx, sample| {
        for (u, source) in e.taps(sample, true) {
            let dy = Mat::rows(&dy[source * y_sample..(source + 1) * y_sample], e.space);
            matmul([e.c_in, e.c_out, e.space], e.tap(w, u).t(), dy, dx, e.space, true);
        }
    })
}

fn backward_w(e: &Extent, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (x_sample, y_sample) = (e.c_in * e.space, e.c_out * e.space);
    // Summed as [k, O, C], so that each offset is a plain matrix, then put in the weight's order.
    let by_offset = parallel::sum_over(e.steps * e.batch, e.k * e.c_out * e.c_in, |sample, dw| {
        let dy = Mat::rows(&dy[sample * y_sample..(sample + 1) * y_sample], e.space);
        for (u, source) in e.taps(sample, false) {
            let x = Mat::rows(&x[source * x_sample..(source + 1) * x_sample], e.space).t();
            let dw = &mut dw[u * e.c_out * e.c_in..(u + 1) * e.c_out * e.c_in];
            matmul([e.c_out, e.space, e.c_in], dy, x, dw, e.c_in, true);
        }
    });
    let mut dw = vec![0.0; by_offset.len()];
    for (u, offset) in by_offset.chunks_exact(e.c_out * e.c_in).enumerate() {
        for (to, from) in dw[u..].iter_mut().step_by(e.k).zip(offset) {
            *to = *from;
        }
    }
    dw
}
