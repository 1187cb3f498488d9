//! Every network of the zoo can learn: eight clips of noise with labels by lot, by heart.
//!
//! In evaluation mode, with the statistics that training left, all eight must be told right after some epoch: a layer whose gradient is wrong,
//! whose state leaks between samples or whose running statistics are not those of its data does not get there.

use candle_core::Tensor;
use ipnet_bench::Result;
use ipnet_bench::run::DataSource;
use ipnet_bench::task::{Augment, Batch, Classification, FrameSet, Splits, Task};
use ipnet_bench::train::{EpochRecord, Progress, TrainConfig, train};
use ipnet_device::{DeviceSet, StepLaw};
use ipnet_events::Part;
use ipnet_rng::Stream;
use ipnet_zoo::{Backbone, Firing, InputShape, Memory, NetSpec, Network, Placement};
use std::sync::Arc;

const CLASSES: usize = 4;

struct Silent;
impl Progress for Silent {
    fn resumed(&mut self, _: usize) -> ipnet_bench::Result<()> {
        Ok(())
    }
    fn updates(&mut self, _: usize, _: usize) {}
    fn epoch(&mut self, _: &EpochRecord) -> ipnet_bench::Result<()> {
        Ok(())
    }
}

/// A task whose validation and test parts are the eight training clips.
struct ByHeart {
    task: Classification,
    splits: Splits,
}

impl ByHeart {
    /// Clips of `steps` frames of 1 x `side` x `side`.
    fn new(steps: usize, side: usize) -> Self {
        let clips = 10;
        let mut stream = Stream::named(21, "noise");
        let frames = FrameSet {
            data: "noise".into(),
            classes: (0..CLASSES).map(|class| class.to_string()).collect(),
            shape: [steps, 1, side, side],
            labels: (0..clips).map(|clip| clip % CLASSES).collect(),
            groups: (0..clips).map(|clip| format!("clip{clip}")).collect(),
            parts: (0..clips).map(|clip| if clip < 9 { Part::Train } else { Part::Test }).collect(),
            counts: (0..clips * steps * side * side).map(|_| stream.poisson(0.7) as u8).collect(),
            saturated: 0,
            framed_events: 0,
            late_events: 0,
            mean_window_us: 0.0,
        };
        let eight: Vec<usize> = (0..8).collect();
        let splits = Splits { train: eight.clone(), validation: eight.clone(), test: eight };
        Self { task: Classification::new("noise", frames, None, 0.1, 7).unwrap(), splits }
    }

    /// What is wrong with `spec`, if it does not learn.
    fn refuses(&self, spec: NetSpec, law: &Arc<StepLaw>) -> Option<String> {
        let config = TrainConfig {
            epochs: 70,
            batch: 8,
            learning_rate: 2e-2,
            warm_up_epochs: 4,
            weight_decay: 0.0,
            clip_norm: 10.0,
            max_shift_px: 0,
            ..TrainConfig::default()
        };
        let net = Network::new(&spec, self.input(), self.outputs(), Some(law), 1).unwrap();
        let outcome = train(self, &net, &config, 1, None, &mut Silent).unwrap();
        let accuracy = self.score(&outcome.chosen.outputs, &self.splits.test);
        let [first, .., last] = outcome.history.as_slice() else { panic!("two epochs or more") };
        let (first, last) = (first.train_loss, last.train_loss);
        (accuracy < 0.99).then(|| format!("{spec:?}: {accuracy}, loss {first} to {last}\n"))
    }
}

impl Task for ByHeart {
    fn name(&self) -> &str {
        self.task.name()
    }
    fn data(&self) -> &str {
        self.task.data()
    }
    fn input(&self) -> InputShape {
        self.task.input()
    }
    fn outputs(&self) -> usize {
        self.task.outputs()
    }
    fn splits(&self) -> &Splits {
        &self.splits
    }
    fn batch(&self, samples: &[usize], augment: Option<Augment>) -> Result<Batch> {
        self.task.batch(samples, augment)
    }
    fn loss(&self, outputs: &Tensor, batch: &Batch, label_smoothing: f64) -> Result<Tensor> {
        self.task.loss(outputs, batch, label_smoothing)
    }
    fn score(&self, outputs: &[Vec<f32>], samples: &[usize]) -> f64 {
        self.task.score(outputs, samples)
    }
    fn source(&self) -> DataSource {
        self.task.source()
    }
}

fn law() -> Arc<StepLaw> {
    Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law)
}

#[test]
fn every_memory_at_every_place_learns_eight_clips_by_heart() {
    use Memory::*;
    use Placement::{All, Head, Sensor, Stage1, Stage2, Stage3};
    let (task, law) = (ByHeart::new(3, 8), law());
    let mut tried = 0;
    let mut failures = String::new();
    for memory in [None, Ip, Lif, Alif, Plif, Ema, Rnn, Gru, Lstm, Elm, ConvLstm, Conv3d, Conv2plus1d] {
        for placement in [Placement::None, Sensor, Stage1, Stage2, Stage3, Head, All] {
            let spec = NetSpec { width: Some(8), ..NetSpec::plain(memory, placement) };
            if spec.validate().is_ok() {
                tried += 1;
                failures.extend(task.refuses(spec, &law));
            }
        }
    }
    let sampled = NetSpec { firing: Firing::Sampled, width: Some(8), ..NetSpec::plain(Ip, Sensor) };
    failures.extend(task.refuses(sampled, &law));
    assert_eq!(tried, 48);
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_backbone_learns_eight_clips_by_heart() {
    let law = law();
    let mut failures = String::new();
    for (backbone, width, side) in
        [(Backbone::Resnet18, 4, 8), (Backbone::Resnet32, 4, 8), (Backbone::PlifNet, 6, 32)]
    {
        let task = ByHeart::new(2, side);
        for (memory, placement) in [(Memory::None, Placement::None), (Memory::Ip, Placement::Sensor)] {
            let spec = NetSpec { backbone, width: Some(width), ..NetSpec::plain(memory, placement) };
            failures.extend(task.refuses(spec, &law));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
