//! One look for all figures: colours, fonts, titles, legends and numbers.

use super::{Area, failed};
use crate::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, TextStyle};

pub(super) const PAPER: RGBColor = WHITE;
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const GRID: RGBColor = RGBColor(222, 222, 222);

/// M. Okabe, K. Ito, "Color Universal Design" (2008); yellow is left out, it vanishes on white.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(100, 100, 100),
];

pub(super) const TITLE_PX: u32 = 17;
pub(super) const LABEL_PX: u32 = 14;
pub(super) const TICK_PX: u32 = 12;
const LEGEND_ROW_PX: i32 = 20;

pub(super) fn colour(series: usize) -> RGBColor {
    PALETTE[series % PALETTE.len()]
}

pub(super) fn text(px: u32, h: HPos, v: VPos) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", px).into_font()).color(&INK).pos(Pos::new(h, v))
}

pub(super) fn upright(px: u32) -> TextStyle<'static> {
    let font = ("sans-serif", px).into_font().transform(FontTransform::Rotate270);
    TextStyle::from(font).color(&INK).pos(Pos::new(HPos::Center, VPos::Center))
}

/// Width of a text in pixels, near enough for layout: no font is loaded.
pub(super) fn text_width(text: &str, px: u32) -> i32 {
    (text.chars().count() as f64 * f64::from(px) * 0.56).ceil() as i32
}

/// Draws the title in lines that fit and gives the area below.
pub(super) fn titled<'a>(area: &Area<'a>, title: &str) -> Result<Area<'a>> {
    if title.is_empty() {
        return Ok(area.clone());
    }
    let (width, _) = area.dim_in_pixel();
    let room = (f64::from(width) / (f64::from(TITLE_PX) * 0.52)) as usize;
    let lines = wrapped(title, room.max(8));
    let style = text(TITLE_PX, HPos::Center, VPos::Top);
    for (row, line) in lines.iter().enumerate() {
        let y = 6 + row as i32 * (TITLE_PX as i32 + 3);
        area.draw_text(line, &style, (width as i32 / 2, y)).map_err(failed(title))?;
    }
    let (_, rest) = area.split_vertically(8 + lines.len() as u32 * (TITLE_PX + 3));
    Ok(rest)
}

/// Draws a legend in rows at the top of `area` and gives the area below; none for a single series.
pub(super) fn legend<'a>(area: &Area<'a>, title: &str, labels: &[&str], markers: bool) -> Result<Area<'a>> {
    if labels.len() < 2 {
        return Ok(area.clone());
    }
    let width = area.dim_in_pixel().0 as i32;
    let (mut x, mut y) = (LEFT_PX as i32, LEGEND_ROW_PX / 2);
    let style = text(TICK_PX, HPos::Left, VPos::Center);
    for (series, label) in labels.iter().enumerate() {
        let needed = 24 + text_width(label, TICK_PX) + 14;
        if x > LEFT_PX as i32 && x + needed > width {
            (x, y) = (LEFT_PX as i32, y + LEGEND_ROW_PX);
        }
        if markers {
            let line = PathElement::new(vec![(x, y), (x + 18, y)], colour(series).stroke_width(2));
            area.draw(&line).map_err(failed(title))?;
            marker(area, title, series, (x + 9, y))?;
        } else {
            let swatch = Rectangle::new([(x + 2, y - 6), (x + 16, y + 6)], colour(series).filled());
            area.draw(&swatch).map_err(failed(title))?;
        }
        area.draw_text(label, &style, (x + 24, y)).map_err(failed(title))?;
        x += needed;
    }
    let (_, rest) = area.split_vertically(y + LEGEND_ROW_PX / 2 + 4);
    Ok(rest)
}

/// Room left of a plot for its axis.
pub(super) const LEFT_PX: u32 = 66;

/// A marker per series, so that a grey print tells them apart.
pub(super) fn marker(area: &Area<'_>, title: &str, series: usize, at: (i32, i32)) -> Result<()> {
    let fill = colour(series).filled();
    match series % 4 {
        0 => area.draw(&Circle::new(at, 4, fill)),
        1 => area.draw(&TriangleMarker::new(at, 5, fill)),
        2 => area.draw(&Rectangle::new([(at.0 - 3, at.1 - 3), (at.0 + 3, at.1 + 3)], fill)),
        _ => area.draw(&Cross::new(at, 4, colour(series).stroke_width(2))),
    }
    .map_err(failed(title))
}

/// "no data", where a figure has nothing to show.
pub(super) fn no_data(area: &Area<'_>, title: &str) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let style = text(LABEL_PX, HPos::Center, VPos::Center);
    area.draw_text("no data", &style, (width as i32 / 2, height as i32 / 2)).map_err(failed(title))
}

/// Three significant digits, without an exponent where that reads well.
pub(super) fn short(value: f64) -> String {
    // What is left of a tick at 0 that was reached by additions is far below any unit's smallest value here.
    let value = if value.abs() < 1e-18 { 0.0 } else { value };
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { value.to_string() };
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..6).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.*}", (2 - magnitude).max(0) as usize);
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

/// Breaks a text at spaces (and after slashes, hyphens) into lines of at most `room` characters where it can.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
