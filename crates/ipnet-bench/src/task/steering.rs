//! Steering: the wheel's angle from the events of the last bins.
//!
//! ```text
//! a sample   T bins of 50 ms that follow each other without a gap, all of one part -> the angle at the end of the last
//! target     (angle - mean) / sd, both of the training part
//! score      explained variance  1 - Var(angle - estimate) / Var(angle)
//! ```
//! The protocol is that of Hu et al. 2020 (arXiv 2005.08605), with two departures: the input is a sequence of bins where
//! theirs is one bin, and the epoch is chosen on a validation part (the end of the training part, in time) where theirs is
//! chosen on the test part. Targets beyond three standard deviations of the training part do not count in the test, per
//! recording, as published.
//!
//! Design decision: networks are read at the last step ([`Readout::Last`]), for the angle is that of the last bin. So a
//! network without memory is the published kind, which sees one bin, and what another gains over it is memory.

use super::{Augment, Batch, INPUT_OF_COUNT, Splits, Task};
use crate::run::{DataSource, hash_bytes};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use ipnet_events::Part;
use ipnet_zoo::{InputShape, Readout};
use std::collections::BTreeMap;

/// Share of a recording's training bins, from its end, that is held out for choosing the epoch.
const VALIDATION_SHARE: f64 = 0.15;

/// One bin of a drive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriveBin {
    /// Its number in the recording: neighbours in time have neighbouring numbers.
    pub number: usize,
    /// Steering at its end \[deg\], left positive.
    pub steering_deg: f64,
    /// Its official part.
    pub part: Part,
    /// Whether a test counts it.
    pub counts: bool,
}

/// The bins of one recording as frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// The recording's name.
    pub name: String,
    /// Whether it was made by night; none where nothing says so.
    pub night: Option<bool>,
    /// Its bins, in order of time.
    pub bins: Vec<DriveBin>,
    /// `[bins, C, H, W]` counts of events; above 255 they stay 255.
    pub frames: Vec<u8>,
}

/// How far estimates are from the wheel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SteeringErrors {
    /// Explained variance.
    pub explained_variance: f64,
    /// Root mean square error \[deg\].
    pub rmse_deg: f64,
    /// Mean absolute error \[deg\].
    pub mae_deg: f64,
}

/// How drives are cut into samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Bins of a sample.
    pub steps: usize,
    /// Bins from the start of one sample to the start of the next.
    pub stride: usize,
}

/// The last bin of a sample: which drive, which bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    drive: usize,
    last: usize,
}

/// Regress the wheel's angle.
#[derive(Debug, Clone, PartialEq)]
pub struct Steering {
    name: String,
    data: String,
    /// `[C, H, W]` of a bin.
    shape: [usize; 3],
    steps: usize,
    drives: Vec<Drive>,
    windows: Vec<Window>,
    splits: Splits,
    mean_deg: f64,
    sd_deg: f64,
    sha256: String,
}

