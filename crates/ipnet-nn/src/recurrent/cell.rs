//! The step of a recurrent cell on one row, and its adjoint.
//!
//! With `x` the projected input of the step (its bias included) and `r` the projection of the state before, both
//! `[gates, units]`, in PyTorch's order of gates:
//! - RNN: `h' = tanh(x + r)`
//! - GRU (gates `r z n`): `h' = (1 - z) n + z h` with `r, z = sigmoid(x + r)`, `n = tanh(x_n + r * r_n)`
//! - LSTM (gates `i f g o`): `c' = f c + i g`, `h' = o tanh(c')`, `g = tanh`, the other gates `sigmoid`
//!
//! Design decision: a cell sees slices only, whatever made its projections; so a dense layer and a convolution
//! share the same three cells.

use crate::composed;
use crate::error::Result;
use candle_core::Tensor;

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Slices of one row in a forward step, `units` long per gate or state.
pub(crate) struct Forward<'a> {
    pub x: &'a [f32],
    pub r: &'a [f32],
    pub h_before: &'a [f32],
    pub c: &'a mut [f32],
    pub saved: &'a mut [f32],
    pub h: &'a mut [f32],
}

/// Slices of one row in a backward step. `dh` and `dc` come in as gradients of the state after the step and leave
/// as the direct part (not through the projection) of the gradients of the state before it.
pub(crate) struct Backward<'a> {
    pub saved: &'a [f32],
    pub h_before: &'a [f32],
    pub dh: &'a mut [f32],
    pub dc: &'a mut [f32],
    pub dx: &'a mut [f32],
    pub dr: &'a mut [f32],
}

pub(crate) trait Cell: Send + Sync + 'static {
    const NAME: &'static str;
    /// Projections per unit.
    const GATES: usize;
    /// Numbers kept per unit and step for the backward pass.
    const SAVED: usize;
    fn forward(units: usize, row: Forward<'_>);
    fn backward(units: usize, row: Backward<'_>);
    /// The scan where the tensors are not on the CPU.
    fn composed(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor>;
}

/// `N` neighbouring parts of `units` numbers each.
fn split<const N: usize>(all: &[f32], units: usize) -> [&[f32]; N] {
    std::array::from_fn(|part| &all[part * units..(part + 1) * units])
}

pub(crate) struct Rnn;

impl Cell for Rnn {
    const NAME: &'static str = "rnn_scan";
    const GATES: usize = 1;
    const SAVED: usize = 1;

    fn forward(units: usize, row: Forward<'_>) {
        for j in 0..units {
            row.h[j] = (row.x[j] + row.r[j]).tanh();
            row.saved[j] = row.h[j];
        }
    }

    fn backward(units: usize, row: Backward<'_>) {
        for j in 0..units {
            let d = row.dh[j] * (1.0 - row.saved[j] * row.saved[j]);
            row.dx[j] = d;
            row.dr[j] = d;
            row.dh[j] = 0.0;
        }
    }

    fn composed(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
        composed::rnn_scan(xproj, w_hh, b_hh)
    }
}

pub(crate) struct Gru;

impl Cell for Gru {
    const NAME: &'static str = "gru_scan";
    const GATES: usize = 3;
    /// `r`, `z`, `n` and the recurrent projection of `n`.
    const SAVED: usize = 4;

    fn forward(units: usize, row: Forward<'_>) {
        let [xr, xz, xn] = split(row.x, units);
        let [rr, rz, rn] = split(row.r, units);
        for j in 0..units {
            let (r, z) = (sigmoid(xr[j] + rr[j]), sigmoid(xz[j] + rz[j]));
            let n = (xn[j] + r * rn[j]).tanh();
            row.h[j] = (1.0 - z) * n + z * row.h_before[j];
            for (part, value) in [r, z, n, rn[j]].into_iter().enumerate() {
                row.saved[part * units + j] = value;
            }
        }
    }

    fn backward(units: usize, row: Backward<'_>) {
        let [r, z, n, rn] = split(row.saved, units);
        for j in 0..units {
            let dh = row.dh[j];
            let dn = dh * (1.0 - z[j]) * (1.0 - n[j] * n[j]);
            let dz = dh * (row.h_before[j] - n[j]) * z[j] * (1.0 - z[j]);
            let dr = dn * rn[j] * r[j] * (1.0 - r[j]);
            for (part, (dx, through_r)) in [(dr, dr), (dz, dz), (dn, dn * r[j])].into_iter().enumerate() {
                row.dx[part * units + j] = dx;
                row.dr[part * units + j] = through_r;
            }
            row.dh[j] = dh * z[j];
        }
    }

    fn composed(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
        composed::gru_scan(xproj, w_hh, b_hh)
    }
}

pub(crate) struct Lstm;

impl Cell for Lstm {
    const NAME: &'static str = "lstm_scan";
    const GATES: usize = 4;
    /// `i`, `f`, `g`, `o`, the cell before the step and `tanh` of the cell after it.
    const SAVED: usize = 6;

    fn forward(units: usize, row: Forward<'_>) {
        let [xi, xf, xg, xo] = split(row.x, units);
        let [ri, rf, rg, ro] = split(row.r, units);
        for j in 0..units {
            let (i, f) = (sigmoid(xi[j] + ri[j]), sigmoid(xf[j] + rf[j]));
            let (g, o) = ((xg[j] + rg[j]).tanh(), sigmoid(xo[j] + ro[j]));
            let before = row.c[j];
            row.c[j] = f * before + i * g;
            let tanh_c = row.c[j].tanh();
            row.h[j] = o * tanh_c;
            for (part, value) in [i, f, g, o, before, tanh_c].into_iter().enumerate() {
                row.saved[part * units + j] = value;
            }
        }
    }

    fn backward(units: usize, row: Backward<'_>) {
        let [i, f, g, o, before, tanh_c] = split(row.saved, units);
        for j in 0..units {
            let dc = row.dc[j] + row.dh[j] * o[j] * (1.0 - tanh_c[j] * tanh_c[j]);
            let gates = [
                dc * g[j] * i[j] * (1.0 - i[j]),
                dc * before[j] * f[j] * (1.0 - f[j]),
                dc * i[j] * (1.0 - g[j] * g[j]),
                row.dh[j] * tanh_c[j] * o[j] * (1.0 - o[j]),
            ];
            for (part, d) in gates.into_iter().enumerate() {
                row.dx[part * units + j] = d;
                row.dr[part * units + j] = d;
            }
            row.dc[j] = dc * f[j];
            row.dh[j] = 0.0;
        }
    }

    fn composed(xproj: &Tensor, w_hh: &Tensor, b_hh: Option<&Tensor>) -> Result<Tensor> {
        composed::lstm_scan(xproj, w_hh, b_hh)
    }
}
