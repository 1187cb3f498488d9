//! Scans step by step, as the equations in `recurrent/cell.rs`, `recurrent/conv_lstm.rs` and `ema.rs` say.
//!
//! `sigmoid(x) = (1 + tanh(x / 2)) / 2`: the gradient of candle's `1 / (1 + exp(-x))` is 0 times infinity far from 0.

use super::{conv2d, steps};
use crate::conv::Geometry;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// See [`crate::lstm_scan`].
pub(crate) fn lstm_scan(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
    let mut cell = Tensor::zeros((xproj.dim(1)?, w_hh.dim(1)?), xproj.dtype(), xproj.device())?;
    scan(xproj, w_hh, b_hh, |x, r, _| lstm(&(x + r)?, &mut cell))
}

/// See [`crate::gru_scan`].
pub(crate) fn gru_scan(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
    scan(xproj, w_hh, b_hh, |x, r, before| {
        let ([xr, xz, xn], [rr, rz, rn]) = (gates(x)?, gates(r)?);
        let (reset, update) = (sigmoid(&(xr + rr)?)?, sigmoid(&(xz + rz)?)?);
        let new = (xn + (reset * rn)?)?.tanh()?;
        // (1 - z) n + z h
        Ok((&new + (update * (before - &new)?)?)?)
    })
}

/// See [`crate::rnn_scan`].
pub(crate) fn rnn_scan(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
    scan(xproj, w_hh, b_hh, |x, r, _| Ok((x + r)?.tanh()?))
}

/// See [`crate::conv_lstm_scan`], whose recurrent convolution is `g`.
pub(crate) fn conv_lstm_scan(g: &Geometry, xconv: &Tensor, w_hh: &Tensor) -> Result<Tensor> {
    let shape = (g.batch, g.c_in, g.h_in, g.w_in);
    let mut state = Tensor::zeros(shape, xconv.dtype(), xconv.device())?;
    let mut cell = state.clone();
    let mut all = Vec::new();
    for x in steps(xconv)? {
        state = lstm(&(x + conv2d(g, &state, w_hh, None)?)?, &mut cell)?;
        all.push(state.clone());
    }
    Ok(Tensor::stack(&all, 0)?)
}

/// See [`crate::ema_scan`].
pub(crate) fn ema_scan(x: &Tensor, decay: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; x.rank() - 1];
    shape[1] = decay.elem_count();
    let decay = decay.reshape(shape)?;
    let rest = decay.affine(-1.0, 1.0)?;
    let mut all: Vec<Tensor> = Vec::new();
    for x in steps(x)? {
        let new = x.broadcast_mul(&rest)?;
        all.push(match all.last() {
            Some(before) => (before.broadcast_mul(&decay)? + new)?,
            // Zero times the decay: so that the decay has a gradient, 0, of a single step.
            None => (new.zeros_like()?.broadcast_mul(&decay)? + new)?,
        });
    }
    Ok(Tensor::stack(&all, 0)?)
}

/// `h [T, B, H]` of `step(x[t], w_hh h[t - 1] + b_hh, h[t - 1])`.
fn scan(
    xproj: &Tensor,
    w_hh: &Tensor,
    b_hh: Option<&Tensor>,
    mut step: impl FnMut(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut state = Tensor::zeros((xproj.dim(1)?, w_hh.dim(1)?), xproj.dtype(), xproj.device())?;
    let w = w_hh.t()?;
    let mut all = Vec::new();
    for x in steps(xproj)? {
        let mut projected = state.matmul(&w)?;
        if let Some(b_hh) = b_hh {
            projected = projected.broadcast_add(b_hh)?;
        }
        state = step(&x, &projected, &state)?;
        all.push(state.clone());
    }
    Ok(Tensor::stack(&all, 0)?)
}

/// The state after a step of an LSTM with the gates `i f g o` in the channels of `sums`; `cell` is moved on.
fn lstm(sums: &Tensor, cell: &mut Tensor) -> Result<Tensor> {
    let [input, forget, new, output] = gates(sums)?;
    *cell = ((sigmoid(&forget)? * &*cell)? + (sigmoid(&input)? * new.tanh()?)?)?;
    Ok((sigmoid(&output)? * cell.tanh()?)?)
}

/// The gates of `x [B, N H, ..]`, each `[B, H, ..]`.
fn gates<const N: usize>(x: &Tensor) -> Result<[Tensor; N]> {
    let refuse = |_| Error::shape("a scan's gates", format!("[B, {N} H, ..]"), x.shape());
    x.chunk(N, 1)?.try_into().map_err(refuse)
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((x * 0.5)?.tanh()?.affine(0.5, 0.5)?)
}
