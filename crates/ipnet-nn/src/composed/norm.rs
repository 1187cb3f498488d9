//! Normalisations: mean and variance as means over planes, then over the batch, so that a GPU sums many short rows.

use crate::error::Result;
use crate::norm::{BatchStats, inverse_sd};
use candle_core::{D, Tensor};

/// See [`crate::batch_norm`]: the statistics are read back, which waits for the GPU.
pub(crate) fn batch_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
) -> Result<(Tensor, BatchStats)> {
    let planes = planes(x)?;
    let (batch, channels, plane) = planes.dims3()?;
    let over_batch = |x: &Tensor| x.mean_keepdim(2)?.mean_keepdim(0);
    let mean = over_batch(&planes)?;
    let centred = planes.broadcast_sub(&mean)?;
    let var = over_batch(&centred.sqr()?)?;
    let scale = ((&var + eps)?.sqrt()?.recip()? * per_channel(gamma)?)?;
    let y = centred.broadcast_mul(&scale)?.broadcast_add(&per_channel(beta)?)?;
    let on_host = |x: &Tensor| x.detach().reshape(channels)?.to_vec1::<f32>();
    let stats = BatchStats { mean: on_host(&mean)?, var: on_host(&var)?, count: batch * plane };
    Ok((y.reshape(x.shape())?, stats))
}

/// See [`crate::batch_norm_eval`].
pub(crate) fn batch_norm_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    mean: &[f32],
    var: &[f32],
    eps: f64,
) -> Result<Tensor> {
    let constant = |values: &[f32]| Tensor::from_slice(values, (1, values.len(), 1), x.device());
    let scale = (per_channel(gamma)? * constant(&inverse_sd(var, eps))?)?;
    let centred = planes(x)?.broadcast_sub(&constant(mean)?)?;
    Ok(centred.broadcast_mul(&scale)?.broadcast_add(&per_channel(beta)?)?.reshape(x.shape())?)
}

/// See [`crate::group_norm`].
pub(crate) fn group_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    groups: usize,
    eps: f64,
) -> Result<Tensor> {
    let shape = planes(x)?.shape().clone();
    let rows = x.reshape((x.dim(0)?, groups, x.elem_count() / x.dim(0)? / groups))?;
    let centred = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
    let var = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normal = centred.broadcast_mul(&(var + eps)?.sqrt()?.recip()?)?.reshape(shape)?;
    let y = normal.broadcast_mul(&per_channel(gamma)?)?.broadcast_add(&per_channel(beta)?)?;
    Ok(y.reshape(x.shape())?)
}

/// `x [N, C, ..]` as `[N, C, P]`.
fn planes(x: &Tensor) -> Result<Tensor> {
    let plane = x.dims()[2..].iter().product::<usize>();
    Ok(x.reshape((x.dim(0)?, x.dim(1)?, plane))?)
}

/// `[C]` as `[1, C, 1]`.
fn per_channel(x: &Tensor) -> Result<Tensor> {
    Ok(x.reshape((1, x.elem_count(), 1))?)
}
