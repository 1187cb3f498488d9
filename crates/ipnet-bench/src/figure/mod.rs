//! Figures as SVG text: pure functions of the numbers they show.
//!
//! The decision: a figure is a value ([`Bars`], [`Curves`], [`Confusion`], [`HeatMap`], [`Panels`]) and
//! [`svg`] turns it into text, without a clock, a font file or a random number, so the same table always
//! gives the same bytes and a test can ask what is in them. All share one style: light ground, the
//! palette of Okabe and Ito (told apart with the common colour blindnesses), and a marker per series, so
//! that a grey print still tells them apart. A value that is not finite is left out; where nothing is left,
//! the figure says "no data".

mod bars;
mod confusion;
mod curves;
mod heatmap;
mod panels;
mod png;
mod style;

pub use bars::{BarSeries, Bars};
pub use confusion::Confusion;
pub use curves::{Curve, CurvePoint, Curves};
pub use heatmap::{HeatMap, shared_range};
pub use panels::Panels;
pub use png::png;

use crate::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};

/// Where a figure is drawn.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Something that can be drawn, alone or as one of several [`Panels`].
pub trait Plot {
    /// The title, also named by errors.
    fn title(&self) -> &str;
    /// Natural width and height in pixels; text is laid out for it.
    fn size(&self) -> (u32, u32);
    /// Draws into `area`.
    ///
    /// # Errors
    /// [`Error::Figure`] where the data do not fit together.
    fn draw(&self, area: &Area<'_>) -> Result<()>;
}

/// The figure as a stand-alone SVG document.
///
/// # Errors
/// [`Error::Figure`] where the data do not fit together.
pub fn svg(plot: &dyn Plot) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, plot.size()).into_drawing_area();
        area.fill(&style::PAPER).map_err(failed(plot.title()))?;
        plot.draw(&area)?;
        area.present().map_err(failed(plot.title()))?;
    }
    // Neighbouring cells of a heat map would show hairlines between them when the picture is scaled.
    if let Some(end) = text.find('>') {
        text.insert_str(end + 1, "\n<style>rect { shape-rendering: crispEdges }</style>");
    }
    Ok(text)
}

/// For `map_err`: the drawing library's error under the figure's title.
fn failed<E: std::fmt::Display>(title: &str) -> impl Fn(E) -> Error + '_ {
    move |error| Error::Figure { title: title.to_owned(), message: error.to_string() }
}

/// Mean and sample standard deviation (0 for one value) of the finite values; `None` where there are none.
pub fn mean_sd(values: &[f64]) -> Option<(f64, f64)> {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let n = finite.len() as f64;
    if finite.is_empty() {
        return None;
    }
    let mean = finite.iter().sum::<f64>() / n;
    let squares: f64 = finite.iter().map(|v| (v - mean).powi(2)).sum();
    Some((mean, if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { 0.0 }))
}

/// A range that holds `values` with a little room, widened where they are all the same.
fn padded(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = extent(values).unwrap_or((0.0, 1.0));
    let room = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1e-3) };
    (low - room, high + room)
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |range, v| {
        Some(range.map_or((v, v), |(low, high): (f64, f64)| (low.min(v), high.max(v))))
    })
}

#[cfg(test)]
mod tests;
