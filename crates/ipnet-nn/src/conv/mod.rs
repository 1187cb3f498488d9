//! Two-dimensional convolution (cross-correlation, as everywhere in deep learning) with zero padding:
//!
//! `y[n, o, r, c] = b[o] + sum_{i, u, v} w[o, i, u, v] * x[n, i, r s + u - p, c s + v - p]`
//!
//! with stride `s` and padding `p`. The gradients are the adjoint sums; `dx` is computed only if `x` is tracked.
//!
//! Design decision: 3x3 kernels with stride 1, nearly all of a network's arithmetic, are computed where the processor has
//! AVX2 by minimal filtering (`winograd`) or, with few channels, directly (`direct`); every other kernel,
//! stride and processor goes through im2col and `gemm` (`im2col`). `method` chooses, by shape and processor alone. Batch and
//! time are folded into `N`; samples are the parts that threads take, for `dw` fixed ranges of samples.

#[cfg(target_arch = "x86_64")]
mod direct;
mod im2col;
mod method;
mod scratch;
mod time;
#[cfg(target_arch = "x86_64")]
mod transpose;
mod volume;
#[cfg(target_arch = "x86_64")]
mod winograd;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::autograd::{operand, record2, record3, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::parallel::{self, Unwritten, cleared};

pub(crate) use method::Forward;
use method::{BackwardW, BackwardX};
pub(crate) use scratch::with_scratch;
pub(crate) use time::Extent;
pub use time::conv_time;
pub use volume::conv3d;
#[cfg(target_arch = "x86_64")]
pub(crate) use winograd::{Frames, OverTime};

const OP: &str = "conv2d";

/// Whether this processor has what the kernels of this module need.
#[cfg(target_arch = "x86_64")]
fn has_avx2_and_fma() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Extents of one convolution, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub batch: usize,
    pub c_in: usize,
    pub h_in: usize,
    pub w_in: usize,
    pub c_out: usize,
    pub kh: usize,
    pub kw: usize,
    pub stride: usize,
    pub padding: usize,
    pub h_out: usize,
    pub w_out: usize,
}

impl Geometry {
    pub(crate) fn new(
        x: &Tensor,
        w: &Tensor,
        bias: Option<&Tensor>,
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        let (batch, c_in, h_in, w_in) = match x.dims() {
            [lead @ .., c, h, w] if !lead.is_empty() => (lead.iter().product(), *c, *h, *w),
            _ => return Err(Error::shape(OP, "x [N, C, H, W], or more leading dimensions", x.shape())),
        };
        let &[c_out, c_w, kh, kw] = w.dims() else {
            return Err(Error::shape(OP, "w [O, C, kh, kw]", w.shape()));
        };
        if x.elem_count() == 0 {
            return Err(Error::shape(OP, "an x with at least one element", x.shape()));
        }
        if c_w != c_in || w.elem_count() == 0 {
            return Err(Error::shape(OP, format!("w [O >= 1, {c_in}, kh >= 1, kw >= 1]"), w.shape()));
        }
        if let Some(bias) = bias.filter(|bias| bias.dims() != [c_out]) {
            return Err(Error::shape(OP, format!("bias [{c_out}]"), bias.shape()));
        }
        if stride == 0 {
            return Err(Error::Option { op: OP, option: "stride", expected: ">= 1", found: "0".into() });
        }
        if h_in + 2 * padding < kh || w_in + 2 * padding < kw {
            return Err(Error::shape(
                OP,
                format!("x of at least {kh} x {kw} after padding by {padding}"),
                x.shape(),
            ));
        }
        let h_out = (h_in + 2 * padding - kh) / stride + 1;
        let w_out = (w_in + 2 * padding - kw) / stride + 1;
        Ok(Self { batch, c_in, h_in, w_in, c_out, kh, kw, stride, padding, h_out, w_out })
    }

    /// A stride-1 convolution that keeps the size of its input: `k` odd, padding `k / 2`.
    pub(crate) fn same(batch: usize, c_in: usize, c_out: usize, h: usize, w: usize, k: usize) -> Self {
        let padding = k / 2;
        Self { batch, c_in, h_in: h, w_in: w, c_out, kh: k, kw: k, stride: 1, padding, h_out: h, w_out: w }
    }

