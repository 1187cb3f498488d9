//! ConvLSTM (Shi et al. 2015, without peepholes): the LSTM's equations with convolutions as projections.
//!
//! `gates[t] = xconv[t] + w_hh * h[t - 1]` ("same" convolution), then the LSTM cell per pixel. One node of the graph
//! for all steps; the convolutions inside are those of [`crate::conv2d`].

use candle_core::Tensor;
use rayon::prelude::*;

use super::cell::{Backward, Cell, Forward, Lstm};
use crate::autograd::{operand, record2, view};
use crate::composed;
use crate::conv::{self, Geometry};
use crate::error::{Error, Result};
use crate::parallel;

const OP: &str = "conv_lstm_scan";

/// `xconv [T, B, 4C, H, W]` (gates `i f g o`, bias included) and `w_hh [4C, C, k, k]`, `k` odd, to
/// `h [T, B, C, H, W]`, from a zero state.
///
/// # Errors
/// Shapes that do not fit together, an even kernel, an empty operand, a tensor that is not f32.
pub fn conv_lstm_scan(xconv: &Tensor, w_hh: &Tensor) -> Result<Tensor> {
    let &[steps, batch, width, height, columns] = xconv.dims() else {
        return Err(Error::shape(OP, "xconv [T, B, 4C, H, W]", xconv.shape()));
    };
    if xconv.elem_count() == 0 || !width.is_multiple_of(4) {
        return Err(Error::shape(OP, "xconv [T, B, 4C, H, W] with at least one element", xconv.shape()));
    }
    let channels = width / 4;
    let k = match w_hh.dims() {
        &[o, i, kh, kw] if o == width && i == channels && kh == kw && kh % 2 == 1 => kh,
        _ => return Err(Error::shape(OP, format!("w_hh [{width}, {channels}, k, k], k odd"), w_hh.shape())),
    };
    let g = Geometry::same(batch, channels, width, height, columns, k);
    if composed::takes(OP, xconv)? {
        return composed::conv_lstm_scan(&g, xconv, w_hh);
    }
    let (xconv, w_hh) = (operand(OP, xconv)?, operand(OP, w_hh)?);
    let (h, saved) = forward(&g, steps, view(OP, &xconv)?.slice()?, view(OP, &w_hh)?.slice()?);
    let shape = (steps, batch, channels, height, columns);
    record2(OP, [&xconv, &w_hh], h, shape, move |args| {
        let (dx, dw) = backward(&g, steps, args.inputs[1], &saved, args.output, args.grad);
        Ok([Some(dx), Some(dw)])
    })
}

fn forward(g: &Geometry, steps: usize, x: &[f32], w: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (units, frame) = (g.x_sample(), g.batch * g.x_sample());
    let mut h = parallel::zeros(steps * frame);
    let mut c = vec![0.0; frame];
    let mut saved = parallel::zeros(steps * frame * Lstm::SAVED);
    let zeros = vec![0.0; frame];
    for step in 0..steps {
        let (past, now) = h.split_at_mut(step * frame);
        let before = if step == 0 { &zeros[..] } else { &past[(step - 1) * frame..] };
        let r = conv::forward(g, before, w, None);
        let samples = now[..frame]
            .par_chunks_mut(units)
            .zip(c.par_chunks_mut(units))
            .zip(saved[step * frame * Lstm::SAVED..].par_chunks_mut(units * Lstm::SAVED))
            .zip(before.par_chunks(units))
            .zip(r.par_chunks(4 * units).zip(x[step * 4 * frame..].par_chunks(4 * units)));
        samples.for_each(|((((h, c), saved), h_before), (r, x))| {
            Lstm::forward(units, Forward { x, r, h_before, c, saved, h });
        });
    }
    (h, saved)
}

fn backward(
    g: &Geometry,
    steps: usize,
    w: &[f32],
    saved: &[f32],
    h: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let (units, frame) = (g.x_sample(), g.batch * g.x_sample());
    let mut dx = parallel::zeros(steps * 4 * frame);
    let mut dh = dy[(steps - 1) * frame..].to_vec();
    let mut dc = vec![0.0; frame];
    let mut dr = vec![0.0; 4 * frame];
    for step in (0..steps).rev() {
        let gates = &mut dx[step * 4 * frame..(step + 1) * 4 * frame];
        let samples = dh
            .par_chunks_mut(units)
            .zip(dc.par_chunks_mut(units))
            .zip(saved[step * frame * Lstm::SAVED..].par_chunks(units * Lstm::SAVED))
            .zip(gates.par_chunks_mut(4 * units).zip(dr.par_chunks_mut(4 * units)));
        samples.for_each(|(((dh, dc), saved), (dx, dr))| {
            Lstm::backward(units, Backward { saved, h_before: &[], dh, dc, dx, dr });
        });
        if step > 0 {
            dh = conv::backward_x(g, w, &dr);
            for (dh, dy) in dh.iter_mut().zip(&dy[(step - 1) * frame..]) {
                *dh += dy;
            }
        }
    }
    // Both projections add up before the gates: the gradient of the one is that of the other.
    let before = (steps - 1) * frame;
    let all = Geometry { batch: (steps - 1) * g.batch, ..*g };
    let dw =
        if steps > 1 { conv::backward_w(&all, &h[..before], &dx[4 * frame..]) } else { vec![0.0; g.w_len()] };
    (dx, dw)
}
