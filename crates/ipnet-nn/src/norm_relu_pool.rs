//! Batch normalisation, ReLU and 2x2 average pooling as one operation: the tail of a convolutional stage.
//!
//! `y[i, j] = 1/4 sum over the window of max(0, v)`, `v = gamma[c] (x - mean[c]) / sqrt(var[c] + eps) + beta[c]`.
//! With `g = dy / 4` at the pixels of a window where `v > 0` and 0 elsewhere, the rest is [`crate::batch_norm`]'s backward
//! for `dv = g`. A last odd row or column is normalised by, and counts in, the statistics but stands in no window.
//!
//! Design decision: as three operations, `v`, `max(0, v)` and their two gradients are written to memory, each as large as
//! `x`; here only `y` and `dx` are, and `v` is computed again from `x` where it is needed.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::autograd::{operand, record3, view};
use crate::composed;
use crate::conv::with_scratch;
use crate::error::{Error, Result};
use crate::norm::{BatchStats, Extent, batch_stats, inverse_sd};
use crate::parallel;
use crate::pool::windows_of;

const OP: &str = "batch_norm_relu_pool";

/// What the operation does to each plane of a channel.
pub(crate) struct Tail {
    pub extent: Extent,
    pub height: usize,
    pub width: usize,
    pub mean: Vec<f32>,
    pub inv_sd: Vec<f32>,
    /// Whether the statistics are the batch's own, so that they have a gradient.
    pub of_batch: bool,
}

/// `gamma [C]` and `beta [C]`, or their gradients.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
}

/// `x [N, C, H, W]` to `y [N, C, H / 2, W / 2]` (rounded down) by the statistics of the batch, which are returned too.
///
/// # Errors
/// Shapes that do not fit together, `H` or `W` below 2, `eps` not positive, a tensor that is not f32.
pub fn batch_norm_relu_pool(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
) -> Result<(Tensor, BatchStats)> {
    let (extent, height, width) = check(x, gamma, beta, eps)?;
    if composed::takes(OP, x)? {
        let (y, stats) = composed::batch_norm(x, gamma, beta, eps)?;
        return Ok((relu_pool(&y, [height, width])?, stats));
    }
    let x = operand(OP, x)?;
    let stats = batch_stats(view(OP, &x)?.slice()?, &extent);
    let inv_sd = inverse_sd(&stats.var, eps);
    let tail = Tail { extent, height, width, mean: stats.mean.clone(), inv_sd, of_batch: true };
    Ok((tail.record(&x, gamma, beta)?, stats))
}

/// As [`batch_norm_relu_pool`], with the statistics `mean [C]` and `var [C]` given instead of taken from the batch.
///
/// # Errors
/// As [`batch_norm_relu_pool`], and statistics of another length.
pub fn batch_norm_relu_pool_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    mean: &[f32],
    var: &[f32],
    eps: f64,
) -> Result<Tensor> {
    let (extent, height, width) = check(x, gamma, beta, eps)?;
    extent.check_statistics(OP, mean, var)?;
    if composed::takes(OP, x)? {
        return relu_pool(&composed::batch_norm_eval(x, gamma, beta, mean, var, eps)?, [height, width]);
    }
    let (mean, inv_sd) = (mean.to_vec(), inverse_sd(var, eps));
    Tail { extent, height, width, mean, inv_sd, of_batch: false }.record(&operand(OP, x)?, gamma, beta)
}

/// The composition of what follows the normalisation.
fn relu_pool(y: &Tensor, extents: [usize; 2]) -> Result<Tensor> {
    composed::avg_pool2d(&windows_of(OP, extents, 2)?, &composed::relu(y)?, 2)
}

