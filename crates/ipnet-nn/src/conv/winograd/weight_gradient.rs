//! The weight's gradient of minimal filtering, the adjoint of the parent module's equations:
//!
//! `dU[k, o, i] = sum_tiles (A dy A^T)[k, o] V[k, i]`, `dw = G^T dU G`.
//!
//! Design decision: vectors lie over output channels, so that `dy` is transposed once, eight channels at a time, and
//! the sums stay in registers over a band of tiles. `dU` is summed over samples and turned into `dw` once.

use std::arch::x86_64::*;

use super::super::Geometry;
use super::super::scratch::with_scratch;
use super::super::transpose::transpose;
use super::{FREQUENCIES, LANES, Tiling, lines_len, transform_input};

/// Elements of the sums that [`sample_backward_w`] adds to: `dU [16][I][O, padded to whole vectors]`.
pub(crate) fn sums_len(g: &Geometry) -> usize {
    FREQUENCIES * g.c_in * g.c_out.next_multiple_of(LANES)
}

/// Adds one sample's part of `dU` to `sums`.
pub(crate) fn sample_backward_w(g: &Geometry, x: &[f32], dy: &[f32], sums: &mut [f32]) {
    let tiling = Tiling::new(g.h_out, g.w_out);
    let (c_in, outputs, tiles) = (g.c_in, g.c_out.next_multiple_of(LANES), tiling.tiles());
    let (lines_len, v_len) = (lines_len(&tiling), FREQUENCIES * c_in * tiles);
    let (dy_len, m_len) = (LANES * 2 * 2 * tiling.columns, FREQUENCIES * tiles * outputs);
    with_scratch(lines_len + v_len + dy_len + m_len, |scratch| {
        let (lines, rest) = scratch.split_at_mut(lines_len);
        let (v, rest) = rest.split_at_mut(v_len);
        let (dy_lines, m) = rest.split_at_mut(dy_len);
        for first in (0..tiling.rows).step_by(tiling.band) {
            let rows = tiling.band.min(tiling.rows - first);
            let width = rows * tiling.columns;
            transform_input(&tiling, first, rows, x, [c_in, g.h_in, g.w_in], g.padding, lines, v);
            transform_gradient(g, &tiling, first, rows, dy, dy_lines, m);
            for k in 0..FREQUENCIES {
                let v = &v[k * c_in * width..(k + 1) * c_in * width];
                let m = &m[k * width * outputs..(k + 1) * width * outputs];
                let sums = &mut sums[k * c_in * outputs..(k + 1) * c_in * outputs];
                // SAFETY: `applies` found AVX2 and FMA.
                unsafe { outer_product(m, v, sums, [outputs, c_in, width]) };
            }
        }
    });
}

/// `A dy A^T` as `[16][rows * columns][O, padded]` of rows `first..` of tiles.
fn transform_gradient(
    g: &Geometry,
    tiling: &Tiling,
    first: usize,
    rows: usize,
    dy: &[f32],
    lines: &mut [f32],
    m: &mut [f32],
) {
    let (outputs, line) = (g.c_out.next_multiple_of(LANES), 2 * tiling.columns);
    let stride = rows * tiling.columns * outputs;
    assert!(m.len() >= FREQUENCIES * stride && lines.len() == LANES * 2 * line);
    lines.fill(0.0);
    for block in (0..outputs).step_by(LANES) {
        let channels = LANES.min(g.c_out - block);
        for r in 0..rows {
            for half in 0..2 {
                let row = 2 * (first + r) + half;
                for channel in 0..LANES {
                    let line = &mut lines[(half * LANES + channel) * line..][..g.w_out];
                    if channel < channels && row < g.h_out {
                        let plane = (block + channel) * g.y_plane();
                        line.copy_from_slice(&dy[plane + row * g.w_out..][..g.w_out]);
                    } else {
                        line.fill(0.0);
                    }
                }
            }
            // SAFETY: `applies` found AVX2. `lines` holds two rows of eight lines; the vectors of this row of tiles
            // and block of channels lie in `m` by the assertion.
            unsafe {
                let at = m.as_mut_ptr().add(r * tiling.columns * outputs + block);
                transform_gradient_row(lines, tiling.columns, at, [stride, outputs]);
            }
        }
    }
}

