//! One lane without any instruction set: every processor has it, and `f64` is the reference instance.
//!
//! `f32::mul_add` rounds once on every processor; without an FMA instruction it is slow, and the same.

use super::math::{self, FloatBits};
use super::vector::{Job, Simd, Vector, Words};
use std::mem::MaybeUninit;

/// One `f32` at a time.
#[derive(Clone, Copy)]
pub(crate) struct PortableF32;

/// One `f64` at a time.
#[derive(Clone, Copy)]
pub(crate) struct PortableF64;

macro_rules! one_lane_vector {
    ($element:ty, $exp2:expr, $one_minus_exp2_neg:expr, $ln:expr) => {
        impl Vector for $element {
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                <$element>::mul_add(self, b, c)
            }
            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                <$element>::mul_add(-self, b, c)
            }
            #[inline(always)]
            fn mul_sub(self, b: Self, c: Self) -> Self {
                <$element>::mul_add(self, b, -c)
            }
            #[inline(always)]
            fn min_with(self, x: Self) -> Self {
                if self < x { self } else { x }
            }
            #[inline(always)]
            fn max_with(self, x: Self) -> Self {
                if self > x { self } else { x }
            }
            #[inline(always)]
            fn if_less(self, limit: Self, yes: Self, no: Self) -> Self {
                if self < limit { yes } else { no }
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$element>::abs(self)
            }
            #[inline(always)]
            fn marked_unless_equal(self, other: Self) -> Self {
                let magnitude = <$element>::abs(self);
                if self < other || other < self { -magnitude } else { magnitude }
            }
            #[inline(always)]
            fn where_unmarked(self, mark: Self) -> Self {
                if mark.is_sign_negative() { 0.0 } else { self }
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$element>::sqrt(self)
            }
            #[inline(always)]
            fn exp2(self) -> Self {
                $exp2(self)
            }
            #[inline(always)]
            fn one_minus_exp2_neg(self) -> Self {
                $one_minus_exp2_neg(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $ln(self)
            }
        }
    };
}

one_lane_vector!(f32, math::exp2::<f32>, math::one_minus_exp2_neg::<f32>, math::ln::<f32>);
one_lane_vector!(f64, f64::exp2, |x: f64| -(-x * std::f64::consts::LN_2).exp_m1(), f64::ln);

impl FloatBits for f32 {
    #[inline(always)]
    fn constant(self, value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn pow2_of_shifted(self) -> Self {
        let bits = self.to_bits();
        let table = math::POW2_SIXTEENTHS[(bits & 15) as usize];
        f32::from_bits((bits << math::TO_EXPONENT).wrapping_add(table))
    }
    #[inline(always)]
    fn mantissa_exponent(self) -> (Self, Self) {
        let bits = self.to_bits() as i32;
        let exponent = bits.wrapping_sub(math::SQRT_HALF_BITS) >> 23;
        (f32::from_bits(bits.wrapping_sub(exponent << 23) as u32), exponent as f32)
    }
}

impl Words for u32 {
    #[inline(always)]
    fn widening_mul(self, factor: Self) -> (Self, Self) {
        let product = u64::from(self) * u64::from(factor);
        ((product >> 32) as u32, product as u32)
    }
}

macro_rules! one_lane_simd {
    ($token:ident, $element:ty, $unit:expr) => {
        impl Simd for $token {
            type E = $element;
            type Chunk = [$element; 1];
            type NewChunk = [MaybeUninit<$element>; 1];
            type V = $element;
            type W = u32;
            type Tail = Self;
            const WIDTH: usize = 1;

            fn vectorize<J: Job<$element>>(self, job: J) {
                job.run(self);
            }
            #[inline(always)]
            fn tail(self) -> Self {
                self
            }
            #[inline(always)]
            fn splat(self, value: $element) -> $element {
                value
            }
            #[inline(always)]
            fn chunks(slice: &[$element]) -> &[[$element; 1]] {
                slice.as_chunks().0
            }
            #[inline(always)]
            fn chunks_mut(slice: &mut [$element]) -> &mut [[$element; 1]] {
                slice.as_chunks_mut().0
            }
            #[inline(always)]
            fn new_chunks(slice: &mut [MaybeUninit<$element>]) -> &mut [Self::NewChunk] {
                slice.as_chunks_mut().0
            }
            #[inline(always)]
            fn load(self, chunk: &[$element; 1]) -> $element {
                chunk[0]
            }
            #[inline(always)]
            fn store(self, value: $element, chunk: &mut [$element; 1]) {
                chunk[0] = value;
            }
            #[inline(always)]
            fn store_new(self, value: $element, chunk: &mut Self::NewChunk) {
                chunk[0].write(value);
            }
            #[inline(always)]
            fn map_lanes<const K: usize>(
                self,
                a: $element,
                b: $element,
                place: impl Fn($element, $element) -> [$element; K],
            ) -> [$element; K] {
                place(a, b)
            }
            #[inline(always)]
            fn words(self, word: u32) -> u32 {
                word
            }
            #[inline(always)]
            fn counting_words(self, first: u32) -> u32 {
                first
            }
            #[inline(always)]
            fn unit(self, word: u32) -> $element {
                $unit(word)
            }
        }
    };
}

one_lane_simd!(PortableF32, f32, ipnet_rng::unit_f32);
one_lane_simd!(PortableF64, f64, |word| f64::from(ipnet_rng::unit_f32(word)));
