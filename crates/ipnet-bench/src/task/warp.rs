//! Moving a clip's pixels: one map for all of its frames.
//!
//! ```text
//! target(p) = source(c + (1 + E) (p - s - c))      c the middle of the picture, s the shift, E the warp
//! ```
//! The source pixel is the nearest one, so that counts stay counts; where it lies outside, there are none. Small entries of E
//! turn, shear and stretch a clip.

use ipnet_rng::Stream;

/// A shift of whole pixels and a linear map around the middle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Warp {
    /// `s`, in x and y \[px\].
    pub shift: (isize, isize),
    /// `E`, rows (x, y).
    pub linear: [[f64; 2]; 2],
}

impl Warp {
    /// Four entries, each uniform in `[-max, max)`.
    pub fn draw_linear(max: f64, stream: &mut Stream) -> [[f64; 2]; 2] {
        let mut entry = || max * (2.0 * stream.uniform() - 1.0);
        [[entry(), entry()], [entry(), entry()]]
    }

    /// For each pixel of a `height` x `width` plane the number of its source pixel, if there is one.
    pub fn sources(&self, [height, width]: [usize; 2]) -> Vec<Option<usize>> {
        let centre = [(width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0];
        let [[a, b], [c, d]] = self.linear;
        let inside =
            |value: f64, size: usize| (value >= 0.0 && value < size as f64).then_some(value as usize);
        let source = |y: usize, x: usize| {
            let (x, y) = (x as f64 - self.shift.0 as f64, y as f64 - self.shift.1 as f64);
            let (right, down) = (x - centre[0], y - centre[1]);
            let x = inside((x + a * right + b * down).round(), width)?;
            Some(inside((y + c * right + d * down).round(), height)? * width + x)
        };
        (0..height).flat_map(|y| (0..width).map(move |x| source(y, x))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pixel of a 3 x 4 plane that numbers its pixels from 1; 0 where there is no source.
    fn moved(warp: Warp) -> Vec<usize> {
        warp.sources([3, 4]).into_iter().map(|source| source.map_or(0, |at| at + 1)).collect()
    }

    #[test]
    fn a_shift_moves_every_pixel_and_loses_only_the_edge() {
        let by = |shift| moved(Warp { shift, ..Warp::default() });
        assert_eq!(by((0, 0)), (1..=12).collect::<Vec<_>>());
        assert_eq!(by((1, -1)), [0, 5, 6, 7, 0, 9, 10, 11, 0, 0, 0, 0]);
        assert_eq!(by((-5, 0)), [0; 12]);
    }

    /// Halving distances from the middle of a 3 x 4 plane; a quarter turn of a square one.
    #[test]
    fn a_linear_map_stretches_and_turns_around_the_middle() {
        let linear = |linear| Warp { linear, ..Warp::default() };
        assert_eq!(moved(linear([[-0.5, 0.0], [0.0, 0.0]])), [2, 2, 3, 3, 6, 6, 7, 7, 10, 10, 11, 11]);
        let turned = linear([[-1.0, -1.0], [1.0, -1.0]]).sources([3, 3]);
        assert_eq!(turned.into_iter().flatten().collect::<Vec<_>>(), [2, 5, 8, 1, 4, 7, 0, 3, 6]);
    }

    #[test]
    fn draws_stay_within_their_bound() {
        let mut stream = Stream::named(3, "warp");
        let entries: Vec<f64> =
            (0..100).flat_map(|_| Warp::draw_linear(0.2, &mut stream)).flatten().collect();
        assert!(entries.iter().all(|entry| entry.abs() <= 0.2));
        assert!(entries.iter().any(|&entry| entry > 0.15) && entries.iter().any(|&entry| entry < -0.15));
    }
}
