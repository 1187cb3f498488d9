//! Elementary functions on `f32` lanes, made of correctly rounded operations only.
//!
//! | function | range | relative error |
//! |---|---|---|
//! | [`exp2`] | [-126, 127] | < 6e-7 (polynomial 4.3e-7) |
//! | [`one_minus_exp2_neg`], `1 - 2^-x` | [0, 126] | < 5e-7, near 0 too (polynomial 1.1e-7) |
//! | [`ln`] | positive normal | < 3e-7 away from 1, and of `x - 1` near 1 (polynomial 3.4e-9) |
//! | [`sin_cos_turns`] | [0, 1) | absolute < 2e-7 |
//!
//! Coefficients: minimax of the relative error over the reduced range (`ln`: interpolation at its Chebyshev nodes),
//! rounded to `f32`.
//!
//! Design decision: powers of two, not of e. The kernels fold log2(e) into their constants, and the reduction to what is
//! left of `x` beside a sixteenth is exact in one subtraction, where one by ln 2 takes two multiplications. The sixteenths
//! of an octave are a table of sixteen, which fits one register of AVX-512 and is looked up there in one instruction: the
//! polynomials then need half the multiplications, which are what the scans wait for.

use super::vector::{Simd, Vector};
use std::f32::consts::LN_2;

/// What the exponent arithmetic of [`exp2`] and [`ln`] needs of a lane's bits.
pub(crate) trait FloatBits: Vector {
    /// All lanes equal.
    fn constant(self, value: f32) -> Self;
    /// `2^n` where `self` is `n + 127 + 1.5 * 2^19` for a multiple n of 1/16 in [-126, 127]: the low twelve bits of the
    /// mantissa are those of n, and what [`POW2_SIXTEENTHS`] has for the last four is added to the others, moved to the
    /// exponent.
    fn pow2_of_shifted(self) -> Self;
    /// `(m, e)` with `self = m 2^e` and m in [sqrt(1/2), sqrt(2)), for a positive normal number.
    fn mantissa_exponent(self) -> (Self, Self);
}

/// `1.5 * 2^19 + 127`: adding it leaves the nearest sixteenth in the low bits of the mantissa, with an exponent's offset.
const SHIFT: f32 = 786_559.0;
/// How far the low bits of a shifted number move, so that its whole part becomes an exponent.
pub(crate) const TO_EXPONENT: u32 = 19;
/// Bits of `2^(k/16)`, less those of 1 and less `k << TO_EXPONENT`: modulo 2^32.
pub(crate) const POW2_SIXTEENTHS: [u32; 16] = [
    0,
    0xfffd_aac3,
    0xfffb_95c2,
    0xfff9_c3d3,
    0xfff8_37f0,
    0xfff6_f532,
    0xfff5_fed7,
    0xfff5_583f,
    0xfff5_04f3,
    0xfff5_08a4,
    0xfff5_672a,
    0xfff6_248c,
    0xfff7_44fd,
    0xfff8_ccdf,
    0xfffa_c0c7,
    0xfffd_257d,
];
/// Bits of sqrt(1/2): where [`FloatBits::mantissa_exponent`] cuts.
pub(crate) const SQRT_HALF_BITS: i32 = 0x3f35_04f3;
/// `(2^f - 1) / f` on [-1/32, 1/32].
const EXP2: [f32; 2] = [0.693_187_7, 0.240_226_43];
/// `(1 - 2^-g) / g` on [-1/32, 1/32].
const ONE_MINUS: [f32; 3] = [LN_2, -0.240_233_56, 0.055_504_11];
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `2^x`: `x = n + f` with n the nearest sixteenth, `2^f = 1 + f P(f)`. A NaN comes through.
#[inline(always)]
pub(crate) fn exp2<V: FloatBits>(x: V) -> V {
    let c = |value| x.constant(value);
    let shifted = x + c(SHIFT);
    let f = x - (shifted - c(SHIFT));
    let scale = shifted.pow2_of_shifted();
    (scale * f).mul_add(f.mul_add(c(EXP2[1]), c(EXP2[0])), scale)
}

