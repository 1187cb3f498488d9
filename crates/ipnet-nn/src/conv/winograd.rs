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
//! and turned round, padding `2 - p`. The weight's gradient is the adjoint: `dU[k, o, i] = sum_tiles (A dy A^T)[k, o] V[k, i]`,
//! `dw = G^T dU G`. Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
//!
//! Design decision: 2x2 and not 4x4 tiles, whose transforms lose three more bits; with 2x2 the error is that of a
//! direct sum within a factor of two. Tiles run through in bands of a few rows of tiles, so that the transformed band
//! stays in the second-level cache. An infinity makes NaN of its whole tile. Parts and sums are as in `direct`.

use std::arch::x86_64::*;
use std::cell::RefCell;

use super::Geometry;

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

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` on this thread's scratch of `len` elements, whose content is whatever was there.
fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    // Taken out for the call rather than borrowed, so that rayon may run another part on this thread inside `f`.
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let result = f(&mut scratch[..len]);
    SCRATCH.set(scratch);
    result
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

/// Eight rows of eight, `stride` apart, transposed.
///
/// # Safety
/// AVX2; the rows may be read.
#[target_feature(enable = "avx2,fma")]
unsafe fn transpose(from: *const f32, stride: usize) -> [__m256; LANES] {
    // SAFETY: the caller's promise.
    let row = |r: usize| unsafe { _mm256_loadu_ps(from.add(r * stride)) };
    let mut pairs = [_mm256_setzero_ps(); LANES];
    for r in 0..4 {
        pairs[2 * r] = _mm256_unpacklo_ps(row(2 * r), row(2 * r + 1));
        pairs[2 * r + 1] = _mm256_unpackhi_ps(row(2 * r), row(2 * r + 1));
    }
    let mut quads = [_mm256_setzero_ps(); LANES];
    for r in 0..2 {
        let [a, b, c, d] = [pairs[4 * r], pairs[4 * r + 1], pairs[4 * r + 2], pairs[4 * r + 3]];
        quads[4 * r] = _mm256_shuffle_ps::<0b01_00_01_00>(a, c);
        quads[4 * r + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, c);
        quads[4 * r + 2] = _mm256_shuffle_ps::<0b01_00_01_00>(b, d);
        quads[4 * r + 3] = _mm256_shuffle_ps::<0b11_10_11_10>(b, d);
    }
    let mut out = [_mm256_setzero_ps(); LANES];
    for r in 0..4 {
        out[r] = _mm256_permute2f128_ps::<0x20>(quads[r], quads[4 + r]);
        out[4 + r] = _mm256_permute2f128_ps::<0x31>(quads[r], quads[4 + r]);
    }
    out
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