    /// Elements of one input sample.
    pub(crate) fn x_sample(&self) -> usize {
        self.c_in * self.h_in * self.w_in
    }

    /// Elements of one output sample.
    pub(crate) fn y_sample(&self) -> usize {
        self.c_out * self.y_plane()
    }

    /// Elements of one output channel of one sample.
    pub(crate) fn y_plane(&self) -> usize {
        self.h_out * self.w_out
    }

    /// Elements that one output element reads: `C kh kw`.
    pub(crate) fn patch(&self) -> usize {
        self.c_in * self.kh * self.kw
    }

    /// Elements of the weight.
    pub(crate) fn w_len(&self) -> usize {
        self.c_out * self.patch()
    }
}

/// Convolution of `x [.., N, C, H, W]` with `w [O, C, kh, kw]` and an optional `bias [O]`, zero padding on all four
/// sides: `[.., N, O, (H + 2p - kh) / s + 1, (W + 2p - kw) / s + 1]`, rounded down.
///
/// # Errors
/// Shapes that do not fit together, an empty operand, a kernel larger than the padded input, stride 0, a tensor
/// that is not f32.
pub fn conv2d(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let g = Geometry::new(x, w, bias, stride, padding)?;
    if composed::takes(OP, x)? {
        return composed::conv2d(&g, x, w, bias);
    }
    let (x, w) = (operand(OP, x)?, operand(OP, w)?);
    let mut shape = x.dims().to_vec();
    let rank = shape.len();
    shape[rank - 3..].copy_from_slice(&[g.c_out, g.h_out, g.w_out]);
    let whole = move |x: &[f32], w: &[f32], dy: &[f32], needs| {
        let sample = g.y_sample();
        backward(&g, x, w, needs, |n, use_it| use_it(&dy[n * sample..(n + 1) * sample]))
    };
    let Some(bias) = bias else {
        let y = forward(&g, view(OP, &x)?.slice()?, view(OP, &w)?.slice()?, None);
        return record2(OP, [&x, &w], y, shape, move |args| {
            let ([x, w], [need_x, need_w]) = (args.inputs, args.needs);
            let gradients = whole(x, w, args.grad, [need_x, need_w, false]);
            Ok([gradients.dx, gradients.dw])
        });
    };
    let bias = operand(OP, bias)?;
    let y = forward(&g, view(OP, &x)?.slice()?, view(OP, &w)?.slice()?, Some(view(OP, &bias)?.slice()?));
    record3(OP, [&x, &w, &bias], y, shape, move |args| {
        let [x, w, _] = args.inputs;
        let gradients = whole(x, w, args.grad, args.needs);
        Ok([gradients.dx, gradients.dw, gradients.db])
    })
}

/// `y [N, O, OH, OW]`.
pub(crate) fn forward(g: &Geometry, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let forward = Forward::new(g, w, bias);
    let samples = x.par_chunks(g.x_sample());
    parallel::written(g.batch * g.y_sample(), g.y_sample(), samples, |y, x| forward.sample(x, y))
}

/// `dx [N, C, H, W]`.
pub(crate) fn backward_x(g: &Geometry, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let backward = BackwardX::new(g, w);
    let samples = dy.par_chunks(g.y_sample());
    parallel::written(g.batch * g.x_sample(), g.x_sample(), samples, |dx, dy| backward.sample(dy, dx))
}

/// `dw [O, C, kh, kw]`.
pub(crate) fn backward_w(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let backward = BackwardW::new(g);
    parallel::sum_of_parts(g.batch, |samples| {
        let mut sums = vec![0.0; backward.sums_len()];
        for n in samples {
            let x = &x[n * g.x_sample()..(n + 1) * g.x_sample()];
            backward.sample(x, &dy[n * g.y_sample()..(n + 1) * g.y_sample()], &mut sums);
        }
        backward.finish(sums)
    })
}

/// Gradients of a convolution; what was not asked for is absent.
pub(crate) struct Gradients {
    pub dx: Option<Vec<f32>>,
    pub dw: Option<Vec<f32>>,
    pub db: Option<Vec<f32>>,
}

