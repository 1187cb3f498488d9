//! Convolution over time, rectifier and pool as one operation: `y = avg_pool2d(relu(conv_time(x, w) + b), k)`.
//!
//! Its adjoint is the chain of the parts': `dz = dy / k^2` over each window where `z > 0`, then [`crate::conv_time`]'s `dx`, `dw`
//! and `db`.
//!
//! Design decision: as in [`crate::conv_stage`], the convolution's result and its gradient, each as large as `k^2` results,
//! are never whole tensors: four frames of them exist at a time, and one byte a pixel is kept. A gradient's frame is made up to
//! twice, for the frames before and after it hang on it too.

use candle_core::Tensor;

use crate::composed;
use crate::conv::{Extent, conv_time};
use crate::error::{Error, Result};
use crate::pool::windows_of;
use crate::relu_pool::relu_avg_pool2d;

const OP: &str = "conv_time_stage";

/// `x [T, B, C, H, W]`, `w [O, C, k]`, k odd, `bias [O]`, pooled over `pool x pool` windows:
/// `[T, B, O, H / pool, W / pool]`, rounded down.
///
/// # Errors
/// What [`crate::conv_time`] and [`crate::avg_pool2d`] refuse.
pub fn conv_time_stage(x: &Tensor, w: &Tensor, bias: &Tensor, pool: usize) -> Result<Tensor> {
    let &[_, _, _, height, width] = x.dims() else {
        return Err(Error::shape(OP, "x [T, B, C, H, W]", x.shape()));
    };
    let extent = Extent::new(OP, x, w, Some(bias))?;
    let planes = windows_of(OP, [height, width], pool)?;
    if composed::takes(OP, x)? {
        return composed::avg_pool2d(
            &planes,
            &composed::relu(&composed::conv_time(x, w, Some(bias))?)?,
            pool,
        );
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(over_time) = extent.filtered() {
        return filtered::stage(x, w, bias, filtered::Stage { over_time, planes, pool });
    }
    relu_avg_pool2d(&conv_time(x, w, Some(bias))?, pool)
}

#[cfg(target_arch = "x86_64")]
mod filtered {
    use candle_core::Tensor;
    use rayon::prelude::*;

    use super::OP;
    use crate::autograd::{operand, record3, view};
    use crate::conv::{Frames, OverTime, with_scratch};
    use crate::error::Result;
    use crate::parallel::{Unwritten, as_unwritten, cleared};
    use crate::pool::Planes;
    use crate::stage::{gradient_through, rectify};

    #[derive(Clone, Copy)]
    pub(super) struct Stage {
        pub over_time: OverTime,
        pub planes: Planes,
        pub pool: usize,
    }

    pub(super) fn stage(x: &Tensor, w: &Tensor, bias: &Tensor, stage: Stage) -> Result<Tensor> {
        let (x, w, bias) = (operand(OP, x)?, operand(OP, w)?, operand(OP, bias)?);
        let tracked = x.track_op() || w.track_op() || bias.track_op();
        let (y, open) =
            stage.forward(view(OP, &x)?.slice()?, view(OP, &w)?.slice()?, view(OP, &bias)?.slice()?, tracked);
        let mut shape = x.dims().to_vec();
        shape[2..].copy_from_slice(&[stage.over_time.c_out, stage.planes.h_out, stage.planes.w_out]);
        record3(OP, [&x, &w, &bias], y, shape, move |args| {
            let [x, w, _] = args.inputs;
            let gradients = stage.over_time.backward(x, w, args.needs, |part, use_it| {
                stage.with_gradient(part, args.grad, &open, use_it);
            });
            Ok([gradients.dx, gradients.dw, gradients.db])
        })
    }

    impl Stage {
        /// Elements of a sample before the pool, and after it.
        fn samples(&self) -> [usize; 2] {
            [self.planes.x_len(), self.planes.y_len()].map(|plane| self.over_time.c_out * plane)
        }

        /// `y`, and for each element before the pool whether it was above 0 (nothing, if no gradient will be asked for).
        fn forward(&self, x: &[f32], w: &[f32], bias: &[f32], tracked: bool) -> (Vec<f32>, Vec<u8>) {
            let [sample, pooled] = self.samples();
            let over_time = &self.over_time;
            let packed = over_time.pack(w);
            let count = over_time.steps * over_time.batch;
            let open_len = if tracked { count * sample } else { 0 };
            let (mut y, mut open) = (Unwritten::<f32>::new(count * pooled), Unwritten::<u8>::new(open_len));
            let ys = over_time.by_part(y.slice(), pooled);
            let opens = over_time.by_part(open.slice(), sample);
            ys.into_par_iter().zip(opens).enumerate().for_each(|(part, (ys, opens))| {
                with_scratch(ys.len() * sample, |z| {
                    // SAFETY: the convolution writes numbers.
                    let mut frames: Vec<_> =
                        z.chunks_exact_mut(sample).map(|z| unsafe { as_unwritten(z) }).collect();
                    over_time.part(
                        &over_time.frames(x, over_time.c_in, part),
                        &packed,
                        Some(bias),
                        &mut frames,
                    );
                    let mut opens = opens.into_iter();
                    for (y, z) in ys.into_iter().zip(z.chunks_exact_mut(sample)) {
                        rectify(z, opens.next().map(cleared).unwrap_or_default());
                        self.planes.average_sample(self.pool, z, cleared(y));
                    }
                });
            });
            // SAFETY: each sample is in a part, and was cleared above.
            unsafe { (y.written(), open.written()) }
        }

        /// Hands the gradients of the frames before rectifier and pool to `use_it`.
        fn with_gradient(&self, part: usize, dy: &[f32], open: &[u8], use_it: &mut dyn FnMut(&Frames<'_>)) {
            let [sample, pooled] = self.samples();
            let at = self.over_time.samples(part);
            with_scratch(at.len() * sample, |dz| {
                for (dz, at) in dz.chunks_exact_mut(sample).zip(at) {
                    let Some(at) = at else { continue };
                    let (dy, open) = (&dy[at * pooled..][..pooled], &open[at * sample..][..sample]);
                    gradient_through(&self.planes, self.pool, dy, open, dz);
                }
                let dz = &*dz;
                use_it(&std::array::from_fn(|frame| at[frame].map(|_| &dz[frame * sample..][..sample])));
            });
        }
    }
}