/// `1 - 2^-x`: `-x = n - g` with n the nearest sixteenth, `2^-g = 1 - g P(g)`, so it is `(1 - 2^n) + 2^n g P(g)`.
#[inline(always)]
pub(crate) fn one_minus_exp2_neg<V: FloatBits>(x: V) -> V {
    let c = |value| x.constant(value);
    let shifted = c(SHIFT) - x;
    let g = x + (shifted - c(SHIFT));
    let poly = c(ONE_MINUS[2]).mul_add(g, c(ONE_MINUS[1])).mul_add(g, c(ONE_MINUS[0]));
    let scale = shifted.pow2_of_shifted();
    (scale * g).mul_add(poly, c(1.0) - scale)
}

/// Natural logarithm: `x = m 2^e`, `ln m = f - f^2/2 + f^3 P(f)` with `f = m - 1`.
#[inline(always)]
pub(crate) fn ln<V: FloatBits>(x: V) -> V {
    let c = |value| x.constant(value);
    let (m, e) = x.mantissa_exponent();
    let f = m - c(1.0);
    let mut poly = c(0.069_716_12);
    for k in [
        -0.114_797_34,
        0.116_854_2,
        -0.124_256_87,
        0.142_490_58,
        -0.166_678_03,
        0.200_007_16,
        -0.249_999_97,
        0.333_333_3,
    ] {
        poly = poly.mul_add(f, c(k));
    }
    let f2 = f * f;
    let tail = (f * f2).mul_add(poly, e * c(LN2_LOW));
    e.mul_add(c(LN2_HIGH), f + f2.mul_add(c(-0.5), tail))
}

/// `(sin, cos)` of `2 pi turns`, `turns` in [0, 1).
///
/// The pieces are functions, not closures: a closure that the compiler does not inline is compiled without the instruction
/// set, and each operation in it becomes a call.
#[inline(always)]
pub(crate) fn sin_cos_turns<S: Simd>(simd: S, turns: S::V) -> (S::V, S::V) {
    // Quarter k = round(4 turns) by comparisons, f = turns - k / 4 in [-1/8, 1/8].
    let [first, second, third, fourth] = [0.125, 0.375, 0.625, 0.875].map(|edge| constant(simd, edge));
    let (zero, one) = (constant(simd, 0.0), constant(simd, 0.25));
    let low = turns.if_less(first, zero, one) + turns.if_less(second, zero, one);
    let high = turns.if_less(third, zero, one) + turns.if_less(fourth, zero, one);
    let quarter = low + high;
    let f = turns - quarter;
    let g = f * f;
    let sine = f * horner(simd, g, SIN_TURNS);
    let cosine = horner(simd, g, COS_TURNS);
    // k = 0: (s, c), 1: (c, -s), 2: (-s, -c), 3: (-c, s), 4: (s, c)
    let edges = [first, second, third, fourth];
    let (sin, cos) = (swap_odd(quarter, edges, sine, cosine), swap_odd(quarter, edges, cosine, sine));
    let sin = quarter.if_less(second, sin, quarter.if_less(fourth, -sin, sin));
    let cos = quarter.if_less(first, cos, quarter.if_less(third, -cos, cos));
    (sin, cos)
}

/// Taylor: (2 pi)^n / n!, n odd; the next term is below 3e-11 on |f| <= 1/8.
const SIN_TURNS: [f64; 6] = [
    std::f64::consts::TAU,
    -41.341_702_240_399_755,
    81.605_249_276_075_05,
    -76.705_859_753_061_39,
    42.058_693_944_897_65,
    -15.094_642_576_822_99,
];
/// The same, n even.
const COS_TURNS: [f64; 6] = [
    1.0,
    -19.739_208_802_178_716,
    64.939_394_022_668_3,
    -85.456_817_206_693_73,
    60.244_641_371_876_66,
    -26.426_256_783_374_4,
];

#[inline(always)]
fn constant<S: Simd>(simd: S, value: f64) -> S::V {
    simd.splat(<S::E as super::vector::Real>::from_f64(value))
}

/// A polynomial in `g`.
#[inline(always)]
fn horner<S: Simd>(simd: S, g: S::V, k: [f64; 6]) -> S::V {
    let mut poly = constant(simd, k[5]);
    for k in [k[4], k[3], k[2], k[1], k[0]] {
        poly = poly.mul_add(g, constant(simd, k));
    }
    poly
}

