//! One sample of a convolution, by whichever method suits its shape and this processor.
//!
//! Design decision: a batch is a loop over samples in [`super`] and in the fused stages; what is done once for all of
//! them (the weight in the method's own order) is done when one of these three is made. The method depends on the shape
//! and the processor alone.

use std::borrow::Cow;

use super::{Geometry, im2col};
#[cfg(target_arch = "x86_64")]
use super::{direct, winograd};

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Im2col,
    #[cfg(target_arch = "x86_64")]
    Direct,
    #[cfg(target_arch = "x86_64")]
    Winograd,
}

impl Method {
    pub(crate) fn of(g: &Geometry) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if winograd::applies(g) {
                return Self::Winograd;
            }
            if direct::applies(g) {
                return Self::Direct;
            }
        }
        Self::Im2col
    }
}

/// `y` of a sample.
pub(crate) struct Forward<'a> {
    g: Geometry,
    method: Method,
    weight: Cow<'a, [f32]>,
    bias: Option<&'a [f32]>,
}

impl<'a> Forward<'a> {
    pub(crate) fn new(g: &Geometry, w: &'a [f32], bias: Option<&'a [f32]>) -> Self {
        Self::by(Method::of(g), g, w, bias)
    }

    pub(crate) fn by(method: Method, g: &Geometry, w: &'a [f32], bias: Option<&'a [f32]>) -> Self {
        #[cfg(target_arch = "x86_64")]
        let at = |o: usize, i: usize, tap: usize| w[(o * g.c_in + i) * 9 + tap];
        let weight = match method {
            Method::Im2col => Cow::Borrowed(w),
            #[cfg(target_arch = "x86_64")]
            Method::Direct => direct::pack(g.c_out, g.c_in, at).into(),
            #[cfg(target_arch = "x86_64")]
            Method::Winograd => winograd::pack(g.c_out, g.c_in, at).into(),
        };
        Self { g: *g, method, weight, bias }
    }

    /// Writes all of `y [O, OH, OW]` from `x [C, H, W]`.
    pub(crate) fn sample(&self, x: &[f32], y: &mut [f32]) {
        let g = &self.g;
        #[cfg(target_arch = "x86_64")]
        let (out, extent) = ([g.c_out, g.h_out, g.w_out], [g.c_in, g.h_in, g.w_in]);
        match self.method {
            Method::Im2col => im2col::forward(g, x, &self.weight, self.bias, y),
            #[cfg(target_arch = "x86_64")]
            Method::Direct => direct::correlate(y, out, x, extent, g.padding, &self.weight, self.bias),
            #[cfg(target_arch = "x86_64")]
            Method::Winograd => winograd::correlate(y, out, x, extent, g.padding, &self.weight, self.bias),
        }
    }
}

/// `dx` of a sample: with stride 1 the correlation of `dy` with the weight transposed and turned round.
pub(crate) struct BackwardX<'a> {
    g: Geometry,
    method: Method,
    weight: Cow<'a, [f32]>,
}

impl<'a> BackwardX<'a> {
    pub(crate) fn new(g: &Geometry, w: &'a [f32]) -> Self {
        Self::by(Method::of(g), g, w)
    }

    pub(crate) fn by(method: Method, g: &Geometry, w: &'a [f32]) -> Self {
        #[cfg(target_arch = "x86_64")]
        let at = |i: usize, o: usize, tap: usize| w[(o * g.c_in + i) * 9 + 8 - tap];
        let weight = match method {
            Method::Im2col => Cow::Borrowed(w),
            #[cfg(target_arch = "x86_64")]
            Method::Direct => direct::pack(g.c_in, g.c_out, at).into(),
            #[cfg(target_arch = "x86_64")]
            Method::Winograd => winograd::pack(g.c_in, g.c_out, at).into(),
        };
        Self { g: *g, method, weight }
    }

    /// Writes all of `dx [C, H, W]` from `dy [O, OH, OW]`.
    pub(crate) fn sample(&self, dy: &[f32], dx: &mut [f32]) {
        let g = &self.g;
        #[cfg(target_arch = "x86_64")]
        let (out, extent) = ([g.c_in, g.h_in, g.w_in], [g.c_out, g.h_out, g.w_out]);
        match self.method {
            Method::Im2col => im2col::backward_x(g, &self.weight, dy, dx),
            #[cfg(target_arch = "x86_64")]
            Method::Direct => direct::correlate(dx, out, dy, extent, 2 - g.padding, &self.weight, None),
            #[cfg(target_arch = "x86_64")]
            Method::Winograd => winograd::correlate(dx, out, dy, extent, 2 - g.padding, &self.weight, None),
        }
    }
}

/// `dw`, summed over the samples of a part in the method's own order and form.
pub(crate) struct BackwardW {
    g: Geometry,
    method: Method,
}

impl BackwardW {
    pub(crate) fn new(g: &Geometry) -> Self {
        Self::by(Method::of(g), g)
    }

    pub(crate) fn by(method: Method, g: &Geometry) -> Self {
        Self { g: *g, method }
    }

    /// Elements of a sum.
    pub(crate) fn sums_len(&self) -> usize {
        match self.method {
            Method::Im2col => self.g.w_len(),
            #[cfg(target_arch = "x86_64")]
            Method::Direct => direct::sums_len(&self.g),
            #[cfg(target_arch = "x86_64")]
            Method::Winograd => winograd::sums_len(&self.g),
        }
    }

    /// Adds a sample's share to `sums`.
    pub(crate) fn sample(&self, x: &[f32], dy: &[f32], sums: &mut [f32]) {
        match self.method {
            Method::Im2col => im2col::backward_w(&self.g, x, dy, sums),
            #[cfg(target_arch = "x86_64")]
            Method::Direct => direct::sample_backward_w(&self.g, x, dy, sums),
            #[cfg(target_arch = "x86_64")]
            Method::Winograd => winograd::sample_backward_w(&self.g, x, dy, sums),
        }
    }

    /// `dw [O, C, kh, kw]` of a sum over samples.
    pub(crate) fn finish(&self, sums: Vec<f32>) -> Vec<f32> {
        match self.method {
            Method::Im2col => sums,
            #[cfg(target_arch = "x86_64")]
            Method::Direct => direct::finish_backward_w(&self.g, &sums),
            #[cfg(target_arch = "x86_64")]
            Method::Winograd => winograd::finish_backward_w(&self.g, &sums),
        }
    }
}
