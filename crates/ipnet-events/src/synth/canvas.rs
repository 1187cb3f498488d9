//! A small renderer: anti-aliased tapered capsules over a still background, in linear intensity.
//!
//! Coverage of a pixel is `clamp(1/2 - d, 0, 1)` with `d` the signed distance \[px\] of its centre to the shape. A
//! surface has a reflectance, a soft shade across its width and, where asked, stripes along its axis, so that a limb
//! that slides along itself is seen too. Design decision: the canvas remembers which 8 x 8 blocks were painted, so that
//! a frame costs what moves in it and the sensor visits only blocks that may have changed.

use std::f32::consts::FRAC_PI_2;

/// Side of a block \[px\].
pub(super) const BLOCK: usize = 8;

/// How a shape reflects light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surface {
    /// Mean reflectance, 0..1.
    pub reflectance: f32,
    /// Relative depth of the stripes along the axis; 0 is plain.
    pub stripe_depth: f32,
    /// Period of the stripes \[px\].
    pub stripe_px: f32,
    /// Brightness slope across the shape: positive is lit from the right, 0 from the front.
    pub side_light: f32,
}

impl Surface {
    /// A plain surface lit from the front.
    pub fn plain(reflectance: f32) -> Self {
        Self { reflectance, stripe_depth: 0.0, stripe_px: 1.0, side_light: 0.0 }
    }
}

/// A line from `a` to `b` \[px\] thickened by radii that change linearly from `radius_a` to `radius_b` \[px\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capsule {
    /// One end `(x, y)`.
    pub a: (f32, f32),
    /// The other end.
    pub b: (f32, f32),
    /// Radius at `a`.
    pub radius_a: f32,
    /// Radius at `b`.
    pub radius_b: f32,
}

/// A picture of linear intensities and the blocks of it that changed since the last one.
#[derive(Debug, Clone)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<f32>,
    background: Vec<f32>,
    painted: Vec<bool>,
    changed: Vec<bool>,
}

impl Canvas {
    /// A canvas that shows `background` (row-major, `width * height` intensities; missing ones are black).
    pub fn new(width: usize, height: usize, mut background: Vec<f32>) -> Self {
        background.resize(width * height, 0.0);
        let blocks = width.div_ceil(BLOCK) * height.div_ceil(BLOCK);
        Self {
            width,
            height,
            pixels: background.clone(),
            background,
            painted: vec![false; blocks],
            changed: vec![true; blocks],
        }
    }

    /// Picture size `(width, height)`.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Intensities, row by row.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// Per block, row by row: whether it was painted in this picture or in the one before.
    pub fn changed(&self) -> &[bool] {
        &self.changed
    }

    /// Starts the next picture: the background shows again where something was painted.
    pub fn clear(&mut self) {
        let per_row = self.width.div_ceil(BLOCK);
        for (block, painted) in self.painted.iter_mut().enumerate() {
            self.changed[block] = *painted;
            if !std::mem::take(painted) {
                continue;
            }
            let (x0, y0) = (block % per_row * BLOCK, block / per_row * BLOCK);
            for y in y0..(y0 + BLOCK).min(self.height) {
                let row = y * self.width + x0..y * self.width + (x0 + BLOCK).min(self.width);
                self.pixels[row.clone()].copy_from_slice(&self.background[row]);
            }
        }
    }

    /// Sets every pixel of row `y` (inside the picture) to the intensity that `value` gives for its column.
    pub fn fill_row(&mut self, y: usize, value: impl Fn(usize) -> f32) {
        let per_row = self.width.div_ceil(BLOCK);
        let blocks = y / BLOCK * per_row..(y / BLOCK + 1) * per_row;
        self.painted[blocks.clone()].fill(true);
        self.changed[blocks].fill(true);
        for (x, pixel) in self.pixels[y * self.width..(y + 1) * self.width].iter_mut().enumerate() {
            *pixel = value(x);
        }
    }

