//! The product behind [`super::conv_time`] for AVX2 + FMA: `y[o] = bias[o] + sum_{u, i} w[o, u, i] x_u[i]`, one plane `x_u[i]`
//! for each offset in time and input channel.
//!
//! Design decision: the register tile is that of `winograd`'s products. A panel of 24 pixels of all planes is copied to
//! lie together first: planes are powers of two apart, and would push each other out of the cache.

use std::cell::RefCell;

use super::winograd::{LANES, TILE_CHANNELS, product_panel};

/// Pixels of a panel.
const PANEL: usize = 3 * LANES;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

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
    let mut scratch = SCRATCH.take();
    scratch.resize((depth + blocks * TILE_CHANNELS) * PANEL, 0.0);
    let (panel, products) = scratch.split_at_mut(depth * PANEL);
    for start in (0..space).step_by(PANEL) {
        let width = PANEL.min(space - start);
        let planes = taps.iter().flat_map(|(_, x)| x.chunks_exact(space));
        for (row, plane) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(planes) {
            match plane[start..start + width].as_array::<PANEL>() {
                Some(pixels) => *row = *pixels,
                None => {
                    row[..width].copy_from_slice(&plane[start..start + width]);
                    row[width..].fill(0.0);
                }
            }
        }
        for (block, products) in products.chunks_exact_mut(TILE_CHANNELS * PANEL).enumerate() {
            let weights = &packed[(block * k + first) * c_in * TILE_CHANNELS..][..depth * TILE_CHANNELS];
            // SAFETY: the caller saw `applies`; the panel holds `depth` rows, the weights `depth` fours, the products
            // four rows, all of `PANEL`.
            unsafe {
                product_panel::<3>(weights.as_ptr(), panel.as_ptr(), products.as_mut_ptr(), depth, PANEL);
            }
        }
        for (o, y) in y.chunks_exact_mut(space).enumerate() {
            let bias = bias.map_or(0.0, |bias| bias[o]);
            for (y, product) in y[start..start + width].iter_mut().zip(&products[o * PANEL..]) {
                *y = product + bias;
            }
        }
    }
    SCRATCH.set(scratch);
}
