//! Convolution over time alone, three taps with "same" zero padding, by minimal filtering F(4, 3): 6 products where the
//! direct sum needs 12. A tile is one pixel of four frames.
//!
//! Design decision: a part of the work is four frames of one element of the batch, its six input frames read panel by panel
//! of pixels, so that a panel of all channels stays in the second-level cache. A frame's pixels are fetched while the frame before is
//! transposed: planes lie too far apart for the processor to see what comes next.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::super::scratch::with_scratch;
use super::super::transpose::{by_pixel, by_plane};
use super::super::{Gradients, has_avx2_and_fma};
use super::product::{outer_product, product};
use super::{
    LANES, SIDE, Spectrum, TILE, gather, lanes_of, points, put, scatter, start_of, weight_at, weight_stride,
};
use crate::parallel::{self, Unwritten};

/// Pixels of a panel: whole cache lines, and eight register tiles of the product.
const PANEL: usize = 48;
/// Elements of a cache line.
const CACHE_LINE: usize = 16;

/// The frames that four frames of a result hang on; what lies before the first and after the last step is absent.
pub(crate) type Frames<'a> = [Option<&'a [f32]>; SIDE];

/// A convolution over time that this module handles.
#[derive(Clone, Copy)]
pub(crate) struct OverTime {
    pub steps: usize,
    pub batch: usize,
    /// Pixels of a plane.
    pub space: usize,
    pub c_in: usize,
    pub c_out: usize,
}

impl OverTime {
    /// Whether this module handles a kernel of `k` taps on this machine: channels enough to pay for the transforms.
    pub(crate) fn applies(&self, k: usize) -> bool {
        k == 3 && self.c_in >= LANES && self.c_out >= LANES && has_avx2_and_fma()
    }

    /// The convolution of the gradient, from the result's channels to the input's.
    pub(crate) fn adjoint(self) -> Self {
        Self { c_in: self.c_out, c_out: self.c_in, ..self }
    }

    /// `y [T, B, O, space]` of `x [T, B, C, space]` with the weight `w [O, C, 3]`.
    pub(crate) fn correlate(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let packed = self.pack(w);
        let len = self.steps * self.batch * self.c_out * self.space;
        let mut y = Unwritten::new(len);
        let parts = self.by_part(y.slice(), self.c_out * self.space);
        parts.into_par_iter().enumerate().for_each(|(part, mut y)| {
            self.part(&self.frames(x, self.c_in, part), &packed, bias, &mut y);
        });
        // SAFETY: each sample is in a part, and all samples of a part are written.
        unsafe { y.written() }
    }

