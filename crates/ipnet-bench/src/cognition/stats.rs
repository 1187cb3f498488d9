//! The few statistics of the comparison.

use serde::Serialize;

/// Mean over subjects and the half width of its 95 % interval (1.96 standard errors).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// Mean.
    pub mean: f64,
    /// Half width of the 95 % interval of the mean.
    pub ci95: f64,
}

/// Mean and interval of one value per subject.
pub fn mean(values: &[f64]) -> Mean {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Mean { mean, ci95: 1.96 * (variance / n).sqrt() }
}

/// `mean` of each column of one row per subject.
pub fn means(rows: &[Vec<f64>]) -> Vec<Mean> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|c| mean(&rows.iter().map(|row| row[c]).collect::<Vec<_>>())).collect()
}

/// Agreement of a model curve with a human one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Pearson's r; `None` where a curve is flat.
    pub r: Option<f64>,
    /// Root mean square difference.
    pub rmse: f64,
}

/// Pearson's r and RMSE over all points.
pub fn agreement(model: &[f64], human: &[f64]) -> Agreement {
    let n = model.len().min(human.len()) as f64;
    let pairs = || model.iter().zip(human);
    let (m, h) = (model.iter().sum::<f64>() / n, human.iter().sum::<f64>() / n);
    let cov: f64 = pairs().map(|(a, b)| (a - m) * (b - h)).sum();
    let (vm, vh): (f64, f64) =
        pairs().fold((0.0, 0.0), |(x, y), (a, b)| (x + (a - m).powi(2), y + (b - h).powi(2)));
    let r = (vm > 1e-12 && vh > 1e-12).then(|| cov / (vm * vh).sqrt());
    Agreement { r, rmse: (pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>() / n).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_of_known_curves() {
        let line = [0.0, 1.0, 2.0, 3.0];
        let same = agreement(&line, &line);
        assert_eq!((same.r, same.rmse), (Some(1.0), 0.0));
        let shifted = agreement(&line, &[3.0, 2.0, 1.0, 0.0]);
        assert!((shifted.r.unwrap() + 1.0).abs() < 1e-12);
        assert!((shifted.rmse - 5f64.sqrt()).abs() < 1e-12);
        assert_eq!(agreement(&[1.0, 1.0], &[0.0, 1.0]).r, None);
    }

    #[test]
    fn the_interval_is_1_96_standard_errors() {
        let m = mean(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(m.mean, 2.5);
        assert!((m.ci95 - 1.96 * (5.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
    }
}
