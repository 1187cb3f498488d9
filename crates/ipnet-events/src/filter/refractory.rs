//! Refractory filter: an event less than the period after the last *kept* event of its pixel is dropped.

use super::Filter;

/// The refractory filter.
#[derive(Debug, Clone)]
pub struct Refractory {
    size: (usize, usize),
    period_us: u64,
    last: Vec<Option<u64>>,
}

impl Refractory {
    /// A filter for a sensor of `(width, height)` with a dead time of `period_us` per pixel.
    pub fn new(sensor_size: (u16, u16), period_us: u64) -> Self {
        let size = (usize::from(sensor_size.0), usize::from(sensor_size.1));
        Self { size, period_us, last: vec![None; size.0 * size.1] }
    }
}

impl Filter for Refractory {
    fn keep(&mut self, t: u64, x: u16, y: u16, _polarity: bool) -> bool {
        let (x, y) = (usize::from(x), usize::from(y));
        if x >= self.size.0 || y >= self.size.1 {
            return false;
        }
        let last = &mut self.last[y * self.size.0 + x];
        let open = last.is_none_or(|last| t.saturating_sub(last) >= self.period_us);
        if open {
            *last = Some(t);
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kept_events_start_the_dead_time() {
        let mut filter = Refractory::new((2, 2), 10);
        let kept: Vec<bool> = [0, 5, 9, 10, 15, 20].map(|t| filter.keep(t, 1, 1, true)).to_vec();
        assert_eq!(kept, [true, false, false, true, false, true]);
        assert!(filter.keep(20, 0, 1, true), "other pixels have their own");
        assert!(!filter.keep(20, 2, 1, true), "outside the sensor");
    }
}
