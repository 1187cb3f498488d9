//! A task whose clips are altered.

use super::Condition;
use crate::Result;
use crate::run::DataSource;
use crate::task::{Augment, Batch, Splits, Task};
use candle_core::{Device, Tensor};
use ipnet_rng::Stream;
use ipnet_zoo::{InputShape, Readout};

/// Seed of shuffled orders and noise events: one alteration of each clip for all networks.
const SEED: u64 = 31;

/// `task` with its clips under `condition`.
pub(super) struct Altered<'a> {
    pub task: &'a dyn Task,
    pub condition: Condition,
}

impl Task for Altered<'_> {
    fn name(&self) -> &str {
        self.task.name()
    }

    fn data(&self) -> &str {
        self.task.data()
    }

    fn input(&self) -> InputShape {
        let input = self.task.input();
        match self.condition {
            Condition::Frames(steps) => InputShape { steps, ..input },
            _ => input,
        }
    }

    fn outputs(&self) -> usize {
        self.task.outputs()
    }

    fn splits(&self) -> &Splits {
        self.task.splits()
    }

    fn batch(&self, samples: &[usize], augment: Option<Augment>) -> Result<Batch> {
        let batch = self.task.batch(samples, augment)?;
        let x = alter(&batch.x, samples, self.condition, self.readout())?;
        Ok(Batch { x, ..batch })
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

    fn readout(&self) -> Readout {
        self.task.readout()
    }
}

