//! Classification of clips, with or without the direction of time.
//!
//! With a [`Direction`], every clip stands twice in the task: as recorded (class k) and backwards (class k + K). Reversing
//! the order of equal-time frames is what framing the reversed events gives (see [`ipnet_events::augment::time_reverse`]), so that
//! a network that treats frames alone and averages cannot tell the two apart when polarities are merged.

use super::warp::Warp;
use super::{Augment, Batch, Fold, FrameSet, INPUT_OF_COUNT, Splits, Task};
use crate::run::DataSource;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use ipnet_events::augment::PolarityRule;
use ipnet_rng::Stream;
use ipnet_zoo::InputShape;

/// What the reversed half of the classes does with polarity.
pub type Direction = PolarityRule;

/// Classify clips of a [`FrameSet`].
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    name: String,
    frames: FrameSet,
    /// Of the frames: every job of a study names it.
    sha256: String,
    direction: Option<Direction>,
    fold: Option<Fold>,
    splits: Splits,
}

impl Classification {
    /// The task called `name` on `frames`; `validation` is the share of the training groups that is held out, drawn by `seed`.
    ///
    /// # Errors
    /// An empty part, and merged polarities asked of frames with two channels.
    pub fn new(
        name: &str,
        frames: FrameSet,
        direction: Option<Direction>,
        validation: f64,
        seed: u64,
    ) -> Result<Self> {
        let channels = frames.shape[1];
        if direction == Some(Direction::Merge) && channels != 1 {
            return Err(Error::Argument {
                what: format!("task {name} with merged polarities"),
                expected: "frames of one channel".into(),
                found: channels.to_string(),
            });
        }
        let copies = if direction.is_some() { 2 } else { 1 };
        let expand = |clips: &[usize]| {
            (0..copies).flat_map(|copy| clips.iter().map(move |clip| clip * copies + copy)).collect()
        };
        let [train, held_out, test] = frames.split(validation, seed)?;
        if train.is_empty() {
            return Err(Error::Argument {
                what: format!("training part of task {name}"),
                expected:
                    "two groups (subjects, recordings) of clips or more: one is held out for validation"
                        .into(),
                found: "one".into(),
            });
        }
        let splits = Splits { train: expand(&train), validation: expand(&held_out), test: expand(&test) };
        Ok(Self { name: name.to_owned(), sha256: frames.hash(), frames, direction, fold: None, splits })
    }

    /// The same task on fold `fold` of all clips, instead of the data set's own parts.
    ///
    /// # Errors
    /// As [`Classification::new`], and a fold of a number that there is not.
    pub fn fold(
        name: &str,
        frames: &FrameSet,
        direction: Option<Direction>,
        (validation, seed): (f64, u64),
        fold: Fold,
    ) -> Result<Self> {
        let task = Self::new(name, frames.fold(fold)?, direction, validation, seed)?;
        Ok(Self { fold: Some(fold), ..task })
    }

    /// The clips of `frames`, all of them for test: for a network that was trained elsewhere.
    pub fn for_test(name: &str, frames: FrameSet) -> Self {
        let splits = Splits { train: Vec::new(), validation: Vec::new(), test: (0..frames.len()).collect() };
        let sha256 = frames.hash();
        Self { name: name.to_owned(), sha256, frames, direction: None, fold: None, splits }
    }

    /// The clip of a sample, and whether it runs backwards.
    fn clip(&self, sample: usize) -> (usize, bool) {
        match self.direction {
            Some(_) => (sample / 2, sample % 2 == 1),
            None => (sample, false),
        }
    }

    /// The clip that a sample shows, one way round or the other.
    pub fn clip_of(&self, sample: usize) -> usize {
        self.clip(sample).0
    }

    /// The class of a sample.
    pub fn label(&self, sample: usize) -> usize {
        let (clip, backwards) = self.clip(sample);
        self.frames.labels[clip] + if backwards { self.frames.classes.len() } else { 0 }
    }

