//! From synthetic to real: a network that was trained on synthetic gestures tells real clips.
//!
//! The clips are cut by their label files and framed exactly as the synthetic ones are in training. No clip was seen in training,
//! whichever part its person is in officially, so all of them count.

use super::eval::{Weights, trained};
use crate::table::Table;
use crate::task::{Classification, Task, TaskName, dvs_gesture_frames};
use crate::train::{Checkpoint, evaluate};
use crate::{Error, Result};
use candle_core::Device;
use ipnet_events::Dataset;
use ipnet_events::datasets::DvsGesture;
use std::path::Path;

/// Real clips, cut and framed once for all networks.
pub struct RealGestures {
    clips: DvsGesture,
    task: Classification,
}

impl RealGestures {
    /// The clips of the DVS128 Gesture recordings in `folder`.
    ///
    /// # Errors
    /// What reading gives.
    pub fn open(folder: &Path) -> Result<Self> {
        let clips = DvsGesture::open(folder)?;
        let task = Classification::for_test(TaskName::Gestures11.name(), dvs_gesture_frames(&clips)?);
        Ok(Self { clips, task })
    }
}

/// The table `sim_to_real`: one row per clip of `real`, with its class, the class that the network of `checkpoint` (task
/// gestures-11, weights of the chosen epoch) tells, and 1 if they agree.
///
/// # Errors
/// A checkpoint of another task, and a device set other than its own.
pub fn sim_to_real(checkpoint: &Path, real: &RealGestures) -> Result<Table> {
    let saved = Checkpoint::load(checkpoint)?;
    let about = &saved.meta.about;
    if about.task != TaskName::Gestures11.name() {
        return Err(Error::Checkpoint {
            expected: format!("{}: a network of task {}", checkpoint.display(), TaskName::Gestures11.name()),
            found: format!("one of task {}", about.task),
        });
    }
    let RealGestures { clips, task } = real;
    let (net, _) = trained((checkpoint, &saved), task, None, Weights::Chosen, &Device::Cpu)?;
    let test = &task.splits().test;
    let result = evaluate(task, &net, test, about.config.batch, about.seed)?;
    let mut table = Table::new(["job", "clip", "group", "class", "told", "right"]);
    let job = checkpoint.file_stem().unwrap_or_default().to_string_lossy();
    for (&clip, told) in test.iter().zip(task.predictions(&result.outputs)) {
        let info = &clips.samples()[clip];
        table.push([
            job.to_string(),
            clip.to_string(),
            info.group.clone(),
            clips.classes()[info.label].clone(),
            clips.classes()[told].clone(),
            u8::from(told == info.label).to_string(),
        ])?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::JobDevice;
    use crate::train::{About, CheckpointMeta, TrainConfig};
    use candle_core::Tensor;
    use ipnet_device::DeviceSet;
    use ipnet_events::synth::gestures::{GestureSpec, generate};
    use ipnet_zoo::{Memory, NetSpec, Network, Placement, TemporalNet};
    use std::collections::BTreeMap;

    /// A network whose readout's bias speaks for one class tells that class for every clip, and is right where the clip is of it.
    #[test]
    fn every_clip_is_told_by_the_weights_of_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let spec = GestureSpec { subjects: 2, lights: 1, clip_s: 0.3, ..GestureSpec::default() };
        let folder = dir.path().join("clips");
        generate(&spec, &folder).unwrap();
        let device = JobDevice::new("default", &DeviceSet::load("default").unwrap()).unwrap();
        let net_spec = NetSpec::plain(Memory::None, Placement::None);
        let real = RealGestures::open(&folder).unwrap();
        let task = &real.task;
        let net = Network::new(&net_spec, task.input(), 11, None, 1).unwrap();
        let mut weights = net.parameters().snapshot().unwrap();
        let bias: Vec<f32> = (0..11).map(|class| if class == 4 { 1e3 } else { 0.0 }).collect();
        let bias = Tensor::from_vec(bias, 11, &Device::Cpu).unwrap();
        let of_readout = |name: &&String| name.starts_with("readout") && name.ends_with("bias");
        let name = weights.keys().find(of_readout).unwrap().clone();
        weights.insert(name, bias);
        let save = |task: &str| {
            let about = About {
                task: task.into(),
                fold: None,
                data_sha256: "of the synthetic clips".into(),
                seed: 1,
                device: device.name.clone(),
                device_sha256: device.sha256.clone(),
                spec: net_spec,
                config: TrainConfig::default(),
                sensor_gain_v: None,
            };
            let meta = CheckpointMeta {
                identity: String::new(),
                optimiser_steps: 0,
                chosen_epoch: 1,
                about,
                history: Vec::new(),
            };
            let path = dir.path().join(format!("{task}.safetensors"));
            Checkpoint::new(meta, weights.clone(), BTreeMap::new(), &weights).save(&path).unwrap();
            path
        };
        let table = sim_to_real(&save("gestures-11"), &real).unwrap();
        assert_eq!(table.rows().len(), 22);
        for row in 0..22 {
            let cell = |column| table.cell(row, column).unwrap();
            assert_eq!(cell("told"), "right arm counter clockwise");
            assert_eq!(cell("right"), if cell("class") == cell("told") { "1" } else { "0" });
        }
        let message = sim_to_real(&save("digits-10"), &real).unwrap_err().to_string();
        assert!(
            message.contains("found one of task digits-10") || message.contains("digits-10"),
            "{message}"
        );
    }
}
