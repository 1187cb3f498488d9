//! Cross-entropy of logits with label smoothing `a` (Szegedy et al. 2016), mean over the batch:
//!
//! `L = -1/B sum_b sum_k q[b, k] ln softmax(z[b])[k]`, `q = (1 - a) [k = target] + a / K`,
//! `dz[b, k] = (softmax(z[b])[k] - q[b, k]) dL / B`.
//!
//! Design decision: each row is computed in f64 from its shifted logits; a row is a few dozen numbers, and the loss
//! is what runs are compared by.

use candle_core::Tensor;

use crate::autograd::{operand, record1, view};
use crate::composed;
use crate::error::{Error, Result};

/// Mean cross-entropy of `logits [B, K]` against `targets`, one class index per row: a scalar.
///
/// # Errors
/// Logits that are not `[B >= 1, K >= 1]`, another number of targets than rows, a target `>= K`, smoothing outside
/// `[0, 1)`, a tensor that is not f32.
pub fn cross_entropy(logits: &Tensor, targets: &[u32], label_smoothing: f64) -> Result<Tensor> {
    const OP: &str = "cross_entropy";
    let &[rows, classes] = logits.dims() else {
        return Err(Error::shape(OP, "logits [B, K]", logits.shape()));
    };
    if logits.elem_count() == 0 {
        return Err(Error::shape(OP, "logits [B >= 1, K >= 1]", logits.shape()));
    }
    if targets.len() != rows {
        let (expected, found) = (format!("{rows} targets"), targets.len().to_string());
        return Err(Error::Shape { op: OP, expected, found });
    }
    if let Some(target) = targets.iter().find(|&&target| target as usize >= classes) {
        let (expected, found) = (format!("targets below {classes}"), target.to_string());
        return Err(Error::Shape { op: OP, expected, found });
    }
    if !(0.0..1.0).contains(&label_smoothing) {
        let found = label_smoothing.to_string();
        return Err(Error::Option { op: OP, option: "label_smoothing", expected: "in [0, 1)", found });
    }
    if composed::takes(OP, logits)? {
        return composed::cross_entropy(logits, targets, label_smoothing);
    }
    let logits = operand(OP, logits)?;
    let view = view(OP, &logits)?;
    let floor = label_smoothing / classes as f64;
    let mut gradient = Vec::with_capacity(rows * classes);
    let mut loss = 0.0;
    for (row, &target) in view.slice()?.chunks_exact(classes).zip(targets) {
        // A NaN is not a maximum for f32::max, but comes back through the sum of exponentials.
        let peak = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let log_sum = row.iter().map(|&z| (f64::from(z) - peak).exp()).sum::<f64>().ln();
        for (class, &z) in row.iter().enumerate() {
            let log_p = f64::from(z) - peak - log_sum;
            let hit = if class == target as usize { 1.0 - label_smoothing } else { 0.0 };
            let q = hit + floor;
            if q > 0.0 {
                loss -= q * log_p;
            }
            gradient.push(((log_p.exp() - q) / rows as f64) as f32);
        }
    }
    drop(view);
    record1(OP, &logits, vec![(loss / rows as f64) as f32], (), move |args| {
        let seed = args.grad[0];
        Ok([Some(gradient.iter().map(|g| g * seed).collect())])
    })
}
