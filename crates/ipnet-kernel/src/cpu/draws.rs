//! Random numbers for a row of neurons, by coordinates.
//!
//! ```text
//! counter = (neuron, purpose, step / 4, layer),  key = seed
//! ```
//! One Philox block holds four steps of one neuron: word `step % 4`. Design decision: the lanes of a vector
//! are neighbouring neurons, so all four words of a block are vectors without any shuffle, and a CUDA thread
//! keeps its own four words in registers for four steps. Neurons are numbered below 2^32, steps below 2^34.

use super::math::sin_cos_turns;
use super::vector::{Job, Real, Simd, Vector, Words, whole_vectors};

/// What a draw is for: the second counter word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Purpose {
    /// A uniform number against the switching probability.
    Firing = 0,
    /// A normal number: the critical voltage from pulse to pulse.
    Cycle = 1,
    /// Four normal numbers: the device of a neuron.
    Device = 2,
}

/// Where a block of four steps lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub seed: u64,
    pub layer: u32,
    pub purpose: Purpose,
    /// Absolute step over four.
    pub step_block: u32,
    /// Absolute number of the first neuron of the row.
    pub neuron: u32,
}

/// Fills four rows with uniform or standard normal numbers: row k holds step `4 step_block + k`.
pub(crate) struct DrawRows<'a, E> {
    pub place: Place,
    pub rows: [&'a mut [E]; 4],
}

#[inline(always)]
fn philox<S: Simd>(simd: S, place: &Place, offset: usize) -> [S::W; 4] {
    let mut c = [
        simd.counting_words(place.neuron.wrapping_add(offset as u32)),
        simd.words(place.purpose as u32),
        simd.words(place.step_block),
        simd.words(place.layer),
    ];
    let (m0, m1) = (simd.words(0xD251_1F53), simd.words(0xCD9E_8D57));
    let (mut k0, mut k1) = (place.seed as u32, (place.seed >> 32) as u32);
    for _ in 0..10 {
        let (h0, l0) = c[0].widening_mul(m0);
        let (h1, l1) = c[2].widening_mul(m1);
        c = [h1 ^ c[1] ^ simd.words(k0), l1, h0 ^ c[3] ^ simd.words(k1), l0];
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    c
}

/// Two independent standard normal numbers (Box-Muller) of two uniform ones.
#[inline(always)]
fn normal_pair<S: Simd>(simd: S, a: S::W, b: S::W) -> [S::V; 2] {
    let c = |value: f64| simd.splat(S::E::from_f64(value));
    // 1 - u lies in (0, 1]: the smallest is 2^-24.
    let radius = (c(-2.0) * (c(1.0) - simd.unit(a)).ln()).max_with(c(0.0)).sqrt();
    let (sin, cos) = sin_cos_turns(simd, simd.unit(b));
    [radius * cos, radius * sin]
}

impl<E: Real> Job<E> for DrawRows<'_, E> {
    #[inline(always)]
    fn run<S: Simd<E = E>>(self, simd: S) {
        let Self { place, rows: [r0, r1, r2, r3] } = self;
        let whole = whole_vectors::<S>(r0.len());
        if S::WIDTH > 1 {
            fill(simd, &place, 0, [&mut *r0, &mut *r1, &mut *r2, &mut *r3]);
        }
        let rest = [&mut r0[whole..], &mut r1[whole..], &mut r2[whole..], &mut r3[whole..]];
        fill_rest(simd.tail(), &place, whole, rest);
    }
}

/// What is left over, compiled once for all instruction sets.
#[inline(never)]
fn fill_rest<S: Simd>(simd: S, place: &Place, start: usize, rows: [&mut [S::E]; 4]) {
    fill(simd, place, start, rows);
}

#[inline(always)]
fn fill<S: Simd>(simd: S, place: &Place, start: usize, rows: [&mut [S::E]; 4]) {
    let [r0, r1, r2, r3] = rows.map(S::chunks_mut);
    for (i, (((r0, r1), r2), r3)) in r0.iter_mut().zip(r1).zip(r2).zip(r3).enumerate() {
        let words = philox(simd, place, start + i * S::WIDTH);
        let [v0, v1, v2, v3] = if place.purpose == Purpose::Firing {
            words.map(|word| simd.unit(word))
        } else {
            let [z0, z1] = normal_pair(simd, words[0], words[1]);
            let [z2, z3] = normal_pair(simd, words[2], words[3]);
            [z0, z1, z2, z3]
        };
        simd.store(v0, r0);
        simd.store(v1, r1);
        simd.store(v2, r2);
        simd.store(v3, r3);
    }
}
