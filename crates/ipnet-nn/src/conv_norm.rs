//! A convolutional stage while it is trained, as one operation: `y = avg_pool2d(relu(batch_norm(conv2d(x, w))), 2)`.
//!
//! Its adjoint is the chain of the parts': [`crate::batch_norm_relu_pool`]'s `dz` of the convolution's result `z`, then
//! [`crate::conv2d`]'s `dx` and `dw`. The bits are those of the two operations one after the other.
//!
//! Design decision: as two operations, `z`'s gradient is a tensor four times as large as all else of the stage, which is
//! cleared, written, added to candle's zeros and read again. Here it exists for a sample at a time, in the cache, `z`
//! in a buffer that is used again, and `z`'s statistics are taken from a sample as soon as it is there.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::autograd::{operand, record3, view};
use crate::buffers::Buffer;
use crate::composed;
use crate::conv::{self, Geometry};
use crate::error::{Error, Result};
use crate::norm::{BatchStats, Extent, PlaneSums, check_parameters, inverse_sd};
use crate::norm_relu_pool::{Affine, Tail, batch_norm_relu_pool};

const OP: &str = "conv_norm_relu_pool";

/// `x [N, C, H, W]`, `w [O, C, kh, kw]` with `padding` and stride 1, `gamma [O]`, `beta [O]`: `[N, O, H' / 2, W' / 2]`,
/// rounded down, by the statistics of the batch, which are returned too.
///
/// # Errors
/// What [`crate::conv2d`] refuses, `gamma` and `beta` that do not fit, `eps` not positive, a result of the convolution
/// below 2 x 2.
pub fn conv_norm_relu_pool(
    x: &Tensor,
    w: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    padding: usize,
    eps: f64,
) -> Result<(Tensor, BatchStats)> {
    let (batch, _, _, _) = x.dims4().map_err(|_| Error::shape(OP, "x [N, C, H, W]", x.shape()))?;
    let g = Geometry::new(x, w, None, 1, padding)?;
    check_parameters(OP, g.c_out, gamma, beta, eps)?;
    if g.h_out < 2 || g.w_out < 2 {
        return Err(Error::shape(OP, "x of at least 2 x 2 after the convolution", x.shape()));
    }
    if composed::takes(OP, x)? {
        return batch_norm_relu_pool(&composed::conv2d(&g, x, w, None)?, gamma, beta, eps);
    }
    // One operand for all that is `[O]`: a candle operation has three at most.
    let parameters = operand(OP, &Tensor::cat(&[gamma, beta], 0)?)?;
    let (x, w) = (operand(OP, x)?, operand(OP, w)?);
    let (xs, ws, both) = (view(OP, &x)?, view(OP, &w)?, view(OP, &parameters)?);
    let mut z = Buffer::new(batch * g.y_sample());
    let convolution = conv::Forward::new(&g, ws.slice()?, None);
    let sums: Vec<PlaneSums> = z
        .par_chunks_mut(g.y_sample())
        .zip(xs.slice()?.par_chunks(g.x_sample()))
        .flat_map_iter(|(z, x)| {
            convolution.sample(x, z);
            z.chunks_exact(g.y_plane()).map(PlaneSums::of)
        })
        .collect();
    let extent = Extent { channels: g.c_out, plane: g.y_plane(), batch };
    let stats = extent.stats_of(&sums);
    let (mean, inv_sd) = (stats.mean.clone(), inverse_sd(&stats.var, eps));
    let tail = Tail { extent, height: g.h_out, width: g.w_out, mean, inv_sd, of_batch: true };
    let y = tail.forward(&z, Affine::of(both.slice()?));
    let shape = (batch, g.c_out, g.h_out / 2, g.w_out / 2);
    let y = record3(OP, [&x, &w, &parameters], y, shape, move |args| {
        let ([x, w, parameters], [need_x, need_w, _]) = (args.inputs, args.needs);
        let affine = Affine::of(parameters);
        let (dgamma, dbeta) = tail.gradient_of_affine(&z, affine, args.grad);
        let gradients = Affine { gamma: &dgamma, beta: &dbeta };
        let of_operands = conv::backward(&g, x, w, [need_x, need_w, false], |n, use_it| {
            conv::with_scratch(g.y_sample(), |dz| {
                let dy = &args.grad[n * tail.pooled()..(n + 1) * tail.pooled()];
                tail.gradient_of_sample(tail.sample(&z, n), affine, gradients, dy, dz);
                use_it(dz);
            });
        });
        Ok([of_operands.dx, of_operands.dw, Some([dgamma, dbeta].concat())])
    })?;
    Ok((y, stats))
}
