//! Convolution as a matrix product: the patches of a sample are the columns of a matrix `[C kh kw, OH OW]`.
//!
//! `Y = W X_col`, `dX = col2im(W^T dY)`, `dW = sum_n dY X_col^T`. One matrix of patches per thread is kept and
//! used again.

use std::cell::RefCell;

use rayon::prelude::*;

use super::Geometry;
use crate::matmul::{Mat, matmul};
use crate::parallel;

thread_local! {
    static COLUMNS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` on this thread's scratch of `len` elements, whose content is whatever was there.
fn with_columns<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    // Taken out for the call rather than borrowed, so that rayon may run another part on this thread inside `f`.
    let mut columns = COLUMNS.take();
    if columns.len() < len {
        columns.resize(len, 0.0);
    }
    let result = f(&mut columns[..len]);
    COLUMNS.set(columns);
    result
}

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

/// `y [N, O, OH, OW]`.
pub(crate) fn forward(g: &Geometry, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let mut y = vec![0.0; g.batch * g.y_sample()];
    y.par_chunks_mut(g.y_sample()).zip(x.par_chunks(g.x_sample())).for_each(|(y, x)| {
        if let Some(bias) = bias {
            for (plane, &bias) in y.chunks_mut(g.y_plane()).zip(bias) {
                plane.fill(bias);
            }
        }
        with_columns(g.patch() * g.y_plane(), |columns| {
            im2col(g, x, columns);
            matmul(
                [g.c_out, g.patch(), g.y_plane()],
                Mat::rows(w, g.patch()),
                Mat::rows(columns, g.y_plane()),
                y,
                g.y_plane(),
                bias.is_some(),
            );
        });
    });
    y
}

/// `dx [N, C, H, W]`.
pub(crate) fn backward_x(g: &Geometry, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; g.batch * g.x_sample()];
    dx.par_chunks_mut(g.x_sample()).zip(dy.par_chunks(g.y_sample())).for_each(|(dx, dy)| {
        with_columns(g.patch() * g.y_plane(), |columns| {
            matmul(
                [g.patch(), g.c_out, g.y_plane()],
                Mat::rows(w, g.patch()).t(),
                Mat::rows(dy, g.y_plane()),
                columns,
                g.y_plane(),
                false,
            );
            col2im(g, columns, dx);
        });
    });
    dx
}

/// `dw [O, C, kh, kw]`.
pub(crate) fn backward_w(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    parallel::sum_over(g.batch, g.w_len(), |n, dw| {
        let x = &x[n * g.x_sample()..(n + 1) * g.x_sample()];
        let dy = &dy[n * g.y_sample()..(n + 1) * g.y_sample()];
        with_columns(g.patch() * g.y_plane(), |columns| {
            im2col(g, x, columns);
            matmul(
                [g.c_out, g.y_plane(), g.patch()],
                Mat::rows(dy, g.y_plane()),
                Mat::rows(columns, g.y_plane()).t(),
                dw,
                g.patch(),
                true,
            );
        });
    })
}
