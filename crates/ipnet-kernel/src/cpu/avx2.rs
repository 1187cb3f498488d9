//! Eight lanes: AVX2 and FMA.

use super::math::{self, FloatBits};
use super::portable::PortableF32;
use super::vector::{Job, Simd, Vector, Words};
use std::arch::x86_64::*;
use std::mem::{MaybeUninit, transmute};
use std::ops::{Add, BitXor, Div, Mul, Neg, Sub};

/// Proof that this processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Eight `f32`; exists only where a [`Avx2`] does.
#[derive(Clone, Copy)]
pub(crate) struct F32x8(__m256);

/// Eight 32-bit words; exists only where a [`Avx2`] does.
#[derive(Clone, Copy)]
pub(crate) struct U32x8(__m256i);

impl Avx2 {
    /// The token, if this processor has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
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
        impl $trait for F32x8 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(intrinsic!($intrinsic(self.0, other.0)))
            }
        }
    };
}

operator!(Add, add, _mm256_add_ps);
operator!(Sub, sub, _mm256_sub_ps);
operator!(Mul, mul, _mm256_mul_ps);
operator!(Div, div, _mm256_div_ps);

impl Neg for F32x8 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(intrinsic!(_mm256_castsi256_ps(_mm256_xor_si256(
            _mm256_castps_si256(self.0),
            _mm256_set1_epi32(i32::MIN)
        ))))
    }
}

impl Vector for F32x8 {
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(intrinsic!(_mm256_fmadd_ps(self.0, b.0, c.0)))
    }
    #[inline(always)]
    fn neg_mul_add(self, b: Self, c: Self) -> Self {
        Self(intrinsic!(_mm256_fnmadd_ps(self.0, b.0, c.0)))
    }
    #[inline(always)]
    fn min_with(self, x: Self) -> Self {
        Self(intrinsic!(_mm256_min_ps(self.0, x.0)))
    }
    #[inline(always)]
    fn max_with(self, x: Self) -> Self {
        Self(intrinsic!(_mm256_max_ps(self.0, x.0)))
    }
    #[inline(always)]
    fn if_less(self, limit: Self, yes: Self, no: Self) -> Self {
        Self(intrinsic!(_mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, limit.0))))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(intrinsic!(_mm256_sqrt_ps(self.0)))
    }
    #[inline(always)]
    fn exp_parts(self) -> (Self, Self) {
        math::exp_parts(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        math::ln(self)
    }
}

impl FloatBits for F32x8 {
    #[inline(always)]
    fn constant(self, value: f32) -> Self {
        Self(intrinsic!(_mm256_set1_ps(value)))
    }
    #[inline(always)]
    fn pow2_of_shifted(self) -> Self {
        Self(intrinsic!({
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(self.0));
            _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(127 << 23)))
        }))
    }
    #[inline(always)]
    fn mantissa_exponent(self) -> (Self, Self) {
        intrinsic!({
            let bits = _mm256_castps_si256(self.0);
            let exponent =
                _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(math::SQRT_HALF_BITS)));
            let mantissa = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(exponent));
            (Self(_mm256_castsi256_ps(mantissa)), Self(_mm256_cvtepi32_ps(exponent)))
        })
    }
}

impl BitXor for U32x8 {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(intrinsic!(_mm256_xor_si256(self.0, other.0)))
    }
}

impl Words for U32x8 {
    #[inline(always)]
    fn widening_mul(self, factor: Self) -> (Self, Self) {
        intrinsic!({
            let even = _mm256_mul_epu32(self.0, factor.0);
            let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(self.0), factor.0);
            let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
            let low = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
            (Self(high), Self(low))
        })
    }
}

impl Simd for Avx2 {
    type E = f32;
    type Chunk = [f32; 8];
    type NewChunk = [MaybeUninit<f32>; 8];
    type V = F32x8;
    type W = U32x8;
    type Tail = PortableF32;
    const WIDTH: usize = 8;

    fn vectorize<J: Job<f32>>(self, job: J) {
        #[target_feature(enable = "avx2,fma")]
        fn with_feature<J: Job<f32>>(simd: Avx2, job: J) {
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
    fn splat(self, value: f32) -> F32x8 {
        F32x8(intrinsic!(_mm256_set1_ps(value)))
    }
    #[inline(always)]
    fn chunks(slice: &[f32]) -> &[[f32; 8]] {
        slice.as_chunks().0
    }
    #[inline(always)]
    fn chunks_mut(slice: &mut [f32]) -> &mut [[f32; 8]] {
        slice.as_chunks_mut().0
    }
    #[inline(always)]
    fn new_chunks(slice: &mut [MaybeUninit<f32>]) -> &mut [Self::NewChunk] {
        slice.as_chunks_mut().0
    }
    #[inline(always)]
    fn load(self, chunk: &[f32; 8]) -> F32x8 {
        // SAFETY: both are 8 floats without any other content.
        F32x8(unsafe { transmute::<[f32; 8], __m256>(*chunk) })
    }
    #[inline(always)]
    fn store(self, value: F32x8, chunk: &mut [f32; 8]) {
        // SAFETY: both are 8 floats without any other content.
        *chunk = unsafe { transmute::<__m256, [f32; 8]>(value.0) };
    }
    #[inline(always)]
    fn store_new(self, value: F32x8, chunk: &mut Self::NewChunk) {
        // SAFETY: both have room for 8 floats, written or not.
        *chunk = unsafe { transmute::<__m256, Self::NewChunk>(value.0) };
    }
    #[inline(always)]
    fn map_lanes<const K: usize>(
        self,
        a: F32x8,
        b: F32x8,
        place: impl Fn(f32, f32) -> [f32; K],
    ) -> [F32x8; K] {
        let (mut lanes_a, mut lanes_b) = ([0.0; 8], [0.0; 8]);
        self.store(a, &mut lanes_a);
        self.store(b, &mut lanes_b);
        let mut found = [[0.0; 8]; K];
        for lane in 0..8 {
            let values = place(lanes_a[lane], lanes_b[lane]);
            for (row, value) in found.iter_mut().zip(values) {
                row[lane] = value;
            }
        }
        found.map(|row| self.load(&row))
    }
    #[inline(always)]
    fn words(self, word: u32) -> U32x8 {
        U32x8(intrinsic!(_mm256_set1_epi32(word as i32)))
    }
    #[inline(always)]
    fn counting_words(self, first: u32) -> U32x8 {
        U32x8(intrinsic!({
            let count = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_add_epi32(_mm256_set1_epi32(first as i32), count)
        }))
    }
    #[inline(always)]
    fn unit(self, words: U32x8) -> F32x8 {
        F32x8(intrinsic!({
            let whole = _mm256_cvtepi32_ps(_mm256_srli_epi32::<8>(words.0));
            _mm256_mul_ps(whole, _mm256_set1_ps(1.0 / 16_777_216.0))
        }))
    }
}
