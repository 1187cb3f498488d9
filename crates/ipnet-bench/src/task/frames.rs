//! Decoded and framed clips, held as counts of one byte.

use crate::{Error, Result};
use ipnet_events::represent::{FrameSpec, FrameValue, Polarities, slice_by_time, to_frame};
use ipnet_events::{Dataset, Part, Sample};
use ipnet_rng::Stream;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// How clips become frames: counts of events in equal times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Frames per clip.
    pub steps: usize,
    /// Length of the window from the clip's start \[us\]; events after it are left out. None: the clip's own length.
    pub window_us: Option<u64>,
    /// Channels.
    pub polarities: Polarities,
    /// Side of the square of pixels that is summed into one cell.
    pub shrink: u16,
}

/// One of several cuts of all clips into training and test, each clip in the test part of exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fold {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl std::fmt::Display for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "fold{}of{}", self.number, self.of)
    }
}

/// Seed of the order of clips that folds are cut from: the same folds for all networks and seeds.
const FOLD_SEED: u64 = 5;

/// All clips of a data set as frames `[T, C, H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameSet {
    /// The data set's name.
    pub data: String,
    /// Class names.
    pub classes: Vec<String>,
    /// `[T, C, H, W]` of a clip.
    pub shape: [usize; 4],
    /// Class of each clip.
    pub labels: Vec<usize>,
    /// Group (subject, recording) of each clip.
    pub groups: Vec<String>,
    /// Official part of each clip.
    pub parts: Vec<Part>,
    /// Counts of all clips, one after the other.
    pub counts: Vec<u8>,
    /// Cells whose count was above 255 and is stored as 255.
    pub saturated: u64,
    /// Events that stand in a frame.
    pub framed_events: u64,
    /// Events after the window, which no frame shows.
    pub late_events: u64,
    /// Mean real time that the frames of a clip span \[us\].
    pub mean_window_us: f64,
}

/// One clip and what was met on the way.
struct Clip {
    counts: Vec<u8>,
    saturated: u64,
    framed: u64,
    late: u64,
    window_us: u64,
}

impl FrameSet {
    /// Decodes and frames every clip of `dataset`, clips in parallel; `progress` is called after each.
    pub fn load(dataset: &dyn Dataset, framing: Framing, progress: &(dyn Fn() + Sync)) -> Result<Self> {
        let spec = FrameSpec {
            sensor_size: dataset.sensor_size(),
            shrink: framing.shrink,
            polarities: framing.polarities,
            value: FrameValue::Count,
        };
        let [channels, height, width] = spec.shape();
        let clips: Vec<Clip> = (0..dataset.len())
            .into_par_iter()
            .map(|index| {
                let clip = frame_clip(&dataset.sample(index)?, framing, &spec)?;
                progress();
                Ok(clip)
            })
            .collect::<Result<_>>()?;
        let samples = dataset.samples();
        let mut counts = Vec::with_capacity(clips.iter().map(|clip| clip.counts.len()).sum());
        clips.iter().for_each(|clip| counts.extend_from_slice(&clip.counts));
        Ok(Self {
            data: dataset.name().to_owned(),
            classes: dataset.classes().to_vec(),
            shape: [framing.steps, channels, height, width],
            labels: samples.iter().map(|info| info.label).collect(),
            groups: samples.iter().map(|info| info.group.clone()).collect(),
            parts: samples.iter().map(|info| info.part).collect(),
            counts,
            saturated: clips.iter().map(|clip| clip.saturated).sum(),
            framed_events: clips.iter().map(|clip| clip.framed).sum(),
            late_events: clips.iter().map(|clip| clip.late).sum(),
            mean_window_us: clips.iter().map(|clip| clip.window_us as f64).sum::<f64>()
                / clips.len().max(1) as f64,
        })
    }

    /// sha256 of shape, labels, parts and counts: what a result on these frames depends on.
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        let mut number = |value: usize| digest.update((value as u64).to_le_bytes());
        self.shape.iter().chain(&self.labels).for_each(|&value| number(value));
        self.parts.iter().for_each(|&part| number(usize::from(part == Part::Test)));
        digest.update(&self.counts);
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Values of one clip.
    pub fn clip_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The counts `[T, C, H, W]` of clip `index`.
    pub fn clip(&self, index: usize) -> &[u8] {
        &self.counts[index * self.clip_len()..(index + 1) * self.clip_len()]
    }

