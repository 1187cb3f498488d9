//! Direct 3x3 convolution with stride 1 for AVX2 + FMA: no patches are copied.
//!
//! A sample is padded once to planes of `hp x wp`. Over a flattened padded plane the convolution has no edges:
//! `y[o][q] = sum_{i, u, v} w[o, i, u, v] x[i][q + u wp + v]` for `q = r wp + c`; the last `wp - w_out` numbers of each
//! row are computed and thrown away. The micro-kernel holds 4 output channels x 3 vectors of 8 pixels in registers; 2 x 6
//! and 1 x 8 where there are no more channels, as for the gradient of a network's input.
//! `dx` is the same function of `dy` with the weight transposed and turned round, padding `2 - p`. For `dw` the
//! vectors lie over output channels and `x` is broadcast: 3 taps of a kernel row x 4 vectors in registers, summed over
//! a band of rows.
//!
//! Design decision: with channels enough `winograd` needs fewer products; here remain a network's first layer and tiny
//! planes, and every other kernel, stride and machine goes through im2col. Source of the register tile: Zhang et al.,
//! "High performance zero-memory overhead direct convolutions", ICML 2018.

use std::arch::x86_64::*;

use super::Geometry;
use super::has_avx2_and_fma;
use super::scratch::with_scratch;
use super::transpose::by_pixel;

/// f32 lanes of a vector.
const LANES: usize = 8;
/// Pixels of the widest forward tile.
const MOST_PIXELS: usize = 8 * LANES;
/// Output channels of the weight-gradient tile, at most.
const BLOCK: usize = 4 * LANES;
/// Pixels per band: one band of the forward result, and of the transposed `dy`, stays in the first-level cache.
const BAND_PIXELS_FORWARD: usize = 480;
const BAND_PIXELS_BACKWARD: usize = 128;

/// Whether this module handles `g` on this machine.
pub(crate) fn applies(g: &Geometry) -> bool {
    g.kh == 3 && g.kw == 3 && g.stride == 1 && g.padding <= 2 && has_avx2_and_fma()
}

/// Planes of one sample with a zero margin, one after the other, and room for a tile that runs over the end.
struct Padded<'a> {
    hp: usize,
    wp: usize,
    data: &'a [f32],
}

impl<'a> Padded<'a> {
    /// Elements of memory that [`Self::new`] needs.
    fn len([channels, h, w]: [usize; 3], padding: usize) -> usize {
        let (hp, wp) = (h + 2 * padding, w + 2 * padding);
        channels * hp * wp + 2 * wp + MOST_PIXELS + LANES
    }

    fn new(data: &'a mut [f32], x: &[f32], [channels, h, w]: [usize; 3], padding: usize) -> Self {
        let (hp, wp) = (h + 2 * padding, w + 2 * padding);
        let (planes, beyond) = data.split_at_mut(channels * hp * wp);
        beyond.fill(0.0);
        for (plane, x) in planes.chunks_exact_mut(hp * wp).zip(x.chunks_exact(h * w)) {
            let (above, rest) = plane.split_at_mut(padding * wp);
            let (rows, below) = rest.split_at_mut(h * wp);
            above.fill(0.0);
            below.fill(0.0);
            for (row, x) in rows.chunks_exact_mut(wp).zip(x.chunks_exact(w)) {
                row[..padding].fill(0.0);
                row[padding..padding + w].copy_from_slice(x);
                row[padding + w..].fill(0.0);
            }
        }
        Self { hp, wp, data }
    }

    fn plane(&self) -> usize {
        self.hp * self.wp
    }
}

/// Output channels of a forward tile.
fn tile_channels(c_out: usize) -> usize {
    if c_out <= 2 { c_out } else { 4 }
}

/// The weight as `[ceil(O / n), I, 9, n]` for a tile of n channels, missing channels zero; `at(o, i, tap)` reads the source.
pub(crate) fn pack(c_out: usize, c_in: usize, at: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let n = tile_channels(c_out);
    let mut packed = vec![0.0; c_out.next_multiple_of(n) * c_in * 9];
    for o in 0..c_out {
        for i in 0..c_in {
            for tap in 0..9 {
                packed[((o / n * c_in + i) * 9 + tap) * n + o % n] = at(o, i, tap);
            }
        }
    }
    packed
}

/// One sample: `y [O, h, w]` from `x [I, ..]` padded by `padding` and the packed weight.
pub(crate) fn correlate(
    y: &mut [f32],
    out: [usize; 3],
    x: &[f32],
    extent: [usize; 3],
    padding: usize,
    packed: &[f32],
    bias: Option<&[f32]>,
) {
    match tile_channels(out[0]) {
        1 => correlate_by::<1, 8>(y, out, x, extent, padding, packed, bias),
        2 => correlate_by::<2, 6>(y, out, x, extent, padding, packed, bias),
        _ => correlate_by::<4, 3>(y, out, x, extent, padding, packed, bias),
    }
}

