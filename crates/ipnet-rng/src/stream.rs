//! A named sequence of draws: `Stream::named(42, "gestures/subject07")`.
//!
//! The key is a hash of the run's seed and the name, so that two names never share a sequence by accident
//! and adding a new consumer shifts nobody else's numbers.

use crate::philox::{philox4x32_10, unit_f64};

/// A 64-bit seed for `name` under `seed`: FNV-1a over both, finished with the SplitMix64 mixer.
pub fn named_seed(seed: u64, name: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in seed.to_le_bytes().into_iter().chain(name.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// A reproducible sequence of random numbers with a name.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    block: u64,
    words: [u32; 4],
    used: usize,
    spare_normal: Option<f64>,
}

impl Stream {
    /// The sequence called `name` of the run with `seed`.
    pub fn named(seed: u64, name: &str) -> Self {
        let key = named_seed(seed, name);
        Self { key: [key as u32, (key >> 32) as u32], block: 0, words: [0; 4], used: 4, spare_normal: None }
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = philox4x32_10([self.block as u32, (self.block >> 32) as u32, 0, 0], self.key);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        let high = self.next_u32();
        let low = self.next_u32();
        unit_f64(high, low)
    }

    /// Uniform in `[low, high)`.
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..n` without modulo bias; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from((u64::from(self.next_u32()) << 32) | u64::from(self.next_u32())) * n as u128) >> 64)
            as usize
    }

    /// Standard normal (Box-Muller, both numbers of a pair are used).
    pub fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare_normal.take() {
            return z;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare_normal = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// Poisson-distributed count with the given mean (Knuth's product below 30, normal approximation above).
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal() + 0.5).max(0.0) as u64;
        }
        let limit = (-mean).exp();
        let mut product = self.uniform();
        let mut count = 0;
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// Shuffles `items` in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_seeds_give_different_sequences() {
        let first = |seed, name| Stream::named(seed, name).next_u32();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
    }

    /// Mean and variance of n draws lie within five standard errors: sd(mean) = sigma / sqrt(n),
    /// sd(variance) = sqrt((mu4 - sigma^4) / n).
    #[test]
    fn moments_lie_within_five_standard_errors() {
        const N: usize = 200_000;
        let n = N as f64;
        let mut stream = Stream::named(7, "moments");
        let mut check = |mean: f64, variance: f64, mu4: f64, draw: &mut dyn FnMut(&mut Stream) -> f64| {
            let draws: Vec<f64> = (0..N).map(|_| draw(&mut stream)).collect();
            let m = draws.iter().sum::<f64>() / n;
            let v = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
            assert!((m - mean).abs() < 5.0 * (variance / n).sqrt(), "mean {m} expected {mean}");
            assert!(
                (v - variance).abs() < 5.0 * ((mu4 - variance * variance) / n).sqrt(),
                "variance {v} expected {variance}"
            );
        };
        check(0.5, 1.0 / 12.0, 1.0 / 80.0, &mut |s| s.uniform());
        check(0.0, 1.0, 3.0, &mut |s| s.normal());
        check(3.0, 3.0, 3.0 + 3.0 * 9.0, &mut |s| s.poisson(3.0) as f64);
        check(4.5, 8.25, 120.8625, &mut |s| s.below(10) as f64);
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items: Vec<usize> = (0..100).collect();
        Stream::named(3, "shuffle").shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