    /// `[true class][predicted class]` counts.
    pub fn confusion(&self, outputs: &[Vec<f32>], samples: &[usize]) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.outputs()]; self.outputs()];
        for (k, &sample) in self.predictions(outputs).into_iter().zip(samples) {
            counts[self.label(sample)][k] += 1;
        }
        counts
    }

    /// Names of the outputs; reversed classes end in ` (reversed)`.
    pub fn class_names(&self) -> Vec<String> {
        let forward = self.frames.classes.iter().cloned();
        match self.direction {
            Some(_) => {
                forward.chain(self.frames.classes.iter().map(|name| format!("{name} (reversed)"))).collect()
            }
            None => forward.collect(),
        }
    }

    /// Writes one sample as input values: `ln(1 + count)` of the source pixels, into `out[t][b]`.
    fn write(&self, sample: usize, sources: &[Option<usize>], batch: usize, index: usize, out: &mut [f32]) {
        let [steps, channels, height, width] = self.frames.shape;
        let (clip, backwards) = self.clip(sample);
        let counts = self.frames.clip(clip);
        let plane = height * width;
        for t in 0..steps {
            let source = if backwards { steps - 1 - t } else { t };
            for channel in 0..channels {
                let swapped = backwards && self.direction == Some(Direction::Flip);
                let from = if swapped { channels - 1 - channel } else { channel };
                let counts = &counts[(source * channels + from) * plane..][..plane];
                let target = &mut out[((t * batch + index) * channels + channel) * plane..][..plane];
                for (value, source) in target.iter_mut().zip(sources) {
                    *value = source.map_or(0.0, |at| INPUT_OF_COUNT[usize::from(counts[at])]);
                }
            }
        }
    }
}

impl Task for Classification {
    fn name(&self) -> &str {
        &self.name
    }

    fn data(&self) -> &str {
        &self.frames.data
    }

    fn input(&self) -> InputShape {
        let [steps, channels, height, width] = self.frames.shape;
        InputShape { steps, channels, height, width }
    }

    fn outputs(&self) -> usize {
        self.frames.classes.len() * if self.direction.is_some() { 2 } else { 1 }
    }

    fn splits(&self) -> &Splits {
        &self.splits
    }

    fn batch(&self, samples: &[usize], augment: Option<Augment>) -> Result<Batch> {
        let [steps, channels, height, width] = self.frames.shape;
        let mut values = vec![0.0_f32; samples.len() * self.frames.clip_len()];
        let mut draws = augment.map(|augment| {
            (augment, Stream::named(augment.seed, "shift"), Stream::named(augment.seed, "warp"))
        });
        let unmoved = Warp::default().sources([height, width]);
        for (index, &sample) in samples.iter().enumerate() {
            let moved = draws.as_mut().map(|(Augment { max_shift_px: max, max_warp, .. }, shifts, warps)| {
                let mut shift = || shifts.below(2 * *max + 1) as isize - *max as isize;
                let shift = (shift(), shift());
                let linear =
                    if *max_warp > 0.0 { Warp::draw_linear(*max_warp, warps) } else { Default::default() };
                Warp { shift, linear }.sources([height, width])
            });
            let sources = moved.as_deref().unwrap_or(&unmoved);
            self.write(sample, sources, samples.len(), index, &mut values);
        }
        if let Some(augment) = augment.filter(|augment| augment.drop_share > 0.0) {
            let mut stream = Stream::named(augment.seed, "drop");
            for value in values.iter_mut().filter(|value| **value != 0.0) {
                if stream.uniform() < augment.drop_share {
                    *value = 0.0;
                }
            }
        }
        let x = Tensor::from_vec(values, (steps, samples.len(), channels, height, width), &Device::Cpu)?;
        Ok(Batch { x, samples: samples.to_vec() })
    }

    fn loss(&self, outputs: &Tensor, batch: &Batch, label_smoothing: f64) -> Result<Tensor> {
        let targets: Vec<u32> = batch.samples.iter().map(|&sample| self.label(sample) as u32).collect();
        Ok(ipnet_nn::cross_entropy(outputs, &targets, label_smoothing)?)
    }

    fn score(&self, outputs: &[Vec<f32>], samples: &[usize]) -> f64 {
        let told = self.predictions(outputs);
        let right = told.iter().zip(samples).filter(|&(&k, &sample)| k == self.label(sample)).count();
        right as f64 / samples.len().max(1) as f64
    }

