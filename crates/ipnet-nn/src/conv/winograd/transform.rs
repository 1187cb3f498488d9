//! From planes to tiles transformed and back, eight channels at a time.

use std::arch::x86_64::*;

use super::super::transpose::{by_pixel, by_plane};
use super::{LANES, SIDE, TILE, points};
use crate::parallel::as_unwritten;

/// Lines of pixels `[lines][line][8]` of the `block`-th eight channels of `planes [C, h, w]`: row 0 is row `first` of the
/// planes padded by `padding`; what is outside is zero.
pub(super) fn pixels(
    planes: &[f32],
    [channels, h, w]: [usize; 3],
    block: usize,
    (first, padding): (usize, usize),
    to: &mut [f32],
    line: usize,
) {
    let channels = LANES.min(channels - block * LANES);
    if channels < LANES {
        to.fill(0.0);
    }
    for (r, to) in to.chunks_exact_mut(line * LANES).enumerate() {
        let Some(row) = (first + r).checked_sub(padding).filter(|&row| row < h) else {
            to.fill(0.0);
            continue;
        };
        to[..padding * LANES].fill(0.0);
        let (inner, right) = to[padding * LANES..].split_at_mut(w * LANES);
        right.fill(0.0);
        let from = &planes[(block * LANES * h + row) * w..];
        // SAFETY: `applies` found AVX2.
        unsafe { by_pixel(from, h * w, [channels, w], inner, LANES) };
    }
}

/// A row of tiles `[.., 4 columns][8]` to four rows from `row` on of `planes [channels, h, w]`.
pub(super) fn store(
    lines: &[f32],
    line: usize,
    planes: &mut [f32],
    [channels, h, w]: [usize; 3],
    row: usize,
) {
    for (row, from) in (row..h).zip(lines.chunks_exact(line * LANES).take(TILE)) {
        // SAFETY: `applies` found AVX2.
        unsafe { by_plane(&from[..w * LANES], as_unwritten(&mut planes[row * w..]), h * w, channels) };
    }
}

/// `B^T d B` of one row of tiles from its six lines `[6][4 columns + 2][8]`: frequency `k` of tile `c` goes to
/// `v[k * stride + 8 c ..]`. `half_done` takes the lines transformed downwards.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn transform_input(
    lines: &[f32],
    columns: usize,
    half_done: &mut [f32],
    v: &mut [f32],
    stride: usize,
) {
    let line = (columns * TILE + 2) * LANES;
    assert!(lines.len() >= SIDE * line && half_done.len() >= SIDE * line);
    assert!(v.len() >= (SIDE * SIDE - 1) * stride + columns * LANES);
    for c in (0..line).step_by(LANES) {
        // SAFETY: `5 line + c + 8` is within both by the assertion.
        let down = std::array::from_fn(|row| unsafe { _mm256_loadu_ps(lines.as_ptr().add(row * line + c)) });
        for (row, t) in points::of_input(down).into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(half_done.as_mut_ptr().add(row * line + c), t) };
        }
    }
    for c in 0..columns {
        for row in 0..SIDE {
            let from = half_done[row * line + c * TILE * LANES..][..SIDE * LANES].as_ptr();
            // SAFETY: six vectors from `from` on.
            let across = std::array::from_fn(|column| unsafe { _mm256_loadu_ps(from.add(column * LANES)) });
            for (column, t) in points::of_input(across).into_iter().enumerate() {
                // SAFETY: in `v` by the assertion.
                unsafe {
                    _mm256_storeu_ps(v.as_mut_ptr().add((row * SIDE + column) * stride + c * LANES), t)
                };
            }
        }
    }
}

/// `A^T M A + start` of one row of tiles to its four lines `[4][4 columns][8]`; frequency `k` of tile `c` is
/// `m[k * stride + 8 c ..]`.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn transform_output(
    m: &[f32],
    stride: usize,
    columns: usize,
    lines: &mut [f32],
    start: &[f32; LANES],
) {
    let line = columns * TILE * LANES;
    assert!(lines.len() >= TILE * line && m.len() >= (SIDE * SIDE - 1) * stride + columns * LANES);
    // SAFETY: eight elements.
    let start = unsafe { _mm256_loadu_ps(start.as_ptr()) };
    for c in 0..columns {
        // SAFETY: in `m` by the assertion.
        let at = |k: usize| unsafe { _mm256_loadu_ps(m.as_ptr().add(k * stride + c * LANES)) };
        let mut down = [[_mm256_setzero_ps(); SIDE]; TILE];
        for column in 0..SIDE {
            let rows = points::to_output(std::array::from_fn(|row| at(row * SIDE + column)));
            for (down, t) in down.iter_mut().zip(rows) {
                down[column] = t;
            }
        }
        for (row, across) in down.into_iter().enumerate() {
            for (column, t) in points::to_output(across).into_iter().enumerate() {
                // SAFETY: four vectors of tile `c` of four lines, in `lines` by the assertion.
                unsafe {
                    let to = lines.as_mut_ptr().add(row * line + (c * TILE + column) * LANES);
                    _mm256_storeu_ps(to, _mm256_add_ps(t, start));
                }
            }
        }
    }
}

/// `A dy A^T` of one row of tiles from its four lines `[4][4 columns][8]`, to `m` as in [`transform_output`].
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn transform_gradient(lines: &[f32], columns: usize, m: &mut [f32], stride: usize) {
    let line = columns * TILE * LANES;
    assert!(lines.len() >= TILE * line && m.len() >= (SIDE * SIDE - 1) * stride + columns * LANES);
    for c in 0..columns {
        // SAFETY: four vectors of tile `c` of four lines, in `lines` by the assertion.
        let at = |row: usize, column: usize| unsafe {
            _mm256_loadu_ps(lines.as_ptr().add(row * line + (c * TILE + column) * LANES))
        };
        let mut down = [[_mm256_setzero_ps(); TILE]; SIDE];
        for column in 0..TILE {
            let rows = points::of_gradient(std::array::from_fn(|row| at(row, column)));
            for (down, t) in down.iter_mut().zip(rows) {
                down[column] = t;
            }
        }
        for (row, across) in down.into_iter().enumerate() {
            for (column, t) in points::of_gradient(across).into_iter().enumerate() {
                // SAFETY: in `m` by the assertion.
                unsafe {
                    _mm256_storeu_ps(m.as_mut_ptr().add((row * SIDE + column) * stride + c * LANES), t)
                };
            }
        }
    }
}