fn check(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<(Extent, usize, usize)> {
    match x.dims() {
        &[_, _, height, width] if height >= 2 && width >= 2 => {
            Ok((Extent::check(OP, x, gamma, beta, eps)?, height, width))
        }
        _ => Err(Error::shape(OP, "x [N, C, H >= 2, W >= 2]", x.shape())),
    }
}

impl<'a> Affine<'a> {
    /// The two halves of `[2 C]`.
    pub(crate) fn of(both: &'a [f32]) -> Self {
        let (gamma, beta) = both.split_at(both.len() / 2);
        Self { gamma, beta }
    }
}

impl Tail {
    /// Elements of a pooled sample.
    pub(crate) fn pooled(&self) -> usize {
        self.extent.channels * self.pooled_plane()
    }

    fn pooled_plane(&self) -> usize {
        (self.height / 2) * (self.width / 2)
    }

    fn record(self, x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
        let (gamma, beta) = (operand(OP, gamma)?, operand(OP, beta)?);
        let y = {
            let (x, gamma, beta) = (view(OP, x)?, view(OP, &gamma)?, view(OP, &beta)?);
            self.forward(x.slice()?, Affine { gamma: gamma.slice()?, beta: beta.slice()? })
        };
        let shape = (self.extent.batch, self.extent.channels, self.height / 2, self.width / 2);
        record3(OP, [x, &gamma, &beta], y, shape, move |args| {
            let [x, gamma, beta] = args.inputs;
            let affine = Affine { gamma, beta };
            let (dgamma, dbeta) = self.gradient_of_affine(x, affine, args.grad);
            let dx = args.needs[0].then(|| {
                let samples = args.grad.par_chunks(self.pooled()).enumerate();
                parallel::written(x.len(), self.extent.sample(), samples, |dx, (n, dy)| {
                    let gradients = Affine { gamma: &dgamma, beta: &dbeta };
                    self.gradient_of_sample(self.sample(x, n), affine, gradients, dy, dx);
                })
            });
            Ok([dx, Some(dgamma), Some(dbeta)])
        })
    }

    /// Sample `n` of `x`.
    pub(crate) fn sample<'a>(&self, x: &'a [f32], n: usize) -> &'a [f32] {
        &x[n * self.extent.sample()..(n + 1) * self.extent.sample()]
    }

    /// `scale`, `centre` and `shift` of `v = (x - centre) scale + shift` in channel `c`.
    fn of_channel(&self, affine: Affine<'_>, c: usize) -> (f32, f32, f32) {
        (affine.gamma[c] * self.inv_sd[c], self.mean[c], affine.beta[c])
    }

    /// `y` of the batch.
    pub(crate) fn forward(&self, x: &[f32], affine: Affine<'_>) -> Vec<f32> {
        let samples = x.par_chunks(self.extent.sample());
        parallel::written(self.extent.batch * self.pooled(), self.pooled(), samples, |y, x| {
            with_scratch(self.width, |row| parallel::vectorized(|| self.forward_sample(x, affine, row, y)));
        })
    }

    /// `y` of one sample; `row` is working memory of a row of `x`.
    #[inline(always)]
    fn forward_sample(&self, x: &[f32], affine: Affine<'_>, row: &mut [f32], y: &mut [f32]) {
        let (plane, pooled, width) = (self.extent.plane, self.pooled_plane(), self.width);
        for (c, (y, x)) in y.chunks_exact_mut(pooled).zip(x.chunks_exact(plane)).enumerate() {
            let (scale, centre, shift) = self.of_channel(affine, c);
            // `v.max(0)` would turn the NaN of a diverged layer into 0.
            let relu = |x: f32| {
                let v = (x - centre) * scale + shift;
                if v < 0.0 { 0.0 } else { v }
            };
            for (y, rows) in y.chunks_exact_mut(width / 2).zip(x.chunks_exact(2 * width)) {
                let (upper, lower) = rows.split_at(width);
                for (sum, (&upper, &lower)) in row.iter_mut().zip(upper.iter().zip(lower)) {
                    *sum = relu(upper) + relu(lower);
                }
                for (y, pair) in y.iter_mut().zip(row.as_chunks::<2>().0) {
                    *y = 0.25 * (pair[0] + pair[1]);
                }
            }
        }
    }

    /// `g` of one plane: the gradient of `v`, 0 outside of all windows.
    #[inline(always)]
    fn gradient_of_v(&self, (scale, centre, shift): (f32, f32, f32), x: &[f32], dy: &[f32], g: &mut [f32]) {
        let width = self.width;
        let windows = 2 * width * (self.height / 2);
        g[windows..].fill(0.0);
        let rows = g[..windows].chunks_exact_mut(2 * width).zip(x.chunks_exact(2 * width));
        for ((g, x), dy) in rows.zip(dy.chunks_exact(width / 2)) {
            let (upper, lower) = g.split_at_mut(width);
            for (pair, &dy) in upper.as_chunks_mut::<2>().0.iter_mut().zip(dy) {
                *pair = [0.25 * dy; 2];
            }
            if width % 2 == 1 {
                upper[width - 1] = 0.0;
            }
            let open = |x: f32| (x - centre) * scale + shift > 0.0;
            let (x_upper, x_lower) = x.split_at(width);
            for ((lower, &upper), &x) in lower.iter_mut().zip(&*upper).zip(x_lower) {
                *lower = if open(x) { upper } else { 0.0 };
            }
            for (upper, &x) in upper.iter_mut().zip(x_upper) {
                *upper = if open(x) { *upper } else { 0.0 };
            }
        }
    }

    /// `dgamma` and `dbeta`, from the sums of `g` and `g (x - mean)` of each plane, added over the batch in order.
    pub(crate) fn gradient_of_affine(
        &self,
        x: &[f32],
        affine: Affine<'_>,
        dy: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let (channels, plane) = (self.extent.channels, self.extent.plane);
        let sums: Vec<(f64, f64)> = x
            .par_chunks(self.extent.sample())
            .zip(dy.par_chunks(self.pooled()))
            .map_init(
                || vec![0.0_f32; plane],
                |g, (x, dy)| {
                    let planes = x.chunks_exact(plane).zip(dy.chunks_exact(self.pooled_plane())).enumerate();
                    planes
                        .map(|(c, (x, dy))| {
                            parallel::vectorized(|| self.gradient_of_v(self.of_channel(affine, c), x, dy, g));
                            let mean = self.mean[c];
                            (parallel::sum(g), parallel::sum_by(x, g, |x, g| (x - mean) * g))
                        })
                        .collect::<Vec<_>>()
                },
            )
            .flatten_iter()
            .collect();
        let total = |c: usize, pick: fn(&(f64, f64)) -> f64| -> f64 {
            sums.iter().skip(c).step_by(channels).map(pick).sum()
        };
        let of_gamma = |c| (total(c, |sums| sums.1) * f64::from(self.inv_sd[c])) as f32;
        (
            (0..channels).map(of_gamma).collect(),
            (0..channels).map(|c| total(c, |sums| sums.0) as f32).collect(),
        )
    }

    /// `dx` of one sample.
    pub(crate) fn gradient_of_sample(
        &self,
        x: &[f32],
        affine: Affine<'_>,
        gradients: Affine<'_>,
        dy: &[f32],
        dx: &mut [f32],
    ) {
        parallel::vectorized(|| {
            let plane = self.extent.plane;
            let planes = dx.chunks_exact_mut(plane).zip(x.chunks_exact(plane));
            for (c, ((dx, x), dy)) in planes.zip(dy.chunks_exact(self.pooled_plane())).enumerate() {
                let of_channel = self.of_channel(affine, c);
                self.gradient_of_v(of_channel, x, dy, dx);
                // dx = a (g - dbeta / m - h dgamma / m), the last two only where the batch made the statistics.
                let (a, centre, _) = of_channel;
                let m = if self.of_batch { self.extent.count() as f32 } else { f32::INFINITY };
                let (b, shift) = (-a * gradients.gamma[c] * self.inv_sd[c] / m, -a * gradients.beta[c] / m);
                for (dx, &x) in dx.iter_mut().zip(x) {
                    *dx = a * *dx + b * (x - centre) + shift;
                }
            }
        });
    }
}