/// `dx`, `dw` and `db`, as `needs` asks for them, in one pass over the samples: `dy(n, use_it)` hands sample `n` of the
/// result's gradient to `use_it`.
pub(crate) fn backward(
    g: &Geometry,
    x: &[f32],
    w: &[f32],
    needs: [bool; 3],
    dy: impl Fn(usize, &mut dyn FnMut(&[f32])) + Sync,
) -> Gradients {
    let (by_x, by_w) = (needs[0].then(|| BackwardX::new(g, w)), BackwardW::new(g));
    let per_part = g.batch.div_ceil(parallel::MOST_PARTIAL_SUMS);
    let parts = g.batch.div_ceil(per_part);
    let dx_len = if needs[0] { x.len() } else { 0 };
    let mut dx = Unwritten::new(dx_len);
    let mut dx_parts: Vec<&mut [_]> = dx.slice().chunks_mut(per_part * g.x_sample()).collect();
    dx_parts.resize_with(parts, Default::default);
    let sums: Vec<[Vec<f32>; 2]> = dx_parts
        .into_par_iter()
        .enumerate()
        .map(|(part, dx)| {
            let mut dw = vec![0.0; if needs[1] { by_w.sums_len() } else { 0 }];
            let mut db = vec![0.0; if needs[2] { g.c_out } else { 0 }];
            let mut dx = dx.chunks_exact_mut(g.x_sample());
            for n in part * per_part..((part + 1) * per_part).min(g.batch) {
                let mut handed_out = false;
                dy(n, &mut |dy| {
                    handed_out = true;
                    if needs[1] {
                        by_w.sample(&x[n * g.x_sample()..(n + 1) * g.x_sample()], dy, &mut dw);
                    }
                    for (db, plane) in db.iter_mut().zip(dy.chunks_exact(g.y_plane())) {
                        *db += parallel::sum(plane) as f32;
                    }
                    if let (Some(by_x), Some(dx)) = (&by_x, dx.next()) {
                        by_x.sample(dy, cleared(dx));
                    }
                });
                assert!(handed_out, "sample {n} was not handed out");
            }
            [if needs[1] { by_w.finish(dw) } else { dw }, db]
        })
        .collect();
    let [dw, db] = parallel::add_up(sums);
    // SAFETY: `dx` was cleared sample by sample, all of them: the loop asserts that each was handed out.
    let dx = needs[0].then(|| unsafe { dx.written() });
    Gradients { dx, dw: needs[1].then_some(dw), db: needs[2].then_some(db) }
}

