//! The products over channels and over tiles.

use std::arch::x86_64::*;

use super::{LANES, Spectrum};

/// Tiles of the register tile of [`product`], with two vectors of output channels.
const PANEL_TILES: usize = 6;
/// Input channels of the register tile of [`outer_product`], with up to three vectors of output channels.
const PANEL_INPUTS: usize = 4;

/// `m [O / 8][tiles][8] = w [O / 8][I][8] . v [I / 8][tiles][8]`, the sums over input channels of one frequency.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn product(w: &[f32], v: &[f32], of_v: Spectrum, m: &mut [f32], of_m: Spectrum) {
    let (tiles, blocks) = (of_v.tiles, of_v.blocks);
    let w_block = blocks * LANES * LANES;
    assert!(of_m.tiles == tiles && w.len() >= of_m.blocks * w_block);
    assert!(v.len() >= blocks * of_v.block() && m.len() >= of_m.blocks * of_m.block());
    for output in (0..of_m.blocks).step_by(2) {
        let pair = output + 1 < of_m.blocks;
        for tile in (0..tiles).step_by(PANEL_TILES) {
            // SAFETY: the assertions above; the panel ends with the last tile and the last output channel.
            unsafe {
                let w = w.as_ptr().add(output * w_block);
                let v = v.as_ptr().add(tile * LANES);
                let m = m.as_mut_ptr().add(output * of_m.block() + tile * LANES);
                let extent = [blocks, of_v.block()];
                match (pair, (tiles - tile).min(PANEL_TILES)) {
                    (true, 6) => panel::<6, 2>(w, v, m, extent),
                    (true, 5) => panel::<5, 2>(w, v, m, extent),
                    (true, 4) => panel::<4, 2>(w, v, m, extent),
                    (true, 3) => panel::<3, 2>(w, v, m, extent),
                    (true, 2) => panel::<2, 2>(w, v, m, extent),
                    (true, _) => panel::<1, 2>(w, v, m, extent),
                    (false, 6) => panel::<6, 1>(w, v, m, extent),
                    (false, rest) => {
                        for tile in 0..rest {
                            panel::<1, 1>(w, v.add(tile * LANES), m.add(tile * LANES), extent);
                        }
                    }
                }
            }
        }
    }
}

/// `T` tiles by `O` vectors of output channels of [`product`].
///
/// # Safety
/// AVX2 and FMA; the addresses of the product must lie in the memory that the pointers may be used for.
#[target_feature(enable = "avx2,fma")]
unsafe fn panel<const T: usize, const O: usize>(
    w: *const f32,
    v: *const f32,
    m: *mut f32,
    [blocks, block]: [usize; 2],
) {
    let w_block = blocks * LANES * LANES;
    let mut sums = [[_mm256_setzero_ps(); O]; T];
    for b in 0..blocks {
        for lane in 0..LANES {
            // SAFETY: the caller vouches for these addresses.
            unsafe {
                let w = w.add((b * LANES + lane) * LANES);
                let mut weights = [_mm256_setzero_ps(); O];
                for (o, weights) in weights.iter_mut().enumerate() {
                    *weights = _mm256_loadu_ps(w.add(o * w_block));
                }
                for (t, sums) in sums.iter_mut().enumerate() {
                    let pixel = _mm256_broadcast_ss(&*v.add(b * block + t * LANES + lane));
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = _mm256_fmadd_ps(pixel, weights, *sum);
                    }
                }
            }
        }
    }
    for (t, sums) in sums.into_iter().enumerate() {
        for (o, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(m.add(o * block + t * LANES), sum) };
        }
    }
}

/// `sums [O / 8][I][8] += sum_tiles m [O / 8][tiles][8] v [I / 8][tiles][8]`, of one frequency.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn outer_product(m: &[f32], of_m: Spectrum, v: &[f32], of_v: Spectrum, sums: &mut [f32]) {
    let (tiles, inputs) = (of_v.tiles, of_v.blocks * LANES);
    assert!(of_m.tiles == tiles && sums.len() >= of_m.blocks * inputs * LANES);
    assert!(v.len() >= of_v.blocks * of_v.block() && m.len() >= of_m.blocks * of_m.block());
    let mut output = 0;
    while output < of_m.blocks {
        // Three vectors; never one alone but where there is only one.
        let vectors = match of_m.blocks - output {
            1 => 1,
            2 | 4 => 2,
            _ => 3,
        };
        for input in (0..inputs).step_by(PANEL_INPUTS) {
            // SAFETY: the assertions above; `output + vectors <= blocks`.
            unsafe {
                let m = m.as_ptr().add(output * of_m.block());
                let v = v.as_ptr().add(input / LANES * of_v.block() + input % LANES);
                let sums = sums.as_mut_ptr().add((output * inputs + input) * LANES);
                let extent = [tiles, inputs * LANES];
                match vectors {
                    1 => outer_panel::<1>(m, v, sums, extent),
                    2 => outer_panel::<2>(m, v, sums, extent),
                    _ => outer_panel::<3>(m, v, sums, extent),
                }
            }
        }
        output += vectors;
    }
}

/// Four input channels by `O` vectors of output channels of [`outer_product`].
///
/// # Safety
/// As for [`panel`].
#[target_feature(enable = "avx2,fma")]
unsafe fn outer_panel<const O: usize>(
    m: *const f32,
    v: *const f32,
    sums: *mut f32,
    [tiles, sums_block]: [usize; 2],
) {
    let mut totals = [[_mm256_setzero_ps(); O]; PANEL_INPUTS];
    for tile in 0..tiles {
        // SAFETY: the caller vouches for these addresses.
        unsafe {
            let mut channels = [_mm256_setzero_ps(); O];
            for (o, channels) in channels.iter_mut().enumerate() {
                *channels = _mm256_loadu_ps(m.add((o * tiles + tile) * LANES));
            }
            for (i, totals) in totals.iter_mut().enumerate() {
                let pixel = _mm256_broadcast_ss(&*v.add(tile * LANES + i));
                for (total, channels) in totals.iter_mut().zip(channels) {
                    *total = _mm256_fmadd_ps(channels, pixel, *total);
                }
            }
        }
    }
    for (i, totals) in totals.into_iter().enumerate() {
        for (o, total) in totals.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe {
                let at = sums.add(o * sums_block + i * LANES);
                _mm256_storeu_ps(at, _mm256_add_ps(_mm256_loadu_ps(at), total));
            }
        }
    }
}