impl Steering {
    /// The task called `name` on `drives` of `data`, whose bins have the shape `[C, H, W]`.
    ///
    /// # Errors
    /// No steps or no stride, a drive whose frames do not fit its bins, an empty part, and a training part whose angle never
    /// changes.
    pub fn new(
        name: &str,
        data: &str,
        drives: Vec<Drive>,
        shape: [usize; 3],
        Windows { steps, stride }: Windows,
    ) -> Result<Self> {
        let refuse =
            |what: String, expected: String, found: String| Error::Argument { what, expected, found };
        if steps == 0 || stride == 0 {
            let found = format!("{steps} and {stride}");
            return Err(refuse(format!("steps and stride of task {name}"), "at least 1".into(), found));
        }
        let mut windows = Vec::new();
        let mut splits = Splits { train: Vec::new(), validation: Vec::new(), test: Vec::new() };
        for (index, drive) in drives.iter().enumerate() {
            let expected = drive.bins.len() * shape.iter().product::<usize>();
            if drive.frames.len() != expected {
                let what = format!("frames of drive {}", drive.name);
                return Err(refuse(what, format!("{expected} values"), drive.frames.len().to_string()));
            }
            for (zone, run) in runs(&drive.bins) {
                for last in (run.start + steps - 1..run.end).step_by(stride) {
                    let part = match zone {
                        Zone::Fitted => &mut splits.train,
                        Zone::HeldOut => &mut splits.validation,
                        Zone::Test if drive.bins[last].counts => &mut splits.test,
                        Zone::Test => continue,
                    };
                    part.push(windows.len());
                    windows.push(Window { drive: index, last });
                }
            }
        }
        for (part, samples) in
            [("training", &splits.train), ("validation", &splits.validation), ("test", &splits.test)]
        {
            if samples.is_empty() {
                let what = format!("{part} part of task {name}");
                return Err(refuse(what, format!("runs of {steps} bins"), "none".into()));
            }
        }
        let angle = |&sample: &usize| {
            let Window { drive, last } = windows[sample];
            drives[drive].bins[last].steering_deg
        };
        let (mean_deg, variance) = moments(splits.train.iter().map(angle));
        if !(variance.is_finite() && variance > 0.0) {
            let what = format!("steering of task {name}");
            return Err(refuse(
                what,
                "an angle that changes".into(),
                format!("a variance of {variance} deg^2"),
            ));
        }
        let mut content: Vec<u8> = [steps, stride].iter().flat_map(|number| number.to_le_bytes()).collect();
        for drive in &drives {
            content.extend_from_slice(&drive.frames);
            for bin in &drive.bins {
                content.extend_from_slice(&bin.number.to_le_bytes());
                content.extend_from_slice(&bin.steering_deg.to_bits().to_le_bytes());
                content.push(u8::from(bin.counts) + 2 * u8::from(bin.part == Part::Test));
            }
            content.push(drive.night.map_or(2, u8::from));
        }
        Ok(Self {
            name: name.to_owned(),
            data: data.to_owned(),
            shape,
            steps,
            sha256: hash_bytes(&content),
            drives,
            windows,
            splits,
            mean_deg,
            sd_deg: variance.sqrt(),
        })
    }

    /// The wheel's angle of a sample \[deg\].
    pub fn angle_deg(&self, sample: usize) -> f64 {
        let Window { drive, last } = self.windows[sample];
        self.drives[drive].bins[last].steering_deg
    }

    /// The angle that a network's output stands for \[deg\].
    fn estimate_deg(&self, output: &[f32]) -> f64 {
        self.mean_deg + self.sd_deg * output.first().copied().map_or(f64::NAN, f64::from)
    }

    /// The errors of `outputs` (one value each) on `samples`.
    pub fn errors(&self, outputs: &[Vec<f32>], samples: &[usize]) -> SteeringErrors {
        let residuals: Vec<f64> = outputs
            .iter()
            .zip(samples)
            .map(|(row, &sample)| self.angle_deg(sample) - self.estimate_deg(row))
            .collect();
        let n = residuals.len() as f64;
        let (_, of_residuals) = moments(residuals.iter().copied());
        let (_, of_angles) = moments(samples.iter().map(|&sample| self.angle_deg(sample)));
        SteeringErrors {
            explained_variance: 1.0 - of_residuals / of_angles,
            rmse_deg: (residuals.iter().map(|r| r * r).sum::<f64>() / n).sqrt(),
            mae_deg: residuals.iter().map(|r| r.abs()).sum::<f64>() / n,
        }
    }
}

/// What the bins of a drive are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Fitted,
    HeldOut,
    Test,
}

/// Runs of bins that follow each other without a gap and are for the same thing: a sample lies in one of them as a whole.
fn runs(bins: &[DriveBin]) -> Vec<(Zone, std::ops::Range<usize>)> {
    let train = bins.iter().filter(|bin| bin.part == Part::Train).count();
    let fitted = train - (VALIDATION_SHARE * train as f64).round() as usize;
    let mut runs: Vec<(Zone, std::ops::Range<usize>)> = Vec::new();
    for (i, bin) in bins.iter().enumerate() {
        let zone = match bin.part {
            Part::Train if i < fitted => Zone::Fitted,
            Part::Train => Zone::HeldOut,
            Part::Test => Zone::Test,
        };
        match runs.last_mut() {
            Some((of, run)) if *of == zone && bins[i - 1].number + 1 == bin.number => run.end = i + 1,
            _ => runs.push((zone, i..i + 1)),
        }
    }
    runs
}

/// Mean and variance (of the population).
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    (mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / n)
}

impl Task for Steering {
    fn name(&self) -> &str {
        &self.name
    }

    fn data(&self) -> &str {
        &self.data
    }

    fn input(&self) -> InputShape {
        let [channels, height, width] = self.shape;
        InputShape { steps: self.steps, channels, height, width }
    }

