//! The weight's gradient of minimal filtering, the adjoint of the parent module's equations:
//!
//! `dU[k, o, i] = sum_tiles (A dy A^T)[k, o] V[k, i]`, `dw = G^T dU G`.
//!
//! Design decision: the sums stay in registers over a band of tiles. `dU` is summed over the samples of a part and turned
//! into `dw`, a quarter of its size, before parts are summed.

use std::arch::x86_64::*;

use super::super::Geometry;
use super::super::scratch::with_scratch;
use super::product::outer_product;
use super::transform::{pixels, transform_gradient};
use super::{
    FREQUENCIES, LANES, SIDE, Spectrum, TILE, Tiling, lanes_of, points, scatter, spectrum_of_input,
    weight_at, weight_stride,
};

/// Elements of the sums that [`sample_backward_w`] adds to: `dU` in the order of a weight transformed.
pub(crate) fn sums_len(g: &Geometry) -> usize {
    FREQUENCIES * weight_stride([g.c_out, g.c_in])
}

/// Adds one sample's part of `dU` to `sums`.
pub(crate) fn sample_backward_w(g: &Geometry, x: &[f32], dy: &[f32], sums: &mut [f32]) {
    let tiling = Tiling::new(g.h_out, g.w_out);
    let largest = tiling.band * tiling.columns;
    let [v_len, m_len] = [g.c_in, g.c_out].map(|channels| Spectrum::new(channels, largest).len(FREQUENCIES));
    with_scratch(tiling.pixels_len() + v_len + m_len, |scratch| {
        let (lines, rest) = scratch.split_at_mut(tiling.pixels_len());
        let (v, m) = rest.split_at_mut(v_len);
        for (first, rows) in tiling.bands() {
            let spectra = [g.c_in, g.c_out].map(|channels| Spectrum::new(channels, rows * tiling.columns));
            spectrum_of_input(&tiling, (first, rows), x, [g.c_in, g.h_in, g.w_in], g.padding, lines, v);
            spectrum_of_gradient(g, &tiling, (first, rows), dy, lines, m);
            let [of_v, of_m] = spectra;
            for (k, sums) in sums.chunks_exact_mut(weight_stride([g.c_out, g.c_in])).enumerate() {
                let (m, v) = (&m[k * of_m.stride()..], &v[k * of_v.stride()..]);
                // SAFETY: `applies` found AVX2 and FMA.
                unsafe { outer_product(m, of_m, v, of_v, sums) };
            }
        }
    });
}

/// `A dy A^T` of rows `first..first + rows` of tiles.
fn spectrum_of_gradient(
    g: &Geometry,
    tiling: &Tiling,
    (first, rows): (usize, usize),
    dy: &[f32],
    lines: &mut [f32],
    m: &mut [f32],
) {
    let spectrum = Spectrum::new(g.c_out, rows * tiling.columns);
    let line = tiling.columns * TILE;
    for block in 0..spectrum.blocks {
        let lines = &mut lines[..rows * TILE * line * LANES];
        pixels(dy, [g.c_out, g.h_out, g.w_out], block, (first * TILE, 0), lines, line);
        for (r, lines) in lines.chunks_exact(TILE * line * LANES).enumerate() {
            let at = block * spectrum.block() + r * tiling.columns * LANES;
            // SAFETY: `applies` found AVX2 and FMA.
            unsafe { transform_gradient(lines, tiling.columns, &mut m[at..], spectrum.stride()) };
        }
    }
}

/// `dw = G^T dU G`, `[O, I, 3, 3]`, of a sum over samples.
pub(crate) fn finish_backward_w(g: &Geometry, sums: &[f32]) -> Vec<f32> {
    let mut dw = vec![0.0; g.w_len()];
    // SAFETY: `applies` found AVX2 and FMA.
    unsafe { transform_sums([g.c_out, g.c_in], sums, dw.as_chunks_mut::<9>().0) };
    dw
}

/// `G^T dU G` to each kernel of `dw [O, I]`.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_sums(channels: [usize; 2], sums: &[f32], dw: &mut [[f32; 9]]) {
    assert!(sums.len() >= FREQUENCIES * weight_stride(channels));
    for (first, i) in lanes_of(channels) {
        // SAFETY: eight output channels of one frequency and input channel lie together.
        let at = |k: usize| unsafe { _mm256_loadu_ps(sums.as_ptr().add(weight_at(channels, k, first, i))) };
        let mut down = [[_mm256_setzero_ps(); SIDE]; 3];
        for column in 0..SIDE {
            let rows = points::to_weight(std::array::from_fn(|row| at(row * SIDE + column)));
            for (down, t) in down.iter_mut().zip(rows) {
                down[column] = t;
            }
        }
        let mut taps = [[0.0; LANES]; 9];
        for (u, across) in down.into_iter().enumerate() {
            for (v, t) in points::to_weight(across).into_iter().enumerate() {
                // SAFETY: eight elements.
                unsafe { _mm256_storeu_ps(taps[3 * u + v].as_mut_ptr(), t) };
            }
        }
        scatter(channels, (first, i), &taps, dw);
    }
}
