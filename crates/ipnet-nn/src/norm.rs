//! Batch normalisation (Ioffe and Szegedy 2015): per channel `c` over batch and space,
//!
//! `y = gamma[c] (x - mean[c]) / sqrt(var[c] + eps) + beta[c]`
//!
//! with `mean`, `var` (biased) of the batch. With `m` elements per channel, `h = (x - mean) / sqrt(var + eps)`:
//! `dbeta = sum dy`, `dgamma = sum dy h`, `dx = gamma / sqrt(var + eps) * (dy - dbeta / m - h dgamma / m)`.
//! With given statistics they are constants and `dx = gamma / sqrt(var + eps) * dy`.
//!
//! Design decision: batch statistics are returned as plain vectors, outside the graph; a layer keeps its own
//! running statistics from them. Each plane gives its sum and its squares around its own mean, while it is in the cache,
//! and the planes of a channel are joined in order (Chan et al. 1979): the one-pass formula with raw squares loses the
//! variance of a channel with a large mean.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::autograd::{BackwardArgs, operand, record3, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::parallel;

const OP: &str = "batch_norm";

/// Mean and variance per channel of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchStats {
    /// Mean `[C]`.
    pub mean: Vec<f32>,
    /// Biased variance `[C]`, the one that normalises.
    pub var: Vec<f32>,
    /// Elements per channel.
    pub count: usize,
}

impl BatchStats {
    /// Variance `[C]` with Bessel's correction, the one that running statistics keep (as in PyTorch); the biased
    /// one if there is a single element.
    pub fn unbiased_var(&self) -> Vec<f32> {
        let correction = self.count as f32 / self.count.saturating_sub(1).max(1) as f32;
        self.var.iter().map(|var| var * correction).collect()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub channels: usize,
    pub plane: usize,
    pub batch: usize,
}

impl Extent {
    pub fn sample(&self) -> usize {
        self.channels * self.plane
    }

    pub fn count(&self) -> usize {
        self.batch * self.plane
    }

    /// The planes of channel `c` of `x`, one per sample.
    fn planes<'a>(&self, x: &'a [f32], c: usize) -> impl Iterator<Item = &'a [f32]> {
        let plane = self.plane;
        x.chunks_exact(self.sample()).map(move |sample| &sample[c * plane..(c + 1) * plane])
    }

    /// Statistics of each channel from the sums `[N, C]` of its planes, added in order.
    pub fn stats_of(&self, sums: &[PlaneSums]) -> BatchStats {
        let (count, plane) = (self.count() as f64, self.plane as f64);
        let of_channel = |c: usize| {
            let planes = || sums.iter().skip(c).step_by(self.channels);
            let mean = planes().map(|plane| plane.sum).sum::<f64>() / count;
            let squares = planes().map(|sums| sums.squares + plane * (sums.sum / plane - mean).powi(2));
            let var = squares.sum::<f64>() / count;
            // Not f64::max, which would turn the NaN of a diverged layer into a variance of zero.
            (mean as f32, if var < 0.0 { 0.0 } else { var as f32 })
        };
        let (mean, var) = (0..self.channels).map(of_channel).unzip();
        BatchStats { mean, var, count: self.count() }
    }

    pub fn check(op: &'static str, x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<Self> {
        let [batch, channels, rest @ ..] = x.dims() else {
            return Err(Error::shape(op, "x [N, C, ..]", x.shape()));
        };
        if x.elem_count() == 0 {
            return Err(Error::shape(op, "an x with at least one element", x.shape()));
        }
        check_parameters(op, *channels, gamma, beta, eps)?;
        Ok(Self { channels: *channels, plane: rest.iter().product(), batch: *batch })
    }

    /// Statistics are one number per channel.
    pub fn check_statistics(&self, op: &'static str, mean: &[f32], var: &[f32]) -> Result<()> {
        if mean.len() == self.channels && var.len() == self.channels {
            return Ok(());
        }
        Err(Error::Shape {
            op,
            expected: format!("statistics of {} channels", self.channels),
            found: format!("mean of {}, variance of {}", mean.len(), var.len()),
        })
    }
}

/// `gamma` and `beta` are `[C]`, `eps` is positive.
pub(crate) fn check_parameters(
    op: &'static str,
    channels: usize,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
) -> Result<()> {
    for parameter in [gamma, beta] {
        if parameter.dims() != [channels] {
            return Err(Error::shape(op, format!("gamma and beta [{channels}]"), parameter.shape()));
        }
    }
    if !(eps.is_finite() && eps > 0.0) {
        return Err(Error::Option { op, option: "eps", expected: "> 0", found: eps.to_string() });
    }
    Ok(())
}

/// Normalises `x [N, C, ..]` by the statistics of the batch, then scales by `gamma [C]` and adds `beta [C]`.
/// Returns `y` of `x`'s shape and the statistics.
///
/// # Errors
/// Shapes that do not fit together, an empty `x`, `eps` not positive, a tensor that is not f32.
pub fn batch_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<(Tensor, BatchStats)> {
    let extent = Extent::check(OP, x, gamma, beta, eps)?;
    if composed::takes(OP, x)? {
        return composed::batch_norm(x, gamma, beta, eps);
    }
    let (x, gamma, beta) = (operand(OP, x)?, operand(OP, gamma)?, operand(OP, beta)?);
    let stats = batch_stats(view(OP, &x)?.slice()?, &extent);
    let mean = stats.mean.clone();
    let inv_sd = inverse_sd(&stats.var, eps);
    let y = normalise(&x, &gamma, &beta, &extent, &mean, &inv_sd)?;
    let y = record3(OP, [&x, &gamma, &beta], y, x.shape(), move |args| {
        let (dgamma, dbeta) = backward_affine(&args, &extent, &mean, &inv_sd);
        let dx = args.needs[0].then(|| {
            let m = extent.count() as f32;
            backward_x(&args, &extent, |c| {
                // dx = a dy + b x + constant, from dx = gamma inv_sd (dy - dbeta / m - h dgamma / m).
                let a = args.inputs[1][c] * inv_sd[c];
                let b = -a * dgamma[c] * inv_sd[c] / m;
                (a, b, mean[c], -a * dbeta[c] / m)
            })
        });
        Ok([dx, Some(dgamma), Some(dbeta)])
    })?;
    Ok((y, stats))
}

