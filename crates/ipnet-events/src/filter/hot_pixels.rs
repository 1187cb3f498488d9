//! Hot pixels: those that fired at least `least` times and more than `factor` times as often as the mean of their eight
//! neighbours (and one event more, so that a silent neighbourhood does not make every pixel hot).
//!
//! A moving edge covers neighbours alike; a hot pixel stands alone. So the rule compares with the neighbourhood and
//! not with the sensor, which would call a busy region hot.

use super::Filter;
use crate::Events;

/// A mask of hot pixels, found in a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotPixelMask {
    size: (usize, usize),
    hot: Vec<bool>,
}

impl HotPixelMask {
    /// The hot pixels of `events` on a sensor of `(width, height)`.
    pub fn find(events: &Events, sensor_size: (u16, u16), factor: f64, least: u32) -> Self {
        let (width, height) = (usize::from(sensor_size.0), usize::from(sensor_size.1));
        let mut counts = vec![0_u32; width * height];
        for (&x, &y) in events.x.iter().zip(&events.y) {
            let (x, y) = (usize::from(x), usize::from(y));
            if x < width && y < height {
                counts[y * width + x] += 1;
            }
        }
        let is_hot = |pixel: usize| {
            let (x, y) = (pixel % width, pixel / width);
            let (mut sum, mut neighbours) = (0.0, 0.0);
            for row in y.saturating_sub(1)..(y + 2).min(height) {
                for column in x.saturating_sub(1)..(x + 2).min(width) {
                    if (column, row) != (x, y) {
                        sum += f64::from(counts[row * width + column]);
                        neighbours += 1.0;
                    }
                }
            }
            let mean = if neighbours > 0.0 { sum / neighbours } else { 0.0 };
            counts[pixel] >= least && f64::from(counts[pixel]) > factor * mean + 1.0
        };
        Self { size: (width, height), hot: (0..counts.len()).map(is_hot).collect() }
    }

    /// The masked pixels `(x, y)`, row by row.
    pub fn pixels(&self) -> Vec<(u16, u16)> {
        let at = |pixel: usize| ((pixel % self.size.0) as u16, (pixel / self.size.0) as u16);
        (0..self.hot.len()).filter(|&pixel| self.hot[pixel]).map(at).collect()
    }
}

impl Filter for HotPixelMask {
    fn keep(&mut self, _t: u64, x: u16, y: u16, _polarity: bool) -> bool {
        let (x, y) = (usize::from(x), usize::from(y));
        x < self.size.0 && y < self.size.1 && !self.hot[y * self.size.0 + x]
    }
}