/// `db[o] = sum_{n, r, c} dy[n, o, r, c]` for `dy [N, O, plane]`.
pub(crate) fn backward_bias(c_out: usize, plane: usize, dy: &[f32]) -> Vec<f32> {
    let sample = c_out * plane;
    parallel::sum_over(dy.len() / sample, c_out, |n, sum| {
        for (sum, plane) in sum.iter_mut().zip(dy[n * sample..(n + 1) * sample].chunks_exact(plane)) {
            *sum += parallel::sum(plane) as f32;
        }
    })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::method::Method;
    use super::*;

    /// All methods give the same sums of products, in another order: to f32 rounding.
    #[test]
    fn every_method_equals_im2col() {
        let mut stream = ipnet_rng::Stream::named(3, "direct");
        let mut compared = [0; 2];
        for (channels, [h, w], padding) in [
            ([1, 1], [1, 1], 1),
            ([2, 32], [17, 64], 1),
            ([33, 70], [9, 13], 2),
            ([5, 24], [8, 3], 0),
            ([33, 70], [9, 15], 1),
            ([8, 9], [7, 29], 0),
            ([17, 8], [6, 30], 2),
            ([32, 64], [16, 16], 1),
        ] {
            let mut g = Geometry::same(3, channels[0], channels[1], h, w, 3);
            (g.padding, g.h_out, g.w_out) = (padding, h + 2 * padding - 2, w + 2 * padding - 2);
            if !direct::applies(&g) {
                eprintln!("skipped: this processor has no AVX2 and FMA, im2col is the only method used here");
                return;
            }
            let mut draw = |len| (0..len).map(|_| stream.normal() as f32).collect::<Vec<f32>>();
            let (x, kernel, bias) = (draw(g.x_sample()), draw(g.w_len()), draw(g.c_out));
            let dy = draw(g.y_sample());
            let all = |method| {
                let mut y = vec![f32::NAN; g.y_sample()];
                let mut dx = vec![f32::NAN; g.x_sample()];
                Forward::by(method, &g, &kernel, Some(&bias)).sample(&x, &mut y);
                BackwardX::by(method, &g, &kernel).sample(&dy, &mut dx);
                let backward = BackwardW::by(method, &g);
                let mut sums = vec![0.0; backward.sums_len()];
                backward.sample(&x, &dy, &mut sums);
                [y, dx, backward.finish(sums)]
            };
            let expected = all(Method::Im2col);
            let winograd = winograd::applies(&g).then_some(Method::Winograd);
            for method in [Some(Method::Direct), winograd].into_iter().flatten() {
                compared[usize::from(method == Method::Winograd)] += 1;
                for (a, b) in all(method).iter().zip(&expected) {
                    let scale = b.iter().fold(1e-30, |m: f32, b| m.max(b.abs()));
                    assert_eq!(a.len(), b.len());
                    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(worst <= 1e-5 * scale && !worst.is_nan(), "{method:?} {g:?}: off by {worst}");
                    assert!(a.iter().all(|a| a.is_finite()), "{method:?} {g:?}");
                }
            }
        }
        assert!(compared[0] == 8 && compared[1] >= 3, "{compared:?}");
    }

    /// Minimal filtering subtracts sums that are larger than the result. On its points that costs little: its largest
    /// error, relative to the largest element, is that of the direct sum within a factor of three.
    #[test]
    fn minimal_filtering_rounds_like_a_direct_sum() {
        let g = Geometry::same(4, 64, 8, 16, 16, 3);
        if !winograd::applies(&g) {
            eprintln!("skipped: this processor has no AVX2 and FMA");
            return;
        }
        let mut stream = ipnet_rng::Stream::named(5, "rounding");
        let mut draw = |len| (0..len).map(|_| stream.normal() as f32).collect::<Vec<f32>>();
        let (x, kernel, dy) = (draw(g.batch * g.x_sample()), draw(g.w_len()), draw(g.batch * g.y_sample()));
        let (mut y64, mut dw64) = (vec![0.0_f64; dy.len()], vec![0.0_f64; g.w_len()]);
        for (at, y) in y64.iter_mut().enumerate() {
            let (n, o, r, c) = (at / g.y_sample(), at / 256 % g.c_out, at / 16 % 16, at % 16);
            for tap in 0..9 * g.c_in {
                let (i, u, v) = (tap / 9, r + tap / 3 % 3, c + tap % 3);
                if (1..=16).contains(&u) && (1..=16).contains(&v) {
                    let x = f64::from(x[(n * g.c_in + i) * 256 + (u - 1) * 16 + v - 1]);
                    let weight = o * 9 * g.c_in + tap;
                    *y += x * f64::from(kernel[weight]);
                    dw64[weight] += x * f64::from(dy[at]);
                }
            }
        }
        let error = |found: &[f32], expected: &[f64]| {
            let largest = expected.iter().fold(0.0, |m: f64, y| m.max(y.abs()));
            found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / largest
        };
        let errors = [Method::Direct, Method::Winograd].map(|method| {
            let forward = Forward::by(method, &g, &kernel, None);
            let backward = BackwardW::by(method, &g);
            let (mut y, mut sums) = (vec![0.0; dy.len()], vec![0.0; backward.sums_len()]);
            let samples = x.chunks(g.x_sample()).zip(dy.chunks(g.y_sample()));
            for ((x, dy), y) in samples.zip(y.chunks_mut(g.y_sample())) {
                forward.sample(x, y);
                backward.sample(x, dy, &mut sums);
            }
            [error(&y, &y64), error(&backward.finish(sums), &dw64)]
        });
        eprintln!("y, dw: direct {:?}, minimal filtering {:?}", errors[0], errors[1]);
        for (direct, filtered) in errors[0].iter().zip(errors[1]) {
            assert!(filtered < 3.0 * direct, "{errors:?}");
        }
    }
}
