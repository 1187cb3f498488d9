//! The still wall behind the person: smooth noise of three octaves and a few rectangles (door, window, shelves).

use ipnet_rng::Stream;

/// Reflectances of a `width` x `height` wall, row by row.
pub(super) fn backdrop(stream: &mut Stream, width: usize, height: usize) -> Vec<f32> {
    let base = stream.uniform_in(-2.2, -0.7);
    let mut wall = vec![base as f32; width * height];
    for (cell, depth) in [(32, 0.3), (16, 0.2), (5, 0.12)] {
        let (columns, rows) = (width / cell + 2, height / cell + 2);
        let knots: Vec<f32> = (0..columns * rows).map(|_| (depth * stream.normal()) as f32).collect();
        for y in 0..height {
            for x in 0..width {
                let (i, j) = (x / cell, y / cell);
                let (u, v) = ((x % cell) as f32 / cell as f32, (y % cell) as f32 / cell as f32);
                let knot = |di, dj| knots[(j + dj) * columns + i + di];
                let top = knot(0, 0) * (1.0 - u) + knot(1, 0) * u;
                let bottom = knot(0, 1) * (1.0 - u) + knot(1, 1) * u;
                wall[y * width + x] += top * (1.0 - v) + bottom * v;
            }
        }
    }
    for _ in 0..3 + stream.below(5) {
        let (w, h) = (6 + stream.below(width / 3), 6 + stream.below(height / 2));
        let (x0, y0) = (stream.below(width), stream.below(height));
        let step = stream.uniform_in(-1.2, 1.2) as f32;
        for y in y0..(y0 + h).min(height) {
            wall[y * width + x0..y * width + (x0 + w).min(width)].iter_mut().for_each(|v| *v += step);
        }
    }
    wall.into_iter().map(|v| v.exp().clamp(0.02, 0.95)).collect()
}
