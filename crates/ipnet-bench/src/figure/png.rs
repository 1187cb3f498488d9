//! A figure as a PNG, drawn from the SVG that [`svg`](super::svg) gives.
//!
//! The decision: the SVG is the figure and the bitmap a rendering of it, so both show the same. Text needs a font of the
//! system, which makes the PNG (unlike the SVG) differ between machines.

use crate::{Error, Result};
use resvg::{tiny_skia, usvg};
use std::sync::{Arc, LazyLock};

/// Pixels of the bitmap per pixel of the figure.
const SCALE: f32 = 2.0;

/// Faces looked for first, for the figures' `sans-serif`.
const SANS: [&str; 5] = ["DejaVu Sans", "Liberation Sans", "Noto Sans", "Arial", "Helvetica"];

/// The system's fonts, looked for once.
static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_system_fonts();
    let has = |name: &str| fonts.faces().any(|face| face.families.iter().any(|family| family.0 == name));
    let first = || fonts.faces().next().and_then(|face| face.families.first()).map(|family| family.0.clone());
    match SANS.into_iter().find(|name| has(name)).map(str::to_owned).or_else(first) {
        Some(family) => fonts.set_sans_serif_family(family),
        None => tracing::warn!("no font on this system: the PNG has no text, the SVG has"),
    }
    Arc::new(fonts)
});

/// Renders `svg` at twice its size. On a system without any font the bitmap has no text, and a warning says so.
///
/// # Errors
/// [`Error::Figure`] where `svg` is no SVG, or has no extent.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let failed = |message: String| Error::Figure { title: "PNG".into(), message };
    let options = usvg::Options { fontdb: Arc::clone(&FONTS), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let side = |length: f32| (length * SCALE).ceil() as u32;
    let (width, height) = (side(tree.size().width()), side(tree.size().height()));
    let mut canvas = tiny_skia::Pixmap::new(width, height)
        .ok_or_else(|| failed(format!("a bitmap of {width} x {height} pixels cannot be made")))?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut canvas.as_mut());
    canvas.encode_png().map_err(|error| failed(error.to_string()))
}
