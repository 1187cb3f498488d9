//! Grouped bars: the mean over seeds, a whisker of one standard deviation, and every seed as a point.

use super::style::{self, INK, LABEL_PX, LEFT_PX, TICK_PX};
use super::{Area, Plot, extent, failed, mean_sd};
use crate::{Error, Result};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Bars of several series side by side in groups.
#[derive(Clone, Debug, Default)]
pub struct Bars {
    /// Title.
    pub title: String,
    /// Name and unit of what the bars measure.
    pub y_label: String,
    /// The axis; from 0 to a little above the highest value where `None`.
    pub y_range: Option<(f64, f64)>,
    /// A dashed line across, with its label: chance, the paper's value, ...
    pub reference: Option<(f64, String)>,
    /// Names of the groups along x.
    pub groups: Vec<String>,
    /// The series.
    pub series: Vec<BarSeries>,
}

/// One bar per group.
#[derive(Clone, Debug, Default)]
pub struct BarSeries {
    /// Name in the legend.
    pub label: String,
    /// `values[group]` holds one value per seed; empty where it was not measured.
    pub values: Vec<Vec<f64>>,
}

impl Plot for Bars {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        let bars = self.groups.len() * self.series.len().max(1);
        ((LEFT_PX + 40 + 30 * bars as u32 + 24 * self.groups.len() as u32).clamp(520, 1100), 400)
    }

    fn draw(&self, area: &Area<'_>) -> Result<()> {
        if let Some(odd) = self.series.iter().find(|s| s.values.len() != self.groups.len()) {
            let (found, expected) = (odd.values.len(), self.groups.len());
            let message = format!(
                "series {:?} has {found} bars, expected one for each of {expected} groups",
                odd.label
            );
            return Err(Error::Figure { title: self.title.clone(), message });
        }
        let area = style::titled(area, &self.title)?;
        let labels: Vec<&str> = self.series.iter().map(|s| s.label.as_str()).collect();
        let area = style::legend(&area, &self.title, &labels, false)?;
        let all = || self.series.iter().flat_map(|s| s.values.iter().flatten().copied());
        let Some((lowest, highest)) = extent(all().chain(self.reference.iter().map(|r| r.0))) else {
            return style::no_data(&area, &self.title);
        };
        let room = if highest > lowest.min(0.0) { 0.08 * (highest - lowest.min(0.0)) } else { 1.0 };
        let low = if lowest < 0.0 { lowest - room } else { 0.0 };
        let (low, high) = self.y_range.unwrap_or((low, highest + room));
        let n = self.groups.len() as f64;
        let error = || failed(&self.title);
        let mut chart = ChartBuilder::on(&area)
            .margin_left(6)
            .margin_right(14)
            .margin_top(6)
            .x_label_area_size(46)
            .y_label_area_size(LEFT_PX)
            .build_cartesian_2d(0.0..n, low..high)
            .map_err(error())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_desc(&self.y_label)
            .bold_line_style(style::GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(("sans-serif", TICK_PX))
            .axis_desc_style(("sans-serif", LABEL_PX))
            .y_label_formatter(&|v| style::short(*v))
            .draw()
            .map_err(error())?;
        let width = 0.82 / self.series.len() as f64;
        let clip = |v: f64| v.clamp(low, high);
        for (s, series) in self.series.iter().enumerate() {
            for (group, values) in series.values.iter().enumerate() {
                let Some((mean, sd)) = mean_sd(values) else { continue };
                let left = group as f64 + 0.09 + s as f64 * width;
                let (right, middle) = (left + 0.9 * width, left + 0.45 * width);
                let bar = [(left, clip(0.0)), (right, clip(mean))];
                let whisker = vec![(middle, clip(mean - sd)), (middle, clip(mean + sd))];
                chart
                    .draw_series([Rectangle::new(bar, style::colour(s).mix(0.75).filled())])
                    .map_err(error())?;
                chart.draw_series([PathElement::new(whisker, INK.stroke_width(2))]).map_err(error())?;
                for (i, value) in values.iter().copied().filter(|v| v.is_finite()).enumerate() {
                    let x = left + 0.9 * width * (i as f64 + 1.0) / (values.len() as f64 + 1.0);
                    let point = Circle::new((x, clip(value)), 3, WHITE.filled());
                    let rim = Circle::new((x, clip(value)), 3, INK.stroke_width(1));
                    chart.draw_series([point]).map_err(error())?;
                    chart.draw_series([rim]).map_err(error())?;
                }
            }
        }
        if let Some((value, label)) = &self.reference {
            let dashes = (0..60).map(|i| f64::from(i) * n / 60.0);
            let dash = dashes
                .map(|x| PathElement::new(vec![(x, *value), (x + n / 110.0, *value)], INK.stroke_width(1)));
            chart.draw_series(dash).map_err(error())?;
            let place = text_at(&chart.plotting_area().map_coordinate(&(n, *value)), &area);
            let style = style::text(TICK_PX, HPos::Right, VPos::Bottom);
            area.draw_text(label, &style, (place.0, place.1 - 2)).map_err(error())?;
        }
        let slot = chart.plotting_area().dim_in_pixel().0 as f64 / n;
        for (group, name) in self.groups.iter().enumerate() {
            let (x, y) = text_at(&chart.plotting_area().map_coordinate(&(group as f64 + 0.5, low)), &area);
            let style = style::text(TICK_PX, HPos::Center, VPos::Top);
            for (row, line) in style::wrapped(name, (slot / 6.6) as usize).iter().take(3).enumerate() {
                area.draw_text(line, &style, (x, y + 6 + 14 * row as i32)).map_err(error())?;
            }
        }
        Ok(())
    }
}

/// A position of the whole picture, as one of `area`.
fn text_at(picture: &(i32, i32), area: &Area<'_>) -> (i32, i32) {
    let base = area.get_base_pixel();
    (picture.0 - base.0, picture.1 - base.1)
}
