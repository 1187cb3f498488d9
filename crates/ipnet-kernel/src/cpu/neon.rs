//! Four lanes: NEON, which every 64-bit Arm processor has.

use super::math::{self, FloatBits};
use super::portable::PortableF32;
use super::vector::{Job, Simd, Vector, Words};
use std::arch::aarch64::*;
use std::mem::{MaybeUninit, transmute};
use std::ops::{Add, BitXor, Div, Mul, Neg, Sub};

/// Proof that this processor has NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

/// Four `f32`; exists only where a [`Neon`] does.
#[derive(Clone, Copy)]
pub(crate) struct F32x4(float32x4_t);

/// Four 32-bit words; exists only where a [`Neon`] does.
#[derive(Clone, Copy)]
pub(crate) struct U32x4(uint32x4_t);

impl Neon {
    /// The token, if this processor has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
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
        impl $trait for F32x4 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(intrinsic!($intrinsic(self.0, other.0)))
            }
        }
    };
}

operator!(Add, add, vaddq_f32);
operator!(Sub, sub, vsubq_f32);
operator!(Mul, mul, vmulq_f32);
operator!(Div, div, vdivq_f32);

impl Neg for F32x4 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(intrinsic!(vnegq_f32(self.0)))
    }
}

impl Vector for F32x4 {
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(intrinsic!(vfmaq_f32(c.0, self.0, b.0)))
    }
    #[inline(always)]
    fn neg_mul_add(self, b: Self, c: Self) -> Self {
        Self(intrinsic!(vfmsq_f32(c.0, self.0, b.0)))
    }
    #[inline(always)]
    fn mul_sub(self, b: Self, c: Self) -> Self {
        Self(intrinsic!(vfmaq_f32(vnegq_f32(c.0), self.0, b.0)))
    }
    #[inline(always)]
    fn min_with(self, x: Self) -> Self {
        self.if_less(x, self, x)
    }
    #[inline(always)]
    fn max_with(self, x: Self) -> Self {
        x.if_less(self, self, x)
    }
    #[inline(always)]
    fn if_less(self, limit: Self, yes: Self, no: Self) -> Self {
        Self(intrinsic!(vbslq_f32(vcltq_f32(self.0, limit.0), yes.0, no.0)))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(intrinsic!(vabsq_f32(self.0)))
    }
    #[inline(always)]
    fn marked_unless_equal(self, other: Self) -> Self {
        Self(intrinsic!({
            let unlike = vorrq_u32(vcltq_f32(self.0, other.0), vcltq_f32(other.0, self.0));
            let mark = vshlq_n_u32::<31>(unlike);
            vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(vabsq_f32(self.0)), mark))
        }))
    }
    #[inline(always)]
    fn where_unmarked(self, mark: Self) -> Self {
        Self(intrinsic!({
            let marked = vshrq_n_s32::<31>(vreinterpretq_s32_f32(mark.0));
            vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(self.0), vreinterpretq_u32_s32(marked)))
        }))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(intrinsic!(vsqrtq_f32(self.0)))
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

impl FloatBits for F32x4 {
    #[inline(always)]
    fn constant(self, value: f32) -> Self {
        Self(intrinsic!(vdupq_n_f32(value)))
    }
    #[inline(always)]
    fn pow2_of_shifted(self) -> Self {
        // SAFETY: both are sixty-four bytes without any other content.
        let table = unsafe { transmute::<[u32; 16], uint8x16x4_t>(math::POW2_SIXTEENTHS) };
        Self(intrinsic!({
            let bits = vreinterpretq_u32_f32(self.0);
            let place = vandq_u32(bits, vdupq_n_u32(15));
            // The four bytes of word k lie at 4k to 4k + 3.
            let bytes = vmlaq_u32(vdupq_n_u32(0x0302_0100), place, vdupq_n_u32(0x0404_0404));
            let entry = vreinterpretq_u32_u8(vqtbl4q_u8(table, vreinterpretq_u8_u32(bytes)));
            let exponent = vshlq_n_u32::<{ math::TO_EXPONENT as i32 }>(bits);
            vreinterpretq_f32_u32(vaddq_u32(exponent, entry))
        }))
    }
    #[inline(always)]
    fn mantissa_exponent(self) -> (Self, Self) {
        intrinsic!({
            let bits = vreinterpretq_s32_f32(self.0);
            let exponent = vshrq_n_s32::<23>(vsubq_s32(bits, vdupq_n_s32(math::SQRT_HALF_BITS)));
            let mantissa = vsubq_s32(bits, vshlq_n_s32::<23>(exponent));
            (Self(vreinterpretq_f32_s32(mantissa)), Self(vcvtq_f32_s32(exponent)))
        })
    }
}