    fn source(&self) -> DataSource {
        let fold = self.fold.map_or(String::new(), |fold| format!(".{fold}"));
        let (task, data) = (format!("{}{fold}", self.name), format!("{}{fold}", self.frames.data));
        self.splits.source(task, data, &self.sha256)
    }

    fn window_s(&self) -> Option<f64> {
        Some(1e-6 * self.frames.mean_window_us)
    }

    fn fold_of(&self) -> Option<Fold> {
        self.fold
    }

    fn classification(&self) -> Option<&Classification> {
        Some(self)
    }

    fn direction(&self, outputs: &[Vec<f32>], samples: &[usize]) -> Option<f64> {
        self.direction?;
        let classes = self.frames.classes.len();
        let told = self.predictions(outputs);
        let right =
            told.iter().zip(samples).filter(|&(&k, &sample)| (k >= classes) == self.clip(sample).1).count();
        Some(right as f64 / samples.len() as f64)
    }

    /// The class with the largest output, the first of equals.
    fn predictions(&self, outputs: &[Vec<f32>]) -> Vec<usize> {
        let best = |row: &Vec<f32>| {
            let first_larger =
                |best: (usize, f32), (k, &y): (usize, &f32)| if y > best.1 { (k, y) } else { best };
            row.iter().enumerate().fold((0, f32::NEG_INFINITY), first_larger).0
        };
        outputs.iter().map(best).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Framing;
    use ipnet_events::augment::{merge_polarity, time_reverse};
    use ipnet_events::represent::Polarities;
    use ipnet_events::{Dataset, Events, Part, Sample, SampleInfo};

    const WINDOW_US: u64 = 1600;

    /// Random clips, as they are or with the second half of the classes reversed event by event.
    struct Clips {
        rule: Option<PolarityRule>,
        infos: Vec<SampleInfo>,
        classes: Vec<String>,
    }

    impl Clips {
        fn new(rule: Option<PolarityRule>) -> Self {
            let info = |i: usize| SampleInfo {
                label: 0,
                group: i.to_string(),
                part: if i < 3 { Part::Train } else { Part::Test },
            };
            Self { rule, infos: (0..4).map(info).collect(), classes: vec!["any".into()] }
        }
    }

    impl Dataset for Clips {
        fn name(&self) -> &str {
            "clips"
        }
        fn sensor_size(&self) -> (u16, u16) {
            (5, 4)
        }
        fn classes(&self) -> &[String] {
            &self.classes
        }
        fn samples(&self) -> &[SampleInfo] {
            &self.infos
        }
        fn sample(&self, index: usize) -> std::result::Result<Sample, ipnet_events::Error> {
            let mut stream = Stream::named(1, &index.to_string());
            let mut times: Vec<u64> = (0..200).map(|_| stream.below(WINDOW_US as usize) as u64).collect();
            times.sort_unstable();
            let mut events = Events::default();
            for t in times {
                events.push(t, stream.below(5) as u16, stream.below(4) as u16, stream.below(2) == 1);
            }
            if self.rule == Some(PolarityRule::Merge) {
                merge_polarity(&mut events);
            }
            if let Some(rule) = self.rule {
                events = time_reverse(&events, WINDOW_US, rule)?;
            }
            Ok(Sample { events, label: 0, duration_us: WINDOW_US })
        }
    }

    #[test]
    fn reversed_frames_are_the_frames_of_the_reversed_events() {
        for rule in [PolarityRule::Keep, PolarityRule::Flip, PolarityRule::Merge] {
            let polarities = if rule == PolarityRule::Merge { Polarities::Merged } else { Polarities::Both };
            let framing = Framing { steps: 8, window_us: Some(WINDOW_US), polarities, shrink: 1 };
            let frames = |rule| FrameSet::load(&Clips::new(rule), framing, &|| ()).unwrap();
            let both = Classification::new("both", frames(None), Some(rule), 0.3, 1).unwrap();
            let reversed = Classification::new("reversed", frames(Some(rule)), None, 0.3, 1).unwrap();
            for clip in 0..4 {
                let values = |task: &Classification, sample| {
                    task.batch(&[sample], None).unwrap().x.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                };
                assert_eq!(values(&both, 2 * clip + 1), values(&reversed, clip), "{rule:?}");
                assert_ne!(values(&both, 2 * clip), values(&both, 2 * clip + 1));
            }
        }
    }
}
