//! 3x3 convolution with stride 1 by minimal filtering F(2x2, 3x3) for AVX2 + FMA: 16 products where the direct sum
//! needs 36.
//!
//! The output is cut in tiles of 2x2 pixels, each from 4x4 pixels `d` of the padded input. With
//! ```text
//! V = B^T d B,  U = G w G^T,  M[k] = sum_i U[k, o, i] V[k, i]  (k = 0..16),  y = A^T M A
//!       | 1  0 -1  0 |        |  1   0   0  |
//! B^T = | 0  1  1  0 |    G = | 1/2 1/2 1/2 |    A^T = | 1  1  1  0 |
//!       | 0 -1  1  0 |        | 1/2 -1/2 1/2|          | 0  1 -1 -1 |
//!       | 0  1  0 -1 |        |  0   0   1  |
//! ```
//! the sums over input channels are sixteen matrix products. `dx` is the same function of `dy` with the weight transposed
//! and turned round, padding `2 - p`. The weight's gradient is in [`weight_gradient`]. Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
//!
//! Design decision: 2x2 and not 4x4 tiles, whose transforms lose three more bits; with 2x2 the error is that of a
//! direct sum within a factor of two. Tiles run through in bands of a few rows of tiles, so that the transformed band
//! stays in the second-level cache. An infinity makes NaN of its whole tile. Parts and sums are as in `direct`.

mod weight_gradient;

use std::arch::x86_64::*;

use super::Geometry;
use super::scratch::with_scratch;
pub(crate) use weight_gradient::{finish_backward_w, sample_backward_w, sums_len};

/// f32 lanes of a vector.
pub(super) const LANES: usize = 8;
/// Products per tile, input channel and output channel.
const FREQUENCIES: usize = 16;
/// Output channels of the product's register tile.
pub(super) const TILE_CHANNELS: usize = 4;
/// Tiles of a band, about.
const BAND_TILES: usize = 48;

/// Whether this module handles `g` on this machine, and faster than the direct sum: rows that fill vectors of tiles,
/// and channels enough to pay for the transforms.
pub(crate) fn applies(g: &Geometry) -> bool {
    let padded = |w: usize| w.div_ceil(2).next_multiple_of(LANES) * 2;
    g.kh == 3
        && g.kw == 3
        && g.stride == 1
        && g.padding <= 2
        && g.c_in >= LANES
        && g.c_out >= LANES
        && 4 * padded(g.w_out) <= 5 * g.w_out
        && 4 * padded(g.w_in) <= 5 * g.w_in
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
}

/// How a plane of `h x w` outputs is cut in tiles.
#[derive(Clone, Copy)]
struct Tiling {
    /// Rows of tiles.
    rows: usize,
    /// Tiles of a row, a multiple of [`LANES`].
    columns: usize,
    /// Rows of tiles per band.
    band: usize,
}

impl Tiling {
    fn new(h: usize, w: usize) -> Self {
        let (rows, columns) = (h.div_ceil(2), w.div_ceil(2).next_multiple_of(LANES));
        Self { rows, columns, band: (BAND_TILES / columns).clamp(1, rows) }
    }

    /// Tiles of a full band.
    fn tiles(&self) -> usize {
        self.band * self.columns
    }

    /// Even (or odd) columns of a padded line: those of the tiles and of one vector beyond.
    fn half(&self) -> usize {
        self.columns + LANES
    }
}

/// The weight `U [16][ceil(O / 4)][I][4]` of `w[o, i, tap] = at(o, i, tap)`, missing channels zero.
pub(crate) fn pack(c_out: usize, c_in: usize, at: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let blocks = c_out.div_ceil(TILE_CHANNELS);
    let mut packed = vec![0.0; FREQUENCIES * blocks * c_in * TILE_CHANNELS];
    for o in 0..c_out {
        for i in 0..c_in {
            // G of three numbers; G w column by column, then (G w) G^T row by row.
            let spread = |[a, b, c]: [f32; 3]| {
                let half_sum = 0.5 * (a + c);
                [a, half_sum + 0.5 * b, half_sum - 0.5 * b, c]
            };
            let columns: [[f32; 4]; 3] =
                std::array::from_fn(|v| spread([at(o, i, v), at(o, i, 3 + v), at(o, i, 6 + v)]));
            for row in 0..4 {
                for (column, u) in spread(columns.map(|column| column[row])).into_iter().enumerate() {
                    let block = (row * 4 + column) * blocks + o / TILE_CHANNELS;
                    packed[(block * c_in + i) * TILE_CHANNELS + o % TILE_CHANNELS] = u;
                }
            }
        }
    }
    packed
}

