//! Sixteen lanes: AVX-512F.

use super::math::{self, FloatBits};
use super::portable::PortableF32;
use super::vector::{Job, Simd, Vector, Words};
use std::arch::x86_64::*;
use std::mem::{MaybeUninit, transmute};
use std::ops::{Add, BitXor, Div, Mul, Neg, Sub};

/// Proof that this processor has AVX-512F.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// Sixteen `f32`; exists only where a [`Avx512`] does.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

/// Sixteen 32-bit words, those of the even and those of the odd lanes, each in the lower half of 64 bits with anything above
/// it: as the multiplication takes them. Exists only where a [`Avx512`] does.
#[derive(Clone, Copy)]
pub(crate) struct U32x16(__m512i, __m512i);

impl Avx512 {
    /// The token, if this processor has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

/// Calls intrinsics of this instruction set.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: the values this is called with exist only where a token was detected, so the processor has
        // the instruction; none of the intrinsics called here touches memory.
        unsafe { $call }
    };
}

macro_rules! operator {
    ($trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for F32x16 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(intrinsic!($intrinsic(self.0, other.0)))
            }
        }
    };
}

operator!(Add, add, _mm512_add_ps);
operator!(Sub, sub, _mm512_sub_ps);
operator!(Mul, mul, _mm512_mul_ps);
operator!(Div, div, _mm512_div_ps);

impl Neg for F32x16 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(intrinsic!(_mm512_castsi512_ps(_mm512_xor_si512(
            _mm512_castps_si512(self.0),
            _mm512_set1_epi32(i32::MIN)
        ))))
    }
}

impl Vector for F32x16 {
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(intrinsic!(_mm512_fmadd_ps(self.0, b.0, c.0)))
    }
    #[inline(always)]
    fn neg_mul_add(self, b: Self, c: Self) -> Self {
        Self(intrinsic!(_mm512_fnmadd_ps(self.0, b.0, c.0)))
    }
    #[inline(always)]
    fn mul_sub(self, b: Self, c: Self) -> Self {
        Self(intrinsic!(_mm512_fmsub_ps(self.0, b.0, c.0)))
    }
    #[inline(always)]
    fn min_with(self, x: Self) -> Self {
        Self(intrinsic!(_mm512_min_ps(self.0, x.0)))
    }
    #[inline(always)]
    fn max_with(self, x: Self) -> Self {
        Self(intrinsic!(_mm512_max_ps(self.0, x.0)))
    }
    #[inline(always)]
    fn if_less(self, limit: Self, yes: Self, no: Self) -> Self {
        Self(intrinsic!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, limit.0), no.0, yes.0)))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        let magnitude = intrinsic!(_mm512_set1_epi32(i32::MAX));
        Self(intrinsic!(_mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(self.0), magnitude))))
    }
    #[inline(always)]
    fn marked_unless_equal(self, other: Self) -> Self {
        intrinsic!({
            let unlike = _mm512_cmp_ps_mask::<_CMP_NEQ_OQ>(self.0, other.0);
            let magnitude = _mm512_castps_si512(self.abs().0);
            let sign = _mm512_set1_epi32(i32::MIN);
            Self(_mm512_castsi512_ps(_mm512_mask_or_epi32(magnitude, unlike, magnitude, sign)))
        })
    }
    #[inline(always)]
    fn where_unmarked(self, mark: Self) -> Self {
        intrinsic!({
            let marked = _mm512_srai_epi32::<31>(_mm512_castps_si512(mark.0));
            Self(_mm512_castsi512_ps(_mm512_andnot_si512(marked, _mm512_castps_si512(self.0))))
        })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(intrinsic!(_mm512_sqrt_ps(self.0)))
    }
    #[inline(always)]
    fn exp2(self) -> Self {
        math::exp2(self)
    }
    #[inline(always)]
    fn one_minus_exp2_neg(self) -> Self {
        math::one_minus_exp2_neg(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        math::ln(self)
    }
}

impl FloatBits for F32x16 {
    #[inline(always)]
    fn constant(self, value: f32) -> Self {
        Self(intrinsic!(_mm512_set1_ps(value)))
    }
    #[inline(always)]
    fn pow2_of_shifted(self) -> Self {
        // SAFETY: both are sixteen words without any other content.
        let table = unsafe { transmute::<[u32; 16], __m512i>(math::POW2_SIXTEENTHS) };
        Self(intrinsic!({
            let bits = _mm512_castps_si512(self.0);
            let entry = _mm512_permutexvar_epi32(bits, table);
            let exponent = _mm512_slli_epi32::<{ math::TO_EXPONENT }>(bits);
            _mm512_castsi512_ps(_mm512_add_epi32(exponent, entry))
        }))
    }
    #[inline(always)]
    fn mantissa_exponent(self) -> (Self, Self) {
        intrinsic!({
            let bits = _mm512_castps_si512(self.0);
            let exponent =
                _mm512_srai_epi32::<23>(_mm512_sub_epi32(bits, _mm512_set1_epi32(math::SQRT_HALF_BITS)));
            let mantissa = _mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(exponent));
            (Self(_mm512_castsi512_ps(mantissa)), Self(_mm512_cvtepi32_ps(exponent)))
        })
    }
}

