//! Heat maps: a field over a plane (the temperature of every pixel) or over time and place.

use super::style::{self, INK, LABEL_PX, TICK_PX};
use super::{Area, Plot, extent, failed};
use crate::{Error, Result};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// The inferno map of matplotlib (S. van der Walt, N. Smith; CC0), at nine places: rises evenly in lightness.
const INFERNO: [RGBColor; 9] = [
    RGBColor(0, 0, 4),
    RGBColor(31, 12, 72),
    RGBColor(85, 15, 109),
    RGBColor(136, 34, 106),
    RGBColor(186, 54, 85),
    RGBColor(227, 89, 51),
    RGBColor(249, 140, 10),
    RGBColor(249, 201, 50),
    RGBColor(252, 255, 164),
];

/// Shades drawn: neighbours of the same shade become one rectangle, which keeps a sensor's map small.
const LEVELS: f64 = 48.0;

/// A field of values.
#[derive(Clone, Debug, Default)]
pub struct HeatMap {
    /// Title.
    pub title: String,
    /// Name and unit along a row; empty for none.
    pub x_label: String,
    /// Name and unit along a column; empty for none.
    pub y_label: String,
    /// Name and unit of the value, beside the colour bar; empty for no bar.
    pub value_label: String,
    /// Values of the darkest and the lightest colour; from the data where `None`.
    pub range: Option<(f64, f64)>,
    /// Values along x at the first and the last column, for the ends of the axis.
    pub x_range: Option<(f64, f64)>,
    /// `rows[y][x]`, the first row on top.
    pub rows: Vec<Vec<f64>>,
}

/// The range of all values of several maps, so that their colours compare.
pub fn shared_range(maps: &[Vec<Vec<f64>>]) -> Option<(f64, f64)> {
    extent(maps.iter().flatten().flatten().copied())
}

impl Plot for HeatMap {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        (460, 400)
    }

    fn draw(&self, area: &Area<'_>) -> Result<()> {
        let columns = self.rows.first().map_or(0, Vec::len);
        if let Some(y) = self.rows.iter().position(|row| row.len() != columns) {
            let message = format!("row {y} has {} values, expected {columns}", self.rows[y].len());
            return Err(Error::Figure { title: self.title.clone(), message });
        }
        let area = style::titled(area, &self.title)?;
        let Some(found) = extent(self.rows.iter().flatten().copied()) else {
            return style::no_data(&area, &self.title);
        };
        let (low, high) = self.range.unwrap_or(found);
        let span = if high > low { high - low } else { 1.0 };
        let (width, height) = area.dim_in_pixel();
        let (width, height) = (width as i32, height as i32);
        let left = if self.y_label.is_empty() { 8 } else { 30 };
        let under = if self.x_label.is_empty() { 8 } else { 40 };
        let bar = if self.value_label.is_empty() { 8 } else { 92 };
        let (room_x, room_y) = (width - left - bar, height - 4 - under);
        // A picture keeps square pixels; a field over time fills its room.
        let scale = (f64::from(room_x) / columns as f64).min(f64::from(room_y) / self.rows.len() as f64);
        let (plot_w, plot_h) = match self.x_range {
            Some(_) => (room_x, room_y),
            None => ((scale * columns as f64) as i32, (scale * self.rows.len() as f64) as i32),
        };
        let (left, top) = (left + (room_x - plot_w) / 2, 4 + (room_y - plot_h) / 2);
        let error = || failed(&self.title);
        let level = |v: f64| {
            let share = ((v - low) / span).clamp(0.0, 1.0);
            if v.is_finite() { Some((share * (LEVELS - 1.0)).round() as u32) } else { None }
        };
        let place = |index: usize, count: usize, pixels: i32| {
            (index as i64 * i64::from(pixels) / count as i64) as i32
        };
        for (y, row) in self.rows.iter().enumerate() {
            let (y0, y1) = (place(y, self.rows.len(), plot_h), place(y + 1, self.rows.len(), plot_h));
            let mut x = 0;
            while x < columns {
                let shade = level(row[x]);
                let run = row[x..].iter().take_while(|v| level(**v) == shade).count();
                let (x0, x1) = (place(x, columns, plot_w), place(x + run, columns, plot_w));
                x += run;
                // Not finite: left as paper.
                let Some(shade) = shade else { continue };
                if x1 > x0 && y1 > y0 {
                    let corners = [(left + x0, top + y0), (left + x1, top + y1)];
                    let colour = ramp(&INFERNO, f64::from(shade) / (LEVELS - 1.0));
                    area.draw(&Rectangle::new(corners, colour.filled())).map_err(error())?;
                }
            }
        }
        let frame = [(left, top), (left + plot_w, top + plot_h)];
        area.draw(&Rectangle::new(frame, INK.stroke_width(1))).map_err(error())?;
        let (middle_x, middle_y) = (left + plot_w / 2, top + plot_h / 2);
        if !self.y_label.is_empty() {
            area.draw_text(&self.y_label, &style::upright(LABEL_PX), (left - 16, middle_y))
                .map_err(error())?;
        }
        if !self.x_label.is_empty() {
            let style = style::text(LABEL_PX, HPos::Center, VPos::Top);
            area.draw_text(&self.x_label, &style, (middle_x, top + plot_h + 18)).map_err(error())?;
        }
        if let Some((first, last)) = self.x_range {
            for (value, x, pos) in [(first, left, HPos::Left), (last, left + plot_w, HPos::Right)] {
                let style = style::text(TICK_PX, pos, VPos::Top);
                area.draw_text(&style::short(value), &style, (x, top + plot_h + 4)).map_err(error())?;
            }
        }
        if !self.value_label.is_empty() {
            self.colour_bar(&area, (left + plot_w + 12, top, plot_h), (low, low + span))?;
        }
        Ok(())
    }
}

impl HeatMap {
    fn colour_bar(&self, area: &Area<'_>, at: (i32, i32, i32), range: (f64, f64)) -> Result<()> {
        let (x, top, height) = at;
        let error = || failed(&self.title);
        let steps = LEVELS as i32;
        for i in 0..steps {
            let (y0, y1) = (top + height - height * i / steps, top + height - height * (i + 1) / steps);
            let colour = ramp(&INFERNO, f64::from(i) / f64::from(steps - 1));
            area.draw(&Rectangle::new([(x, y1), (x + 12, y0)], colour.filled())).map_err(error())?;
        }
        let style = style::text(TICK_PX, HPos::Left, VPos::Center);
        for tick in 0..5 {
            let value = range.0 + (range.1 - range.0) * f64::from(tick) / 4.0;
            let y = top + height - height * tick / 4;
            area.draw_text(&style::short(value), &style, (x + 16, y)).map_err(error())?;
        }
        let middle = (x + 68, top + height / 2);
        area.draw_text(&self.value_label, &style::upright(TICK_PX), middle).map_err(error())
    }
}

/// The colour at `share` (0 to 1) of a ramp, linear between its stops.
pub(super) fn ramp(stops: &[RGBColor], share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let at = (place as usize).min(stops.len().saturating_sub(2));
    let (from, to, rest) = (stops[at], stops[(at + 1).min(stops.len() - 1)], place - at as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * rest).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}
