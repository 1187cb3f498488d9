//! The heat of a sensor over a real or synthetic clip, pixel by pixel and as maps: what the memory looks like.
//!
//! Computed with the f64 step law at the untrained gain and bias of the zoo's neurons.

use crate::Result;
use crate::figure::{Curve, Curves, HeatMap, Panels, Plot, shared_range, svg};
use crate::table::Table;
use crate::task::{Task, busy_input};
use ipnet_device::StepLaw;
use ipnet_zoo::{INITIAL_BIAS, InputShape, sensor_gain_v};

/// Pixels that are drawn: the busiest, and those at these ranks of activity.
const RANKS: [usize; 3] = [0, 20, 100];

/// Slots whose temperatures are mapped.
const MAPPED: usize = 5;

/// The first test clip of a task, as the untrained neurons at the sensor see it.
pub(super) struct SensorHeat<'a> {
    task: &'a dyn Task,
    law: &'a StepLaw,
    /// The values of every frame, `[T][C * H * W]`.
    frames: Vec<Vec<f64>>,
    gain_v: f64,
}

impl<'a> SensorHeat<'a> {
    /// # Errors
    /// The task's.
    pub(super) fn new(task: &'a dyn Task, law: &'a StepLaw) -> Result<Self> {
        let clip = task.splits().test.first().copied().unwrap_or(0);
        let values = task.batch(&[clip], None)?.x.flatten_all()?.to_vec1::<f32>()?;
        let frame = (values.len() / task.input().steps).max(1);
        let frames =
            values.chunks(frame).map(|frame| frame.iter().copied().map(f64::from).collect()).collect();
        Ok(Self { task, law, frames, gain_v: sensor_gain_v(law, busy_input(task)?) })
    }

    /// The drive of a neuron by its input \[V\].
    fn drive_v(&self, x: f64) -> f64 {
        self.gain_v * x + self.law.v_max_v * INITIAL_BIAS
    }

    /// The temperature of the sensor's first channel at a few slots, as a figure and its table.
    pub(super) fn maps(&self) -> Result<(String, Table)> {
        let Self { task, law, frames, .. } = self;
        let InputShape { steps, height, width, .. } = task.input();
        let mut heat_k = vec![vec![0.0; law.poles.len()]; height * width];
        let mapped: Vec<usize> = (1..=MAPPED).map(|number| (number * steps / MAPPED).max(1) - 1).collect();
        let mut table = Table::new(["slot", "y", "x", "rise_k"]);
        let mut maps = Vec::new();
        for (slot, frame) in frames.iter().enumerate() {
            for (heat_k, &x) in heat_k.iter_mut().zip(frame) {
                law.step_expected(heat_k, self.drive_v(x));
            }
            if !mapped.contains(&slot) {
                continue;
            }
            let rise_k = |y: usize, x: usize| heat_k[y * width + x].iter().sum::<f64>();
            let rows: Vec<Vec<f64>> =
                (0..height).map(|y| (0..width).map(|x| rise_k(y, x)).collect()).collect();
            for (y, row) in rows.iter().enumerate() {
                for (x, rise_k) in row.iter().enumerate() {
                    table.push([slot.to_string(), y.to_string(), x.to_string(), format!("{rise_k:.2}")])?;
                }
            }
            maps.push((slot, rows));
        }
        let range = shared_range(&maps.iter().map(|(_, rows)| rows.clone()).collect::<Vec<_>>());
        let panel = |(slot, rows): (usize, Vec<Vec<f64>>)| -> Box<dyn Plot> {
            let value_label = "rise (K)".into();
            Box::new(HeatMap {
                title: format!("after slot {slot}"),
                value_label,
                range,
                rows,
                ..HeatMap::default()
            })
        };
        let figure = Panels {
            title: format!("Temperature of the sensor over one test clip ({})", task.data()),
            columns: MAPPED,
            panel_px: (230, 220),
            plots: maps.into_iter().map(panel).collect(),
        };
        Ok((svg(&figure)?, table))
    }

    /// Temperature rise and firing probability over the frames, as a figure and its table.
    pub(super) fn traces(&self) -> Result<(String, Table)> {
        let Self { task, law, frames, .. } = self;
        let values = frames.first().map_or(0, Vec::len);
        let activity = |pixel: usize| frames.iter().map(|frame| frame[pixel]).sum::<f64>();
        let mut order: Vec<usize> = (0..values).collect();
        order.sort_by(|&a, &b| activity(b).total_cmp(&activity(a)).then(a.cmp(&b)));

        let mut table = Table::new(["pixel_rank", "pixel", "slot", "input", "rise_k", "p"]);
        let mut series = Vec::new();
        for rank in RANKS.into_iter().filter(|&rank| rank < values) {
            let pixel = order[rank];
            let mut heat_k = vec![0.0; law.poles.len()];
            let mut points = Vec::new();
            for (t, frame) in frames.iter().enumerate() {
                let x = frame[pixel];
                let rise_k: f64 = heat_k.iter().sum();
                let p = law.step_expected(&mut heat_k, self.drive_v(x));
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
}
