//! Group normalisation (Wu and He 2018): per sample and group of channels,
//! `y = gamma[c] (x - mean) / sqrt(var + eps) + beta[c]`, `var` biased.
//!
//! With `m` elements per group, `h` the normalised input and `e = gamma dy`:
//! `dx = (e - mean(e) - h mean(e h)) / sqrt(var + eps)`, `dgamma = sum dy h`, `dbeta = sum dy`. One group is layer
//! normalisation over `[C, ..]`, `C` groups are instance normalisation.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::autograd::{operand, record3, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::parallel;

const OP: &str = "group_norm";

/// Normalises `x [N, C, ..]` in `groups` groups of neighbouring channels, then scales by `gamma [C]` and adds
/// `beta [C]`: a tensor of `x`'s shape.
///
/// # Errors
/// Shapes that do not fit together, `groups` that does not divide `C`, an empty `x`, `eps` not positive, a tensor
/// that is not f32.
pub fn group_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, groups: usize, eps: f64) -> Result<Tensor> {
    let [_, channels, rest @ ..] = x.dims() else {
        return Err(Error::shape(OP, "x [N, C, ..]", x.shape()));
    };
    let (channels, plane) = (*channels, rest.iter().product::<usize>());
    if x.elem_count() == 0 {
        return Err(Error::shape(OP, "an x with at least one element", x.shape()));
    }
    for parameter in [gamma, beta] {
        if parameter.dims() != [channels] {
            return Err(Error::shape(OP, format!("gamma and beta [{channels}]"), parameter.shape()));
        }
    }
    if groups == 0 || !channels.is_multiple_of(groups) {
        let found = format!("{groups} for {channels} channels");
        return Err(Error::Option { op: OP, option: "groups", expected: "a divisor of the channels", found });
    }
    if !(eps.is_finite() && eps > 0.0) {
        return Err(Error::Option { op: OP, option: "eps", expected: "> 0", found: eps.to_string() });
    }
    if composed::takes(OP, x)? {
        return composed::group_norm(x, gamma, beta, groups, eps);
    }
    let per_group = channels / groups;
    let group = per_group * plane;
    let (x, gamma, beta) = (operand(OP, x)?, operand(OP, gamma)?, operand(OP, beta)?);
    let (x_view, gamma_view, beta_view) = (view(OP, &x)?, view(OP, &gamma)?, view(OP, &beta)?);
    let (xs, gammas, betas) = (x_view.slice()?, gamma_view.slice()?, beta_view.slice()?);
    // With it, mean and inverse standard deviation of each group.
    let (y, stats): (_, Vec<(f32, f32)>) =
        parallel::written_with(xs.len(), group, xs.par_chunks(group).enumerate(), |y, (at, x)| {
            let mean = (parallel::sum(x) / group as f64) as f32;
            let var = parallel::sum_by(x, x, |x, _| (x - mean) * (x - mean)) / group as f64;
            let inv_sd = (1.0 / (var + eps).sqrt()) as f32;
            let first = at % groups * per_group;
            for (c, (y, x)) in y.chunks_exact_mut(plane).zip(x.chunks_exact(plane)).enumerate() {
                let (scale, shift) = (gammas[first + c] * inv_sd, betas[first + c]);
                y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * scale + shift);
            }
            (mean, inv_sd)
        });
    record3(OP, [&x, &gamma, &beta], y, x.shape(), move |args| {
        let [x, gamma, _] = args.inputs;
        let dy = args.grad;
        let sums = parallel::sum_over(stats.len(), 2 * channels, |at, sums| {
            let (mean, inv_sd) = stats[at];
            let first = at % groups * per_group;
            for c in 0..per_group {
                let range = at * group + c * plane..at * group + (c + 1) * plane;
                let (x, dy) = (&x[range.clone()], &dy[range]);
                let of_h = parallel::sum_by(x, dy, |x, dy| (x - mean) * dy) * f64::from(inv_sd);
                sums[first + c] += of_h as f32;
                sums[channels + first + c] += parallel::sum(dy) as f32;
            }
        });
        let (dgamma, dbeta) = sums.split_at(channels);
        let dx = args.needs[0].then(|| {
            let groups_of_both = x.par_chunks(group).zip(dy.par_chunks(group)).enumerate();
            parallel::written(x.len(), group, groups_of_both, |dx, (at, (x, dy))| {
                let (mean, inv_sd) = stats[at];
                let gamma = &gamma[at % groups * per_group..];
                let (mut of_e, mut of_eh) = (0.0, 0.0);
                for ((x, dy), gamma) in x.chunks_exact(plane).zip(dy.chunks_exact(plane)).zip(gamma) {
                    of_e += parallel::sum(dy) * f64::from(*gamma);
                    of_eh += parallel::sum_by(x, dy, |x, dy| (x - mean) * dy) * f64::from(gamma * inv_sd);
                }
                let (of_e, of_eh) = ((of_e / group as f64) as f32, (of_eh / group as f64) as f32);
                let planes =
                    dx.chunks_exact_mut(plane).zip(x.chunks_exact(plane).zip(dy.chunks_exact(plane)));
                for ((dx, (x, dy)), gamma) in planes.zip(gamma) {
                    for (dx, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                        *dx = inv_sd * (gamma * dy - of_e - (x - mean) * inv_sd * of_eh);
                    }
                }
            })
        });
        Ok([dx, Some(dgamma.to_vec()), Some(dbeta.to_vec())])
    })
}
