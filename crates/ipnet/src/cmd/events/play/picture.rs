//! Counts of a slice as a picture: ON orange, OFF blue, brighter with more events, on near-black.
//!
//! A pixel of a picture is an index: 16 levels of ON times 16 of OFF. The two colours are told apart by all common kinds of
//! colour vision.

use anyhow::ensure;

/// Pixels of a picture in a file, at most, a byte each in memory.
const MAX_PIXELS: usize = 1 << 27;
/// Levels of a polarity.
const LEVELS: u32 = 16;
const GROUND: [f64; 3] = [12.0, 13.0, 18.0];
const ON: [f64; 3] = [255.0, 170.0, 40.0];
const OFF: [f64; 3] = [70.0, 140.0, 255.0];
/// Pixels between the pictures of a sheet.
const GAP: usize = 4;
/// Pictures in a row of a sheet.
const COLUMNS: usize = 4;

/// The colour of every index, three bytes each.
pub fn palette() -> Vec<u8> {
    (0..=255).flat_map(colour).collect()
}

/// The colour of `index`.
pub fn colour(index: u8) -> [u8; 3] {
    let share = |level: u8| f64::from(level) / f64::from(LEVELS - 1);
    let (on, off) = (share(index / 16), share(index % 16));
    let dark = 1.0 - on.max(off);
    std::array::from_fn(|i| (GROUND[i] * dark + ON[i] * on + OFF[i] * off).round().clamp(0.0, 255.0) as u8)
}

/// The level of `events` events in a pixel: the first already shows well.
fn level(events: u32) -> u32 {
    if events == 0 { 0 } else { (4 + 3 * events).min(LEVELS - 1) }
}

/// The index of a pixel with so many ON and OFF events.
fn index(on: u32, off: u32) -> u8 {
    (level(on) * LEVELS + level(off)) as u8
}

/// Events of each pixel, by polarity.
pub struct Counts {
    width: usize,
    height: usize,
    /// `[height, width]`, OFF and ON.
    pixels: Vec<[u32; 2]>,
}

impl Counts {
    pub fn new((width, height): (u16, u16)) -> Self {
        let (width, height) = (usize::from(width), usize::from(height));
        Self { width, height, pixels: vec![[0; 2]; width * height] }
    }

    pub fn clear(&mut self) {
        self.pixels.fill([0; 2]);
    }

    /// Counts an event; one outside the sensor, which no reader gives, is left out.
    pub fn add(&mut self, x: u16, y: u16, on: bool) {
        if usize::from(x) < self.width
            && let Some(pixel) = self.pixels.get_mut(usize::from(y) * self.width + usize::from(x))
        {
            pixel[usize::from(on)] += 1;
        }
    }

    /// The picture, `[height, width]` indices.
    pub fn indices(&self) -> Vec<u8> {
        self.pixels.iter().map(|&[off, on]| index(on, off)).collect()
    }

    /// The picture made smaller to fit into `columns` and `rows`, with its size; a pixel is the busiest of those it stands for.
    pub fn fitted(&self, columns: usize, rows: usize) -> ([usize; 2], Vec<u8>) {
        let shrink = self.width.div_ceil(columns.max(1)).max(self.height.div_ceil(rows.max(1))).max(1);
        let (width, height) = (self.width.div_ceil(shrink), self.height.div_ceil(shrink));
        let mut most = vec![[0u32; 2]; width * height];
        for (i, pixel) in self.pixels.iter().enumerate() {
            let cell = &mut most[i / self.width / shrink * width + i % self.width / shrink];
            *cell = [cell[0].max(pixel[0]), cell[1].max(pixel[1])];
        }
        ([width, height], most.into_iter().map(|[off, on]| index(on, off)).collect())
    }
}

