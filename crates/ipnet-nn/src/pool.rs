//! Pooling over square windows of side `k`, stride `k`, and adaptive average pooling.
//!
//! Average: `y = sum over window / k^2`, `dx = dy / k^2`. Maximum: `y = max over window`, `dx = dy` at the first
//! maximum in row-major order, else 0. Rows and columns that do not fill a window are left out and get gradient 0,
//! as in PyTorch. Adaptive average to `[H', W']`: cell `i` averages the rows
//! `floor(i H / H') .. ceil((i + 1) H / H')`, columns likewise.
//!
//! Design decision: planes are independent; a part is a block of planes. The maximum's place is found again in the
//! backward pass from `x`, which the graph keeps anyway, rather than stored.

use candle_core::{Tensor, shape::Shape};
use rayon::prelude::*;

use crate::autograd::{operand, record1, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::parallel::{self, PART};

/// Extents of a plane before and after pooling.
#[derive(Clone, Copy)]
pub(crate) struct Planes {
    h_in: usize,
    pub w_in: usize,
    pub h_out: usize,
    pub w_out: usize,
}

impl Planes {
    pub(crate) fn x_len(&self) -> usize {
        self.h_in * self.w_in
    }

    pub(crate) fn y_len(&self) -> usize {
        self.h_out * self.w_out
    }

    /// `f(y plane, x plane, index of the plane)` for all planes, into a new, zeroed `y`.
    pub(crate) fn forward(&self, x: &[f32], f: impl Fn(&mut [f32], &[f32], usize) + Sync) -> Vec<f32> {
        self.each(x, [self.x_len(), self.y_len()], f)
    }

    /// `f(dx plane, dy plane, index of the plane)` for all planes, into a new, zeroed `dx`.
    pub(crate) fn backward(&self, dy: &[f32], f: impl Fn(&mut [f32], &[f32], usize) + Sync) -> Vec<f32> {
        self.each(dy, [self.y_len(), self.x_len()], f)
    }

    /// `f(new plane of length to, old plane of length from, index of the plane)` for all planes of `old`.
    fn each(
        &self,
        old: &[f32],
        [from, to]: [usize; 2],
        f: impl Fn(&mut [f32], &[f32], usize) + Sync,
    ) -> Vec<f32> {
        let per_part = PART.div_ceil(self.x_len());
        let parts = old.par_chunks(per_part * from).enumerate();
        parallel::written(old.len() / from * to, per_part * to, parts, |new, (part, old)| {
            let planes = new.chunks_exact_mut(to).zip(old.chunks_exact(from));
            for (plane, (new, old)) in planes.enumerate() {
                f(new, old, part * per_part + plane);
            }
        })
    }

    /// `y = ` averages over the `k x k` windows of plane `x`, written over.
    pub(crate) fn average(&self, k: usize, x: &[f32], y: &mut [f32]) {
        if k == 1 {
            y.copy_from_slice(x);
            return;
        }
        let share = 1.0 / (k * k) as f32;
        for (y, rows) in y.chunks_exact_mut(self.w_out).zip(x.chunks_exact(k * self.w_in)) {
            if k == 2 {
                let (upper, lower) = rows.split_at(self.w_in);
                let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
                for (y, (upper, lower)) in y.iter_mut().zip(pairs) {
                    *y = share * ((upper[0] + upper[1]) + (lower[0] + lower[1]));
                }
                continue;
            }
            y.fill(0.0);
            for row in rows.chunks_exact(self.w_in) {
                for (y, cells) in y.iter_mut().zip(row.chunks_exact(k)) {
                    *y += cells.iter().sum::<f32>();
                }
            }
            y.iter_mut().for_each(|y| *y *= share);
        }
    }

    /// The adjoint of [`Self::average`]: `dx = dy / k^2` over each window, 0 outside of all, written over.
    pub(crate) fn spread(&self, k: usize, dy: &[f32], dx: &mut [f32]) {
        if k == 1 {
            dx.copy_from_slice(dy);
            return;
        }
        let share = 1.0 / (k * k) as f32;
        let rows = self.h_out * k * self.w_in;
        dx[rows..].fill(0.0);
        for (dx, dy) in dx[..rows].chunks_exact_mut(k * self.w_in).zip(dy.chunks_exact(self.w_out)) {
            let (first, others) = dx.split_at_mut(self.w_in);
            first[self.w_out * k..].fill(0.0);
            if k == 2 {
                for (pair, dy) in first.as_chunks_mut::<2>().0.iter_mut().zip(dy) {
                    *pair = [dy * share; 2];
                }
            } else {
                for (cells, dy) in first.chunks_exact_mut(k).zip(dy) {
                    cells.fill(dy * share);
                }
            }
            others.chunks_exact_mut(self.w_in).for_each(|row| row.copy_from_slice(first));
        }
    }

    /// [`Self::average`] of all planes of a sample.
    pub(crate) fn average_sample(&self, k: usize, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.chunks_exact_mut(self.y_len()).zip(x.chunks_exact(self.x_len())) {
            self.average(k, x, y);
        }
    }

    /// [`Self::spread`] of all planes of a sample.
    pub(crate) fn spread_sample(&self, k: usize, dy: &[f32], dx: &mut [f32]) {
        for (dx, dy) in dx.chunks_exact_mut(self.x_len()).zip(dy.chunks_exact(self.y_len())) {
            self.spread(k, dy, dx);
        }
    }

    /// `f(the four pixels of a 2x2 window in row-major order, y)` for all windows of plane `x`.
    fn for_each_square(&self, x: &[f32], y: &mut [f32], f: impl Fn([f32; 4], &mut f32)) {
        for (y, rows) in y.chunks_exact_mut(self.w_out).zip(x.chunks_exact(2 * self.w_in)) {
            let (upper, lower) = rows.split_at(self.w_in);
            let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
            for (y, ([a, b], [c, d])) in y.iter_mut().zip(pairs) {
                f([*a, *b, *c, *d], y);
            }
        }
    }

    /// The adjoint of the maximum over 2x2 windows of plane `x`, into zeroed `dx`.
    fn spread_to_maxima(&self, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let rows = dx.chunks_exact_mut(2 * self.w_in).zip(x.chunks_exact(2 * self.w_in));
        for ((dx, x), dy) in rows.zip(dy.chunks_exact(self.w_out)) {
            let (upper, lower) = x.split_at(self.w_in);
            let (dx_upper, dx_lower) = dx.split_at_mut(self.w_in);
            let x = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
            let dx = dx_upper.as_chunks_mut::<2>().0.iter_mut().zip(dx_lower.as_chunks_mut::<2>().0);
            for ((([a, b], [c, d]), (upper, lower)), dy) in x.zip(dx).zip(dy) {
                let (best, second) = if wins(*b, *a) { (*b, true) } else { (*a, false) };
                let (best, third) = if wins(*c, best) { (*c, true) } else { (best, false) };
                let fourth = wins(*d, best);
                let share = |here: bool| if here { *dy } else { 0.0 };
                *upper = [share(!second & !third & !fourth), share(second & !third & !fourth)];
                *lower = [share(third & !fourth), share(fourth)];
            }
        }
    }

    /// The shape of `x` pooled.
    pub(crate) fn shape(&self, x: &Tensor) -> Shape {
        let mut dims = x.dims().to_vec();
        let rank = dims.len();
        dims[rank - 2] = self.h_out;
        dims[rank - 1] = self.w_out;
        Shape::from(dims)
    }
}

/// Windows of side `k` on `x`, checked.
pub(crate) fn windows(op: &'static str, x: &Tensor, k: usize) -> Result<Planes> {
    match x.dims() {
        &[.., h_in, w_in] if k == 0 || (h_in >= k && w_in >= k && x.elem_count() > 0) => {
            windows_of(op, [h_in, w_in], k)
        }
        _ => {
            Err(Error::shape(op, format!("x [.., H >= {k}, W >= {k}] with at least one element"), x.shape()))
        }
    }
}

/// Windows of side `k` on planes of `h_in x w_in`, checked.
pub(crate) fn windows_of(op: &'static str, [h_in, w_in]: [usize; 2], k: usize) -> Result<Planes> {
    if k == 0 {
        return Err(Error::Option { op, option: "k", expected: ">= 1", found: "0".into() });
    }
    if h_in < k || w_in < k {
        let (expected, found) = (format!("planes of at least {k} x {k}"), format!("{h_in} x {w_in}"));
        return Err(Error::Shape { op, expected, found });
    }
    Ok(Planes { h_in, w_in, h_out: h_in / k, w_out: w_in / k })
}

/// Average over `k x k` windows: `x [.., H, W]` to `[.., H / k, W / k]`, rounded down.
///
/// # Errors
/// `k = 0`, an empty `x` or one smaller than a window, a tensor that is not f32.
pub fn avg_pool2d(x: &Tensor, k: usize) -> Result<Tensor> {
    const OP: &str = "avg_pool2d";
    let planes = windows(OP, x, k)?;
    if composed::takes(OP, x)? {
        return composed::avg_pool2d(&planes, x, k);
    }
    let x = operand(OP, x)?;
    let y = planes.forward(view(OP, &x)?.slice()?, |y, x, _| planes.average(k, x, y));
    record1(OP, &x, y, planes.shape(&x), move |args| {
        Ok([Some(planes.backward(args.grad, |dx, dy, _| planes.spread(k, dy, dx)))])
    })
}

/// Maximum over `k x k` windows: `x [.., H, W]` to `[.., H / k, W / k]`, rounded down. A NaN in a window wins.
///
/// # Errors
/// As [`avg_pool2d`].
pub fn max_pool2d(x: &Tensor, k: usize) -> Result<Tensor> {
    const OP: &str = "max_pool2d";
    let planes = windows(OP, x, k)?;
    if composed::takes(OP, x)? {
        return composed::max_pool2d(&planes, x, k);
    }
    let x = operand(OP, x)?;
    let y = planes.forward(view(OP, &x)?.slice()?, |y, x, _| {
        if k == 2 {
            return planes.for_each_square(x, y, |[a, b, c, d], y| {
                let upper = if wins(b, a) { b } else { a };
                let left = if wins(c, upper) { c } else { upper };
                *y = if wins(d, left) { d } else { left };
            });
        }
        for (cell, y) in y.iter_mut().enumerate() {
            *y = x[first_maximum(x, &planes, k, cell)];
        }
    });
    record1(OP, &x, y, planes.shape(&x), move |args| {
        let [x] = args.inputs;
        Ok([Some(planes.backward(args.grad, |dx, dy, plane| {
            let x = &x[plane * planes.x_len()..(plane + 1) * planes.x_len()];
            if k == 2 {
                return planes.spread_to_maxima(x, dy, dx);
            }
            for (cell, dy) in dy.iter().enumerate() {
                dx[first_maximum(x, &planes, k, cell)] = *dy;
            }
        }))])
    })
}

/// Whether `later` is the maximum of the two: larger, or a NaN after a number.
fn wins(later: f32, earlier: f32) -> bool {
    later > earlier || (later.is_nan() && !earlier.is_nan())
}

/// Index in plane `x` of the first maximum, or the first NaN, of window `cell`.
fn first_maximum(x: &[f32], planes: &Planes, k: usize, cell: usize) -> usize {
    let corner = cell / planes.w_out * k * planes.w_in + cell % planes.w_out * k;
    let mut best = corner;
    for row in 0..k {
        for at in corner + row * planes.w_in..corner + row * planes.w_in + k {
            if wins(x[at], x[best]) {
                best = at;
            }
        }
    }
    best
}

/// Average over a grid of `h_out x w_out` cells that cover the plane: `x [.., H, W]` to `[.., h_out, w_out]`.
///
/// # Errors
/// A grid of no cells, an empty `x`, a tensor that is not f32.
pub fn adaptive_avg_pool2d(x: &Tensor, h_out: usize, w_out: usize) -> Result<Tensor> {
    const OP: &str = "adaptive_avg_pool2d";
    if h_out == 0 || w_out == 0 {
        let found = format!("{h_out} x {w_out}");
        return Err(Error::Option { op: OP, option: "the grid", expected: "at least 1 x 1", found });
    }
    let planes = match x.dims() {
        &[.., h_in, w_in] if x.elem_count() > 0 => Planes { h_in, w_in, h_out, w_out },
        _ => return Err(Error::shape(OP, "x [.., H >= 1, W >= 1]", x.shape())),
    };
    if composed::takes(OP, x)? {
        return composed::adaptive_avg_pool2d(&planes, x);
    }
    let x = operand(OP, x)?;
    let range = |i: usize, n_in: usize, n_out: usize| i * n_in / n_out..((i + 1) * n_in).div_ceil(n_out);
    let cells = move || {
        (0..h_out * w_out).map(move |cell| {
            let rows = range(cell / w_out, planes.h_in, h_out);
            let cols = range(cell % w_out, planes.w_in, w_out);
            let share = 1.0 / (rows.len() * cols.len()) as f32;
            (cell, rows, cols, share)
        })
    };
    let y = planes.forward(view(OP, &x)?.slice()?, |y, x, _| {
        for (cell, rows, cols, share) in cells() {
            let sums = rows.map(|row| x[row * planes.w_in..][cols.clone()].iter().sum::<f32>());
            y[cell] = sums.sum::<f32>() * share;
        }
    });
    record1(OP, &x, y, planes.shape(&x), move |args| {
        Ok([Some(planes.backward(args.grad, |dx, dy, _| {
            for (cell, rows, cols, share) in cells() {
                for row in rows {
                    dx[row * planes.w_in..][cols.clone()].iter_mut().for_each(|dx| *dx += dy[cell] * share);
                }
            }
        }))])
    })
}
