//! Figures of a device and of a fit, each as SVG and PNG.

use crate::cmd::save;
use anyhow::Context;
use ipnet_bench::figure::{Curve, Curves, Panels, Plot, png, svg};
use ipnet_device::curves::{self, Series};
use ipnet_device::fit::{Fit, Measurement};
use ipnet_device::{Device, DeviceSet};
use std::path::{Path, PathBuf};

fn curves_of(title: &str, x_label: &str, y_label: &str, log_x: bool, series: Vec<Series>) -> Curves {
    let y_range = (y_label == P).then_some((0.0, 1.0));
    let series = series.into_iter().map(|s| Curve::line(s.label, s.points)).collect();
    Curves {
        title: title.into(),
        x_label: x_label.into(),
        y_label: y_label.into(),
        y_range,
        log_x,
        markers: false,
        series,
    }
}

const P: &str = "switching probability";

fn figures(device: &Device) -> Vec<(&'static str, Curves)> {
    let f = curves_of;
    vec![
        (
            "heating",
            f(
                "Heating and relaxation after a pulse",
                "time [ns]",
                "rise [K]",
                false,
                curves::heating(device),
            ),
        ),
        (
            "p-voltage",
            f(
                "Switching against amplitude, at the junction's temperature",
                "amplitude [V]",
                P,
                false,
                curves::p_against_voltage(device),
            ),
        ),
        (
            "p-interval",
            f(
                "Second of two pulses, against the interval",
                "interval [ns]",
                P,
                true,
                curves::p_against_interval(device),
            ),
        ),
        (
            "p-width",
            f(
                "Switching against pulse width, cold junction",
                "width [ns]",
                P,
                true,
                curves::p_against_width(device),
            ),
        ),
        (
            "r-v",
            f(
                "R-V loop, mean of many sweeps",
                "voltage [V]",
                "resistance [kOhm]",
                false,
                curves::resistance_loop(device),
            ),
        ),
    ]
}

/// Writes the five figures of `set` and one sheet with all of them into `dir`; returns the files. Of a set with a measured table
/// they are those that do not show the switching formula.
pub fn write(set: &DeviceSet, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    // A set is called what its author likes; its files lie in `dir`.
    let plain = |c: char| if c.is_alphanumeric() || "-_.+ ".contains(c) { c } else { '-' };
    let file: String = set.name.chars().map(plain).collect();
    let device = set.device();
    let mut files = Vec::new();
    let mut sheet = Panels { title: set.name.clone(), columns: 2, panel_px: (680, 400), plots: Vec::new() };
    let of_formula = |name: &str| name.starts_with("p-") || name == "r-v";
    let shown = |(name, _): &(&str, Curves)| set.table.is_none() || !of_formula(name);
    for (name, plot) in figures(&device).into_iter().filter(shown) {
        files.extend(write_one(&plot, dir, &format!("{file}-{name}"))?);
        sheet.plots.push(Box::new(plot));
    }
    files.extend(write_one(&sheet, dir, &format!("{file}-sheet"))?);
    Ok(files)
}

/// Writes the residuals of a fit: a CSV, and a figure of residuals against voltage with measured and predicted p beside it.
pub fn write_residuals(fit: &Fit, data: &[Measurement], dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let kinds = ["single pulse", "second pulse", "resistance"];
    let kind = |point: &Measurement| match point {
        Measurement::Switching { heated_by: None, .. } => 0,
        Measurement::Switching { heated_by: Some(_), .. } => 1,
        Measurement::Resistance { .. } => 2,
    };
    let v = |point: &Measurement| match point {
        Measurement::Switching { v_v, .. } | Measurement::Resistance { v_v, .. } => *v_v,
    };
    // A line per point keeps the points apart: the figure has markers and no path between them to follow.
    let of_kind = |wanted: usize, y: &dyn Fn(usize) -> (f64, f64)| -> Vec<(f64, f64)> {
        let mut points: Vec<_> = (0..data.len()).filter(|&i| kind(&data[i]) == wanted).map(y).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let residuals = Curves {
        title: "Residuals of the fit".into(),
        x_label: "voltage [V]".into(),
        y_label: "residual [standard deviations]".into(),
        markers: true,
        series: (0..3)
            .map(|k| Curve::line(kinds[k], of_kind(k, &|i| (v(&data[i]), fit.residuals[i]))))
            .filter(|curve| !curve.points.is_empty())
            .collect(),
        ..Curves::default()
    };
    let share = |point: &Measurement| match point {
        Measurement::Switching { trials, switched, .. } => f64::from(*switched) / f64::from(*trials),
        Measurement::Resistance { .. } => f64::NAN,
    };
    let mut agreement: Vec<Curve> = (0..2)
        .map(|k| Curve::line(kinds[k], of_kind(k, &|i| (fit.predicted[i], share(&data[i])))))
        .filter(|curve| !curve.points.is_empty())
        .collect();
    agreement.push(Curve::line("equal", [(0.0, 0.0), (1.0, 1.0)]));
    let agreement = Curves {
        title: "Measured against fitted".into(),
        x_label: "fitted switching probability".into(),
        y_label: "measured share".into(),
        markers: true,
        series: agreement,
        ..Curves::default()
    };
    let sheet = Panels {
        title: "Fit".into(),
        columns: 2,
        panel_px: (680, 400),
        plots: vec![Box::new(residuals), Box::new(agreement)],
    };
    let mut files = write_one(&sheet, dir, "residuals")?;
    let csv = dir.join("residuals.csv");
    save(&csv, fit.residual_csv(data))?;
    files.push(csv);
    Ok(files)
}

fn write_one(plot: &dyn Plot, dir: &Path, name: &str) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let text = svg(plot)?;
    let files = [("svg", text.as_bytes().to_vec()), ("png", png(&text)?)];
    let write = |(ending, bytes): (&str, Vec<u8>)| {
        let path = dir.join(format!("{name}.{ending}"));
        save(&path, bytes)?;
        Ok(path)
    };
    files.into_iter().map(write).collect()
}