/// The clips `[T, B, ...]` of `samples`, values `ln(1 + count)`, under `condition`. Where the last step alone is read, what is
/// told belongs to the last frame: it stays the last.
fn alter(x: &Tensor, samples: &[usize], condition: Condition, readout: Readout) -> Result<Tensor> {
    let (steps, clips) = (x.dim(0)?, x.dim(1)?);
    match condition {
        Condition::Shuffled => {
            let values = x.flatten_all()?.to_vec1::<f32>()?;
            let frame = values.len() / (steps * clips).max(1);
            let mut out = vec![0.0; values.len()];
            for (clip, sample) in samples.iter().enumerate() {
                let mut order: Vec<usize> = (0..steps).collect();
                let moved = match readout {
                    Readout::Mean => steps,
                    Readout::Last => steps.saturating_sub(1),
                };
                Stream::named(SEED, &format!("order/{sample}")).shuffle(&mut order[..moved]);
                for (to, from) in order.into_iter().enumerate() {
                    let at = |t: usize| (t * clips + clip) * frame;
                    out[at(to)..][..frame].copy_from_slice(&values[at(from)..][..frame]);
                }
            }
            Ok(Tensor::from_vec(out, x.shape(), &Device::Cpu)?)
        }
        Condition::OneFrame => {
            let kept = match readout {
                Readout::Mean => steps / 2,
                Readout::Last => steps.saturating_sub(1),
            };
            let shown: Vec<f32> = (0..steps).map(|t| f32::from(t == kept)).collect();
            let mut shape = vec![1; x.rank()];
            shape[0] = steps;
            Ok(x.broadcast_mul(&Tensor::from_vec(shown, shape, &Device::Cpu)?)?)
        }
        Condition::Noise(level) => {
            let mut values = x.flatten_all()?.to_vec1::<f32>()?;
            let frame = values.len() / (steps * clips).max(1);
            for (clip, sample) in samples.iter().enumerate() {
                let of = |t: usize| (t * clips + clip) * frame..(t * clips + clip + 1) * frame;
                let events: f64 = (0..steps)
                    .flat_map(|t| values[of(t)].iter().map(|&value| f64::from(value).exp_m1()))
                    .sum();
                let mean = level * events / (steps * frame) as f64;
                let mut stream = Stream::named(SEED, &format!("noise/{sample}"));
                for t in 0..steps {
                    for value in &mut values[of(t)] {
                        let noise = stream.poisson(mean);
                        if noise > 0 {
                            *value = (f64::from(*value).exp() + noise as f64).ln() as f32;
                        }
                    }
                }
            }
            Ok(Tensor::from_vec(values, x.shape(), &Device::Cpu)?)
        }
        Condition::Frames(wanted) => {
            let first = match readout {
                Readout::Mean => 0,
                Readout::Last => steps - wanted % steps,
            };
            let frames: Vec<u32> = (first..first + wanted).map(|t| (t % steps) as u32).collect();
            Ok(x.index_select(&Tensor::from_vec(frames, wanted, &Device::Cpu)?, 0)?)
        }
        Condition::AsTrained
        | Condition::HeatCut
        | Condition::Spread(_)
        | Condition::CycleNoise(_)
        | Condition::Sampled => Ok(x.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clips of four frames of two cells; counts t + 10 clip + 1 in the first cell.
    fn clips() -> Tensor {
        let count = |t: usize, clip: usize| (t + 10 * clip + 1) as f32;
        let values: Vec<f32> =
            (0..4).flat_map(|t| (0..2).flat_map(move |clip| [count(t, clip).ln_1p(), 0.0])).collect();
        Tensor::from_vec(values, (4, 2, 1, 1, 2), &Device::Cpu).unwrap()
    }

    fn altered(condition: Condition, readout: Readout) -> Tensor {
        alter(&clips(), &[0, 1], condition, readout).unwrap()
    }

    /// Counts of the first (or second) cell of a clip over time.
    fn counts(x: &Tensor, clip: usize, cell: usize) -> Vec<u32> {
        let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.chunks(4).map(|frame| frame[2 * clip + cell].exp_m1().round() as u32).collect()
    }

    #[test]
    fn shuffling_keeps_every_frame_of_a_clip() {
        let x = alter(&clips(), &[3, 8], Condition::Shuffled, Readout::Mean).unwrap();
        for (clip, first) in [(0, 1), (1, 11)] {
            let mut found = counts(&x, clip, 0);
            found.sort_unstable();
            assert_eq!(found, (first..first + 4).collect::<Vec<_>>());
        }
        // A clip's order is its own: it does not hang on what stands beside it in the batch.
        let alone =
            alter(&clips().narrow(1, 1, 1).unwrap(), &[8], Condition::Shuffled, Readout::Mean).unwrap();
        let alone: Vec<f32> = alone.flatten_all().unwrap().to_vec1().unwrap();
        let alone: Vec<u32> = alone.chunks(2).map(|frame| frame[0].exp_m1().round() as u32).collect();
        assert_eq!(alone, counts(&x, 1, 0));
    }

    #[test]
    fn one_frame_is_the_middle_one() {
        let x = altered(Condition::OneFrame, Readout::Mean);
        assert_eq!((counts(&x, 0, 0), counts(&x, 1, 0)), (vec![0, 0, 3, 0], vec![0, 0, 13, 0]));
    }

    #[test]
    fn clips_end_early_or_start_again() {
        let of = |frames| counts(&altered(Condition::Frames(frames), Readout::Mean), 0, 0);
        assert_eq!((of(2), of(6)), (vec![1, 2], vec![1, 2, 3, 4, 1, 2]));
    }

    /// Where the last step is read, the last frame stays the last, however long the clip.
    #[test]
    fn the_frame_that_is_read_stays_the_last() {
        let of = |frames| counts(&altered(Condition::Frames(frames), Readout::Last), 0, 0);
        assert_eq!((of(2), of(4), of(6)), (vec![3, 4], vec![1, 2, 3, 4], vec![3, 4, 1, 2, 3, 4]));
        assert_eq!(counts(&altered(Condition::OneFrame, Readout::Last), 0, 0), [0, 0, 0, 4]);
        for sample in 0..8 {
            let x = alter(&clips(), &[sample, sample], Condition::Shuffled, Readout::Last).unwrap();
            assert_eq!(counts(&x, 0, 0)[3], 4, "sample {sample}");
        }
    }

    /// Noise only adds, and over many clips it adds as many events as it says.
    #[test]
    fn noise_adds_the_share_it_says() {
        let (mut added, samples) = (0.0, 4000);
        for sample in 0..samples {
            let x = alter(&clips(), &[sample, sample], Condition::Noise(0.5), Readout::Mean).unwrap();
            for cell in 0..2 {
                let clean = counts(&clips(), 0, cell);
                for (noisy, clean) in counts(&x, 0, cell).into_iter().zip(clean) {
                    added += f64::from(noisy.checked_sub(clean).unwrap());
                }
            }
        }
        // A clip of 1 + 2 + 3 + 4 events gets Poisson(5): the mean of 4000 has a standard deviation of 0.035.
        let mean = added / samples as f64;
        assert!((mean - 5.0).abs() < 0.15, "{mean}");
    }
}