/// One sample: `y [O, h, w]` from `x [I, ..]` padded by `padding` and the packed weight.
pub(crate) fn correlate(
    y: &mut [f32],
    [c_out, h, w]: [usize; 3],
    x: &[f32],
    extent: [usize; 3],
    padding: usize,
    packed: &[f32],
    bias: Option<&[f32]>,
) {
    let c_in = extent[0];
    let tiling = Tiling::new(h, w);
    let blocks = c_out.div_ceil(TILE_CHANNELS);
    let tiles = tiling.tiles();
    let (lines_len, v_len) = (lines_len(&tiling), FREQUENCIES * c_in * tiles);
    let m_len = FREQUENCIES * blocks * TILE_CHANNELS * tiles;
    with_scratch(lines_len + v_len + m_len, |scratch| {
        let (lines, rest) = scratch.split_at_mut(lines_len);
        let (v, m) = rest.split_at_mut(v_len);
        for first in (0..tiling.rows).step_by(tiling.band) {
            let rows = tiling.band.min(tiling.rows - first);
            let width = rows * tiling.columns;
            transform_input(&tiling, first, rows, x, extent, padding, lines, v);
            for (k, weights) in packed.chunks_exact(blocks * c_in * TILE_CHANNELS).enumerate() {
                let v = &v[k * c_in * width..(k + 1) * c_in * width];
                let m = &mut m[k * blocks * TILE_CHANNELS * width..][..blocks * TILE_CHANNELS * width];
                // SAFETY: `applies` found AVX2 and FMA before this module was entered.
                unsafe { product(weights, v, m, [blocks, c_in, width]) };
            }
            for o in 0..c_out {
                let start = bias.map_or(0.0, |bias| bias[o]);
                let y = &mut y[o * h * w..(o + 1) * h * w];
                let m = &m[o * width..];
                // SAFETY: as above.
                unsafe {
                    transform_output(
                        &tiling,
                        first,
                        rows,
                        m,
                        blocks * TILE_CHANNELS * width,
                        y,
                        [h, w],
                        start,
                    )
                };
            }
        }
    });
}

/// Elements of scratch that [`transform_input`] needs: the lines of a band, their halves, one line transformed.
fn lines_len(tiling: &Tiling) -> usize {
    (2 * tiling.band + 2 + 4 + 1) * 2 * tiling.half()
}

/// `V [16][I][rows * columns]` of rows `first..` of tiles.
#[allow(clippy::too_many_arguments)]
fn transform_input(
    tiling: &Tiling,
    first: usize,
    rows: usize,
    x: &[f32],
    [c_in, h_in, w_in]: [usize; 3],
    padding: usize,
    lines: &mut [f32],
    v: &mut [f32],
) {
    let (half, width) = (tiling.half(), rows * tiling.columns);
    let (line, rest) = lines.split_at_mut(2 * half);
    let (vertical, split) = rest.split_at_mut(4 * 2 * half);
    line.fill(0.0);
    assert!(v.len() >= FREQUENCIES * c_in * width && padding + w_in.min(2 * half - padding) <= 2 * half);
    let kept = w_in.min(2 * half - padding);
    for i in 0..c_in {
        for (r, split) in split.chunks_exact_mut(2 * half).take(2 * rows + 2).enumerate() {
            match (2 * first + r).checked_sub(padding).filter(|&row| row < h_in) {
                Some(row) => {
                    line[padding..padding + kept].copy_from_slice(&x[(i * h_in + row) * w_in..][..kept]);
                    // SAFETY: `applies` found AVX2; both are `2 * half` long, `half` a multiple of 8.
                    unsafe { deinterleave(line, split) };
                }
                None => split.fill(0.0),
            }
        }
        for r in 0..rows {
            // SAFETY: `applies` found AVX2. Four lines from `2 r` on lie in `split`, four in `vertical`; the tiles of
            // this row and channel lie in `v` by the assertion above.
            unsafe {
                let lines = &split[2 * r * 2 * half..(2 * r + 4) * 2 * half];
                transform_vertical(lines, vertical);
                let at = v.as_mut_ptr().add(i * width + r * tiling.columns);
                transform_horizontal(vertical, half, tiling.columns, at, c_in * width);
            }
        }
    }
}

