//! The heat of single pixels over a real or synthetic clip: what the memory looks like.

use crate::Result;
use crate::figure::{Curve, Curves, svg};
use crate::table::Table;
use crate::task::Task;
use ipnet_device::StepLaw;
use ipnet_zoo::{INITIAL_BIAS, INITIAL_GAIN};

/// Pixels that are drawn: the busiest, and those at these ranks of activity.
const RANKS: [usize; 3] = [0, 20, 100];

/// Temperature rise and firing probability over the frames of the first test clip, as a figure and its table,
/// at the untrained gain and bias of the zoo's neurons.
pub(super) fn traces(task: &dyn Task, law: &StepLaw) -> Result<(String, Table)> {
    let clip = task.splits().test.first().copied().unwrap_or(0);
    let batch = task.batch(&[clip], None)?;
    let steps = task.input().steps;
    let frames = batch.x.flatten_all()?.to_vec1::<f32>()?;
    let values = frames.len() / steps;
    let activity = |pixel: usize| (0..steps).map(|t| f64::from(frames[t * values + pixel])).sum::<f64>();
    let mut order: Vec<usize> = (0..values).collect();
    order.sort_by(|&a, &b| activity(b).total_cmp(&activity(a)).then(a.cmp(&b)));

    let mut table = Table::new(["pixel_rank", "pixel", "slot", "input", "rise_k", "p"]);
    let mut series = Vec::new();
    for rank in RANKS.into_iter().filter(|&rank| rank < values) {
        let pixel = order[rank];
        let mut heat_k = vec![0.0; law.poles.len()];
        let mut points = Vec::new();
        for t in 0..steps {
            let x = f64::from(frames[t * values + pixel]);
            let rise_k: f64 = heat_k.iter().sum();
            let p = law.step_expected(&mut heat_k, law.v_max_v * (INITIAL_GAIN * x + INITIAL_BIAS));
            points.push((t as f64, rise_k));
            table.push([
                rank.to_string(),
                pixel.to_string(),
                t.to_string(),
                format!("{x:.4}"),
                format!("{rise_k:.3}"),
                format!("{p:.6}"),
            ])?;
        }
        series.push(Curve::line(format!("pixel of rank {}", rank + 1), points));
    }
    let figure = Curves {
        title: format!("Heat over one test clip ({})", task.data()),
        x_label: "pulse slot (one frame each)".into(),
        y_label: "temperature rise before the pulse (K)".into(),
        y_range: None,
        log_x: false,
        markers: true,
        series,
    };
    Ok((svg(&figure)?, table))
}
