//! Measurements: one CSV, one row per point.
//!
//! ```text
//! kind,v_v,width_s,bath_k,heat_v,interval_s,trials,switched,state,ohm,sigma_ohm
//! switch,0.62,5e-8,300,,,2000,713,,,          one pulse on a cold junction, from its initial state
//! pair,0.50,5e-8,300,0.9,2e-7,2000,388,,,     the second of two pulses: the first had heat_v, the state was set back between
//! resistance,0.10,,300,,,,,ap,12930,40        R(V) in state p or ap
//! ```
//! Columns may stand in any order; those that a kind does not use stay empty. `bath_k` may be left out: then the ambient temperature
//! of the set. In a pair both pulses have `width_s`, and `interval_s` runs from the end of the first to the start of the second.

use crate::{Device, Error, State};
use serde::Deserialize;
use std::io::Read;

/// One measured point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measurement {
    /// How often pulses of one kind switched the junction.
    Switching {
        /// Amplitude \[V\].
        v_v: f64,
        /// Width \[s\].
        width_s: f64,
        /// Bath temperature \[K\], or that of the set.
        bath_k: Option<f64>,
        /// The pulse before, of the same width: its amplitude \[V\], and the interval from its end \[s\].
        heated_by: Option<[f64; 2]>,
        /// Number of pulses.
        trials: u32,
        /// How many switched.
        switched: u32,
    },
    /// A resistance.
    Resistance {
        /// Voltage \[V\].
        v_v: f64,
        /// Bath temperature \[K\], or that of the set.
        bath_k: Option<f64>,
        /// Magnetic state.
        state: State,
        /// Resistance \[Ohm\].
        ohm: f64,
        /// Its standard deviation \[Ohm\].
        sigma_ohm: f64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: String,
    v_v: f64,
    width_s: Option<f64>,
    bath_k: Option<f64>,
    heat_v: Option<f64>,
    interval_s: Option<f64>,
    trials: Option<u32>,
    switched: Option<u32>,
    state: Option<String>,
    ohm: Option<f64>,
    sigma_ohm: Option<f64>,
}

/// Reads measurements; `file` is how errors call the source.
///
/// # Errors
/// A row that is not CSV, lacks a number its kind needs, or has one without meaning.
pub fn read_csv(file: &str, source: impl Read) -> Result<Vec<Measurement>, Error> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(source);
    let header = reader.headers().map_err(|error| not_csv(file, 1, &error))?.clone();
    let mut record = csv::StringRecord::new();
    let mut measurements = Vec::new();
    loop {
        let more = reader
            .read_record(&mut record)
            .map_err(|error| not_csv(file, error.position().map_or(0, csv::Position::line), &error))?;
        if !more {
            return Ok(measurements);
        }
        let line = record.position().map_or(0, csv::Position::line);
        let row: Row = record.deserialize(Some(&header)).map_err(|error| not_csv(file, line, &error))?;
        measurements.push(row.check(file, line)?);
    }
}

fn not_csv(file: &str, line: u64, error: &csv::Error) -> Error {
    Error::Measurement {
        file: file.into(),
        line,
        what: "row".into(),
        expected: "the columns kind, v_v, width_s, bath_k, heat_v, interval_s, trials, switched, state, ohm, sigma_ohm"
            .into(),
        found: error.to_string(),
    }
}

