//! A fit as a table for people and as a parameter set for programs.

use super::{Fit, Measurement};
use std::fmt::Write as _;

impl Fit {
    /// A table of estimates, standard errors and what is not determined.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<34}{:>14}{:>14}{:>12}", "parameter", "estimate", "std. error", "base");
        for p in &self.parameters {
            if p.determined {
                let error = p.value * p.relative_error;
                let _ = writeln!(text, "{:<34}{:>14.5e}{error:>14.1e}{:>12.4e}", p.key, p.value, p.base);
            }
        }
        let per_degree = self.chi2 / self.degrees_of_freedom.max(1) as f64;
        let _ = writeln!(
            text,
            "chi-square {:.1} at {} degrees of freedom ({per_degree:.2} each; 1 is what counting noise gives)",
            self.chi2, self.degrees_of_freedom
        );
        let held: Vec<_> = self.parameters.iter().filter(|p| !p.determined).collect();
        if !held.is_empty() {
            let _ = writeln!(
                text,
                "not determined by these data, held at the base value (the estimates above are conditional on it):"
            );
            for p in held {
                let why = match p.relative_error {
                    error if error.is_infinite() => "no measurement depends on it".to_owned(),
                    error if error > 100.0 => "only combinations with other parameters show".to_owned(),
                    error => format!("standard error {:.0} %", 100.0 * error),
                };
                let _ = writeln!(text, "  {} = {:e}: {why}", p.key, p.base);
            }
        }
        let names: Vec<&str> =
            self.parameters.iter().filter(|p| p.determined).map(|p| p.key.as_str()).collect();
        for (i, row) in self.correlation.iter().enumerate() {
            for (j, value) in row.iter().enumerate().take(i).filter(|(_, value)| value.abs() > 0.95) {
                let _ = writeln!(text, "strongly correlated: {} and {} ({value:+.3})", names[j], names[i]);
            }
        }
        text
    }

    /// The fitted set as TOML that extends `base`; `data` names the measurements in its sources.
    pub fn to_toml(&self, name: &str, base: &str, data: &str) -> String {
        let mut text = format!(
            "name = {name:?}\nextends = {base:?}\ndescription = {:?}\n",
            format!("{base}, fitted to {data}")
        );
        let mut section = "";
        let mut sorted: Vec<_> = self.parameters.iter().filter(|p| p.determined).collect();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        for p in sorted {
            let (of, key) = p.key.rsplit_once('.').unwrap_or(("", &p.key));
            if of != section {
                let _ = writeln!(text, "\n[{of}]");
                section = of;
            }
            let source = format!("fitted to {data}, standard error {:.2} %", 100.0 * p.relative_error);
            let _ = writeln!(text, "{key} = {{ value = {:e}, source = {source:?} }}", p.value);
        }
        text
    }

    /// Measurements, predictions and residuals as CSV.
    pub fn residual_csv(&self, data: &[Measurement]) -> String {
        let mut text = String::from("kind,v_v,width_s,interval_s,measured,predicted,residual_sd\n");
        for ((point, predicted), residual) in data.iter().zip(&self.predicted).zip(&self.residuals) {
            let (kind, v, width, interval, measured) = match point {
                Measurement::Switching { v_v, width_s, heated_by, trials, switched, .. } => (
                    if heated_by.is_some() { "pair" } else { "switch" },
                    v_v,
                    width_s.to_string(),
                    heated_by.map_or(String::new(), |[_, interval_s]| interval_s.to_string()),
                    f64::from(*switched) / f64::from(*trials),
                ),
                Measurement::Resistance { v_v, ohm, .. } => {
                    ("resistance", v_v, String::new(), String::new(), *ohm)
                }
            };
            let _ = writeln!(text, "{kind},{v},{width},{interval},{measured},{predicted},{residual}");
        }
        text
    }
}