    fn outputs(&self) -> usize {
        1
    }

    fn splits(&self) -> &Splits {
        &self.splits
    }

    /// `ln(1 + count)`. A shifted road is another road, so pictures are never augmented.
    fn batch(&self, samples: &[usize], _augment: Option<Augment>) -> Result<Batch> {
        let [channels, height, width] = self.shape;
        let bin = channels * height * width;
        let mut values = vec![0.0_f32; self.steps * samples.len() * bin];
        for (index, &sample) in samples.iter().enumerate() {
            let Window { drive, last } = self.windows[sample];
            let first = last + 1 - self.steps;
            for t in 0..self.steps {
                let counts = &self.drives[drive].frames[(first + t) * bin..][..bin];
                let target = &mut values[(t * samples.len() + index) * bin..][..bin];
                target
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(value, &count)| *value = INPUT_OF_COUNT[usize::from(count)]);
            }
        }
        let shape = (self.steps, samples.len(), channels, height, width);
        Ok(Batch { x: Tensor::from_vec(values, shape, &Device::Cpu)?, samples: samples.to_vec() })
    }

    /// Mean squared error of the standardised angle.
    fn loss(&self, outputs: &Tensor, batch: &Batch, _label_smoothing: f64) -> Result<Tensor> {
        let target = |&sample: &usize| ((self.angle_deg(sample) - self.mean_deg) / self.sd_deg) as f32;
        let targets: Vec<f32> = batch.samples.iter().map(target).collect();
        let targets = Tensor::from_vec(targets, (batch.samples.len(), 1), outputs.device())?;
        Ok((outputs - targets)?.sqr()?.mean_all()?)
    }

    fn score(&self, outputs: &[Vec<f32>], samples: &[usize]) -> f64 {
        self.errors(outputs, samples).explained_variance
    }

    fn source(&self) -> DataSource {
        self.splits.source(self.name.clone(), self.data.clone(), &self.sha256)
    }

    fn readout(&self) -> Readout {
        Readout::Last
    }

    /// The angle \[deg\].
    fn estimates(&self, outputs: &[Vec<f32>]) -> Vec<f64> {
        outputs.iter().map(|row| self.estimate_deg(row)).collect()
    }

    /// `explained_variance`, `rmse_deg`, `mae_deg` of all samples, and `day_` and `night_` of those that are known to be either.
    fn measures(&self, outputs: &[Vec<f32>], samples: &[usize]) -> BTreeMap<String, f64> {
        let mut measures = BTreeMap::new();
        for (prefix, night) in [("", None), ("day_", Some(false)), ("night_", Some(true))] {
            let chosen = |&(_, &sample): &(&Vec<f32>, &usize)| {
                night.is_none() || self.drives[self.windows[sample].drive].night == night
            };
            let (outputs, samples): (Vec<_>, Vec<_>) = outputs
                .iter()
                .zip(samples)
                .filter(chosen)
                .map(|(row, &sample)| (row.clone(), sample))
                .unzip();
            if samples.is_empty() {
                continue;
            }
            let errors = self.errors(&outputs, &samples);
            measures.insert(format!("{prefix}explained_variance"), errors.explained_variance);
            measures.insert(format!("{prefix}rmse_deg"), errors.rmse_deg);
            measures.insert(format!("{prefix}mae_deg"), errors.mae_deg);
        }
        measures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(steps: usize, stride: usize) -> Windows {
        Windows { steps, stride }
    }

    /// Twenty-six bins, a gap after the fifth, the last six are the test; one of them does not count.
    fn drive() -> Drive {
        let bin = |i: usize| DriveBin {
            number: if i < 5 { i } else { i + 3 },
            steering_deg: i as f64,
            part: if i < 20 { Part::Train } else { Part::Test },
            counts: i != 24,
        };
        Drive {
            name: "a".into(),
            night: Some(true),
            bins: (0..26).map(bin).collect(),
            frames: (0..52).collect(),
        }
    }

    /// Samples of three bins: none over the gap (5, 6), none over a border of two parts (17, 18; 20, 21), none that ends in the bin
    /// that does not count.
    #[test]
    fn a_sample_lies_in_one_part_without_a_gap() {
        let task = Steering::new("steering", "test", vec![drive()], [1, 1, 2], windows(3, 1)).unwrap();
        let last = |part: &[usize]| part.iter().map(|&s| task.windows[s].last).collect::<Vec<_>>();
        let splits = task.splits();
        assert_eq!(last(&splits.train), [2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(last(&splits.validation), [19]);
        assert_eq!(last(&splits.test), [22, 23, 25]);
        let sparse = Steering::new("steering", "test", vec![drive()], [1, 1, 2], windows(3, 2)).unwrap();
        let last = |part: &[usize]| part.iter().map(|&s| sparse.windows[s].last).collect::<Vec<_>>();
        assert_eq!(last(&sparse.splits().train), [2, 4, 7, 9, 11, 13, 15]);
        assert_eq!(last(&sparse.splits().test), [22]);
        assert_ne!(task.source().sha256, sparse.source().sha256);
    }

    /// Estimates that are one degree too low leave residuals of 1 without variance; a constant explains nothing.
    #[test]
    fn errors_by_hand() {
        let task = Steering::new("steering", "test", vec![drive()], [1, 1, 2], windows(2, 1)).unwrap();
        let samples = task.splits().test.clone();
        let angles: Vec<f64> = samples.iter().map(|&s| task.angle_deg(s)).collect();
        assert_eq!(angles, [21.0, 22.0, 23.0, 25.0]);
        let output = |deg: f64| vec![((deg - task.mean_deg) / task.sd_deg) as f32];
        let biased: Vec<_> = angles.iter().map(|&a| output(a - 1.0)).collect();
        let errors = task.errors(&biased, &samples);
        assert!((errors.explained_variance - 1.0).abs() < 1e-9, "{errors:?}");
        assert!((errors.rmse_deg - 1.0).abs() < 1e-5 && (errors.mae_deg - 1.0).abs() < 1e-5, "{errors:?}");
        let constant = vec![output(3.0); samples.len()];
        assert!(task.score(&constant, &samples).abs() < 1e-9);
        let estimates = task.estimates(&biased);
        assert!(estimates.iter().zip(&angles).all(|(e, a)| (e - a + 1.0).abs() < 1e-5), "{estimates:?}");
    }

    /// A drive by day that is estimated to the point, and the same by night one degree off.
    #[test]
    fn day_and_night_are_measured_apart() {
        let day = Drive { night: Some(false), ..drive() };
        let task = Steering::new("steering", "test", vec![day, drive()], [1, 1, 2], windows(2, 1)).unwrap();
        let samples = task.splits().test.clone();
        let output = |(i, &sample): (usize, &usize)| {
            let off = if i < samples.len() / 2 { 0.0 } else { 1.0 };
            vec![((task.angle_deg(sample) + off - task.mean_deg) / task.sd_deg) as f32]
        };
        let outputs: Vec<_> = samples.iter().enumerate().map(output).collect();
        let measures = task.measures(&outputs, &samples);
        let close = |name: &str, value: f64| (measures[name] - value).abs() < 1e-5;
        assert!(
            close("day_mae_deg", 0.0) && close("night_mae_deg", 1.0) && close("mae_deg", 0.5),
            "{measures:?}"
        );
        assert!(close("night_explained_variance", 1.0) && close("rmse_deg", 0.5_f64.sqrt()), "{measures:?}");
        assert_eq!(measures.len(), 9);
        let unknown = Drive { night: None, ..drive() };
        let task = Steering::new("steering", "test", vec![unknown], [1, 1, 2], windows(2, 1)).unwrap();
        assert_eq!(task.measures(&outputs[..4], &task.splits().test).len(), 3);
    }

    #[test]
    fn a_batch_holds_the_bins_in_order() {
        let task = Steering::new("steering", "test", vec![drive()], [1, 1, 2], windows(2, 1)).unwrap();
        let sample = task.splits().train[0];
        let x = task.batch(&[sample], None).unwrap().x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let expected: Vec<f32> = (0..4).map(|count| (count as f32).ln_1p()).collect();
        assert_eq!(x, expected);
    }

    #[test]
    fn drives_that_do_not_fit_are_refused() {
        let short = Drive { frames: vec![0; 3], ..drive() };
        let error =
            Steering::new("steering", "test", vec![short], [1, 1, 2], windows(2, 1)).unwrap_err().to_string();
        assert!(error.contains("frames of drive a") && error.contains("52"), "{error}");
        let error = Steering::new("steering", "test", vec![drive()], [1, 1, 2], windows(9, 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains("part of task steering"), "{error}");
    }
}
