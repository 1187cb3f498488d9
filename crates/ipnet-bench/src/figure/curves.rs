//! Lines with bands: a mean over seeds against x, and its spread.

use super::style::{self, INK, LABEL_PX, LEFT_PX, TICK_PX};
use super::{Area, Plot, extent, failed, mean_sd, padded};
use crate::Result;
use plotters::prelude::*;

/// Several lines over one x axis.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    /// Title.
    pub title: String,
    /// Name and unit of x.
    pub x_label: String,
    /// Name and unit of y.
    pub y_label: String,
    /// The y axis; from the data where `None`.
    pub y_range: Option<(f64, f64)>,
    /// x on a logarithmic axis; points with x <= 0 are left out.
    pub log_x: bool,
    /// Markers at the points; without them a dense trace reads better.
    pub markers: bool,
    /// The lines.
    pub series: Vec<Curve>,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// Name in the legend.
    pub label: String,
    /// Its points, in the order of x.
    pub points: Vec<CurvePoint>,
}

/// One point and its band.
#[derive(Clone, Copy, Debug)]
pub struct CurvePoint {
    /// x.
    pub x: f64,
    /// The line.
    pub y: f64,
    /// Lower end of the band; equal to `y` for none.
    pub low: f64,
    /// Upper end of the band.
    pub high: f64,
}

impl Curve {
    /// A line without a band.
    pub fn line(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().map(|(x, y)| CurvePoint { x, y, low: y, high: y }).collect();
        Self { label: label.into(), points }
    }

    /// The mean over seeds with a band of one standard deviation: `(x, one value per seed)`.
    pub fn over_seeds(label: impl Into<String>, values: impl IntoIterator<Item = (f64, Vec<f64>)>) -> Self {
        let point = |(x, seeds): (f64, Vec<f64>)| {
            mean_sd(&seeds).map(|(y, sd)| CurvePoint { x, y, low: y - sd, high: y + sd })
        };
        Self { label: label.into(), points: values.into_iter().filter_map(point).collect() }
    }
}

impl Plot for Curves {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        (680, 400)
    }

    fn draw(&self, area: &Area<'_>) -> Result<()> {
        let area = style::titled(area, &self.title)?;
        let labels: Vec<&str> = self.series.iter().map(|s| s.label.as_str()).collect();
        let area = style::legend(&area, &self.title, &labels, self.markers)?;
        let place = |x: f64| if self.log_x { x.log10() } else { x };
        let points = |s: &Curve| -> Vec<CurvePoint> {
            let kept = s.points.iter().filter(|p| place(p.x).is_finite() && p.y.is_finite());
            kept.map(|p| CurvePoint { x: place(p.x), ..*p }).collect()
        };
        let series: Vec<Vec<CurvePoint>> = self.series.iter().map(points).collect();
        let all = || series.iter().flatten();
        let Some((x_low, x_high)) = extent(all().map(|p| p.x)) else {
            return style::no_data(&area, &self.title);
        };
        let (x_low, x_high) = if x_high > x_low { (x_low, x_high) } else { (x_low - 0.5, x_high + 0.5) };
        let (low, high) = self.y_range.unwrap_or_else(|| padded(all().flat_map(|p| [p.low, p.high, p.y])));
        let error = || failed(&self.title);
        let mut chart = ChartBuilder::on(&area)
            .margin_left(6)
            .margin_right(18)
            .margin_top(6)
            .x_label_area_size(44)
            .y_label_area_size(LEFT_PX)
            .build_cartesian_2d(x_low..x_high, low..high)
            .map_err(error())?;
        chart
            .configure_mesh()
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .bold_line_style(style::GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(("sans-serif", TICK_PX))
            .axis_desc_style(("sans-serif", LABEL_PX))
            .x_labels(8)
            .x_label_formatter(&|x| style::short(if self.log_x { 10f64.powf(*x) } else { *x }))
            .y_label_formatter(&|y| style::short(*y))
            .draw()
            .map_err(error())?;
        let clip = |v: f64| v.clamp(low, high);
        for (s, points) in series.iter().enumerate() {
            if points.iter().any(|p| p.high > p.low) {
                let upper = points.iter().map(|p| (p.x, clip(p.high)));
                let band: Vec<(f64, f64)> =
                    upper.chain(points.iter().rev().map(|p| (p.x, clip(p.low)))).collect();
                chart.draw_series([Polygon::new(band, style::colour(s).mix(0.18))]).map_err(error())?;
            }
        }
        let base = area.get_base_pixel();
        for (s, points) in series.iter().enumerate() {
            let line =
                LineSeries::new(points.iter().map(|p| (p.x, clip(p.y))), style::colour(s).stroke_width(2));
            // One point is no line, and whoever reads the SVG says so.
            if points.len() > 1 {
                chart.draw_series(line).map_err(error())?;
            }
            for p in points.iter().filter(|_| self.markers || points.len() == 1) {
                let at = chart.plotting_area().map_coordinate(&(p.x, clip(p.y)));
                style::marker(&area, &self.title, s, (at.0 - base.0, at.1 - base.1))?;
            }
        }
        Ok(())
    }
}
