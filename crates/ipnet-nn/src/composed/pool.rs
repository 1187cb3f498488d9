//! Pools by slices, sums and comparisons. candle's own are not used: the gradient of its `max_pool2d` is a quarter of the right
//! one, and its `avg_pool2d` is wrong for sizes that do not divide.

use super::every;
use crate::error::Result;
use crate::pool::Planes;
use candle_core::{D, Tensor};

/// See [`crate::avg_pool2d`].
pub(crate) fn avg_pool2d(planes: &Planes, x: &Tensor, k: usize) -> Result<Tensor> {
    let whole = |dim: usize, x: &Tensor, count: usize| x.narrow(dim, 0, count * k);
    let rank = x.rank();
    let x_whole = whole(rank - 1, &whole(rank - 2, x, planes.h_out)?, planes.w_out)?;
    let lead = x.elem_count() / planes.x_len();
    let windows = x_whole.reshape((lead, planes.h_out, k, planes.w_out, k))?;
    let y = (windows.sum((2, 4))? / (k * k) as f64)?;
    Ok(y.reshape(planes.shape(x))?)
}

/// See [`crate::max_pool2d`]: pixel by pixel of the window, in row-major order, the first maximum or NaN is kept.
pub(crate) fn max_pool2d(planes: &Planes, x: &Tensor, k: usize) -> Result<Tensor> {
    let (row_dim, column_dim) = (x.rank() - 2, x.rank() - 1);
    let mut best: Option<Tensor> = None;
    for row in 0..k {
        let rows = every(x, row_dim, row, k, planes.h_out)?;
        for column in 0..k {
            let next = every(&rows, column_dim, column, k, planes.w_out)?.contiguous()?;
            best = Some(match best {
                None => next,
                Some(best) => {
                    // `best` is kept unless `next` is larger or a NaN; a NaN that is `best` equals nothing, itself neither.
                    let number = best.ge(&next)?.where_cond(&best, &next)?;
                    best.eq(&best)?.where_cond(&number, &best)?
                }
            });
        }
    }
    Ok(best.unwrap_or_else(|| x.clone()))
}

/// See [`crate::adaptive_avg_pool2d`]: means of rows, then of columns. All cells of a row have as many columns each.
pub(crate) fn adaptive_avg_pool2d(planes: &Planes, x: &Tensor) -> Result<Tensor> {
    let rows = cells(x, D::Minus2, planes.h_out)?;
    cells(&rows, D::Minus1, planes.w_out)
}

/// Means over the cells `floor(i n / count) .. ceil((i + 1) n / count)` of a dimension of length `n`.
fn cells(x: &Tensor, dim: D, count: usize) -> Result<Tensor> {
    let n = x.dim(dim)?;
    let cell = |i: usize| {
        let range = i * n / count..((i + 1) * n).div_ceil(count);
        x.narrow(dim, range.start, range.len())?.mean_keepdim(dim)
    };
    Ok(Tensor::cat(&(0..count).map(cell).collect::<candle_core::Result<Vec<_>>>()?, dim)?)
}