/// As [`batch_norm`], with the statistics `mean [C]` and `var [C]` given instead of taken from the batch.
///
/// # Errors
/// As [`batch_norm`], and statistics of another length.
pub fn batch_norm_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    mean: &[f32],
    var: &[f32],
    eps: f64,
) -> Result<Tensor> {
    let extent = Extent::check(OP, x, gamma, beta, eps)?;
    extent.check_statistics(OP, mean, var)?;
    if composed::takes(OP, x)? {
        return composed::batch_norm_eval(x, gamma, beta, mean, var, eps);
    }
    let (x, gamma, beta) = (operand(OP, x)?, operand(OP, gamma)?, operand(OP, beta)?);
    let mean = mean.to_vec();
    let inv_sd = inverse_sd(var, eps);
    let y = normalise(&x, &gamma, &beta, &extent, &mean, &inv_sd)?;
    record3(OP, [&x, &gamma, &beta], y, x.shape(), move |args| {
        let (dgamma, dbeta) = backward_affine(&args, &extent, &mean, &inv_sd);
        let dx = args.needs[0]
            .then(|| backward_x(&args, &extent, |c| (args.inputs[1][c] * inv_sd[c], 0.0, 0.0, 0.0)));
        Ok([dx, Some(dgamma), Some(dbeta)])
    })
}

pub(crate) fn inverse_sd(var: &[f32], eps: f64) -> Vec<f32> {
    var.iter().map(|&var| (1.0 / (f64::from(var) + eps).sqrt()) as f32).collect()
}

/// Sum of a plane and sum of squares around its own mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlaneSums {
    sum: f64,
    squares: f64,
}

impl PlaneSums {
    pub fn of(plane: &[f32]) -> Self {
        let sum = parallel::sum(plane);
        let mean = sum / plane.len() as f64;
        let centre = mean as f32;
        let squares = parallel::sum_by(plane, plane, |x, _| (x - centre) * (x - centre));
        // The centre is the mean, rounded.
        Self { sum, squares: squares - plane.len() as f64 * (mean - f64::from(centre)).powi(2) }
    }
}

pub(crate) fn batch_stats(x: &[f32], extent: &Extent) -> BatchStats {
    let samples = x.par_chunks_exact(extent.sample());
    let sums: Vec<PlaneSums> =
        samples.flat_map_iter(|sample| sample.chunks_exact(extent.plane).map(PlaneSums::of)).collect();
    extent.stats_of(&sums)
}

fn normalise(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    extent: &Extent,
    mean: &[f32],
    inv_sd: &[f32],
) -> Result<Vec<f32>> {
    let (x, gamma, beta) = (view(OP, x)?, view(OP, gamma)?, view(OP, beta)?);
    let (x, gamma, beta) = (x.slice()?, gamma.slice()?, beta.slice()?);
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(extent.sample()).zip(x.par_chunks(extent.sample())).for_each(|(y, x)| {
        let planes = y.chunks_exact_mut(extent.plane).zip(x.chunks_exact(extent.plane));
        for (c, (y, x)) in planes.enumerate() {
            let (scale, centre, shift) = (gamma[c] * inv_sd[c], mean[c], beta[c]);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - centre) * scale + shift;
            }
        }
    });
    Ok(y)
}

/// `dgamma` and `dbeta`.
fn backward_affine(
    args: &BackwardArgs<'_, 3>,
    extent: &Extent,
    mean: &[f32],
    inv_sd: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    (0..extent.channels)
        .into_par_iter()
        .map(|c| {
            let (mut dgamma, mut dbeta) = (0.0_f64, 0.0_f64);
            for (x, dy) in extent.planes(args.inputs[0], c).zip(extent.planes(args.grad, c)) {
                dbeta += parallel::sum(dy);
                dgamma += parallel::sum_by(x, dy, |x, dy| (x - mean[c]) * dy);
            }
            ((dgamma * f64::from(inv_sd[c])) as f32, dbeta as f32)
        })
        .unzip()
}

/// `dx = a dy + b (x - centre) + shift` with the four numbers of each channel from `coefficients`.
fn backward_x(
    args: &BackwardArgs<'_, 3>,
    extent: &Extent,
    coefficients: impl Fn(usize) -> (f32, f32, f32, f32) + Sync,
) -> Vec<f32> {
    let [x, ..] = args.inputs;
    let sample = extent.sample();
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(sample).zip(x.par_chunks(sample).zip(args.grad.par_chunks(sample))).for_each(
        |(dx, (x, dy))| {
            let planes = dx
                .chunks_exact_mut(extent.plane)
                .zip(x.chunks_exact(extent.plane).zip(dy.chunks_exact(extent.plane)));
            for (c, (dx, (x, dy))) in planes.enumerate() {
                let (a, b, centre, shift) = coefficients(c);
                for (dx, (&x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                    *dx = a * dy + b * (x - centre) + shift;
                }
            }
        },
    );
    dx
}
