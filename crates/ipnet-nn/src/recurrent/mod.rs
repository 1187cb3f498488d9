//! Recurrent layers over time as one node of the graph each, from a zero state, back-propagated through all steps.
//!
//! The input projection of all steps is one [`crate::linear`] (or [`crate::conv2d`]) outside; a scan adds the
//! projection of the state, `r[t] = w_hh h[t - 1] + b_hh`, and runs the cell (see `cell` for the equations).
//! Backward: `dx[t]`, `dr[t]` from the cell's adjoint, `dh[t - 1] += w_hh^T dr[t]`, `dw_hh = sum_t dr[t] h[t - 1]^T`,
//! `db_hh = sum_t dr[t]`.
//!
//! Design decision: rows of the batch never meet inside a scan, so a part is a fixed block of rows that runs all its
//! steps without waiting for another; a graph of `T` nodes per layer would cost more than the arithmetic.

mod cell;
mod conv_lstm;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::autograd::{operand, record2, record3, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::matmul::{Mat, matmul, part_rows};
use crate::parallel;
use cell::{Backward, Cell, Forward, Gru, Lstm, Rnn};

pub use conv_lstm::conv_lstm_scan;

/// LSTM: `xproj [T, B, 4H]` (gates `i f g o`, input bias included), `w_hh [4H, H]`, optional `b_hh [4H]` to
/// `h [T, B, H]`.
///
/// # Errors
/// Shapes that do not fit together, an empty operand, a tensor that is not f32.
pub fn lstm_scan(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
    scan::<Lstm>(xproj, w_hh, b_hh)
}

/// GRU: `xproj [T, B, 3H]` (gates `r z n`, input bias included), `w_hh [3H, H]`, optional `b_hh [3H]` to
/// `h [T, B, H]`. The reset gate multiplies the projected state, its bias included, as in PyTorch.
///
/// # Errors
/// As [`lstm_scan`].
pub fn gru_scan(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
    scan::<Gru>(xproj, w_hh, b_hh)
}

/// Vanilla RNN: `xproj [T, B, H]` (input bias included), `w_hh [H, H]`, optional `b_hh [H]` to `h [T, B, H]`.
///
/// # Errors
/// As [`lstm_scan`].
pub fn rnn_scan(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
    scan::<Rnn>(xproj, w_hh, b_hh)
}

#[derive(Clone, Copy)]
struct Extent {
    steps: usize,
    batch: usize,
    units: usize,
    gates: usize,
    /// Rows of the batch per part.
    rows: usize,
}

impl Extent {
    /// Copies a part's `[T, rows, width]` into `all [T, B, width]`.
    fn scatter(&self, part: usize, from: &[f32], width: usize, all: &mut [f32]) {
        let len = from.len() / self.steps;
        for (step, from) in from.chunks_exact(len).enumerate() {
            let start = (step * self.batch + part * self.rows) * width;
            all[start..start + len].copy_from_slice(from);
        }
    }

    fn rows_of(&self, part: usize) -> usize {
        self.rows.min(self.batch - part * self.rows)
    }