/// Each pixel of rows of `width` as a square of `zoom` by `zoom`.
pub fn enlarge(pixels: &[u8], width: usize, zoom: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() * zoom * zoom);
    for row in pixels.chunks(width) {
        let wide: Vec<u8> = row.iter().flat_map(|&pixel| std::iter::repeat_n(pixel, zoom)).collect();
        (0..zoom).for_each(|_| out.extend_from_slice(&wide));
    }
    out
}

/// Refuses a picture of more than [`MAX_PIXELS`].
pub fn check_size([width, height]: [usize; 2]) -> anyhow::Result<()> {
    ensure!(
        width.saturating_mul(height) <= MAX_PIXELS,
        "expected a picture of at most {MAX_PIXELS} pixels, found {width} x {height}: give a smaller --zoom or fewer --panels"
    );
    Ok(())
}

/// Pictures side by side, in rows of four.
pub struct Sheet {
    picture: [usize; 2],
    zoom: usize,
    size: [usize; 2],
    pixels: Vec<u8>,
}

impl Sheet {
    /// An empty sheet for `pictures` pictures of a sensor of size `(width, height)`.
    ///
    /// # Errors
    /// As [`check_size`].
    pub fn new((width, height): (u16, u16), zoom: usize, pictures: usize) -> anyhow::Result<Self> {
        let picture = [usize::from(width) * zoom, usize::from(height) * zoom];
        let across = pictures.min(COLUMNS);
        let down = pictures.div_ceil(COLUMNS);
        let size = [across * (picture[0] + GAP) - GAP, down * (picture[1] + GAP) - GAP];
        check_size(size)?;
        // The gaps take the middle level of both polarities, a grey.
        Ok(Self { picture, zoom, size, pixels: vec![0x44; size[0] * size[1]] })
    }

    /// Puts `indices` `[height, width]` in place number `place`.
    pub fn put(&mut self, place: usize, indices: &[u8]) {
        let [width, height] = self.picture;
        let (left, top) = (place % COLUMNS * (width + GAP), place / COLUMNS * (height + GAP));
        let large = enlarge(indices, width / self.zoom, self.zoom);
        for (y, row) in large.chunks(width).enumerate() {
            let at = (top + y) * self.size[0] + left;
            if let Some(to) = self.pixels.get_mut(at..at + width) {
                to.copy_from_slice(row);
            }
        }
    }

    /// Width and height.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polarities_have_their_colours_and_more_events_are_brighter() {
        let sum = |c: [u8; 3]| c.iter().map(|&v| u32::from(v)).sum::<u32>();
        let [none, one_on, many_on, one_off] =
            [index(0, 0), index(1, 0), index(9, 0), index(0, 1)].map(colour);
        assert!(sum(none) < 50 && sum(one_on) > 150 && sum(many_on) > sum(one_on));
        assert!(one_on[0] > one_on[2] && one_off[2] > one_off[0]);
        assert_eq!(palette().len(), 768);
    }

    #[test]
    fn a_fitted_picture_keeps_a_lone_event() {
        let mut counts = Counts::new((346, 260));
        counts.add(345, 259, true);
        counts.add(346, 0, true);
        for (columns, rows) in [(80, 40), (346, 260), (1, 1), (400, 300)] {
            let ([width, height], pixels) = counts.fitted(columns, rows);
            assert!(width <= columns.max(1) && height <= rows.max(1));
            assert_eq!(pixels.len(), width * height);
            assert_eq!(pixels.iter().filter(|&&p| p != 0).count(), 1);
            assert_ne!(pixels[pixels.len() - 1], 0);
        }
    }

    #[test]
    fn a_sheet_holds_each_picture_in_its_place() {
        let mut sheet = Sheet::new((2, 1), 3, 5).unwrap();
        assert_eq!(sheet.size(), [4 * 6 + 3 * GAP, 2 * 3 + GAP]);
        sheet.put(4, &[7, 9]);
        let width = sheet.size()[0];
        let row = &sheet.pixels()[(3 + GAP) * width..][..7];
        assert_eq!(row, [7, 7, 7, 9, 9, 9, 0x44]);
    }
}
