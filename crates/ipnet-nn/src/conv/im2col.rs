//! Convolution as a matrix product: the patches of a sample are the columns of a matrix `[C kh kw, OH OW]`.
//!
//! `Y = W X_col`, `dX = col2im(W^T dY)`, `dW = sum_n dY X_col^T`. The matrix of patches is one
//! thread's scratch.

use super::Geometry;
use super::scratch::with_scratch;
use crate::matmul::{Mat, matmul};

/// The output columns `c` in `0..w_out` for which `c * stride + v - padding` lies in `0..w_in`.
fn inside(v: usize, g: &Geometry) -> std::ops::Range<usize> {
    let first = g.padding.saturating_sub(v).div_ceil(g.stride);
    let end = (g.w_in + g.padding).saturating_sub(v).div_ceil(g.stride).min(g.w_out);
    first.min(end)..end
}

/// Calls `f(row of the patch matrix, y of the output, source row in x or None if it is padding)`.
fn for_each_patch_row(g: &Geometry, mut f: impl FnMut(usize, usize, Option<usize>, usize)) {
    for patch in 0..g.patch() {
        let (channel, u, v) = (patch / (g.kh * g.kw), patch / g.kw % g.kh, patch % g.kw);
        for row in 0..g.h_out {
            let padded = row * g.stride + u;
            let source = (padded >= g.padding && padded < g.h_in + g.padding)
                .then(|| (channel * g.h_in + padded - g.padding) * g.w_in);
            f(patch * g.y_plane() + row * g.w_out, v, source, row);
        }
    }
}

fn im2col(g: &Geometry, x: &[f32], columns: &mut [f32]) {
    for_each_patch_row(g, |to, v, source, _| {
        let row = &mut columns[to..to + g.w_out];
        let Some(source) = source else {
            row.fill(0.0);
            return;
        };
        let range = inside(v, g);
        row[..range.start].fill(0.0);
        row[range.end..].fill(0.0);
        if range.is_empty() {
            return;
        }
        let from = source + range.start * g.stride + v - g.padding;
        if g.stride == 1 {
            row[range.clone()].copy_from_slice(&x[from..from + range.len()]);
        } else {
            for (to, from) in row[range].iter_mut().zip(x[from..].iter().step_by(g.stride)) {
                *to = *from;
            }
        }
    });
}

fn col2im(g: &Geometry, columns: &[f32], dx: &mut [f32]) {
    for_each_patch_row(g, |from, v, source, _| {
        let range = inside(v, g);
        let Some(source) = source.filter(|_| !range.is_empty()) else {
            return;
        };
        let to = source + range.start * g.stride + v - g.padding;
        let row = &columns[from..from + g.w_out][range];
        for (to, from) in dx[to..].iter_mut().step_by(g.stride).zip(row) {
            *to += *from;
        }
    });
}

/// `y [O, OH, OW]` of one sample.
pub(crate) fn forward(g: &Geometry, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    if let Some(bias) = bias {
        for (plane, &bias) in y.chunks_mut(g.y_plane()).zip(bias) {
            plane.fill(bias);
        }
    }
    with_scratch(g.patch() * g.y_plane(), |columns| {
        im2col(g, x, columns);
        let (w, columns) = (Mat::rows(w, g.patch()), Mat::rows(columns, g.y_plane()));
        matmul([g.c_out, g.patch(), g.y_plane()], w, columns, y, g.y_plane(), bias.is_some());
    });
}

/// `dx [C, H, W]` of one sample.
pub(crate) fn backward_x(g: &Geometry, w: &[f32], dy: &[f32], dx: &mut [f32]) {
    with_scratch(g.patch() * g.y_plane(), |columns| {
        let (w, dy) = (Mat::rows(w, g.patch()).t(), Mat::rows(dy, g.y_plane()));
        matmul([g.patch(), g.c_out, g.y_plane()], w, dy, columns, g.y_plane(), false);
        dx.fill(0.0);
        col2im(g, columns, dx);
    });
}

/// Adds `dw [O, C, kh, kw]` of one sample.
pub(crate) fn backward_w(g: &Geometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    with_scratch(g.patch() * g.y_plane(), |columns| {
        im2col(g, x, columns);
        let (dy, columns) = (Mat::rows(dy, g.y_plane()), Mat::rows(columns, g.y_plane()).t());
        matmul([g.c_out, g.y_plane(), g.patch()], dy, columns, dw, g.patch(), true);
    });
}