/// [`correlate`] by tiles of `C` channels and `V` vectors of pixels.
fn correlate_by<const C: usize, const V: usize>(
    y: &mut [f32],
    [c_out, h, w]: [usize; 3],
    x: &[f32],
    extent: [usize; 3],
    padding: usize,
    packed: &[f32],
    bias: Option<&[f32]>,
) {
    let tile_pixels = V * LANES;
    let (c_in, wp) = (extent[0], extent[2] + 2 * padding);
    let band_rows = (BAND_PIXELS_FORWARD / wp).clamp(1, h);
    let band_len = (band_rows * wp).next_multiple_of(tile_pixels);
    let padded_len = Padded::len(extent, padding);
    with_scratch(padded_len + C * band_len, |scratch| {
        let (padded, band) = scratch.split_at_mut(padded_len);
        let padded = Padded::new(padded, x, extent, padding);
        for first in (0..h).step_by(band_rows) {
            let rows = band_rows.min(h - first);
            for (block, weights) in packed.chunks_exact(c_in * 9 * C).enumerate() {
                let channels = C.min(c_out - block * C);
                let mut start = [0.0; C];
                if let Some(bias) = bias {
                    start[..channels].copy_from_slice(&bias[block * C..][..channels]);
                }
                for tile in (0..rows * wp).step_by(tile_pixels) {
                    let q = first * wp + tile;
                    assert!((c_in - 1) * padded.plane() + q + 2 * wp + 2 + tile_pixels <= padded.data.len());
                    assert!((C - 1) * band_len + tile + tile_pixels <= band.len());
                    // SAFETY: `applies` found AVX2 and FMA before this module was entered. The kernel reads
                    // `x[i * plane + u * wp + v + 0..8 V]` for i < c_in and u, v < 3, and writes
                    // `y[o * band_len + 0..8 V]` for o < C: inside the slices by the assertions above; the weights of
                    // one block are the chunk's length.
                    unsafe {
                        tile_by::<C, V>(
                            padded.data.as_ptr().add(q),
                            [c_in, padded.plane(), wp],
                            weights.as_ptr(),
                            start,
                            band.as_mut_ptr().add(tile),
                            band_len,
                        );
                    }
                }
                for channel in 0..channels {
                    let target = &mut y[((block * C + channel) * h + first) * w..][..rows * w];
                    let source = band[channel * band_len..].chunks_exact(wp);
                    for (to, from) in target.chunks_exact_mut(w).zip(source) {
                        to.copy_from_slice(&from[..w]);
                    }
                }
            }
        }
    });
}

/// `y[o * y_stride + p] = start[o] + sum_{i, u, v} w[i, u, v, o] x[i * plane + u * wp + v + p]`, o < C, p < 8 V.
///
/// # Safety
/// AVX2 and FMA; every address of the formula must lie in the memory that the pointers may be used for.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_by<const C: usize, const V: usize>(
    x: *const f32,
    [c_in, plane, wp]: [usize; 3],
    mut w: *const f32,
    start: [f32; C],
    y: *mut f32,
    y_stride: usize,
) {
    let mut sums = [[_mm256_setzero_ps(); V]; C];
    for (sums, start) in sums.iter_mut().zip(start) {
        *sums = [_mm256_set1_ps(start); V];
    }
    for i in 0..c_in {
        for u in 0..3 {
            for v in 0..3 {
                // SAFETY: the caller vouches for these addresses.
                let at = unsafe { x.add(i * plane + u * wp + v) };
                let mut pixels = [_mm256_setzero_ps(); V];
                for (k, pixels) in pixels.iter_mut().enumerate() {
                    // SAFETY: as above.
                    *pixels = unsafe { _mm256_loadu_ps(at.add(k * LANES)) };
                }
                for (o, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: as above; `w` stays within the block of `c_in * 9 * C` weights.
                    let weight = unsafe { _mm256_broadcast_ss(&*w.add(o)) };
                    for (sum, pixels) in sums.iter_mut().zip(pixels) {
                        *sum = _mm256_fmadd_ps(pixels, weight, *sum);
                    }
                }
                // SAFETY: at most one past the end of the block.
                w = unsafe { w.add(C) };
            }
        }
    }
    for (o, sums) in sums.into_iter().enumerate() {
        for (k, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller vouches for these addresses.
            unsafe { _mm256_storeu_ps(y.add(o * y_stride + k * LANES), sum) };
        }
    }
}

/// Elements of the sums that [`sample_backward_w`] adds to: `[blocks of 32 output channels][C][3 u][3 v][channels of the
/// block, padded to whole vectors]`.
pub(crate) fn sums_len(g: &Geometry) -> usize {
    g.c_out.next_multiple_of(LANES) * g.c_in * 9
}

