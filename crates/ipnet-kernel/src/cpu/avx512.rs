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

/// Sixteen 32-bit words; exists only where a [`Avx512`] does.
#[derive(Clone, Copy)]
pub(crate) struct U32x16(__m512i);

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
    fn where_equal(self, a: Self, b: Self) -> Self {
        Self(intrinsic!(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_UQ>(a.0, b.0), self.0)))
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
        Self(intrinsic!(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(self.0)))))
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
        Self(intrinsic!(_mm512_xor_si512(self.0, other.0)))
    }
}

impl Words for U32x16 {
    #[inline(always)]
    fn widening_mul(self, factor: Self) -> (Self, Self) {
        intrinsic!({
            let even = _mm512_mul_epu32(self.0, factor.0);
            let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(self.0), factor.0);
            let high = _mm512_mask_blend_epi32(0b1010_1010_1010_1010, _mm512_srli_epi64::<32>(even), odd);
            let low = _mm512_mask_blend_epi32(0b1010_1010_1010_1010, even, _mm512_slli_epi64::<32>(odd));
            (Self(high), Self(low))
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
        unsafe { _mm_prefetch::<_MM_HINT_T0>(chunk.as_ptr().cast()) };
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
        U32x16(intrinsic!(_mm512_set1_epi32(word as i32)))
    }
    #[inline(always)]
    fn counting_words(self, first: u32) -> U32x16 {
        U32x16(intrinsic!({
            let count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            _mm512_add_epi32(_mm512_set1_epi32(first as i32), count)
        }))
    }
    #[inline(always)]
    fn unit(self, words: U32x16) -> F32x16 {
        F32x16(intrinsic!({
            let whole = _mm512_cvtepi32_ps(_mm512_srli_epi32::<8>(words.0));
            _mm512_mul_ps(whole, _mm512_set1_ps(1.0 / 16_777_216.0))
        }))
    }
}
