//! bfloat16: the upper half of an `f32`, to the nearest, ties to even.

/// The upper half of an `f32`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl From<f32> for Bf16 {
    fn from(x: f32) -> Self {
        let bits = x.to_bits();
        if x.is_nan() {
            // Quiet: what is cut off may be all that made it a NaN.
            return Self((bits >> 16) as u16 | 0x40);
        }
        // The largest finite numbers round up to infinity, as they should.
        let half = 0x7fff + (bits >> 16 & 1);
        Self((bits.wrapping_add(half) >> 16) as u16)
    }
}

impl From<Bf16> for f32 {
    fn from(x: Bf16) -> Self {
        f32::from_bits(u32::from(x.0) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_to_the_nearest_and_ties_to_even() {
        let round = |x: f32| f32::from(Bf16::from(x));
        for exact in [0.0, -1.0, 1.5, 3.0e38, f32::INFINITY, f32::NEG_INFINITY] {
            let kept = f32::from_bits(exact.to_bits() & 0xffff_0000);
            assert_eq!(round(kept), kept);
        }
        // Between 1 and the next, 1 + 2^-7, lies a tie at 1 + 2^-8.
        let tie = 1.0 + 2.0_f32.powi(-8);
        assert_eq!([round(tie), round(tie + 1e-6)], [1.0, 1.0 + 2.0_f32.powi(-7)]);
        assert_eq!(round(1.0 + 3.0 * 2.0_f32.powi(-8)), 1.0 + 2.0 * 2.0_f32.powi(-7));
        assert!(round(f32::from_bits(0x7f80_0001)).is_nan() && round(f32::NAN).is_nan());
        assert_eq!(round(f32::MAX), f32::INFINITY);
    }
}
