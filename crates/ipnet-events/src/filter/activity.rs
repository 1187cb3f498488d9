//! Background activity: an event is kept if one of its eight neighbours fired within the window before it.
//!
//! Real edges move over neighbouring pixels; shot noise and leak do not. The event's own pixel does not count, so a
//! hot pixel cannot support itself. Source: Delbruck, "Frame-free dynamic digital vision", Intl. Symp. on
//! Secure-Life Electronics, 2008.

use super::Filter;

/// The background-activity filter.
#[derive(Debug, Clone)]
pub struct BackgroundActivity {
    size: (usize, usize),
    window_us: u64,
    /// Per pixel: time after the last event of a neighbour + 1; 0 for none.
    supported: Vec<u64>,
}

impl BackgroundActivity {
    /// A filter for a sensor of `(width, height)` that asks for a neighbour within `window_us`.
    pub fn new(sensor_size: (u16, u16), window_us: u64) -> Self {
        let size = (usize::from(sensor_size.0), usize::from(sensor_size.1));
        Self { size, window_us, supported: vec![0; size.0 * size.1] }
    }
}

impl Filter for BackgroundActivity {
    fn keep(&mut self, t: u64, x: u16, y: u16, _polarity: bool) -> bool {
        let ((width, height), x, y) = (self.size, usize::from(x), usize::from(y));
        if x >= width || y >= height {
            return false;
        }
        for row in y.saturating_sub(1)..(y + 2).min(height) {
            for column in x.saturating_sub(1)..(x + 2).min(width) {
                if (column, row) != (x, y) {
                    self.supported[row * width + column] = t + 1;
                }
            }
        }
        let last = self.supported[y * width + x];
        last > 0 && t + 1 - last <= self.window_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Events;
    use crate::filter::HotPixelMask;
    use ipnet_rng::Stream;

    #[test]
    fn a_neighbour_within_the_window_supports_an_event() {
        let mut filter = BackgroundActivity::new((4, 4), 10);
        assert!(!filter.keep(0, 1, 1, true), "the first event has no support");
        assert!(!filter.keep(1, 1, 1, true), "a pixel does not support itself");
        assert!(filter.keep(11, 2, 2, false), "10 us is within the window");
        assert!(!filter.keep(22, 1, 2, false), "11 us is not");
        assert!(!filter.keep(22, 3, 0, false), "nor is a pixel two columns away a neighbour");
        assert!(!filter.keep(22, 4, 0, false), "outside the sensor");
    }

    /// Uniform noise of rate r per pixel survives with 1 - exp(-8 r w) away from the border; a line that moves one pixel
    /// per ms survives whole but for its first position.
    #[test]
    fn noise_goes_and_edges_stay() {
        const N: usize = 40_000;
        let (side, rate, window) = (66_u16, 2e-6, 5_000);
        let mut stream = Stream::named(8, "filter/noise");
        let mut filter = BackgroundActivity::new((side, side), window);
        let mut events = Events::default();
        let mut t = 0.0;
        for _ in 0..N {
            t -= (1.0 - stream.uniform()).ln() / (rate * f64::from(side).powi(2));
            events.push(t as u64, stream.below(side.into()) as u16, stream.below(side.into()) as u16, true);
        }
        let inner = |events: &Events| {
            (0..events.len())
                .filter(|&i| (1..65).contains(&events.x[i]) && (1..65).contains(&events.y[i]))
                .count()
        };
        let before = inner(&events) as f64;
        let dropped = filter.apply(&mut events);
        assert_eq!(dropped + events.len(), N);
        let p = 1.0 - (-8.0 * rate * window as f64).exp();
        let kept = inner(&events) as f64;
        // Neighbours share supports, so the variance is a few times the binomial one: bound at 10 of its sigmas.
        let bound = 10.0 * (before * p * (1.0 - p)).sqrt();
        assert!((kept - before * p).abs() < bound, "{kept} kept, {} expected", before * p);

        let mut line = Events::default();
        for x in 1..60 {
            (0..side).for_each(|y| line.push(10_000_000_000 + 1000 * u64::from(x), x, y, true));
        }
        let whole = line.len();
        assert_eq!(filter.apply(&mut line), 1, "only the very first event has no support");
        assert_eq!(line.len(), whole - 1);
    }

    #[test]
    fn a_hot_pixel_is_found_and_masked() {
        let mut stream = Stream::named(8, "filter/hot");
        let mut events = Events::default();
        for t in 0..10_000 {
            events.push(t, stream.below(32) as u16, stream.below(32) as u16, true);
            if t % 10 == 0 {
                events.push(t, 7, 9, true);
            }
        }
        let mut mask = HotPixelMask::find(&events, (32, 32), 10.0, 50);
        assert_eq!(mask.pixels(), [(7, 9)]);
        let dropped = mask.apply(&mut events);
        assert!(dropped >= 1000);
        assert!((0..events.len()).all(|i| (events.x[i], events.y[i]) != (7, 9)));
    }
}