/// `odd` in the quarters 1 and 3, else `even`; the quarter in turns.
#[inline(always)]
fn swap_odd<V: Vector>(quarter: V, [first, second, third, fourth]: [V; 4], even: V, odd: V) -> V {
    let low = quarter.if_less(first, even, quarter.if_less(second, odd, even));
    quarter.if_less(third, low, quarter.if_less(fourth, odd, even))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 1999th representable number of `[low, high]`, both ends too.
    fn numbers(low: f32, high: f32) -> impl Iterator<Item = f32> {
        let positive = (0..=high.to_bits()).step_by(1999).map(f32::from_bits);
        let negative = (0..=(-low).to_bits()).step_by(1999).map(|bits| -f32::from_bits(bits));
        positive.chain(negative).chain([low, high])
    }

    /// `2^x` over all of its range: a relative error below 6e-7.
    #[test]
    fn exp2_is_within_its_error() {
        let mut worst: f64 = 0.0;
        for x in numbers(-126.0, 127.0) {
            let expected = f64::from(x).exp2();
            worst = worst.max((f64::from(exp2(x)) - expected).abs() / expected);
        }
        assert!(worst < 6e-7, "{worst:e}");
    }

    /// `1 - 2^-x` over all of its range, however small: a relative error below 5e-7.
    #[test]
    fn one_minus_exp2_is_within_its_error() {
        let mut worst: f64 = 0.0;
        for x in numbers(0.0, 126.0).filter(|x| *x > f32::MIN_POSITIVE) {
            let expected = -(-f64::from(x) * std::f64::consts::LN_2).exp_m1();
            worst = worst.max((f64::from(one_minus_exp2_neg(x)) - expected).abs() / expected);
        }
        assert!(worst < 5e-7, "{worst:e}");
    }

    /// `p = 1 - 2^-(2^w)` as the kernels compose it: the error of the inner power comes on top.
    #[test]
    fn probability_is_within_its_error() {
        let mut worst: f64 = 0.0;
        for w in numbers(-125.0, 6.87) {
            let expected = -(-f64::from(w).exp2() * std::f64::consts::LN_2).exp_m1();
            worst = worst.max((f64::from(one_minus_exp2_neg(exp2(w))) - expected).abs() / expected);
        }
        assert!(worst < 9e-7, "{worst:e}");
    }

    /// `ln x` of positive normal numbers: an error below 3e-7 of `ln x`, within (1/2, 2) of `x - 1`.
    #[test]
    fn ln_is_within_its_error() {
        let mut worst: f64 = 0.0;
        let near = (0..1 << 16).map(|i| 1.0 + (i - (1 << 15)) as f32 * (f32::EPSILON / 2.0));
        for x in numbers(0.0, f32::MAX).filter(|x| *x >= f32::MIN_POSITIVE).chain(near) {
            let (wide, expected) = (f64::from(x), f64::from(x).ln());
            let scale = if 0.5 < wide && wide < 2.0 { wide - 1.0 } else { expected };
            let off = (f64::from(ln(x)) - expected).abs();
            worst = worst.max(if off == 0.0 { 0.0 } else { off / scale.abs() });
        }
        assert!(worst < 3e-7, "{worst:e}");
    }

    /// `sin` and `cos` of `2 pi x` over [0, 1): an absolute error below 2e-7.
    #[test]
    fn sin_cos_is_within_its_error() {
        let mut worst: f64 = 0.0;
        let even = (0..1 << 20).map(|i| i as f32 / (1 << 20) as f32);
        for x in numbers(0.0, 1.0).filter(|x| (0.0..1.0).contains(x)).chain(even) {
            let (sin, cos) = sin_cos_turns(crate::cpu::portable::PortableF32, x);
            let (expected_sin, expected_cos) = (f64::from(x) * std::f64::consts::TAU).sin_cos();
            let off = (f64::from(sin) - expected_sin).abs().max((f64::from(cos) - expected_cos).abs());
            worst = worst.max(off);
        }
        assert!(worst < 2e-7, "{worst:e}");
    }

    /// A NaN of any payload stays one.
    #[test]
    fn nan_comes_through() {
        for bits in [0x7fc0_0000, 0xffc0_0000, 0x7fc0_0081, 0x7fff_ffff_u32] {
            let nan = f32::from_bits(bits);
            assert!(exp2(nan).is_nan() && one_minus_exp2_neg(nan).is_nan(), "{bits:x}");
        }
    }
}
