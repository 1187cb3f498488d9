//! A parameter set fitted to measurements: Levenberg-Marquardt on the logarithms of the parameters.
//!
//! Sum of squares = deviance of the counts + chi-square of the resistances, so the estimate is maximum likelihood. Standard errors are those of the
//! Fisher information at the estimate, in ln(parameter).
//!
//! Design decision: a parameter that the data cannot determine is not estimated. After a fit, the parameter with the largest standard error above
//! [`UNDETERMINED`] is put back to its value in the base set and the rest is fitted again, until every parameter left is determined; the
//! report says which were held. Otherwise a table of tidy numbers would hide that a single temperature cannot tell Delta from tau_0.

mod data;
mod report;

pub use data::{Measurement, read_csv};

use crate::{Device, DeviceSet, Error};
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::{DMatrix, DVector, Dyn, Owned};

/// A standard error of ln(parameter) above this (a factor of 1.65 either way) counts as not determined.
pub const UNDETERMINED: f64 = 0.5;

/// Width, in ln(parameter), of the prior around the base set: a factor of 20. It keeps a direction that the data do not determine from running
/// to infinity during the fit; a parameter known to 20 % moves by 0.4 % of its distance from the base. Standard errors leave it out.
const PRIOR: f64 = 3.0;

/// What is fitted unless something else is asked for.
pub const DEFAULT_FREE: &[&str] = &[
    "junction.ra_ohm_m2",
    "junction.tmr_ratio",
    "junction.tmr_half_v",
    "magnet.stability_ratio",
    "switching.attempt_s",
    "switching.v_critical_v",
    "switching.v_critical_fall_per_k",
    "thermal.pole_1.r_k_per_w",
    "thermal.pole_1.c_j_per_k",
];

/// One parameter of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Its key.
    pub key: String,
    /// Value in the base set.
    pub base: f64,
    /// Estimate; the base value if it is not determined.
    pub value: f64,
    /// Standard error of ln(value); infinite if the data does not depend on the parameter.
    pub relative_error: f64,
    /// Whether the data determines it.
    pub determined: bool,
}

/// A finished fit.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The parameters that were free, in the order given.
    pub parameters: Vec<Fitted>,
    /// Correlation matrix of the determined parameters (in ln), row by row, in the order of `parameters`.
    pub correlation: Vec<Vec<f64>>,
    /// Deviance and chi-square at the estimate.
    pub chi2: f64,
    /// Measurements less determined parameters.
    pub degrees_of_freedom: usize,
    /// Prediction for every measurement.
    pub predicted: Vec<f64>,
    /// Residual of every measurement, in standard deviations.
    pub residuals: Vec<f64>,
}

/// The least-squares problem for a list of free parameters; the others are as in `values`.
struct Problem<'a> {
    set: &'a DeviceSet,
    data: &'a [Measurement],
    keys: Vec<&'a str>,
    base: DVector<f64>,
    ln: DVector<f64>,
}

impl Problem<'_> {
    fn device(&self, ln: &DVector<f64>) -> Device {
        Device::from_values(&|key| match self.keys.iter().position(|free| *free == key) {
            Some(place) => Some(ln[place].exp()),
            None => self.set.value(key),
        })
    }

    fn predict(&self, ln: &DVector<f64>) -> DVector<f64> {
        let device = self.device(ln);
        DVector::from_iterator(self.data.len(), self.data.iter().map(|point| point.predict(&device)))
    }

    /// d prediction / d ln(parameter), by central differences.
    fn slopes(&self) -> DMatrix<f64> {
        const STEP: f64 = 1e-4;
        let mut slopes = DMatrix::zeros(self.data.len(), self.keys.len());
        for column in 0..self.keys.len() {
            let at = |sign: f64| {
                let mut ln = self.ln.clone();
                ln[column] += sign * STEP;
                self.predict(&ln)
            };
            slopes.set_column(column, &((at(1.0) - at(-1.0)) / (2.0 * STEP)));
        }
        slopes
    }

    /// Square root of the Fisher information: rows in units of standard deviations.
    fn information(&self) -> DMatrix<f64> {
        let (mut slopes, predicted) = (self.slopes(), self.predict(&self.ln));
        for (row, point) in self.data.iter().enumerate() {
            slopes.row_mut(row).scale_mut(point.weight(predicted[row]));
        }
        slopes
    }
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for Problem<'_> {
    type ParameterStorage = Owned<f64, Dyn>;
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;

    fn set_params(&mut self, ln: &DVector<f64>) {
        self.ln.copy_from(ln);
    }

    fn params(&self) -> DVector<f64> {
        self.ln.clone()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let predicted = self.predict(&self.ln);
        let residuals = self.data.iter().zip(&predicted).map(|(point, p)| point.residual(*p));
        let prior = self.ln.iter().zip(&self.base).map(|(ln, base)| (ln - base) / PRIOR);
        let all = DVector::from_iterator(self.data.len() + self.keys.len(), residuals.chain(prior));
        Some(all).filter(|r| r.iter().all(|r| r.is_finite()))
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let (slopes, predicted) = (self.slopes(), self.predict(&self.ln));
        let (rows, columns) = slopes.shape();
        let mut all = slopes.insert_rows(rows, columns, 0.0);
        for (row, point) in self.data.iter().enumerate() {
            all.row_mut(row).scale_mut(point.residual_slope(predicted[row]));
        }
        (0..columns).for_each(|column| all[(rows + column, column)] = 1.0 / PRIOR);
        Some(all).filter(|j| j.iter().all(|slope| slope.is_finite()))
    }
}

