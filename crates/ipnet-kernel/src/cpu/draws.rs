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

/// The keys of the ten rounds.
fn round_keys(seed: u64) -> [[u32; 2]; 10] {
    let (k0, k1) = (seed as u32, (seed >> 32) as u32);
    let mut keys = [[k0, k1]; 10];
    for round in 1..10 {
        let [k0, k1] = keys[round - 1];
        keys[round] = [k0.wrapping_add(0x9E37_79B9), k1.wrapping_add(0xBB67_AE85)];
    }
    keys
}

/// The words of the neurons from `offset` on, of `K` vectors side by side: a round waits for the one before, so one vector
/// alone would leave most of a processor's units idle.
#[inline(always)]
fn philox<S: Simd, const K: usize>(
    simd: S,
    place: &Place,
    keys: &[[u32; 2]; 10],
    offset: usize,
) -> [[S::W; 4]; K] {
    let mut vectors = [[simd.words(place.purpose as u32); 4]; K];
    for (k, c) in vectors.iter_mut().enumerate() {
        c[0] = simd.counting_words(place.neuron.wrapping_add((offset + k * S::WIDTH) as u32));
        c[2] = simd.words(place.step_block);
        c[3] = simd.words(place.layer);
    }
    let (m0, m1) = (simd.words(0xD251_1F53), simd.words(0xCD9E_8D57));
    for [k0, k1] in keys {
        let (k0, k1) = (simd.words(*k0), simd.words(*k1));
        for c in &mut vectors {
            let (h0, l0) = c[0].widening_mul(m0);
            let (h1, l1) = c[2].widening_mul(m1);
            *c = [h1 ^ c[1] ^ k0, l1, h0 ^ c[3] ^ k1, l0];
        }
    }
    vectors
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
        let keys = &round_keys(place.seed);
        let normal = place.purpose != Purpose::Firing;
        if S::WIDTH > 1 {
            let rows = [&mut *r0, &mut *r1, &mut *r2, &mut *r3];
            if normal {
                fill::<S, true>(simd, &place, keys, 0, rows);
            } else {
                fill::<S, false>(simd, &place, keys, 0, rows);
            }
        }
        let rest = [&mut r0[whole..], &mut r1[whole..], &mut r2[whole..], &mut r3[whole..]];
        fill_rest(simd.tail(), &place, keys, whole, rest);
    }
}

/// What is left over, compiled once for all instruction sets.
#[inline(never)]
fn fill_rest<S: Simd>(simd: S, place: &Place, keys: &[[u32; 2]; 10], start: usize, rows: [&mut [S::E]; 4]) {
    if place.purpose == Purpose::Firing {
        fill::<S, false>(simd, place, keys, start, rows);
    } else {
        fill::<S, true>(simd, place, keys, start, rows);
    }
}

#[inline(always)]
fn fill<S: Simd, const NORMAL: bool>(
    simd: S,
    place: &Place,
    keys: &[[u32; 2]; 10],
    start: usize,
    rows: [&mut [S::E]; 4],
) {
    let [r0, r1, r2, r3] = rows;
    let [r0, r1, r2, r3] = [S::chunks_mut(r0), S::chunks_mut(r1), S::chunks_mut(r2), S::chunks_mut(r3)];
    let pairs = |row: &mut [S::Chunk]| row.len() / 2 * 2;
    let even = pairs(r0);
    for i in (0..even).step_by(2) {
        let [first, second] = philox::<S, 2>(simd, place, keys, start + i * S::WIDTH);
        let rows = [&mut r0[i..], &mut r1[i..], &mut r2[i..], &mut r3[i..]];
        put::<S, NORMAL>(simd, first, rows);
        let i = i + 1;
        let rows = [&mut r0[i..], &mut r1[i..], &mut r2[i..], &mut r3[i..]];
        put::<S, NORMAL>(simd, second, rows);
    }
    for i in even..r0.len() {
        let [words] = philox::<S, 1>(simd, place, keys, start + i * S::WIDTH);
        let rows = [&mut r0[i..], &mut r1[i..], &mut r2[i..], &mut r3[i..]];
        put::<S, NORMAL>(simd, words, rows);
    }
}

/// Writes the numbers that `words` mean to the first chunk of each row.
#[inline(always)]
fn put<S: Simd, const NORMAL: bool>(simd: S, [a, b, c, d]: [S::W; 4], rows: [&mut [S::Chunk]; 4]) {
    let [v0, v1, v2, v3] = if NORMAL {
        let [z0, z1] = normal_pair(simd, a, b);
        let [z2, z3] = normal_pair(simd, c, d);
        [z0, z1, z2, z3]
    } else {
        [simd.unit(a), simd.unit(b), simd.unit(c), simd.unit(d)]
    };
    let [r0, r1, r2, r3] = rows;
    simd.store(v0, &mut r0[0]);
    simd.store(v1, &mut r1[0]);
    simd.store(v2, &mut r2[0]);
    simd.store(v3, &mut r3[0]);
}