/// `dw [O, C, 3, 3]` of the sums of all samples.
pub(crate) fn finish_backward_w(g: &Geometry, by_block: &[f32]) -> Vec<f32> {
    let mut dw = vec![0.0; g.w_len()];
    for (block, sums) in by_block.chunks(BLOCK * g.c_in * 9).enumerate() {
        let width = sums.len() / (g.c_in * 9);
        for (tap, sums) in sums.chunks_exact(width).enumerate() {
            for (lane, sum) in sums.iter().take(g.c_out - block * BLOCK).enumerate() {
                dw[(block * BLOCK + lane) * g.c_in * 9 + tap] = *sum;
            }
        }
    }
    dw
}

/// Adds one sample's share to the sums.
pub(crate) fn sample_backward_w(g: &Geometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let extent = [g.c_in, g.h_in, g.w_in];
    let band_rows = (BAND_PIXELS_BACKWARD / g.w_out).clamp(1, g.h_out);
    let padded_len = Padded::len(extent, g.padding);
    with_scratch(padded_len + band_rows * g.w_out * BLOCK, |scratch| {
        let (padded, band) = scratch.split_at_mut(padded_len);
        let padded = Padded::new(padded, x, extent, g.padding);
        for first in (0..g.h_out).step_by(band_rows) {
            let rows = band_rows.min(g.h_out - first);
            for (block, dw) in dw.chunks_mut(BLOCK * g.c_in * 9).enumerate() {
                let width = dw.len() / (g.c_in * 9);
                let channels = width.min(g.c_out - block * BLOCK);
                if channels < width {
                    band.fill(0.0);
                }
                let dy = &dy[block * BLOCK * g.y_plane() + first * g.w_out..];
                // SAFETY: `applies` found AVX2.
                unsafe { by_pixel(dy, g.y_plane(), [channels, rows * g.w_out], band, width) };
                for (iu, dw) in dw.chunks_exact_mut(3 * width).enumerate() {
                    let (i, u) = (iu / 3, iu % 3);
                    let start = i * padded.plane() + (first + u) * padded.wp;
                    assert!(start + (rows - 1) * padded.wp + g.w_out + 2 <= padded.data.len());
                    assert!(rows * g.w_out * width <= band.len());
                    // SAFETY: `applies` found AVX2 and FMA. The kernel reads `x[r * wp + c + v]` for r < rows, c < w_out,
                    // v < 3 and `dy[(r * w_out + c) * width ..][..width]`, inside by the assertions, and adds to the
                    // chunk of `3 * width` sums.
                    unsafe {
                        let x = padded.data.as_ptr().add(start);
                        let extent = [rows, g.w_out, padded.wp];
                        match width / LANES {
                            1 => taps_3::<1>(x, extent, band.as_ptr(), dw.as_mut_ptr()),
                            2 => taps_3::<2>(x, extent, band.as_ptr(), dw.as_mut_ptr()),
                            3 => taps_3::<3>(x, extent, band.as_ptr(), dw.as_mut_ptr()),
                            _ => taps_3::<4>(x, extent, band.as_ptr(), dw.as_mut_ptr()),
                        }
                    }
                }
            }
        }
    });
}

/// `dw[v * 8 V + k] += sum_{r, c} dy[(r w_out + c) 8 V + k] x[r wp + c + v]`, v < 3, k < 8 V.
///
/// # Safety
/// AVX2 and FMA; every address of the formula must lie in the memory that the pointers may be used for.
#[target_feature(enable = "avx2,fma")]
unsafe fn taps_3<const V: usize>(
    x: *const f32,
    [rows, w_out, wp]: [usize; 3],
    mut dy: *const f32,
    dw: *mut f32,
) {
    let mut sums = [[_mm256_setzero_ps(); V]; 3];
    for r in 0..rows {
        for c in 0..w_out {
            // SAFETY: the caller vouches for these addresses; `dy` ends at most one past the band.
            unsafe {
                let mut channels = [_mm256_setzero_ps(); V];
                for (k, channels) in channels.iter_mut().enumerate() {
                    *channels = _mm256_loadu_ps(dy.add(k * LANES));
                }
                for (v, sums) in sums.iter_mut().enumerate() {
                    let pixel = _mm256_broadcast_ss(&*x.add(r * wp + c + v));
                    for (sum, channels) in sums.iter_mut().zip(channels) {
                        *sum = _mm256_fmadd_ps(channels, pixel, *sum);
                    }
                }
                dy = dy.add(V * LANES);
            }
        }
    }
    for (v, sums) in sums.into_iter().enumerate() {
        for (k, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller vouches for `dw[..24 V]`.
            unsafe {
                let at = dw.add((v * V + k) * LANES);
                _mm256_storeu_ps(at, _mm256_add_ps(_mm256_loadu_ps(at), sum));
            }
        }
    }
}