impl BitXor for U32x4 {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(intrinsic!(veorq_u32(self.0, other.0)))
    }
}

impl Words for U32x4 {
    #[inline(always)]
    fn widening_mul(self, factor: Self) -> (Self, Self) {
        intrinsic!({
            let first = vmull_u32(vget_low_u32(self.0), vget_low_u32(factor.0));
            let last = vmull_high_u32(self.0, factor.0);
            let (first, last) = (vreinterpretq_u32_u64(first), vreinterpretq_u32_u64(last));
            (Self(vuzp2q_u32(first, last)), Self(vuzp1q_u32(first, last)))
        })
    }
}

impl Simd for Neon {
    type E = f32;
    type Chunk = [f32; 4];
    type NewChunk = [MaybeUninit<f32>; 4];
    type V = F32x4;
    type W = U32x4;
    type Tail = PortableF32;
    const WIDTH: usize = 4;

    fn vectorize<J: Job<f32>>(self, job: J) {
        #[target_feature(enable = "neon")]
        fn with_feature<J: Job<f32>>(simd: Neon, job: J) {
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
    fn splat(self, value: f32) -> F32x4 {
        F32x4(intrinsic!(vdupq_n_f32(value)))
    }
    #[inline(always)]
    fn chunks(slice: &[f32]) -> &[[f32; 4]] {
        slice.as_chunks().0
    }
    #[inline(always)]
    fn chunks_mut(slice: &mut [f32]) -> &mut [[f32; 4]] {
        slice.as_chunks_mut().0
    }
    #[inline(always)]
    fn new_chunks(slice: &mut [MaybeUninit<f32>]) -> &mut [Self::NewChunk] {
        slice.as_chunks_mut().0
    }
    #[inline(always)]
    fn load(self, chunk: &[f32; 4]) -> F32x4 {
        // SAFETY: both are 4 floats without any other content.
        F32x4(unsafe { transmute::<[f32; 4], float32x4_t>(*chunk) })
    }
    #[inline(always)]
    fn store(self, value: F32x4, chunk: &mut [f32; 4]) {
        // SAFETY: both are 4 floats without any other content.
        *chunk = unsafe { transmute::<float32x4_t, [f32; 4]>(value.0) };
    }
    #[inline(always)]
    fn store_new(self, value: F32x4, chunk: &mut Self::NewChunk) {
        // SAFETY: both have room for 4 floats, written or not.
        *chunk = unsafe { transmute::<float32x4_t, Self::NewChunk>(value.0) };
    }
    #[inline(always)]
    fn map_lanes<const K: usize>(
        self,
        a: F32x4,
        b: F32x4,
        place: impl Fn(f32, f32) -> [f32; K],
    ) -> [F32x4; K] {
        let (mut lanes_a, mut lanes_b) = ([0.0; 4], [0.0; 4]);
        self.store(a, &mut lanes_a);
        self.store(b, &mut lanes_b);
        let mut found = [[0.0; 4]; K];
        for lane in 0..4 {
            let values = place(lanes_a[lane], lanes_b[lane]);
            for (row, value) in found.iter_mut().zip(values) {
                row[lane] = value;
            }
        }
        found.map(|row| self.load(&row))
    }
    #[inline(always)]
    fn words(self, word: u32) -> U32x4 {
        U32x4(intrinsic!(vdupq_n_u32(word)))
    }
    #[inline(always)]
    fn counting_words(self, first: u32) -> U32x4 {
        let lanes = [first, first.wrapping_add(1), first.wrapping_add(2), first.wrapping_add(3)];
        // SAFETY: the array holds 4 words; `self` proves the feature.
        U32x4(unsafe { vld1q_u32(lanes.as_ptr()) })
    }
    #[inline(always)]
    fn unit(self, words: U32x4) -> F32x4 {
        F32x4(intrinsic!(vmulq_n_f32(vcvtq_f32_u32(vshrq_n_u32::<8>(words.0)), 1.0 / 16_777_216.0)))
    }
}
