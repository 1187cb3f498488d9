//! Matrix product `C (+)= A B` on strided f32 slices by the `gemm` crate, one thread per call.
//!
//! Design decision: `gemm`'s own threading and candle's global thread count are never used; callers split their
//! product into parts of fixed shape ([`rows_in_parts`]) and rayon takes the parts.

use crate::parallel;

/// A matrix in a slice: element `(r, c)` is `data[r * row_stride + c * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    pub data: &'a [f32],
    pub row_stride: usize,
    pub col_stride: usize,
}

impl<'a> Mat<'a> {
    /// A row-major matrix with `cols` columns.
    pub(crate) fn rows(data: &'a [f32], cols: usize) -> Self {
        Self { data, row_stride: cols, col_stride: 1 }
    }

    /// The transpose.
    pub(crate) fn t(self) -> Self {
        Self { data: self.data, row_stride: self.col_stride, col_stride: self.row_stride }
    }
}

fn span(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row_stride + (cols - 1) * col_stride + 1 }
}

/// `c = a b` or, if `accumulate`, `c += a b`; `a` is `[m, k]`, `b` is `[k, n]`, `c` is `[m, n]` with rows
/// `c_row_stride` apart.
#[allow(clippy::too_many_arguments)]
pub(crate) fn matmul(
    [m, k, n]: [usize; 3],
    a: Mat<'_>,
    b: Mat<'_>,
    c: &mut [f32],
    c_row_stride: usize,
    accumulate: bool,
) {
    assert!(span(m, k, a.row_stride, a.col_stride) <= a.data.len(), "left operand too short");
    assert!(span(k, n, b.row_stride, b.col_stride) <= b.data.len(), "right operand too short");
    assert!(span(m, n, c_row_stride, 1) <= c.len() && (m < 2 || c_row_stride >= n), "result too short");
    // SAFETY: the three assertions above keep every address that `gemm` forms from these extents and strides
    // inside its slice, and rows of the result, which is borrowed mutably, do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            c_row_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `a b` as a new row-major `[m, n]` matrix, in parts of `rows_per_part` rows.
pub(crate) fn rows_in_parts([m, k, n]: [usize; 3], a: Mat<'_>, b: Mat<'_>, rows_per_part: usize) -> Vec<f32> {
    if [m, k, n].contains(&0) {
        return vec![0.0; m * n];
    }
    let parts = 0..m.div_ceil(rows_per_part);
    parallel::written(m * n, rows_per_part * n, parts, |c, part| {
        let a = Mat { data: &a.data[part * rows_per_part * a.row_stride..], ..a };
        matmul([c.len() / n, k, n], a, b, c, n, false);
    })
}

/// Rows per part for `m` rows: about eight parts, each of at least 16 rows.
pub(crate) fn part_rows(m: usize) -> usize {
    m.div_ceil(8).max(16)
}