    /// Paints `capsule` over the picture; one that is not finite is nowhere.
    pub fn paint(&mut self, capsule: &Capsule, surface: &Surface) {
        let Capsule { a, b, radius_a, radius_b } = *capsule;
        if ![a.0, a.1, b.0, b.1, radius_a, radius_b].iter().all(|v| v.is_finite()) {
            return;
        }
        let reach = radius_a.max(radius_b) + 1.0;
        let span = |low: f32, high: f32, side: usize| {
            let from = (low - reach).floor().max(0.0) as usize;
            from..((high + reach).ceil().max(0.0) as usize + 1).min(side).max(from)
        };
        let columns = span(a.0.min(b.0), a.0.max(b.0), self.width);
        let rows = span(a.1.min(b.1), a.1.max(b.1), self.height);
        if columns.is_empty() || rows.is_empty() {
            return;
        }
        let per_row = self.width.div_ceil(BLOCK);
        for y in rows.start / BLOCK..=(rows.end - 1) / BLOCK {
            let row = y * per_row;
            for block in row + columns.start / BLOCK..=row + (columns.end - 1) / BLOCK {
                self.painted[block] = true;
                self.changed[block] = true;
            }
        }
        let (ax, ay) = (b.0 - a.0, b.1 - a.1);
        let length_squared = (ax * ax + ay * ay).max(1e-6);
        let length = length_squared.sqrt();
        let taper = radius_b - radius_a;
        for y in rows {
            let (py, row) = (y as f32 - a.1, y * self.width);
            for x in columns.clone() {
                let px = x as f32 - a.0;
                let along = ((px * ax + py * ay) / length_squared).clamp(0.0, 1.0);
                let (dx, dy) = (px - along * ax, py - along * ay);
                let radius = radius_a + along * taper;
                let squared = dx * dx + dy * dy;
                if squared > (radius + 0.5) * (radius + 0.5) {
                    continue;
                }
                let distance = squared.sqrt();
                let coverage = (radius + 0.5 - distance).min(1.0);
                let across = (distance / radius.max(0.5)).min(1.0);
                let lit = surface.side_light * dx / radius.max(0.5);
                let mut value = surface.reflectance * (1.0 - 0.25 * across * across + lit);
                if surface.stripe_depth > 0.0 {
                    value *= 1.0 + surface.stripe_depth * wave(along * length / surface.stripe_px);
                }
                let pixel = &mut self.pixels[row + x];
                *pixel += coverage * (value.max(0.005) - *pixel);
            }
        }
    }
}

/// A cheap smooth wave of period 1 between -1 and 1: Bhaskara's parabola in place of the sine.
fn wave(cycles: f32) -> f32 {
    let phase = (cycles - cycles.floor()) * 4.0 - 2.0;
    let angle = phase.abs() - 1.0;
    let x = angle * FRAC_PI_2;
    x * (1.0 - x * x / 6.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The painted area of a disc is pi r^2: coverage is unbiased to a fraction of a pixel row.
    #[test]
    fn a_disc_has_its_area_wherever_it_stands() {
        for offset in [0.0, 0.25, 0.5, 0.77] {
            let mut canvas = Canvas::new(40, 40, vec![0.0; 1600]);
            let centre = (20.0 + offset, 19.0 + 0.5 * offset);
            let disc = Capsule { a: centre, b: centre, radius_a: 9.0, radius_b: 9.0 };
            canvas.paint(&disc, &Surface { reflectance: 1.0, ..Surface::plain(1.0) });
            let covered = canvas.pixels().iter().filter(|&&v| v > 0.35).count() as f32;
            let area = std::f32::consts::PI * 81.0;
            assert!((covered - area).abs() < 0.05 * area, "offset {offset}: {covered} of {area}");
        }
    }

    #[test]
    fn clearing_shows_the_background_and_names_the_changed_blocks() {
        let background: Vec<f32> = (0..20 * 20).map(|i| i as f32).collect();
        let mut canvas = Canvas::new(20, 20, background.clone());
        canvas.clear();
        assert!(canvas.changed().iter().all(|&c| !c));
        let dot = Capsule { a: (3.0, 3.0), b: (3.0, 3.0), radius_a: 1.0, radius_b: 1.0 };
        canvas.paint(&dot, &Surface::plain(0.5));
        assert_eq!(canvas.changed().iter().filter(|&&c| c).count(), 1);
        assert_ne!(canvas.pixels(), background);
        canvas.clear();
        assert_eq!(canvas.pixels(), background);
        assert!(canvas.changed()[0]);
        canvas.clear();
        assert!(!canvas.changed()[0]);
    }

    #[test]
    fn shapes_outside_the_picture_are_harmless() {
        let mut canvas = Canvas::new(16, 16, vec![0.1; 256]);
        for at in [(-50.0, 3.0), (3.0, -50.0), (90.0, 3.0), (3.0, 90.0), (f32::NAN, 1.0)] {
            canvas.paint(&Capsule { a: at, b: at, radius_a: 4.0, radius_b: 2.0 }, &Surface::plain(1.0));
        }
        assert!(canvas.pixels().iter().all(|&v| v == 0.1));
    }
}
