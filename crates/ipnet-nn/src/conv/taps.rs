//! The product behind [`super::conv_time`] for AVX2 + FMA: `y[o] = bias[o] + sum_{u, i} w[o, u, i] x_u[i]`, one plane `x_u[i]`
//! for each offset in time and input channel.
//!
//! Design decision: the register tile is four channels by three vectors of pixels. Four panels of 24 pixels of all planes are copied
//! to lie together first: planes are powers of two apart, and would push each other out of the cache.

use std::arch::x86_64::*;

use super::scratch::with_scratch;
use super::winograd::LANES;

/// Output channels of the register tile.
const TILE_CHANNELS: usize = 4;

/// Pixels of a panel.
const PANEL: usize = 3 * LANES;

/// Panels that are copied at once: six whole cache lines of each plane, so that none is fetched twice.
const PANELS: usize = 4;

/// Whether this processor has what [`correlate`] needs.
pub(crate) fn applies() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// The weight `[ceil(O / 4)][U][I][4]` of `at(o, u, i)`, missing channels zero.
pub(crate) fn pack([c_out, k, c_in]: [usize; 3], at: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let mut packed = vec![0.0; c_out.div_ceil(TILE_CHANNELS) * k * c_in * TILE_CHANNELS];
    for o in 0..c_out {
        for (tap, (u, i)) in (0..k).flat_map(|u| (0..c_in).map(move |i| (u, i))).enumerate() {
            let row = o / TILE_CHANNELS * k * c_in + tap;
            packed[row * TILE_CHANNELS + o % TILE_CHANNELS] = at(o, u, i);
        }
    }
    packed
}

/// One sample: `y [O, space]` from the planes `[I, space]` of neighbouring offsets `u`, in order, with a weight from
/// [`pack`]. Only where [`applies`].
pub(crate) fn correlate(
    y: &mut [f32],
    [c_out, k, c_in]: [usize; 3],
    taps: &[(usize, &[f32])],
    packed: &[f32],
    bias: Option<&[f32]>,
) {
    let (space, depth) = (y.len() / c_out, taps.len() * c_in);
    let first = taps.first().map_or(0, |tap| tap.0);
    let blocks = c_out.div_ceil(TILE_CHANNELS);
    with_scratch((PANELS * depth + blocks * TILE_CHANNELS) * PANEL, |scratch| {
        let (panels, products) = scratch.split_at_mut(PANELS * depth * PANEL);
        for start in (0..space).step_by(PANELS * PANEL) {
            let end = space.min(start + PANELS * PANEL);
            let planes = taps.iter().flat_map(|(_, x)| x.chunks_exact(space));
            for (row, plane) in planes.enumerate() {
                let row = panels.as_chunks_mut::<PANEL>().0[row..].iter_mut().step_by(depth);
                for (row, pixels) in row.zip(plane[start..end].chunks(PANEL)) {
                    row[..pixels.len()].copy_from_slice(pixels);
                    row[pixels.len()..].fill(0.0);
                }
            }
            let widths = (start..end).step_by(PANEL).map(|first| (first, PANEL.min(end - first)));
            for ((first_pixel, width), panel) in widths.zip(panels.chunks_exact(depth * PANEL)) {
                for (block, products) in products.chunks_exact_mut(TILE_CHANNELS * PANEL).enumerate() {
                    let weights =
                        &packed[(block * k + first) * c_in * TILE_CHANNELS..][..depth * TILE_CHANNELS];
                    // SAFETY: the caller saw `applies`; the panel holds `depth` rows, the weights `depth` fours, the
                    // products four rows, all of `PANEL`.
                    unsafe {
                        product_panel::<3>(
                            weights.as_ptr(),
                            panel.as_ptr(),
                            products.as_mut_ptr(),
                            depth,
                            PANEL,
                        );
                    }
                }
                for (o, y) in y.chunks_exact_mut(space).enumerate() {
                    let bias = bias.map_or(0.0, |bias| bias[o]);
                    let products = &products[o * PANEL..];
                    for (y, product) in y[first_pixel..first_pixel + width].iter_mut().zip(products) {
                        *y = product + bias;
                    }
                }
            }
        }
    });
}

/// `m [4][8 P] = w [I][4] . v [I][8 P]`, rows of `v` and `m` `width` apart.
///
/// # Safety
/// AVX2 and FMA; the addresses of the product must lie in the memory that the pointers may be used for.
#[target_feature(enable = "avx2,fma")]
unsafe fn product_panel<const P: usize>(
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
