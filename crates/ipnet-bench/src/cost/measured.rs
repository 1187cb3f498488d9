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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Classification, FrameSet};
    use ipnet_device::DeviceSet;
    use ipnet_events::Part;
    use ipnet_zoo::{Memory, NetSpec, Placement};
    use std::sync::Arc;

    /// Three clips of four frames of 1 x 8 x 8 whose upper half is empty.
    fn task() -> Classification {
        let (clips, steps, side) = (3, 4, 8);
        let frame: Vec<u8> = (0..side * side).map(|pixel| u8::from(pixel >= side * side / 2)).collect();
        let frames = FrameSet {
            data: "halves".into(),
            classes: vec!["a".into(), "b".into()],
            shape: [steps, 1, side, side],
            labels: vec![0, 1, 0],
            groups: (0..clips).map(|clip| clip.to_string()).collect(),
            parts: vec![Part::Train, Part::Train, Part::Test],
            counts: frame.repeat(clips * steps),
            saturated: 0,
            framed_events: 0,
            late_events: 0,
            mean_window_us: 0.0,
        };
        Classification::new("halves", frames, None, 0.5, 1).unwrap()
    }

    fn network(memory: Memory, placement: Placement) -> (Network, Arc<StepLaw>) {
        let law = Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law);
        let (task, spec) = (task(), NetSpec::plain(memory, placement));
        (Network::new(&spec, task.input(), task.outputs(), Some(&law), 1).unwrap(), law)
    }

    /// Half of the pixels are empty: the first layer multiplies half as often, whether it is the stage or the neurons before it.
    #[test]
    fn the_first_layer_works_on_what_is_not_zero() {
        let (net, _) = network(Memory::None, Placement::None);
        let layers = activity(&net, &task()).unwrap();
        let counts = net.op_counts().unwrap();
        assert_eq!(layers.len(), counts.layers.len());
        assert_eq!((layers[0].layer.as_str(), layers[0].input_density), ("stage1", 0.5));
        assert_eq!(layers[0].effective_macs, 0.5 * counts.layers[0].macs as f64);
        assert!(layers.iter().all(|layer| (0.0..=1.0).contains(&layer.input_density)));

        let (net, _) = network(Memory::Ip, Placement::Sensor);
        let layers = activity(&net, &task()).unwrap();
        assert_eq!((layers[0].layer.as_str(), layers[0].input_density), ("ip.sensor", 0.5));
        // Every junction fires with some probability: what it passes on is dense.
        assert_eq!((layers[1].layer.as_str(), layers[1].input_density), ("stage1", 1.0));
    }

    /// By hand: half of the pixels at `gain ln 2 + bias`, half at `bias`.
    #[test]
    fn the_drive_is_the_root_mean_square_of_the_pulses() {
        let (net, law) = network(Memory::Ip, Placement::Sensor);
        let found = drive(&net, &task(), &law).unwrap().unwrap();
        let u_v = |x: f64| law.v_max_v * (ipnet_zoo::INITIAL_GAIN * x + ipnet_zoo::INITIAL_BIAS);
        let expected = ((u_v(2f64.ln()).powi(2) + u_v(0.0).powi(2)) / 2.0).sqrt();
        assert!((found.rms_v / expected - 1.0).abs() < 1e-6, "{found:?}, {expected}");
        assert!(found.firing > 0.0 && found.firing < 1.0);
        let (net, law) = network(Memory::Lstm, Placement::Head);
        assert_eq!(drive(&net, &task(), &law).unwrap(), None);
    }
}
