//! Rectifier, matrix product, mean over time, mask and loss.

use crate::error::Result;
use candle_core::{D, Tensor};

/// See [`crate::relu`]. What is not above 0 has no gradient; among it a NaN comes through.
pub(crate) fn relu(x: &Tensor) -> Result<Tensor> {
    let zeros = x.zeros_like()?;
    let shut = x.detach();
    let shut = shut.le(&zeros)?.where_cond(&zeros, &shut)?;
    Ok(x.gt(&zeros)?.where_cond(x, &shut)?)
}

/// See [`crate::linear`].
pub(crate) fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (n_out, n_in) = w.dims2()?;
    let mut shape = x.dims().to_vec();
    shape[x.rank() - 1] = n_out;
    let y = x.reshape((x.elem_count() / n_in, n_in))?.matmul(&w.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    Ok(y.reshape(shape)?)
}

/// See [`crate::mean_over_time`].
pub(crate) fn mean_over_time(x: &Tensor) -> Result<Tensor> {
    Ok((x.sum(0)? / x.dim(0)? as f64)?)
}

/// `x` times `mask`, drawn on the host; what is dropped is 0 whatever it was.
pub(crate) fn masked(x: &Tensor, mask: Vec<f32>) -> Result<Tensor> {
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?;
    let zeros = x.zeros_like()?;
    Ok(mask.gt(&zeros)?.where_cond(&(x * mask)?, &zeros)?)
}

/// See [`crate::cross_entropy`], in f32.
pub(crate) fn cross_entropy(logits: &Tensor, targets: &[u32], label_smoothing: f64) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    let mut wanted = vec![(label_smoothing / classes as f64) as f32; rows * classes];
    for (row, &target) in wanted.chunks_exact_mut(classes).zip(targets) {
        row[target as usize] += (1.0 - label_smoothing) as f32;
    }
    let wanted = Tensor::from_vec(wanted, (rows, classes), logits.device())?;
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    let log_p = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    Ok(((log_p * wanted)?.sum_all()? * (-1.0 / rows as f64))?)
}