impl Row {
    fn check(&self, file: &str, line: u64) -> Result<Measurement, Error> {
        let refuse = |what: &str, expected: &str, found: String| {
            Err(Error::Measurement {
                file: file.into(),
                line,
                what: what.into(),
                expected: expected.into(),
                found,
            })
        };
        let positive = |what: &str, value: Option<f64>| match value {
            Some(value) if value > 0.0 && value.is_finite() => Ok(value),
            Some(value) => refuse(what, "a number > 0", value.to_string()).map(|_: Measurement| 0.0),
            None => refuse(what, "a number > 0", "nothing".into()).map(|_: Measurement| 0.0),
        };
        if !self.v_v.is_finite() {
            return refuse("v_v", "a finite number", self.v_v.to_string());
        }
        let bath_k = self.bath_k.map(|bath_k| positive("bath_k", Some(bath_k))).transpose()?;
        match self.kind.as_str() {
            "switch" | "pair" => {
                let heated_by = match self.kind.as_str() {
                    "pair" => {
                        Some([positive("heat_v", self.heat_v)?, positive("interval_s", self.interval_s)?])
                    }
                    _ => match self.heat_v.or(self.interval_s) {
                        Some(found) => {
                            return refuse(
                                "heat_v, interval_s",
                                "nothing for a single pulse (a `pair` has them)",
                                found.to_string(),
                            );
                        }
                        None => None,
                    },
                };
                match (self.trials, self.switched) {
                    (Some(trials), Some(switched)) if trials > 0 && switched <= trials => {
                        Ok(Measurement::Switching {
                            v_v: self.v_v,
                            width_s: positive("width_s", self.width_s)?,
                            bath_k,
                            heated_by,
                            trials,
                            switched,
                        })
                    }
                    (trials, switched) => refuse(
                        "trials, switched",
                        "two counts, 0 <= switched <= trials, trials > 0",
                        format!("{trials:?}, {switched:?}"),
                    ),
                }
            }
            "resistance" => Ok(Measurement::Resistance {
                v_v: self.v_v,
                bath_k,
                state: match self.state.as_deref() {
                    Some("p") => State::Parallel,
                    Some("ap") => State::Antiparallel,
                    other => return refuse("state", "p or ap", format!("{other:?}")),
                },
                ohm: positive("ohm", self.ohm)?,
                sigma_ohm: positive("sigma_ohm", self.sigma_ohm)?,
            }),
            other => refuse("kind", "switch, pair or resistance", other.into()),
        }
    }
}

impl Measurement {
    /// What `device` predicts: a switching probability, or a resistance \[Ohm\].
    pub fn predict(&self, device: &Device) -> f64 {
        let bath = |bath_k: Option<f64>| bath_k.map(|bath_k| device.in_bath(bath_k));
        match *self {
            Measurement::Switching { v_v, width_s, bath_k, heated_by, .. } => {
                let moved = bath(bath_k);
                let device = moved.as_ref().unwrap_or(device);
                let mut rises_k = vec![0.0; device.heat.poles().len()];
                if let Some([heat_v, interval_s]) = heated_by {
                    rises_k = device.write_pulse(&rises_k, heat_v, width_s).rises_k;
                    device.heat.step(&mut rises_k, 0.0, interval_s);
                }
                device.write_pulse(&rises_k, v_v, width_s).p_switch
            }
            Measurement::Resistance { v_v, bath_k, state, .. } => {
                bath(bath_k).as_ref().unwrap_or(device).resistance_ohm(v_v, 0.0, state)
            }
        }
    }

    /// Signed distance of the measurement from a prediction, in standard deviations: for counts the square root of the deviance, so that
    /// the sum of squares is minus twice the log-likelihood ratio and least squares is maximum likelihood.
    pub fn residual(&self, predicted: f64) -> f64 {
        match *self {
            Measurement::Switching { trials, switched, .. } => {
                let (n, k, p) = (f64::from(trials), f64::from(switched), bounded(predicted));
                let part =
                    |seen: f64, expected: f64| if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 };
                let deviance = 2.0 * (part(k, n * p) + part(n - k, n * (1.0 - p)));
                deviance.max(0.0).sqrt().copysign(k - n * p)
            }
            Measurement::Resistance { ohm, sigma_ohm, .. } => (ohm - predicted) / sigma_ohm,
        }
    }

    /// Derivative of the residual with respect to the prediction.
    pub(super) fn residual_slope(&self, predicted: f64) -> f64 {
        match *self {
            Measurement::Switching { trials, switched, .. } => {
                let (n, k, p) = (f64::from(trials), f64::from(switched), bounded(predicted));
                let residual = self.residual(p);
                // d deviance / dp = 2 (n p - k) / (p (1 - p)); close to the root the quotient tends to minus the Fisher weight.
                if residual.abs() < 1e-4 { -self.weight(p) } else { (n * p - k) / (p * (1.0 - p)) / residual }
            }
            Measurement::Resistance { sigma_ohm, .. } => -1.0 / sigma_ohm,
        }
    }

    /// Square root of the Fisher information about the prediction.
    pub(super) fn weight(&self, predicted: f64) -> f64 {
        match *self {
            Measurement::Switching { trials, .. } => {
                let p = bounded(predicted);
                (f64::from(trials) / (p * (1.0 - p))).sqrt()
            }
            Measurement::Resistance { sigma_ohm, .. } => 1.0 / sigma_ohm,
        }
    }
}

/// A probability at which logarithms exist.
fn bounded(p: f64) -> f64 {
    p.clamp(1e-12, 1.0 - 1e-12)
}