    /// Number of clips.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no clip.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The same clips with the parts of fold `fold`: the clips of each class, shuffled, go to the test parts in turn; where
    /// clips share a group (a subject, a recording), whole groups do.
    ///
    /// # Errors
    /// Fewer than two folds, a number that is none of theirs, more folds than a class has clips or than there are groups.
    pub fn fold(&self, fold: Fold) -> Result<Self> {
        let refuse = |expected: String| Error::Argument {
            what: format!("data set {}", self.data),
            expected,
            found: format!("fold {} of {}", fold.number, fold.of),
        };
        if fold.of < 2 || !(1..=fold.of).contains(&fold.number) {
            return Err(refuse("two folds or more, numbered from 1".into()));
        }
        let mut parts = vec![Part::Train; self.len()];
        let mut groups: Vec<&str> =
            self.groups.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
        if groups.len() < self.len() {
            if groups.len() < fold.of {
                return Err(refuse(format!("at most {} folds, one per group of clips", groups.len())));
            }
            Stream::named(FOLD_SEED, "fold of groups").shuffle(&mut groups);
            let test: BTreeSet<&str> = groups.into_iter().skip(fold.number - 1).step_by(fold.of).collect();
            for (part, group) in parts.iter_mut().zip(&self.groups) {
                if test.contains(group.as_str()) {
                    *part = Part::Test;
                }
            }
            return Ok(Self { parts, ..self.clone() });
        }
        for class in 0..self.classes.len() {
            let mut clips: Vec<usize> = (0..self.len()).filter(|&clip| self.labels[clip] == class).collect();
            if (1..fold.of).contains(&clips.len()) {
                let name = &self.classes[class];
                return Err(refuse(format!("at most {} folds, one per clip of class {name}", clips.len())));
            }
            Stream::named(FOLD_SEED, &format!("fold/{class}")).shuffle(&mut clips);
            for &clip in clips.iter().skip(fold.number - 1).step_by(fold.of) {
                parts[clip] = Part::Test;
            }
        }
        Ok(Self { parts, ..self.clone() })
    }

    /// Clip numbers of train, validation and test. Validation takes `fraction` of the training groups (at least one), drawn
    /// by `seed`: of a single group it takes all.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<[Vec<usize>; 3]> {
        let of = |part: Part| (0..self.len()).filter(|&i| self.parts[i] == part).collect::<Vec<_>>();
        let (train, test) = (of(Part::Train), of(Part::Test));
        if train.len() < 2 || test.is_empty() {
            return Err(Error::Argument {
                what: format!("data set {}", self.data),
                expected: "at least two training clips and one test clip".into(),
                found: format!("{} and {}", train.len(), test.len()),
            });
        }
        let mut groups: Vec<&str> =
            train.iter().map(|&i| self.groups[i].as_str()).collect::<BTreeSet<_>>().into_iter().collect();
        Stream::named(seed, "validation split").shuffle(&mut groups);
        let held = ((groups.len() as f64 * fraction).round() as usize)
            .clamp(1, groups.len().saturating_sub(1).max(1));
        let held: BTreeSet<&str> = groups.into_iter().take(held).collect();
        let (validation, train) = train.into_iter().partition(|&i| held.contains(self.groups[i].as_str()));
        Ok([train, validation, test])
    }
}

fn frame_clip(sample: &Sample, framing: Framing, spec: &FrameSpec) -> Result<Clip> {
    let window_us = framing.window_us.unwrap_or(sample.duration_us);
    let slices = slice_by_time(&sample.events, 0, window_us, framing.steps);
    let mut frames = vec![0.0_f32; framing.steps * spec.frame_len()];
    to_frame(&sample.events, &slices, spec, &mut frames)?;
    let framed = slices.iter().map(ExactSizeIterator::len).sum::<usize>() as u64;
    Ok(Clip {
        // A cast from f32 to u8 saturates; every count below 2^24 is exact in f32.
        counts: frames.iter().map(|&count| count as u8).collect(),
        saturated: frames.iter().filter(|&&count| count > 255.0).count() as u64,
        framed,
        late: sample.events.len() as u64 - framed,
        window_us,
    })
}