    /// `dx`, `dw [O, C, 3]` and `db`, as `needs` asks for them, in one pass: `with_dy(part, use_it)` hands the gradients of
    /// the result's frames, where [`Self::frames`] has those of the input, to `use_it`.
    pub(crate) fn backward(
        &self,
        x: &[f32],
        w: &[f32],
        needs: [bool; 3],
        with_dy: impl Fn(usize, &mut dyn FnMut(&Frames<'_>)) + Sync,
    ) -> Gradients {
        let (adjoint, channels) = (self.adjoint(), [self.c_out, self.c_in]);
        let turned = needs[0].then(|| adjoint.pack_by(|i, o, u| w[(o * self.c_in + i) * 3 + 2 - u]));
        let dx_len = if needs[0] { x.len() } else { 0 };
        let mut dx = Unwritten::new(dx_len);
        let mut dx_parts = adjoint.by_part(dx.slice(), self.c_in * self.space);
        let sums_len = if needs[1] { SIDE * weight_stride(channels) } else { 0 };
        let per_range = self.parts().div_ceil(parallel::MOST_PARTIAL_SUMS);
        let ranges = dx_parts.par_chunks_mut(per_range).enumerate();
        let sums = ranges.map(|(range, dx_parts)| {
            let mut dw = vec![0.0; sums_len];
            let mut db = vec![0.0; if needs[2] { self.c_out } else { 0 }];
            for (part, dx) in (range * per_range..).zip(dx_parts) {
                let mut handed_out = false;
                with_dy(part, &mut |dy| {
                    handed_out = true;
                    if needs[1] {
                        self.add_backward_w(&self.frames(x, self.c_in, part), dy, &mut dw);
                    }
                    for frame in dy[1..=TILE].iter().flatten() {
                        for (db, plane) in db.iter_mut().zip(frame.chunks_exact(self.space)) {
                            *db += parallel::sum(plane) as f32;
                        }
                    }
                    if let Some(turned) = &turned {
                        adjoint.part(dy, turned, None, dx);
                    }
                });
                assert!(handed_out, "part {part} was not handed out");
            }
            [dw, db]
        });
        let [sums, db] = parallel::add_up(sums.collect());
        // SAFETY: each sample is in a part, and all samples of a part are written: the loop asserts that each part was
        // handed out.
        let dx = needs[0].then(|| unsafe { dx.written() });
        let dw = needs[1].then(|| {
            let mut dw = vec![0.0; self.c_out * self.c_in * 3];
            // SAFETY: `applies` found AVX2 and FMA.
            unsafe { transform_sums(channels, &sums, dw.as_chunks_mut::<3>().0) };
            dw
        });
        Gradients { dx, dw, db: needs[2].then_some(db) }
    }

    /// Adds `dU` of four frames and six of `x` to the sums; the first and the last of the six of `dy` are not read.
    fn add_backward_w(&self, x: &Frames<'_>, dy: &Frames<'_>, sums: &mut [f32]) {
        let dy: [_; TILE] = std::array::from_fn(|frame| dy[1 + frame]);
        let [of_v, of_m] = [self.c_in, self.c_out].map(|channels| Spectrum::new(channels, PANEL));
        with_scratch(SIDE * PANEL * LANES + of_v.len(SIDE) + of_m.len(SIDE), |scratch| {
            let (lines, rest) = scratch.split_at_mut(SIDE * PANEL * LANES);
            let (v, m) = rest.split_at_mut(of_v.len(SIDE));
            for (start, width) in self.panels() {
                let of_v = self.spectrum(x, self.c_in, (start, width), points_of_input, lines, v);
                let of_m = self.spectrum(&dy, self.c_out, (start, width), points_of_gradient, lines, m);
                for (k, sums) in sums.chunks_exact_mut(weight_stride([self.c_out, self.c_in])).enumerate() {
                    let (m, v) = (&m[k * of_m.stride()..], &v[k * of_v.stride()..]);
                    // SAFETY: `applies` found AVX2 and FMA.
                    unsafe { outer_product(m, of_m, v, of_v, sums) };
                }
            }
        });
    }

    /// The weight `U` of `w [O, C, 3]`, in the order of [`weight_at`].
    pub(crate) fn pack(&self, w: &[f32]) -> Vec<f32> {
        self.pack_by(|o, i, u| w[(o * self.c_in + i) * 3 + u])
    }

    /// The weight `U` of `at(o, i, u)`.
    fn pack_by(&self, at: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
        let channels = [self.c_out, self.c_in];
        let mut packed = vec![0.0; SIDE * weight_stride(channels)];
        // SAFETY: `applies` found AVX2 and FMA.
        unsafe { transform_weight(channels, at, &mut packed) };
        packed
    }

    /// Groups of four frames of one element of the batch.
    fn groups(&self) -> usize {
        self.steps.div_ceil(TILE)
    }

    /// All groups of four frames. Those of one element follow one another: two of a group's six
    /// input frames were read for the one before.
    fn parts(&self) -> usize {
        self.groups() * self.batch
    }

    /// The samples of `data [T, B, sample]` by parts, up to four each; of no data, empty parts.
    pub(crate) fn by_part<'a, E>(&self, data: &'a mut [E], sample: usize) -> Vec<Vec<&'a mut [E]>> {
        let mut parts = Vec::new();
        parts.resize_with(self.parts(), Vec::new);
        for (at, data) in data.chunks_exact_mut(sample).enumerate() {
            let (t, b) = (at / self.batch, at % self.batch);
            parts[b * self.groups() + t / TILE].push(data);
        }
        parts
    }