/// Even elements of `line` to the first half of `split`, odd ones to the second.
///
/// # Safety
/// AVX2; equal lengths, a multiple of 16.
#[target_feature(enable = "avx2,fma")]
unsafe fn deinterleave(line: &[f32], split: &mut [f32]) {
    let half = split.len() / 2;
    for c in (0..half).step_by(LANES) {
        // SAFETY: `2 c + 16 <= line.len()` and `half + c + 8 <= split.len()` by the caller's promise.
        unsafe {
            let (a, b) = (
                _mm256_loadu_ps(line.as_ptr().add(2 * c)),
                _mm256_loadu_ps(line.as_ptr().add(2 * c + LANES)),
            );
            let pairs = |v| _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(v)));
            let even = pairs(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
            let odd = pairs(_mm256_shuffle_ps::<0b11_01_11_01>(a, b));
            _mm256_storeu_ps(split.as_mut_ptr().add(c), even);
            _mm256_storeu_ps(split.as_mut_ptr().add(half + c), odd);
        }
    }
}

/// `B^T d` of four lines.
///
/// # Safety
/// AVX2; equal lengths, a multiple of 32.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_vertical(lines: &[f32], out: &mut [f32]) {
    let len = out.len() / 4;
    for c in (0..len).step_by(LANES) {
        // SAFETY: `3 len + c + 8` is within both by the caller's promise.
        unsafe {
            let at = |row: usize| _mm256_loadu_ps(lines.as_ptr().add(row * len + c));
            let (d0, d1, d2, d3) = (at(0), at(1), at(2), at(3));
            let t =
                [_mm256_sub_ps(d0, d2), _mm256_add_ps(d1, d2), _mm256_sub_ps(d2, d1), _mm256_sub_ps(d1, d3)];
            for (row, t) in t.into_iter().enumerate() {
                _mm256_storeu_ps(out.as_mut_ptr().add(row * len + c), t);
            }
        }
    }
}

/// `(B^T d) B` of one row of tiles: frequency `k` of tile `c` goes to `v[k * stride + c]`.
///
/// # Safety
/// AVX2; `vertical` holds four lines of two halves, `half >= columns + 8`; the addresses of `v` may be written.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_horizontal(vertical: &[f32], half: usize, columns: usize, v: *mut f32, stride: usize) {
    for c in (0..columns).step_by(LANES) {
        for row in 0..4 {
            // SAFETY: the caller's promise.
            unsafe {
                let line = vertical.as_ptr().add(row * 2 * half + c);
                let (d0, d1) = (_mm256_loadu_ps(line), _mm256_loadu_ps(line.add(half)));
                let (d2, d3) = (_mm256_loadu_ps(line.add(1)), _mm256_loadu_ps(line.add(half + 1)));
                let t = [
                    _mm256_sub_ps(d0, d2),
                    _mm256_add_ps(d1, d2),
                    _mm256_sub_ps(d2, d1),
                    _mm256_sub_ps(d1, d3),
                ];
                for (column, t) in t.into_iter().enumerate() {
                    _mm256_storeu_ps(v.add((row * 4 + column) * stride + c), t);
                }
            }
        }
    }
}

/// `m [blocks * 4][width] = w [blocks][I][4] . v [I][width]`.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn product(w: &[f32], v: &[f32], m: &mut [f32], [blocks, c_in, width]: [usize; 3]) {
    assert!(width.is_multiple_of(LANES) && v.len() >= c_in * width);
    assert!(w.len() >= blocks * c_in * TILE_CHANNELS && m.len() >= blocks * TILE_CHANNELS * width);
    let mut start = 0;
    while start < width {
        // Panels of three vectors; never one alone but where there is only one.
        let vectors = match (width - start) / LANES {
            1 => 1,
            2 | 4 => 2,
            _ => 3,
        };
        for block in 0..blocks {
            // SAFETY: the assertions above; `start + 8 vectors <= width`.
            unsafe {
                let w = w.as_ptr().add(block * c_in * TILE_CHANNELS);
                let v = v.as_ptr().add(start);
                let m = m.as_mut_ptr().add(block * TILE_CHANNELS * width + start);
                match vectors {
                    1 => product_panel::<1>(w, v, m, c_in, width),
                    2 => product_panel::<2>(w, v, m, c_in, width),
                    _ => product_panel::<3>(w, v, m, c_in, width),
                }
            }
        }
        start += vectors * LANES;
    }
}

