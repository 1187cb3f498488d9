//! Affine map `y[n, o] = b[o] + sum_i w[o, i] x[n, i]`, its gradients `dx = dy w`, `dw = dy^T x`,
//! `db = sum_n dy[n]`.
//!
//! Design decision: all three products are split into parts of the result, so that no sum is split; leading
//! dimensions of `x` are folded into `N`, which lets time and batch go through one product.

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use crate::autograd::{operand, record2, record3, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::matmul::{Mat, matmul, part_rows};
use crate::parallel;

const OP: &str = "linear";

/// `x [.., I]` through `w [O, I]` and an optional `bias [O]`: `[.., O]`.
///
/// # Errors
/// Shapes that do not fit together, an empty operand, a tensor that is not f32.
pub fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let &[n_out, n_in] = w.dims() else {
        return Err(Error::shape(OP, "w [O, I]", w.shape()));
    };
    if w.elem_count() == 0 {
        return Err(Error::shape(OP, "w [O >= 1, I >= 1]", w.shape()));
    }
    if x.dims().last() != Some(&n_in) || x.elem_count() == 0 {
        return Err(Error::shape(OP, format!("x [.., {n_in}] with at least one row"), x.shape()));
    }
    if let Some(bias) = bias.filter(|bias| bias.dims() != [n_out]) {
        return Err(Error::shape(OP, format!("bias [{n_out}]"), bias.shape()));
    }
    if composed::takes(OP, x)? {
        return composed::linear(x, w, bias);
    }
    let rows = x.elem_count() / n_in;
    let mut shape = x.dims().to_vec();
    shape[x.rank() - 1] = n_out;
    let shape = Shape::from(shape);
    let (x, w) = (operand(OP, x)?, operand(OP, w)?);
    let Some(bias) = bias else {
        let y = forward(view(OP, &x)?.slice()?, view(OP, &w)?.slice()?, None, [rows, n_in, n_out]);
        return record2(OP, [&x, &w], y, shape, move |args| {
            let [x, w] = args.inputs;
            let dx = args.needs[0].then(|| backward_x(w, args.grad, [rows, n_in, n_out]));
            let dw = args.needs[1].then(|| backward_w(x, args.grad, [rows, n_in, n_out]));
            Ok([dx, dw])
        });
    };
    let bias = operand(OP, bias)?;
    let y = forward(
        view(OP, &x)?.slice()?,
        view(OP, &w)?.slice()?,
        Some(view(OP, &bias)?.slice()?),
        [rows, n_in, n_out],
    );
    record3(OP, [&x, &w, &bias], y, shape, move |args| {
        let [x, w, _] = args.inputs;
        let dx = args.needs[0].then(|| backward_x(w, args.grad, [rows, n_in, n_out]));
        let dw = args.needs[1].then(|| backward_w(x, args.grad, [rows, n_in, n_out]));
        let db = args.needs[2].then(|| crate::conv::backward_bias(n_out, 1, args.grad));
        Ok([dx, dw, db])
    })
}

pub(crate) fn forward(
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    [rows, n_in, n_out]: [usize; 3],
) -> Vec<f32> {
    let per_part = part_rows(rows);
    parallel::written(rows * n_out, per_part * n_out, x.par_chunks(per_part * n_in), |y, x| {
        if let Some(bias) = bias {
            for y in y.chunks_mut(n_out) {
                y.copy_from_slice(bias);
            }
        }
        let rows = x.len() / n_in;
        matmul([rows, n_in, n_out], Mat::rows(x, n_in), Mat::rows(w, n_in).t(), y, n_out, bias.is_some());
    })
}

pub(crate) fn backward_x(w: &[f32], dy: &[f32], [rows, n_in, n_out]: [usize; 3]) -> Vec<f32> {
    crate::matmul::rows_in_parts(
        [rows, n_out, n_in],
        Mat::rows(dy, n_out),
        Mat::rows(w, n_in),
        part_rows(rows),
    )
}

pub(crate) fn backward_w(x: &[f32], dy: &[f32], [rows, n_in, n_out]: [usize; 3]) -> Vec<f32> {
    crate::matmul::rows_in_parts(
        [n_out, rows, n_in],
        Mat::rows(dy, n_out).t(),
        Mat::rows(x, n_in),
        part_rows(n_out),
    )
}
