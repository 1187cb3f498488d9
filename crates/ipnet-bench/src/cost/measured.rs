//! What a trained network does on data: how densely its layers are driven, how hard and how often its junctions are.
//!
//! ```text
//! effective operations = dense operations x share of inputs that are not zero     (NeuroBench's effective MACs and ACs)
//! drive                = sqrt(mean u^2),  u = gain x + bias, within the driver's range
//! firing               = mean p
//! ```
//! A layer inside a residual stage counts with the density of the stage's input; a memory inside a layer (an LSTM's hidden
//! vector) with that of the layer's input.

use crate::table::Table;
use crate::task::Task;
use crate::{Error, Result};
use candle_core::Tensor;
use ipnet_device::StepLaw;
use ipnet_zoo::{Mode, Network, OpCounts, TemporalNet};

/// Clips a measurement is made on.
const CLIPS: usize = 16;

/// One layer on data.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerActivity {
    /// The layer's name, as in the counts.
    pub layer: String,
    /// Share of its inputs that are not zero.
    pub input_density: f64,
    /// Multiply-accumulates with an input that is not zero.
    pub effective_macs: f64,
    /// Accumulates with an input that is not zero.
    pub effective_accumulates: f64,
}

/// How the junctions at the sensor are driven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drive {
    /// Root mean square of the write amplitude \[V\].
    pub rms_v: f64,
    /// Mean probability of firing in a slot.
    pub firing: f64,
}

/// Density of the inputs of every layer of `net` over the first clips of the test part of `task`.
///
/// # Errors
/// The network's.
pub fn activity(net: &Network, task: &dyn Task) -> Result<Vec<LayerActivity>> {
    let counts: OpCounts = net.op_counts()?;
    let x = clips(task)?;
    let mut seen = vec![("input".to_owned(), density(&x)?)];
    net.trace(&x, Mode::eval(1, 0), &mut |name, y| {
        seen.push((name.to_owned(), density(y)?));
        Ok(())
    })?;
    // What was seen before an element of the network is its input.
    let input_of = |layer: &str| {
        let place = layer.rsplit('.').next().unwrap_or(layer);
        let stage = layer.split('.').next().unwrap_or(layer);
        let at = seen.iter().position(|(name, _)| {
            name == stage || name.strip_prefix("memory at ").is_some_and(|at| at == place)
        });
        at.and_then(|at| seen.get(at.checked_sub(1)?)).map_or(1.0, |(_, density)| *density)
    };
    let measured = counts.layers.iter().map(|layer| {
        let input_density = input_of(&layer.name);
        LayerActivity {
            layer: layer.name.clone(),
            input_density,
            effective_macs: input_density * layer.macs as f64,
            effective_accumulates: input_density * layer.accumulates as f64,
        }
    });
    Ok(measured.collect())
}

/// Drive and firing of the IP neurons at the sensor of `net`, over the first clips of the test part; none without such neurons.
///
/// # Errors
/// The network's.
pub fn drive(net: &Network, task: &dyn Task, law: &StepLaw) -> Result<Option<Drive>> {
    let trained = |name: &str| {
        let found = net.parameters().vars().find(|(known, _)| *known == name);
        found.map(|(_, var)| var.to_vec1::<f32>()).transpose()
    };
    let (Some(gain), Some(bias)) = (trained("ip.sensor.gain")?, trained("ip.sensor.bias")?) else {
        return Ok(None);
    };
    let x = clips(task)?;
    let pixels = x.dim(3)? * x.dim(4)?;
    let values = x.flatten_all()?.to_vec1::<f32>()?;
    let squares = values.iter().enumerate().map(|(index, &x)| {
        let channel = index / pixels % gain.len();
        let u_v = f64::from(gain[channel] * x + bias[channel]).clamp(0.0, law.v_max_v);
        u_v * u_v
    });
    let rms_v = (squares.sum::<f64>() / values.len() as f64).sqrt();
    let mut firing = 0.0;
    net.trace(&x, Mode::eval(1, 0), &mut |name, y| {
        if name == "memory at sensor" {
            let p = y.flatten_all()?.to_vec1::<f32>()?;
            firing = p.iter().copied().map(f64::from).sum::<f64>() / p.len() as f64;
        }
        Ok(())
    })?;
    Ok(Some(Drive { rms_v, firing }))
}

fn clips(task: &dyn Task) -> Result<Tensor> {
    let test = &task.splits().test;
    if test.is_empty() {
        return Err(Error::Argument {
            what: format!("task {}", task.name()),
            expected: "test clips".into(),
            found: "none".into(),
        });
    }
    Ok(task.batch(&test[..test.len().min(CLIPS)], None)?.x)
}

fn density(x: &Tensor) -> candle_core::Result<f64> {
    let values = x.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.iter().filter(|value| **value != 0.0).count() as f64 / values.len().max(1) as f64)
}

/// One row per network and layer: dense and effective operations.
///
/// # Errors
/// None that input can reach: rows have the table's columns.
pub fn activity_table(networks: &[(String, OpCounts, Vec<LayerActivity>)]) -> Result<Table> {
    let mut table = Table::new([
        "network",
        "layer",
        "input_density",
        "macs",
        "effective_macs",
        "accumulates",
        "effective_accumulates",
    ]);
    for (name, counts, layers) in networks {
        for (dense, layer) in counts.layers.iter().zip(layers) {
            table.push([
                name.clone(),
                layer.layer.clone(),
                format!("{:.4}", layer.input_density),
                dense.macs.to_string(),
                format!("{:.0}", layer.effective_macs),
                dense.accumulates.to_string(),
                format!("{:.0}", layer.effective_accumulates),
            ])?;
        }
    }
    Ok(table)
}