/// One row of tiles of eight channels: frequency `k` of tile `c` goes to `m[k * stride + c * outputs ..][..8]`.
///
/// # Safety
/// AVX2; `lines [2][8][2 columns]`; the addresses of `m` may be written.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_gradient_row(lines: &[f32], columns: usize, m: *mut f32, [stride, outputs]: [usize; 2]) {
    let line = 2 * columns;
    for c in (0..columns).step_by(LANES / 2) {
        // SAFETY: eight pixels from `2 c` on are in each line.
        let load = |half: usize| unsafe { transpose(lines.as_ptr().add(half * LANES * line + 2 * c), line) };
        let (upper, lower) = (load(0), load(1));
        for tile in 0..LANES / 2 {
            // A dy of the left and the right column of the tile.
            let down = |column: usize| {
                let (a, b) = (upper[2 * tile + column], lower[2 * tile + column]);
                [a, _mm256_add_ps(a, b), _mm256_sub_ps(a, b), _mm256_sub_ps(_mm256_setzero_ps(), b)]
            };
            for (row, (a, b)) in down(0).into_iter().zip(down(1)).enumerate() {
                let across =
                    [a, _mm256_add_ps(a, b), _mm256_sub_ps(a, b), _mm256_sub_ps(_mm256_setzero_ps(), b)];
                for (column, value) in across.into_iter().enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe {
                        _mm256_storeu_ps(m.add((row * 4 + column) * stride + (c + tile) * outputs), value)
                    };
                }
            }
        }
    }
}

/// `sums [I][outputs] += v [I][width] . m [width][outputs]`.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn outer_product(m: &[f32], v: &[f32], sums: &mut [f32], [outputs, c_in, width]: [usize; 3]) {
    assert!(outputs.is_multiple_of(LANES) && m.len() >= width * outputs);
    assert!(v.len() >= c_in * width && sums.len() >= c_in * outputs);
    for block in (0..outputs).step_by(4 * LANES) {
        for i in (0..c_in).step_by(3) {
            // SAFETY: the assertions above; the panel ends with the block's and the inputs' last channel.
            unsafe {
                let (m, v) = (m.as_ptr().add(block), v.as_ptr().add(i * width));
                let sums = sums.as_mut_ptr().add(i * outputs + block);
                let extent = [outputs, width];
                match (((outputs - block) / LANES).min(4), (c_in - i).min(3)) {
                    (4, 3) => outer_panel::<4, 3>(m, v, sums, extent),
                    (4, 2) => outer_panel::<4, 2>(m, v, sums, extent),
                    (4, _) => outer_panel::<4, 1>(m, v, sums, extent),
                    (vectors, inputs) => {
                        for vector in 0..vectors {
                            for input in 0..inputs {
                                outer_panel::<1, 1>(
                                    m.add(vector * LANES),
                                    v.add(input * width),
                                    sums.add(input * outputs + vector * LANES),
                                    extent,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `V` vectors of output channels by `N` input channels of [`outer_product`].
///
/// # Safety
/// AVX2 and FMA; the addresses of the product must lie in the memory that the pointers may be used for.
#[target_feature(enable = "avx2,fma")]
unsafe fn outer_panel<const V: usize, const N: usize>(
    mut m: *const f32,
    v: *const f32,
    sums: *mut f32,
    [outputs, width]: [usize; 2],
) {
    let mut totals = [[_mm256_setzero_ps(); V]; N];
    for tile in 0..width {
        // SAFETY: the caller vouches for these addresses; the last step ends at most one past the end.
        unsafe {
            let mut channels = [_mm256_setzero_ps(); V];
            for (k, channels) in channels.iter_mut().enumerate() {
                *channels = _mm256_loadu_ps(m.add(k * LANES));
            }
            for (i, totals) in totals.iter_mut().enumerate() {
                let pixel = _mm256_broadcast_ss(&*v.add(i * width + tile));
                for (total, channels) in totals.iter_mut().zip(channels) {
                    *total = _mm256_fmadd_ps(channels, pixel, *total);
                }
            }
            m = m.wrapping_add(outputs);
        }
    }
    for (i, totals) in totals.into_iter().enumerate() {
        for (k, total) in totals.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe {
                let at = sums.add(i * outputs + k * LANES);
                _mm256_storeu_ps(at, _mm256_add_ps(_mm256_loadu_ps(at), total));
            }
        }
    }
}

/// `dw = G^T dU G`, `[O, I, 3, 3]`, of the sums of all samples.
pub(crate) fn finish_backward_w(g: &Geometry, sums: &[f32]) -> Vec<f32> {
    let outputs = g.c_out.next_multiple_of(LANES);
    let mut dw = vec![0.0; g.w_len()];
    // G^T of four numbers.
    let fold = |[a, b, c, d]: [f32; 4]| {
        let (sum, difference) = (0.5 * (b + c), 0.5 * (b - c));
        [a + sum, difference, sum + d]
    };
    for o in 0..g.c_out {
        for i in 0..g.c_in {
            let at = |row: usize, column: usize| sums[((row * 4 + column) * g.c_in + i) * outputs + o];
            let columns: [[f32; 3]; 4] =
                std::array::from_fn(|column| fold(std::array::from_fn(|row| at(row, column))));
            for u in 0..3 {
                let row = fold(std::array::from_fn(|column| columns[column][u]));
                dw[(o * g.c_in + i) * 9 + 3 * u..][..3].copy_from_slice(&row);
            }
        }
    }
    dw
}
