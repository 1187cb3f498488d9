//! The same operations as compositions of candle's own, for tensors that do not lie on the CPU.
//!
//! Design decision: the kernels of this crate are the CPU's. On a GPU a public operation is a composition of candle operations,
//! whose gradient is candle's, so that no kernel is written twice; it needs no GPU to be checked, since candle computes it on the
//! CPU too: `tests/suite/composed.rs` compares values and gradients with those of the own kernels. Only operations of candle whose
//! gradient is right are used: matrix products, slices, sums, comparisons and elementwise arithmetic. Its convolutions and pools
//! are not (see `convolution` and `pool`), nor its rectifier, which turns a NaN into 0 and is open at 0.
//!
//! A composition keeps what backward reads: a convolution its columns, `kh kw` times its input.

mod convolution;
mod norm;
mod pool;
mod recurrent;
mod rest;

pub(crate) use convolution::{conv_time, conv2d, stack_frames};
pub(crate) use norm::{batch_norm, batch_norm_eval, group_norm};
pub(crate) use pool::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
pub(crate) use recurrent::{conv_lstm_scan, ema_scan, gru_scan, lstm_scan, rnn_scan};
pub(crate) use rest::{cross_entropy, linear, masked, mean_over_time, relu};

use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use std::cell::Cell;

thread_local! {
    static FORCED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with the compositions in the place of the CPU's own kernels on this thread: for tests of the compositions.
pub fn forced<R>(work: impl FnOnce() -> R) -> R {
    /// Ends it however `work` ends.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(true));
    work()
}

/// Whether an operation on `x` is a composition: `x` does not lie on the CPU.
pub(crate) fn takes(op: &'static str, x: &Tensor) -> Result<bool> {
    if x.device().is_cpu() && !FORCED.get() {
        return Ok(false);
    }
    if x.dtype() == DType::F32 {
        return Ok(true);
    }
    Err(Error::Placement { op, dtype: x.dtype(), device: format!("{:?}", x.device().location()) })
}

/// Elements `first, first + step, ..` of `x` along `dim`, `count` of them.
fn every(x: &Tensor, dim: usize, first: usize, step: usize, count: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(x.narrow(dim, first, count)?);
    }
    // `[.., count, step, ..]`, of which the first of each `step` is kept; the last may lack what is thrown away.
    let there = (x.dims()[dim] - first).min(count * step);
    let x = x.narrow(dim, first, there)?.pad_with_zeros(dim, 0, count * step - there)?;
    let mut dims = x.dims().to_vec();
    dims[dim] = count;
    dims.insert(dim + 1, step);
    Ok(x.reshape(dims)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)?)
}

/// The steps of `x [T, ..]`, each `[..]`.
fn steps(x: &Tensor) -> Result<Vec<Tensor>> {
    (0..x.dim(0)?).map(|t| Ok(x.narrow(0, t, 1)?.squeeze(0)?)).collect()
}