/// Standard errors of ln(parameter) and the covariance, from the square root of the information; a parameter on which
/// nothing depends, or only together with others, has an infinite or huge error.
fn covariance(information: &DMatrix<f64>) -> DMatrix<f64> {
    let n = information.ncols();
    let unknown = || DMatrix::from_element(n, n, f64::INFINITY);
    if information.iter().any(|slope| !slope.is_finite()) {
        return unknown();
    }
    // With fewer measurements than parameters the decomposition would leave out the directions that no measurement shows: rows of
    // zeros, which inform on nothing, keep them.
    let rows = information.nrows();
    let square = information.clone().insert_rows(rows, n.saturating_sub(rows), 0.0);
    let Some(svd) = square.try_svd(false, true, f64::EPSILON, 10_000) else { return unknown() };
    let Some(v_t) = svd.v_t else { return unknown() };
    let mut covariance = DMatrix::zeros(n, n);
    for (i, singular) in svd.singular_values.iter().enumerate() {
        // The differences of the slopes are good to about 1e-8 of the largest.
        let floor = 1e-9 * svd.singular_values.max().max(f64::MIN_POSITIVE);
        let v = v_t.row(i);
        covariance += v.transpose() * v / singular.max(floor).powi(2);
    }
    covariance
}

/// Fits the parameters `free` of `base` to `data`.
///
/// # Errors
/// No data, a base with a measured table, an unknown key or one that is named twice, a free parameter that is 0 or missing in the base,
/// or a fit that does not converge.
pub fn fit(base: &DeviceSet, data: &[Measurement], free: &[&str]) -> Result<Fit, Error> {
    if data.is_empty() {
        return Err(Error::Fit("no measurements".into()));
    }
    if base.table.is_some() {
        return Err(Error::Fit(
            "the base set has a measured table, which stands in for what is fitted".into(),
        ));
    }
    let mut starts = Vec::with_capacity(free.len());
    for (i, key) in free.iter().enumerate() {
        if free[..i].contains(key) {
            return Err(Error::Fit(format!("{key} is named twice")));
        }
        match base.value(key) {
            Some(value) if value > 0.0 => starts.push(value),
            Some(value) => {
                return Err(Error::Fit(format!("{key} is {value} in the base set: cannot be scaled")));
            }
            None => return Err(Error::Fit(format!("the base set has no parameter {key}"))),
        }
    }
    let mut errors = vec![f64::INFINITY; free.len()];
    let mut open: Vec<usize> = (0..free.len()).collect();
    loop {
        let at_start = DVector::from_iterator(open.len(), open.iter().map(|&i| starts[i].ln()));
        let mut problem = Problem {
            set: base,
            data,
            keys: open.iter().map(|&i| free[i]).collect(),
            base: at_start.clone(),
            ln: at_start,
        };
        // What nothing in the data depends on would make the first step singular: it goes before the fit.
        let blind = |problem: &Problem| {
            let information = problem.information();
            (0..open.len()).find(|&column| information.column(column).norm() < 1.0 / UNDETERMINED)
        };
        if let Some(column) = blind(&problem) {
            let norm = problem.information().column(column).norm();
            errors[open[column]] = if norm > 1e-6 { 1.0 / norm } else { f64::INFINITY };
            open.remove(column);
            continue;
        }
        if open.is_empty() {
            return Ok(finish(&problem, free, &starts, &errors, &open, &DMatrix::zeros(0, 0)));
        }
        let (fitted, report) = LevenbergMarquardt::new().with_tol(1e-9).with_patience(60).minimize(problem);
        problem = fitted;
        let lost = matches!(
            report.termination,
            levenberg_marquardt::TerminationReason::Numerical(_)
                | levenberg_marquardt::TerminationReason::User(_)
        );
        if lost || !report.objective_function.is_finite() {
            return Err(Error::Fit(format!("did not converge: {:?}", report.termination)));
        }
        let covariance = covariance(&problem.information());
        let worst = (0..open.len()).max_by(|&a, &b| covariance[(a, a)].total_cmp(&covariance[(b, b)]));
        for (place, &i) in open.iter().enumerate() {
            errors[i] = covariance[(place, place)].sqrt();
        }
        match worst {
            Some(worst) if errors[open[worst]] > UNDETERMINED => {
                open.remove(worst);
            }
            _ => return Ok(finish(&problem, free, &starts, &errors, &open, &covariance)),
        }
    }
}

fn finish(
    problem: &Problem,
    free: &[&str],
    starts: &[f64],
    errors: &[f64],
    open: &[usize],
    covariance: &DMatrix<f64>,
) -> Fit {
    let predicted: Vec<f64> = problem.predict(&problem.ln).iter().copied().collect();
    let residuals: Vec<f64> =
        problem.data.iter().zip(&predicted).map(|(point, p)| point.residual(*p)).collect();
    let parameters = free.iter().enumerate().map(|(i, key)| {
        let place = open.iter().position(|&of| of == i);
        Fitted {
            key: (*key).to_owned(),
            base: starts[i],
            value: place.map_or(starts[i], |place| problem.ln[place].exp()),
            relative_error: errors[i],
            determined: place.is_some(),
        }
    });
    let scale = |i: usize| covariance[(i, i)].sqrt();
    let row = |i: usize| (0..open.len()).map(|j| covariance[(i, j)] / (scale(i) * scale(j))).collect();
    Fit {
        parameters: parameters.collect(),
        correlation: (0..open.len()).map(row).collect(),
        chi2: residuals.iter().map(|r| r * r).sum(),
        degrees_of_freedom: problem.data.len().saturating_sub(open.len()),
        predicted,
        residuals,
    }
}
