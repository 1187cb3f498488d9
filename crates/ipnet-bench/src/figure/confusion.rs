//! A confusion matrix: rows are the true classes, columns the predicted ones, counts in the cells.

use super::heatmap::ramp;
use super::style::{self, LABEL_PX, TICK_PX};
use super::{Area, Plot, failed};
use crate::{Error, Result};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const CELL_PX: i32 = 26;

/// Counts of true class against predicted class.
#[derive(Clone, Debug, Default)]
pub struct Confusion {
    /// Title.
    pub title: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `counts[truth][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    fn label_px(&self) -> i32 {
        self.classes.iter().map(|name| style::text_width(name, TICK_PX)).max().unwrap_or(0) + 8
    }
}

impl Plot for Confusion {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        let cells = CELL_PX * self.classes.len() as i32;
        ((cells + self.label_px() + 48).max(360) as u32, (cells + self.label_px() + 96) as u32)
    }

    fn draw(&self, area: &Area<'_>) -> Result<()> {
        let n = self.classes.len();
        if self.counts.len() != n || self.counts.iter().any(|row| row.len() != n) {
            let message = format!("the counts are not a square of the {n} classes");
            return Err(Error::Figure { title: self.title.clone(), message });
        }
        let error = || failed(&self.title);
        let area = style::titled(area, &self.title)?;
        let (left, top) = (self.label_px() + 28, 6);
        let (right, bottom) = (left + CELL_PX * n as i32, top + CELL_PX * n as i32);
        for (truth, row) in self.counts.iter().enumerate() {
            let total: u64 = row.iter().sum();
            let y = top + CELL_PX * truth as i32;
            for (predicted, count) in row.iter().enumerate() {
                let x = left + CELL_PX * predicted as i32;
                let share = if total == 0 { 0.0 } else { *count as f64 / total as f64 };
                let corners = [(x, y), (x + CELL_PX, y + CELL_PX)];
                // Shares of a row, pale to dark, so that classes of different size compare.
                let shade = mix(WHITE, RGBColor(0, 84, 140), share);
                area.draw(&Rectangle::new(corners, shade.filled())).map_err(error())?;
                area.draw(&Rectangle::new(corners, style::GRID.stroke_width(1))).map_err(error())?;
                if *count > 0 {
                    let ink = if share > 0.5 { WHITE } else { style::INK };
                    let style = style::text(11, HPos::Center, VPos::Center).color(&ink);
                    let middle = (x + CELL_PX / 2, y + CELL_PX / 2);
                    area.draw_text(&count.to_string(), &style, middle).map_err(error())?;
                }
            }
        }
        for (class, name) in self.classes.iter().enumerate() {
            let middle = CELL_PX * class as i32 + CELL_PX / 2;
            let row = style::text(TICK_PX, HPos::Right, VPos::Center);
            area.draw_text(name, &row, (left - 5, top + middle)).map_err(error())?;
            let half = style::text_width(name, TICK_PX) / 2;
            area.draw_text(name, &style::upright(TICK_PX), (left + middle, bottom + 6 + half))
                .map_err(error())?;
        }
        area.draw_text("true class", &style::upright(LABEL_PX), (12, (top + bottom) / 2)).map_err(error())?;
        let below = style::text(LABEL_PX, HPos::Center, VPos::Top);
        let place = ((left + right) / 2, bottom + self.label_px() + 8);
        area.draw_text("predicted class", &below, place).map_err(error())
    }
}

fn mix(from: RGBColor, to: RGBColor, share: f64) -> RGBColor {
    ramp(&[from, to], share)
}