/// Four rows of `8 P` columns of [`product`].
///
/// # Safety
/// AVX2 and FMA; the addresses of the product must lie in the memory that the pointers may be used for.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn product_panel<const P: usize>(
    mut w: *const f32,
    mut v: *const f32,
    m: *mut f32,
    c_in: usize,
    width: usize,
) {
    let mut sums = [[_mm256_setzero_ps(); P]; TILE_CHANNELS];
    for _ in 0..c_in {
        // SAFETY: the caller vouches for these addresses; the last steps end at most one past the end.
        unsafe {
            let mut pixels = [_mm256_setzero_ps(); P];
            for (p, pixels) in pixels.iter_mut().enumerate() {
                *pixels = _mm256_loadu_ps(v.add(p * LANES));
            }
            for (o, sums) in sums.iter_mut().enumerate() {
                let weight = _mm256_broadcast_ss(&*w.add(o));
                for (sum, pixels) in sums.iter_mut().zip(pixels) {
                    *sum = _mm256_fmadd_ps(pixels, weight, *sum);
                }
            }
            w = w.add(TILE_CHANNELS);
            v = v.wrapping_add(width);
        }
    }
    for (o, sums) in sums.into_iter().enumerate() {
        for (p, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(m.add(o * width + p * LANES), sum) };
        }
    }
}

/// `y = A^T M A + start` of rows `first..first + rows` of tiles of one output channel; frequency `k` of tile `c` of
/// row `r` is `m[k * stride + r * columns + c]`.
///
/// # Safety
/// AVX2.
#[allow(clippy::too_many_arguments)]
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_output(
    tiling: &Tiling,
    first: usize,
    rows: usize,
    m: &[f32],
    stride: usize,
    y: &mut [f32],
    [h, w]: [usize; 2],
    start: f32,
) {
    assert!(m.len() >= 15 * stride + rows * tiling.columns);
    let start = _mm256_set1_ps(start);
    for r in 0..rows {
        for c in (0..tiling.columns).step_by(LANES) {
            // SAFETY: in `m` by the assertion.
            let at =
                |k: usize| unsafe { _mm256_loadu_ps(m.as_ptr().add(k * stride + r * tiling.columns + c)) };
            let mut upper = [start; 4];
            let mut lower = [start; 4];
            for column in 0..4 {
                let (m0, m1, m2, m3) = (at(column), at(4 + column), at(8 + column), at(12 + column));
                upper[column] = _mm256_add_ps(m0, _mm256_add_ps(m1, m2));
                lower[column] = _mm256_sub_ps(_mm256_sub_ps(m1, m2), m3);
            }
            for (half, s) in [upper, lower].into_iter().enumerate() {
                let row = 2 * (first + r) + half;
                if row >= h {
                    break;
                }
                let left = _mm256_add_ps(_mm256_add_ps(s[0], _mm256_add_ps(s[1], s[2])), start);
                let right = _mm256_add_ps(_mm256_sub_ps(_mm256_sub_ps(s[1], s[2]), s[3]), start);
                let (low, high) = (_mm256_unpacklo_ps(left, right), _mm256_unpackhi_ps(left, right));
                let pixels =
                    [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)];
                let y = &mut y[row * w..(row + 1) * w];
                if 2 * c + 2 * LANES <= w {
                    // SAFETY: sixteen pixels from `2 c` on are in the row.
                    unsafe {
                        _mm256_storeu_ps(y.as_mut_ptr().add(2 * c), pixels[0]);
                        _mm256_storeu_ps(y.as_mut_ptr().add(2 * c + LANES), pixels[1]);
                    }
                } else if 2 * c < w {
                    let mut edge = [0.0_f32; 2 * LANES];
                    // SAFETY: both stores lie in `edge`.
                    unsafe {
                        _mm256_storeu_ps(edge.as_mut_ptr(), pixels[0]);
                        _mm256_storeu_ps(edge.as_mut_ptr().add(LANES), pixels[1]);
                    }
                    y[2 * c..].copy_from_slice(&edge[..w - 2 * c]);
                }
            }
        }
    }
}