impl BitXor for U32x16 {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        intrinsic!(Self(_mm512_xor_si512(self.0, other.0), _mm512_xor_si512(self.1, other.1)))
    }
}

impl Words for U32x16 {
    #[inline(always)]
    fn widening_mul(self, factor: Self) -> (Self, Self) {
        intrinsic!({
            let (even, odd) = (_mm512_mul_epu32(self.0, factor.0), _mm512_mul_epu32(self.1, factor.1));
            (Self(_mm512_srli_epi64::<32>(even), _mm512_srli_epi64::<32>(odd)), Self(even, odd))
        })
    }
}

impl Simd for Avx512 {
    type E = f32;
    type Chunk = [f32; 16];
    type NewChunk = [MaybeUninit<f32>; 16];
    type V = F32x16;
    type W = U32x16;
    type Tail = PortableF32;
    const WIDTH: usize = 16;
    const PIPELINED: bool = true;

    fn vectorize<J: Job<f32>>(self, job: J) {
        #[target_feature(enable = "avx512f")]
        fn with_feature<J: Job<f32>>(simd: Avx512, job: J) {
            job.run(simd);
        }
        // SAFETY: `self` exists, so the processor has the features.
        unsafe { with_feature(self, job) }
    }
    #[inline(always)]
    fn tail(self) -> PortableF32 {
        PortableF32
    }
    #[inline(always)]
    fn splat(self, value: f32) -> F32x16 {
        F32x16(intrinsic!(_mm512_set1_ps(value)))
    }
    #[inline(always)]
    fn chunks(slice: &[f32]) -> &[[f32; 16]] {
        slice.as_chunks().0
    }
    #[inline(always)]
    fn chunks_mut(slice: &mut [f32]) -> &mut [[f32; 16]] {
        slice.as_chunks_mut().0
    }
    #[inline(always)]
    fn new_chunks(slice: &mut [MaybeUninit<f32>]) -> &mut [Self::NewChunk] {
        slice.as_chunks_mut().0
    }
    #[inline(always)]
    fn load(self, chunk: &[f32; 16]) -> F32x16 {
        // SAFETY: both are 16 floats without any other content.
        F32x16(unsafe { transmute::<[f32; 16], __m512>(*chunk) })
    }
    #[inline(always)]
    fn store(self, value: F32x16, chunk: &mut [f32; 16]) {
        // SAFETY: both are 16 floats without any other content.
        *chunk = unsafe { transmute::<__m512, [f32; 16]>(value.0) };
    }
    #[inline(always)]
    fn store_new(self, value: F32x16, chunk: &mut Self::NewChunk) {
        // SAFETY: both have room for 16 floats, written or not.
        *chunk = unsafe { transmute::<__m512, Self::NewChunk>(value.0) };
    }
    #[inline(always)]
    fn stream(self, value: F32x16, chunk: &mut Self::NewChunk) {
        let place = chunk.as_mut_ptr().cast::<f32>();
        if !place.addr().is_multiple_of(64) {
            return self.store_new(value, chunk);
        }
        // SAFETY: the chunk has room for 16 floats and starts on 64 bytes.
        unsafe { _mm512_stream_ps(place, value.0) };
    }
    #[inline(always)]
    fn finish_streams(self) {
        intrinsic!(_mm_sfence());
    }
    #[inline(always)]
    fn prefetch(self, chunk: &Self::Chunk) {
        // SAFETY: a prefetch has no effect but on the caches.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(chunk.as_ptr().cast()) };
    }
    #[inline(always)]
    fn map_lanes<const K: usize>(
        self,
        a: F32x16,
        b: F32x16,
        place: impl Fn(f32, f32) -> [f32; K],
    ) -> [F32x16; K] {
        let (mut lanes_a, mut lanes_b) = ([0.0; 16], [0.0; 16]);
        self.store(a, &mut lanes_a);
        self.store(b, &mut lanes_b);
        let mut found = [[0.0; 16]; K];
        for lane in 0..16 {
            let values = place(lanes_a[lane], lanes_b[lane]);
            for (row, value) in found.iter_mut().zip(values) {
                row[lane] = value;
            }
        }
        found.map(|row| self.load(&row))
    }
    #[inline(always)]
    fn words(self, word: u32) -> U32x16 {
        let all = intrinsic!(_mm512_set1_epi32(word as i32));
        U32x16(all, all)
    }
    #[inline(always)]
    fn counting_words(self, first: u32) -> U32x16 {
        intrinsic!({
            let first = _mm512_set1_epi32(first as i32);
            let even = _mm512_setr_epi32(0, 0, 2, 0, 4, 0, 6, 0, 8, 0, 10, 0, 12, 0, 14, 0);
            let even = _mm512_add_epi32(first, even);
            U32x16(even, _mm512_add_epi32(even, _mm512_set1_epi32(1)))
        })
    }
    #[inline(always)]
    fn unit(self, words: U32x16) -> F32x16 {
        F32x16(intrinsic!({
            let odd = _mm512_slli_epi64::<32>(words.1);
            let lanes = _mm512_mask_blend_epi32(0b1010_1010_1010_1010, words.0, odd);
            let whole = _mm512_cvtepi32_ps(_mm512_srli_epi32::<8>(lanes));
            _mm512_mul_ps(whole, _mm512_set1_ps(1.0 / 16_777_216.0))
        }))
    }
}