    fn parts(&self) -> usize {
        self.batch.div_ceil(self.rows)
    }
}

fn scan<C: Cell>(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
    let &[steps, batch, width] = xproj.dims() else {
        return Err(Error::shape(C::NAME, format!("xproj [T, B, {} H]", C::GATES), xproj.shape()));
    };
    let units = width / C::GATES;
    if xproj.elem_count() == 0 || units * C::GATES != width {
        let expected = format!("xproj [T, B, {} H] with at least one element", C::GATES);
        return Err(Error::shape(C::NAME, expected, xproj.shape()));
    }
    if w_hh.dims() != [width, units] {
        return Err(Error::shape(C::NAME, format!("w_hh [{width}, {units}]"), w_hh.shape()));
    }
    if let Some(b_hh) = b_hh.filter(|b_hh| b_hh.dims() != [width]) {
        return Err(Error::shape(C::NAME, format!("b_hh [{width}]"), b_hh.shape()));
    }
    if composed::takes(C::NAME, xproj)? {
        return C::composed(xproj, w_hh, b_hh);
    }
    let rows = batch.div_ceil(8).max(4);
    let extent = Extent { steps, batch, units, gates: C::GATES, rows };
    let (xproj, w_hh) = (operand(C::NAME, xproj)?, operand(C::NAME, w_hh)?);
    let shape = (steps, batch, units);
    let Some(b_hh) = b_hh else {
        let (x, w) = (view(C::NAME, &xproj)?, view(C::NAME, &w_hh)?);
        let (h, saved) = forward::<C>(&extent, x.slice()?, w.slice()?, None);
        return record2(C::NAME, [&xproj, &w_hh], h, shape, move |args| {
            let gradients = backward::<C>(&extent, args.inputs[1], &saved, args.output, args.grad);
            Ok([Some(gradients.dx), Some(gradients.dw)])
        });
    };
    let b_hh = operand(C::NAME, b_hh)?;
    let (x, w, b) = (view(C::NAME, &xproj)?, view(C::NAME, &w_hh)?, view(C::NAME, &b_hh)?);
    let (h, saved) = forward::<C>(&extent, x.slice()?, w.slice()?, Some(b.slice()?));
    record3(C::NAME, [&xproj, &w_hh, &b_hh], h, shape, move |args| {
        let gradients = backward::<C>(&extent, args.inputs[1], &saved, args.output, args.grad);
        let db = crate::conv::backward_bias(extent.units * extent.gates, 1, &gradients.dr);
        Ok([Some(gradients.dx), Some(gradients.dw), Some(db)])
    })
}

/// `h [T, B, H]` and, per part, what its rows keep: `[T, rows, SAVED, H]`.
fn forward<C: Cell>(e: &Extent, x: &[f32], w: &[f32], b: Option<&[f32]>) -> (Vec<f32>, Vec<Vec<f32>>) {
    let (units, width) = (e.units, e.units * e.gates);
    let parts: Vec<(Vec<f32>, Vec<f32>)> = (0..e.parts())
        .into_par_iter()
        .map(|part| {
            let rows = e.rows_of(part);
            let mut h = vec![0.0; (e.steps + 1) * rows * units];
            let mut c = vec![0.0; rows * units];
            let mut saved = vec![0.0; e.steps * rows * C::SAVED * units];
            let mut r = vec![0.0; rows * width];
            for (step, saved) in saved.chunks_exact_mut(rows * C::SAVED * units).enumerate() {
                let (before, after) = h[step * rows * units..].split_at_mut(rows * units);
                if let Some(b) = b {
                    r.chunks_exact_mut(width).for_each(|r| r.copy_from_slice(b));
                }
                let w = Mat::rows(w, units).t();
                matmul([rows, units, width], Mat::rows(before, units), w, &mut r, width, b.is_some());
                let first = step * e.batch + part * e.rows;
                for row in 0..rows {
                    let at = row * units..(row + 1) * units;
                    C::forward(
                        units,
                        Forward {
                            x: &x[(first + row) * width..(first + row + 1) * width],
                            r: &r[row * width..(row + 1) * width],
                            h_before: &before[at.clone()],
                            c: &mut c[at.clone()],
                            saved: &mut saved[row * C::SAVED * units..(row + 1) * C::SAVED * units],
                            h: &mut after[at],
                        },
                    );
                }
            }
            (h, saved)
        })
        .collect();
    let mut all = parallel::zeros(e.steps * e.batch * units);
    let mut kept = Vec::with_capacity(parts.len());
    for (part, (h, saved)) in parts.into_iter().enumerate() {
        e.scatter(part, &h[e.rows_of(part) * units..], units, &mut all);
        kept.push(saved);
    }
    (all, kept)
}

struct Gradients {
    dx: Vec<f32>,
    dr: Vec<f32>,
    dw: Vec<f32>,
}

fn backward<C: Cell>(e: &Extent, w: &[f32], saved: &[Vec<f32>], h: &[f32], dy: &[f32]) -> Gradients {
    let (units, width) = (e.units, e.units * e.gates);
    let zeros = vec![0.0; units];
    let parts: Vec<(Vec<f32>, Vec<f32>)> = saved
        .par_iter()
        .enumerate()
        .map(|(part, saved)| {
            let rows = e.rows_of(part);
            let mut dx = vec![0.0; e.steps * rows * width];
            let mut dr = vec![0.0; e.steps * rows * width];
            let mut dh = vec![0.0; rows * units];
            let mut dc = vec![0.0; rows * units];
            for step in (0..e.steps).rev() {
                let first = step * e.batch + part * e.rows;
                for (dh, dy) in dh.iter_mut().zip(&dy[first * units..(first + rows) * units]) {
                    *dh += dy;
                }
                for row in 0..rows {
                    let state = row * units..(row + 1) * units;
                    let at = step * rows + row;
                    let gates = at * width..(at + 1) * width;
                    let before = (first + row).checked_sub(e.batch);
                    C::backward(
                        units,
                        Backward {
                            saved: &saved[at * C::SAVED * units..(at + 1) * C::SAVED * units],
                            h_before: before.map_or(&zeros, |b| &h[b * units..(b + 1) * units]),
                            dh: &mut dh[state.clone()],
                            dc: &mut dc[state],
                            dx: &mut dx[gates.clone()],
                            dr: &mut dr[gates],
                        },
                    );
                }
                let dr = Mat::rows(&dr[step * rows * width..(step + 1) * rows * width], width);
                matmul([rows, width, units], dr, Mat::rows(w, units), &mut dh, units, true);
            }
            (dx, dr)
        })
        .collect();
    let [mut dx, mut dr] = [(); 2].map(|()| parallel::zeros(e.steps * e.batch * width));
    for (part, (part_dx, part_dr)) in parts.iter().enumerate() {
        e.scatter(part, part_dx, width, &mut dx);
        e.scatter(part, part_dr, width, &mut dr);
    }
    // The state before the first step is zero, so the first step adds nothing to the weight's gradient.
    let steps = (e.steps - 1) * e.batch;
    let dw = crate::matmul::rows_in_parts(
        [width, steps, units],
        Mat::rows(&dr[e.batch * width..], width).t(),
        Mat::rows(&h[..steps * units], units),
        part_rows(width),
    );
    Gradients { dx, dr, dw }
}
