//! Two-dimensional convolution (cross-correlation, as everywhere in deep learning) with zero padding:
//!
//! `y[n, o, r, c] = b[o] + sum_{i, u, v} w[o, i, u, v] * x[n, i, r s + u - p, c s + v - p]`
//!
//! with stride `s` and padding `p`. The gradients are the adjoint sums; `dx` is computed only if `x` is tracked.
//!
//! Design decision: 3x3 kernels with stride 1, nearly all of a network's arithmetic, are computed directly where the
//! processor has AVX2 (`direct`); every other kernel, stride and processor goes through im2col and `gemm` (`im2col`).
//! Batch and time are folded into `N`, samples are the parts that threads take.

#[cfg(target_arch = "x86_64")]
mod direct;
mod im2col;
mod time;
mod volume;

use candle_core::Tensor;

use crate::autograd::{operand, record2, record3, view};
use crate::error::{Error, Result};
use crate::parallel;

pub use time::conv_time;
pub use volume::conv3d;

const OP: &str = "conv2d";

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
    fn new(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, stride: usize, padding: usize) -> Result<Self> {
        let &[batch, c_in, h_in, w_in] = x.dims() else {
            return Err(Error::shape(OP, "x [N, C, H, W]", x.shape()));
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

/// Convolution of `x [N, C, H, W]` with `w [O, C, kh, kw]` and an optional `bias [O]`, zero padding on all four
/// sides: `[N, O, (H + 2p - kh) / s + 1, (W + 2p - kw) / s + 1]`, rounded down.
///
/// # Errors
/// Shapes that do not fit together, an empty operand, a kernel larger than the padded input, stride 0, a tensor
/// that is not f32 on the CPU.
pub fn conv2d(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let geometry = Geometry::new(x, w, bias, stride, padding)?;
    let g = geometry;
    let (x, w) = (operand(OP, x)?, operand(OP, w)?);
    let shape = (g.batch, g.c_out, g.h_out, g.w_out);
    let Some(bias) = bias else {
        let y = forward(&g, view(OP, &x)?.slice()?, view(OP, &w)?.slice()?, None);
        return record2(OP, [&x, &w], y, shape, move |args| {
            let [x, w] = args.inputs;
            let dx = args.needs[0].then(|| backward_x(&g, w, args.grad));
            let dw = args.needs[1].then(|| backward_w(&g, x, args.grad));
            Ok([dx, dw])
        });
    };
    let bias = operand(OP, bias)?;
    let y = forward(&g, view(OP, &x)?.slice()?, view(OP, &w)?.slice()?, Some(view(OP, &bias)?.slice()?));
    record3(OP, [&x, &w, &bias], y, shape, move |args| {
        let [x, w, _] = args.inputs;
        let dx = args.needs[0].then(|| backward_x(&g, w, args.grad));
        let dw = args.needs[1].then(|| backward_w(&g, x, args.grad));
        let db = args.needs[2].then(|| backward_bias(g.c_out, g.y_plane(), args.grad));
        Ok([dx, dw, db])
    })
}

/// Runs a function of `direct` where it applies, of `im2col` elsewhere.
macro_rules! dispatch {
    ($function:ident($g:expr, $($argument:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        if direct::applies($g) {
            return direct::$function($g, $($argument),*);
        }
        im2col::$function($g, $($argument),*)
    }};
}

/// `y [N, O, OH, OW]`.
pub(crate) fn forward(g: &Geometry, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    dispatch!(forward(g, x, w, bias))
}

/// `dx [N, C, H, W]`.
pub(crate) fn backward_x(g: &Geometry, w: &[f32], dy: &[f32]) -> Vec<f32> {
    dispatch!(backward_x(g, w, dy))
}

/// `dw [O, C, kh, kw]`.
pub(crate) fn backward_w(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    dispatch!(backward_w(g, x, dy))
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
    use super::*;

    /// The direct kernels and im2col give the same sums of products, in another order: to f32 rounding.
    #[test]
    fn direct_equals_im2col() {
        let mut stream = ipnet_rng::Stream::named(3, "direct");
        for (channels, [h, w], padding) in
            [([1, 1], [1, 1], 1), ([2, 32], [17, 64], 1), ([33, 70], [9, 13], 2), ([5, 24], [8, 3], 0)]
        {
            let mut g = Geometry::same(3, channels[0], channels[1], h, w, 3);
            (g.padding, g.h_out, g.w_out) = (padding, h + 2 * padding - 2, w + 2 * padding - 2);
            if !direct::applies(&g) {
                eprintln!(
                    "skipped: this processor has no AVX2 and FMA, direct convolution is never used here"
                );
                return;
            }
            let mut draw = |len| (0..len).map(|_| stream.normal() as f32).collect::<Vec<f32>>();
            let (x, kernel, bias) = (draw(3 * g.x_sample()), draw(g.w_len()), draw(g.c_out));
            let dy = draw(3 * g.y_sample());
            let pairs = [
                (
                    direct::forward(&g, &x, &kernel, Some(&bias)),
                    im2col::forward(&g, &x, &kernel, Some(&bias)),
                ),
                (direct::backward_x(&g, &kernel, &dy), im2col::backward_x(&g, &kernel, &dy)),
                (direct::backward_w(&g, &x, &dy), im2col::backward_w(&g, &x, &dy)),
            ];
            for (a, b) in pairs {
                let scale = b.iter().fold(1e-30, |m: f32, b| m.max(b.abs()));
                assert_eq!(a.len(), b.len());
                assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-5 * scale), "{g:?}");
            }
        }
    }
}
