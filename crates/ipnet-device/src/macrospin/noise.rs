//! Three standard normals for each of L trajectories at one step, from Philox addressed by (step, trajectory).
//!
//! Philox and Box-Muller are written over lanes, with polynomials for logarithm, sine and cosine, because a library call per lane would cost
//! more than the step itself. Same numbers as the scalar generator of `ipnet-rng` (tested), on any instruction set.

/// Low and high halves of the products of Philox live in 64-bit lanes.
type Words<const L: usize> = [u64; L];

const LOW: u64 = 0xFFFF_FFFF;

/// Philox4x32-10 of counter `[step low, step high, trajectory, tag]` for L trajectories from `first`.
#[inline(always)]
fn philox_lanes<const L: usize>(step: u64, first: u32, tag: u32, key: [u32; 2]) -> [Words<L>; 4] {
    const M0: u64 = 0xD251_1F53;
    const M1: u64 = 0xCD9E_8D57;
    let mut c: [Words<L>; 4] = [
        [step & LOW; L],
        [step >> 32; L],
        std::array::from_fn(|lane| u64::from(first.wrapping_add(lane as u32))),
        [u64::from(tag); L],
    ];
    let (mut k0, mut k1) = (key[0], key[1]);
    for _ in 0..10 {
        let p0: Words<L> = std::array::from_fn(|i| M0.wrapping_mul(c[0][i]));
        let p1: Words<L> = std::array::from_fn(|i| M1.wrapping_mul(c[2][i]));
        c = [
            std::array::from_fn(|i| (p1[i] >> 32) ^ c[1][i] ^ u64::from(k0)),
            std::array::from_fn(|i| p1[i] & LOW),
            std::array::from_fn(|i| (p0[i] >> 32) ^ c[3][i] ^ u64::from(k1)),
            std::array::from_fn(|i| p0[i] & LOW),
        ];
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    c
}

/// A 32-bit integer in a 64-bit lane to f64: put below the mantissa of 2^52, which every instruction set can do over lanes.
#[inline(always)]
fn to_f64(word: u64) -> f64 {
    f64::from_bits(0x4330_0000_0000_0000 | word) - 4_503_599_627_370_496.0
}

/// ln(u) for normal positive u: `u = m 2^e` with m in [sqrt(1/2), sqrt(2)), `ln m = 2 atanh((m - 1) / (m + 1))`.
#[inline(always)]
fn ln(u: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;
    let shifted = u.to_bits().wrapping_sub(SQRT_HALF);
    // The exponent, biased by 1024 to stay positive.
    let biased = shifted.wrapping_add(1024 << 52) >> 52;
    let m = f64::from_bits((shifted & 0x000F_FFFF_FFFF_FFFF).wrapping_add(SQRT_HALF));
    let f = (m - 1.0) / (m + 1.0);
    let g = f * f;
    let tail = 1.0 / 9.0 + g * (1.0 / 11.0 + g * (1.0 / 13.0 + g * (1.0 / 15.0)));
    let series = 1.0 + g * (1.0 / 3.0 + g * (1.0 / 5.0 + g * (1.0 / 7.0 + g * tail)));
    (to_f64(biased) - 1024.0) * std::f64::consts::LN_2 + 2.0 * f * series
}

/// Sine and cosine of `2 pi word / 2^32`: nearest quarter turn, then Taylor series on +-pi/4.
#[inline(always)]
fn sin_cos_turn(word: u64) -> (f64, f64) {
    let quarter = (word.wrapping_add(1 << 29) >> 30) & 3;
    // The rest, from -2^29 to 2^29, shifted to be positive for the conversion.
    let rest = word.wrapping_add(1 << 29) & 0x3FFF_FFFF;
    let x = (to_f64(rest) - 536_870_912.0) * (std::f64::consts::TAU / 4_294_967_296.0);
    let x2 = x * x;
    let sin_tail = -1.0 / 5040.0 + x2 * (1.0 / 362_880.0 + x2 * (-1.0 / 39_916_800.0));
    let sin = x * (1.0 + x2 * (-1.0 / 6.0 + x2 * (1.0 / 120.0 + x2 * sin_tail)));
    let cos_tail = 1.0 / 40_320.0 + x2 * (-1.0 / 3_628_800.0 + x2 * (1.0 / 479_001_600.0));
    let cos = 1.0 + x2 * (-0.5 + x2 * (1.0 / 24.0 + x2 * (-1.0 / 720.0 + x2 * cos_tail)));
    let odd = quarter & 1 == 1;
    let (s, c) = (if odd { cos } else { sin }, if odd { sin } else { cos });
    // Sign bits: sine is negative in quarters 2 and 3, cosine in 1 and 2.
    let s = f64::from_bits(s.to_bits() ^ ((quarter & 2) << 62));
    let c = f64::from_bits(c.to_bits() ^ (((quarter + 1) & 2) << 62));
    (s, c)
}

/// Three standard normals per trajectory: x, y of one Box-Muller pair, and the first of another.
#[inline(always)]
pub(super) fn normals<const L: usize>(step: u64, first: u32, tag: u32, key: [u32; 2]) -> [[f64; L]; 3] {
    let words = philox_lanes::<L>(step, first, tag, key);
    let radius = |words: &Words<L>| -> [f64; L] {
        // (w + 1/2) / 2^32 is never 0 or 1.
        std::array::from_fn(|i| (-2.0 * ln((to_f64(words[i]) + 0.5) * (1.0 / 4_294_967_296.0))).sqrt())
    };
    let (r0, r1) = (radius(&words[0]), radius(&words[2]));
    let mut out = [[0.0; L]; 3];
    for i in 0..L {
        let (s, c) = sin_cos_turn(words[1][i]);
        out[0][i] = r0[i] * s;
        out[1][i] = r0[i] * c;
        out[2][i] = r1[i] * sin_cos_turn(words[3][i]).0;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet_rng::philox4x32_10;

    #[test]
    fn lanes_are_the_scalar_generator() {
        let lanes = philox_lanes::<8>(0x1_0000_0007, 40, 3, [11, 12]);
        for lane in 0..8 {
            let scalar = philox4x32_10([7, 1, 40 + lane as u32, 3], [11, 12]);
            for (words, word) in lanes.iter().zip(scalar) {
                assert_eq!(words[lane], u64::from(word));
            }
        }
    }

    /// The polynomials against the library: below 1e-12, far under the resolution of 2^-32 of the uniform numbers.
    #[test]
    fn polynomials_are_the_library_functions() {
        for i in 0..100_000_u64 {
            let word = i * 42_949 + 17;
            let u = (to_f64(word) + 0.5) / 4_294_967_296.0;
            assert!((ln(u) - u.ln()).abs() < 1e-12 * u.ln().abs().max(1.0), "{u}");
            let angle = std::f64::consts::TAU * (word as f64 / 4_294_967_296.0);
            let (s, c) = sin_cos_turn(word);
            assert!((s - angle.sin()).abs() < 1e-11 && (c - angle.cos()).abs() < 1e-11, "{angle}");
        }
        assert!((ln(0.5 / 4_294_967_296.0) - (0.5_f64 / 4_294_967_296.0).ln()).abs() < 1e-12);
    }

    /// Mean, variance, kurtosis and correlations of 3 x 320,000 draws within five standard errors.
    #[test]
    fn normals_have_the_moments_of_normals() {
        const STEPS: u64 = 40_000;
        let n = (STEPS * 8) as f64;
        let mut sums = [[0.0; 3]; 3];
        let mut products = [0.0; 3];
        for step in 0..STEPS {
            let z = normals::<8>(step, 0, 0, [1, 2]);
            for axis in 0..3 {
                for (a, b) in z[axis].iter().zip(&z[(axis + 1) % 3]) {
                    sums[axis][0] += a;
                    sums[axis][1] += a.powi(2);
                    sums[axis][2] += a.powi(4);
                    products[axis] += a * b;
                }
            }
        }
        for axis in 0..3 {
            assert!((sums[axis][0] / n).abs() < 5.0 / n.sqrt());
            assert!((sums[axis][1] / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
            assert!((sums[axis][2] / n - 3.0).abs() < 5.0 * (96.0 / n).sqrt());
            assert!((products[axis] / n).abs() < 5.0 / n.sqrt());
        }
    }
}