    /// Steps and batch of the samples that the result's frames of `part` hang on: from one before to one after.
    pub(crate) fn samples(&self, part: usize) -> [Option<usize>; SIDE] {
        let (first, b) = (part % self.groups() * TILE, part / self.groups());
        std::array::from_fn(|frame| {
            let t = (first + frame).checked_sub(1).filter(|&t| t < self.steps)?;
            Some(t * self.batch + b)
        })
    }

    /// The frames of `x [T, B, channels, space]` at [`Self::samples`].
    pub(crate) fn frames<'a>(&self, x: &'a [f32], channels: usize, part: usize) -> Frames<'a> {
        let sample = channels * self.space;
        self.samples(part).map(|at| at.map(|at| &x[at * sample..][..sample]))
    }

    /// First pixel and pixels of each panel.
    fn panels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let space = self.space;
        (0..space).step_by(PANEL).map(move |start| (start, PANEL.min(space - start)))
    }

    /// Up to four frames `y [O, space]` of six frames of `x`; all of them are written.
    pub(crate) fn part(
        &self,
        x: &Frames<'_>,
        packed: &[f32],
        bias: Option<&[f32]>,
        y: &mut [&mut [MaybeUninit<f32>]],
    ) {
        let [v_len, m_len] = [self.c_in, self.c_out].map(|channels| Spectrum::new(channels, PANEL).len(SIDE));
        with_scratch(SIDE * PANEL * LANES + v_len + m_len, |scratch| {
            let (lines, rest) = scratch.split_at_mut(SIDE * PANEL * LANES);
            let (v, m) = rest.split_at_mut(v_len);
            for (start, width) in self.panels() {
                let of_v = self.spectrum(x, self.c_in, (start, width), points_of_input, lines, v);
                let of_m = Spectrum::new(self.c_out, width);
                for (k, weights) in packed.chunks_exact(weight_stride([self.c_out, self.c_in])).enumerate() {
                    let (v, m) = (&v[k * of_v.stride()..], &mut m[k * of_m.stride()..]);
                    // SAFETY: `applies` found AVX2 and FMA.
                    unsafe { product(weights, v, of_v, m, of_m) };
                }
                for block in 0..of_m.blocks {
                    let (channels, first) =
                        (LANES.min(self.c_out - block * LANES), block * LANES * self.space);
                    let m = &m[block * of_m.block()..];
                    // SAFETY: as above.
                    unsafe { to_frames(m, of_m.stride(), width, lines, &start_of(bias, block)) };
                    for (y, line) in y.iter_mut().zip(lines.chunks_exact(PANEL * LANES)) {
                        let planes = &mut y[first + start..];
                        // SAFETY: as above.
                        unsafe { by_plane(&line[..width * LANES], planes, self.space, channels) };
                    }
                }
            }
        });
    }

    /// The frames' pixels `start..start + width` of all channels, transformed: frequency `k` to `to[k * stride ..]`.
    fn spectrum<const N: usize>(
        &self,
        frames: &[Option<&[f32]>; N],
        channels: usize,
        (start, width): (usize, usize),
        transform: unsafe fn(&[f32], usize, &mut [f32], usize),
        lines: &mut [f32],
        to: &mut [f32],
    ) -> Spectrum {
        let spectrum = Spectrum::new(channels, width);
        for block in 0..spectrum.blocks {
            let channels = LANES.min(channels - block * LANES);
            for (index, (frame, line)) in frames.iter().zip(lines.chunks_exact_mut(PANEL * LANES)).enumerate()
            {
                let line = &mut line[..width * LANES];
                let next = (index + 1) % N;
                let next_block = block + usize::from(next == 0);
                let ahead =
                    frames[next].and_then(|frame| frame.get(next_block * LANES * self.space + start..));
                fetch(ahead.unwrap_or_default(), self.space, width);
                if frame.is_none() || channels < LANES {
                    line.fill(0.0);
                }
                if let Some(frame) = frame {
                    let from = &frame[block * LANES * self.space + start..];
                    // SAFETY: `applies` found AVX2 and FMA.
                    unsafe { by_pixel(from, self.space, [channels, width], line, LANES) };
                }
            }
            // SAFETY: as above.
            unsafe { transform(lines, width, &mut to[block * spectrum.block()..], spectrum.stride()) };
        }
        spectrum
    }
}

