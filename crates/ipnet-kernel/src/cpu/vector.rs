//! What a kernel may ask of a processor: one trait for its lanes, implemented once per instruction set.
//!
//! Design decision: a kernel is written once, generic over [`Simd`], and every operation here has one
//! correctly rounded result (IEEE add, multiply, divide, square root and fused multiply-add; minimum and
//! maximum with a stated rule). So AVX-512, AVX2, NEON and the portable lanes give the same bits, a sampled
//! spike is the same on all of them, and the last neurons of a block may run through the one-lane
//! instance. An approximate reciprocal would be faster on some processors and different on each.
//!
//! A value of type [`Simd::V`] can only be made from a token, and a token only where the processor has the
//! instructions: so the operators are safe.

use std::fmt::Debug;
use std::mem::MaybeUninit;
use std::ops::{Add, BitXor, Div, Mul, Neg, Range, Sub};

/// Element of a scan: `f32`, and `f64` for the reference instance of the same kernels.
pub(crate) trait Real:
    Copy
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Into<f64>
{
    /// Nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The value, exactly.
    fn to_f64(self) -> f64;
}

impl Real for f32 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

/// One vector of elements.
pub(crate) trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// `self * b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `c - self * b`, rounded once.
    fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// `self * b - c`, rounded once.
    fn mul_sub(self, b: Self, c: Self) -> Self;
    /// `self < x ? self : x`: a NaN in `x` comes through.
    fn min_with(self, x: Self) -> Self;
    /// `self > x ? self : x`: a NaN in `x` comes through.
    fn max_with(self, x: Self) -> Self;
    /// `self < limit ? yes : no`, lane by lane.
    fn if_less(self, limit: Self, yes: Self, no: Self) -> Self;
    /// The magnitude.
    fn abs(self) -> Self;
    /// The magnitude, with the sign set as a mark unless `self` and `other` are equal or one is a NaN, lane by lane.
    fn marked_unless_equal(self, other: Self) -> Self;
    /// `self` where the sign of `mark` is clear, else 0, lane by lane.
    fn where_unmarked(self, mark: Self) -> Self;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// `2^self`, for `self` in [-126, 127].
    fn exp2(self) -> Self;
    /// `1 - 2^-self`, for `self` in [0, 126].
    fn one_minus_exp2_neg(self) -> Self;
    /// Natural logarithm of a positive normal number.
    fn ln(self) -> Self;
}

/// One vector of random words.
pub(crate) trait Words: Copy + BitXor<Output = Self> {
    /// High and low halves of the 64-bit products with `factor`.
    fn widening_mul(self, factor: Self) -> (Self, Self);
}

/// A token for an instruction set that this processor has.
pub(crate) trait Simd: Copy {
    /// Element type.
    type E: Real;
    /// Elements that are loaded and stored at once: `[E; WIDTH]`.
    type Chunk: Copy;
    /// The same before anything was written there: `[MaybeUninit<E>; WIDTH]`.
    type NewChunk;
    /// Vector of elements.
    type V: Vector;
    /// Vector of as many 32-bit words.
    type W: Words;
    /// One lane of the same element type, for what is left over.
    type Tail: Simd<E = Self::E>;
    /// Elements in a vector.
    const WIDTH: usize;
    /// Whether there are registers for two stages of a loop side by side.
    const PIPELINED: bool = false;

    /// Runs `job` compiled for this instruction set.
    fn vectorize<J: Job<Self::E>>(self, job: J);
    /// The one-lane instance.
    fn tail(self) -> Self::Tail;
    /// All lanes equal.
    fn splat(self, value: Self::E) -> Self::V;
    /// `slice` as whole vectors; what is left over is not in it.
    fn chunks(slice: &[Self::E]) -> &[Self::Chunk];
    /// `slice` as whole vectors; what is left over is not in it.
    fn chunks_mut(slice: &mut [Self::E]) -> &mut [Self::Chunk];
    /// Unwritten `slice` as whole vectors; what is left over is not in it.
    fn new_chunks(slice: &mut [MaybeUninit<Self::E>]) -> &mut [Self::NewChunk];
    /// Reads a vector.
    fn load(self, chunk: &Self::Chunk) -> Self::V;
    /// Writes a vector.
    fn store(self, value: Self::V, chunk: &mut Self::Chunk);
    /// Writes a vector where nothing was written before.
    fn store_new(self, value: Self::V, chunk: &mut Self::NewChunk);
    /// [`Simd::store_new`] past the caches, where the instruction set has that and the place is aligned. Another thread
    /// may read it after [`Simd::finish_streams`].
    #[inline(always)]
    fn stream(self, value: Self::V, chunk: &mut Self::NewChunk) {
        self.store_new(value, chunk);
    }
    /// [`Simd::stream`] where the result is larger than the caches, else [`Simd::store_new`].
    #[inline(always)]
    fn put(self, value: Self::V, chunk: &mut Self::NewChunk, past_cache: bool) {
        if past_cache {
            self.stream(value, chunk);
        } else {
            self.store_new(value, chunk);
        }
    }
    /// Orders what was streamed before what is written next.
    #[inline(always)]
    fn finish_streams(self) {}
    /// Asks for a place that is read soon, where the instruction set can.
    #[inline(always)]
    fn prefetch(self, _chunk: &Self::Chunk) {}
    /// Lane `i` is `place(a_i, b_i)[k]` in vector `k`: for look-ups, lane by lane.
    fn map_lanes<const K: usize>(
        self,
        a: Self::V,
        b: Self::V,
        place: impl Fn(Self::E, Self::E) -> [Self::E; K],
    ) -> [Self::V; K];
    /// All words equal.
    fn words(self, word: u32) -> Self::W;
    /// `first, first + 1, ..`, wrapping.
    fn counting_words(self, first: u32) -> Self::W;
    /// Uniform numbers in `[0, 1)` from the upper 24 bits of each word.
    fn unit(self, words: Self::W) -> Self::V;
}

/// How many of `len` elements whole vectors cover; none for one lane, which takes them all as what is left over.
#[inline(always)]
pub(crate) fn whole_vectors<S: Simd>(len: usize) -> usize {
    if S::WIDTH == 1 { 0 } else { len / S::WIDTH * S::WIDTH }
}

/// A piece of work that is compiled once per instruction set.
pub(crate) trait Job<E> {
    /// Does the work over all of its slices.
    fn run<S: Simd<E = E>>(self, simd: S);
}

/// Work on the columns of a block: whole vectors of them, then what is left over one by one.
pub(crate) trait Columns<E: Real> {
    /// How many columns there are.
    fn columns(&self) -> usize;
    /// Does the work for columns `range`, a multiple of the vector's width. Marked `#[inline(always)]` by every
    /// implementation: what is not inlined is compiled without the instruction set.
    fn part<S: Simd<E = E>>(&mut self, simd: S, range: Range<usize>);
}

/// [`Columns`] as a job.
pub(crate) struct ByColumns<W>(pub W);

impl<E: Real, W: Columns<E>> Job<E> for ByColumns<W> {
    #[inline(always)]
    fn run<S: Simd<E = E>>(mut self, simd: S) {
        let len = self.0.columns();
        let whole = whole_vectors::<S>(len);
        if S::WIDTH > 1 {
            self.0.part(simd, 0..whole);
        }
        if whole < len {
            rest(&mut self.0, simd.tail(), whole..len);
        }
    }
}

/// What is left over, compiled once for all instruction sets.
#[inline(never)]
fn rest<S: Simd, W: Columns<S::E>>(work: &mut W, simd: S, range: Range<usize>) {
    work.part(simd, range);
}
