//! Small multiples: several figures in a grid under one title.

use super::{Area, Plot, style};
use crate::Result;

/// A grid of plots, filled row by row.
pub struct Panels {
    /// Title over all.
    pub title: String,
    /// Plots in a row.
    pub columns: usize,
    /// Width and height of one panel in pixels.
    pub panel_px: (u32, u32),
    /// The plots.
    pub plots: Vec<Box<dyn Plot>>,
}

impl Panels {
    fn grid(&self) -> (usize, usize) {
        let columns = self.columns.clamp(1, self.plots.len().max(1));
        (self.plots.len().div_ceil(columns).max(1), columns)
    }
}

impl Plot for Panels {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        let (rows, columns) = self.grid();
        (self.panel_px.0 * columns as u32, self.panel_px.1 * rows as u32 + 52)
    }

    fn draw(&self, area: &Area<'_>) -> Result<()> {
        let area = style::titled(area, &self.title)?;
        if self.plots.is_empty() {
            return style::no_data(&area, &self.title);
        }
        for (plot, panel) in self.plots.iter().zip(area.split_evenly(self.grid())) {
            plot.draw(&panel)?;
        }
        Ok(())
    }
}
