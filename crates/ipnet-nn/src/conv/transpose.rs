//! Transposed blocks of channels for AVX2: from plane after plane to pixel after pixel, and back.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::winograd::LANES;

/// `to[p * width + k] = planes[k * plane + p]` for `channels` planes, `plane` elements apart, and their first `pixels`.
///
/// # Safety
/// AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn by_pixel(
    planes: &[f32],
    plane: usize,
    [channels, pixels]: [usize; 2],
    to: &mut [f32],
    width: usize,
) {
    assert!(channels <= width && pixels * width <= to.len());
    assert!(channels == 0 || (channels - 1) * plane + pixels <= planes.len());
    let in_blocks = if pixels < LANES { 0 } else { channels - channels % LANES };
    for k in (0..in_blocks).step_by(LANES) {
        for p in starts(pixels) {
            // SAFETY: channels `k..k + 8` and pixels `p..p + 8` lie in both by the assertions.
            unsafe {
                let block = transpose(planes.as_ptr().add(k * plane + p), plane);
                for (r, row) in block.into_iter().enumerate() {
                    _mm256_storeu_ps(to.as_mut_ptr().add((p + r) * width + k), row);
                }
            }
        }
    }
    for k in in_blocks..channels {
        for p in 0..pixels {
            to[p * width + k] = planes[k * plane + p];
        }
    }
}

/// The way back from vectors of eight channels: `planes[k * plane + p] = pixels[8 p + k]` for `channels` of them.
///
/// # Safety
/// AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn by_plane(
    pixels: &[f32],
    planes: &mut [MaybeUninit<f32>],
    plane: usize,
    channels: usize,
) {
    let count = pixels.len() / LANES;
    assert!(channels <= LANES && (channels == 0 || (channels - 1) * plane + count <= planes.len()));
    if count < LANES {
        for k in 0..channels {
            for p in 0..count {
                planes[k * plane + p].write(pixels[p * LANES + k]);
            }
        }
        return;
    }
    for p in starts(count) {
        // SAFETY: pixels `p..p + 8` lie in both by the assertion.
        unsafe {
            let block = transpose(pixels.as_ptr().add(p * LANES), LANES);
            for (k, row) in block.into_iter().enumerate().take(channels) {
                _mm256_storeu_ps(planes.as_mut_ptr().add(k * plane + p).cast(), row);
            }
        }
    }
}

/// First pixels of blocks of eight that cover `count >= 8` pixels; the last may lie over the one before.
fn starts(count: usize) -> impl Iterator<Item = usize> {
    (0..count).step_by(LANES).map(move |p| p.min(count - LANES))
}

/// Eight rows of eight, `stride` apart, transposed.
///
/// # Safety
/// AVX2; the rows may be read.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn transpose(from: *const f32, stride: usize) -> [__m256; LANES] {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::as_unwritten;

    #[test]
    fn blocks_and_what_is_left_over_change_places() {
        if !super::super::has_avx2_and_fma() {
            eprintln!("skipped: this processor has no AVX2 and FMA");
            return;
        }
        for [channels, pixels, plane, width] in [
            [8, 8, 8, 8],
            [8, 21, 22, 8],
            [5, 13, 13, 8],
            [8, 3, 4, 8],
            [17, 29, 31, 24],
            [3, 5, 9, 4],
            [16, 7, 7, 16],
        ] {
            let planes: Vec<f32> = (0..channels * plane).map(|i| i as f32).collect();
            let mut to = vec![-1.0; pixels * width];
            // SAFETY: AVX2 was found above.
            unsafe { by_pixel(&planes, plane, [channels, pixels], &mut to, width) };
            for (at, value) in to.iter().enumerate() {
                let (p, k) = (at / width, at % width);
                let expected = if k < channels { (k * plane + p) as f32 } else { -1.0 };
                assert_eq!(*value, expected, "pixel {p} of channel {k} of {channels}");
            }
            if width == LANES {
                let mut back = vec![-1.0; channels * plane];
                // SAFETY: as above.
                unsafe { by_plane(&to, as_unwritten(&mut back), plane, channels) };
                for (at, value) in back.iter().enumerate() {
                    let expected = if at % plane < pixels { at as f32 } else { -1.0 };
                    assert_eq!(*value, expected, "pixel {} of plane {}", at % plane, at / plane);
                }
            }
        }
    }
}