/// Fetches `width` pixels of the first eight of `planes`, `plane` elements apart.
fn fetch(planes: &[f32], plane: usize, width: usize) {
    for row in planes.chunks(plane).take(LANES) {
        for line in row[..width.min(row.len())].chunks(CACHE_LINE) {
            // SAFETY: an address inside a slice.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
}

/// `B^T d` of `width` pixels of six lines `[6][PANEL][8]`: frequency `k` of pixel `p` goes to `v[k * stride + 8 p ..]`.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn points_of_input(lines: &[f32], width: usize, v: &mut [f32], stride: usize) {
    assert!(width <= PANEL && lines.len() >= SIDE * PANEL * LANES);
    assert!(v.len() >= (SIDE - 1) * stride + width * LANES);
    for p in (0..width * LANES).step_by(LANES) {
        // SAFETY: the assertions above.
        let frames = std::array::from_fn(|frame| unsafe {
            _mm256_loadu_ps(lines.as_ptr().add(frame * PANEL * LANES + p))
        });
        for (k, t) in points::of_input(frames).into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(v.as_mut_ptr().add(k * stride + p), t) };
        }
    }
}

/// `A dy` of `width` pixels of four lines, as [`points_of_input`].
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn points_of_gradient(lines: &[f32], width: usize, m: &mut [f32], stride: usize) {
    assert!(width <= PANEL && lines.len() >= TILE * PANEL * LANES);
    assert!(m.len() >= (SIDE - 1) * stride + width * LANES);
    for p in (0..width * LANES).step_by(LANES) {
        // SAFETY: the assertions above.
        let frames = std::array::from_fn(|frame| unsafe {
            _mm256_loadu_ps(lines.as_ptr().add(frame * PANEL * LANES + p))
        });
        for (k, t) in points::of_gradient(frames).into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(m.as_mut_ptr().add(k * stride + p), t) };
        }
    }
}

/// `A^T m + start` of `width` pixels to four lines `[4][PANEL][8]`.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn to_frames(m: &[f32], stride: usize, width: usize, lines: &mut [f32], start: &[f32; LANES]) {
    assert!(width <= PANEL && lines.len() >= TILE * PANEL * LANES);
    assert!(m.len() >= (SIDE - 1) * stride + width * LANES);
    // SAFETY: eight elements.
    let start = unsafe { _mm256_loadu_ps(start.as_ptr()) };
    for p in (0..width * LANES).step_by(LANES) {
        // SAFETY: the assertions above.
        let sums = std::array::from_fn(|k| unsafe { _mm256_loadu_ps(m.as_ptr().add(k * stride + p)) });
        for (frame, t) in points::to_output(sums).into_iter().enumerate() {
            // SAFETY: as above.
            unsafe {
                let to = lines.as_mut_ptr().add(frame * PANEL * LANES + p);
                _mm256_storeu_ps(to, _mm256_add_ps(t, start));
            }
        }
    }
}

/// `G w` in 64 bits.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_weight(
    channels: [usize; 2],
    at: impl Fn(usize, usize, usize) -> f32,
    packed: &mut [f32],
) {
    for (first, i) in lanes_of(channels) {
        let taps = gather::<3>(channels, (first, i), &at);
        for (k, u) in points::of_weight(taps).into_iter().enumerate() {
            put(u, &mut packed[weight_at(channels, k, first, i)..]);
        }
    }
}

/// `G^T dU` to each kernel of `dw [O, I]`.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_sums(channels: [usize; 2], sums: &[f32], dw: &mut [[f32; 3]]) {
    assert!(sums.len() >= SIDE * weight_stride(channels));
    for (first, i) in lanes_of(channels) {
        // SAFETY: eight output channels of one frequency and input channel lie together.
        let at = |k: usize| unsafe { _mm256_loadu_ps(sums.as_ptr().add(weight_at(channels, k, first, i))) };
        let mut taps = [[0.0; LANES]; 3];
        for (tap, t) in taps.iter_mut().zip(points::to_weight(std::array::from_fn(at))) {
            // SAFETY: eight elements.
            unsafe { _mm256_storeu_ps(tap.as_mut_ptr(), t) };
        }
        scatter(channels, (first, i), &taps, dw);
    }
}
