//! The tasks by name, and the recordings they are made of.

use super::folder::not_official;
use super::{
    Classification, DataFolder, Direction, ENVIRONMENT, Fold, FrameSet, Framing, Steering, Task, Windows,
    chains, drives,
};
use crate::notice::notice;
use crate::run::write_atomic;
use crate::table::Table;
use crate::train::TrainConfig;
use crate::{Error, Result};
use ipnet_events::datasets::{DvsGesture, NMnist};
use ipnet_events::represent::Polarities;
use ipnet_events::synth::driving::DrivingSpec;
use ipnet_events::synth::gestures::{GestureSpec, REVISION, generate};
use ipnet_events::{Dataset, Part};
use std::path::Path;

/// A task of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskName {
    /// Eleven gestures.
    Gestures11,
    /// Eleven gestures and their time reversals; polarity as it is, which leaves a static cue: which polarity leads a moving edge.
    Gestures22Keep,
    /// The same with the polarity of reversed events flipped, as a camera that sees the film backwards would give it.
    Gestures22Flip,
    /// The same with polarities merged: nothing but the order of frames tells a gesture from its reversal.
    Gestures22Merge,
    /// Ten digits, polarities merged.
    Digits10,
    /// Ten digits and their time reversals, polarities merged.
    DigitsInTime20,
    /// Chains of three gestures, 27 classes.
    GestureChains,
    /// The steering wheel's angle, from events of the road.
    Steering,
}

impl TaskName {
    /// Its name in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gestures11 => "gestures-11",
            Self::Gestures22Keep => "gestures-22-keep",
            Self::Gestures22Flip => "gestures-22-flip",
            Self::Gestures22Merge => "gestures-22-merge",
            Self::Digits10 => "digits-10",
            Self::DigitsInTime20 => "digits-in-time-20",
            Self::GestureChains => "gesture-chains",
            Self::Steering => "steering",
        }
    }

    /// Whether it is made of real recordings and cannot be loaded without them.
    pub fn needs_recordings(self) -> bool {
        matches!(self, Self::Digits10 | Self::DigitsInTime20)
    }

    /// What it is, in a line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Gestures11 => "Eleven gestures (all of DVS Gesture in --data, else synthetic)",
            Self::Gestures22Keep => {
                "Gestures and their time reversals, 22 classes, polarity as it is: a static cue remains"
            }
            Self::Gestures22Flip => "The same, polarity flipped with time",
            Self::Gestures22Merge => {
                "The same, polarities merged: only the order of frames tells a gesture from its reversal"
            }
            Self::Digits10 => "N-MNIST digits, polarities merged (needs --data)",
            Self::DigitsInTime20 => {
                "N-MNIST digits and their time reversals, 20 classes, polarities merged (needs --data)"
            }
            Self::GestureChains => {
                "Three gestures one after the other, 27 classes: order counts (all of DVS Gesture in --data, else synthetic)"
            }
            Self::Steering => {
                "The steering wheel's angle from the last 0.6 s of events (DDD-20 in --data, else synthetic drives)"
            }
        }
    }

    /// How networks are trained on it: one setting for all of a comparison, chosen on validation parts. Batches are such
    /// that an epoch has some dozens of updates.
    pub fn training(self) -> TrainConfig {
        let (epochs, batch) = match self {
            Self::Gestures11 | Self::Gestures22Keep | Self::Gestures22Flip | Self::Gestures22Merge => {
                (15, 16)
            }
            Self::Digits10 | Self::DigitsInTime20 => (10, 32),
            Self::GestureChains => (6, 16),
            Self::Steering => (6, 16),
        };
        TrainConfig { epochs, batch, ..TrainConfig::default() }
    }

    /// The task of that name.
    ///
    /// # Errors
    /// No task of that name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| Error::Argument {
            what: "task".into(),
            expected: Self::ALL.map(Self::name).join(" or "),
            found: format!("{name:?}"),
        })
    }

    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Gestures11,
        Self::Gestures22Keep,
        Self::Gestures22Flip,
        Self::Gestures22Merge,
        Self::Digits10,
        Self::DigitsInTime20,
        Self::GestureChains,
        Self::Steering,
    ];

    /// Loads the task with the data set's own parts. Synthetic recordings are made once, below `recordings`.
    ///
    /// # Errors
    /// Digits in time without N-MNIST in `data`, and the loaders' errors.
    pub fn load(self, data: Option<&DataFolder>, recordings: &Path) -> Result<Box<dyn Task>> {
        if self == Self::Steering {
            return Ok(Box::new(steering(data, recordings)?));
        }
        Ok(Box::new(self.whole(self.frames(data, recordings)?)?))
    }

    /// The task on its clips `frames` (see [`TaskName::frames`]), cut into the data set's own parts.
    ///
    /// # Errors
    /// An empty part.
    pub fn whole(self, frames: FrameSet) -> Result<Classification> {
        Classification::new(self.name(), frames, self.direction(), VALIDATION_SHARE, VALIDATION_SEED)
    }

    /// The task whose [`TaskName::frames`] are this one's too; none for drives, which are no clips.
    pub fn framed_as(self) -> Option<Self> {
        match self {
            Self::Gestures22Keep | Self::Gestures22Flip => Some(Self::Gestures11),
            Self::DigitsInTime20 => Some(Self::Digits10),
            Self::Steering => None,
            _ => Some(self),
        }
    }

    /// The task on one fold of its clips (see [`TaskName::frames`]).
    ///
    /// # Errors
    /// A fold that there is not.
    pub fn fold(self, frames: &FrameSet, fold: Fold) -> Result<Classification> {
        let validation = (VALIDATION_SHARE, VALIDATION_SEED);
        Classification::fold(self.name(), frames, self.direction(), validation, fold)
    }

    /// The clips, framed.
    ///
    /// # Errors
    /// As [`TaskName::load`].
    pub fn frames(self, data: Option<&DataFolder>, recordings: &Path) -> Result<FrameSet> {
        self.frames_for(self, data, recordings)
    }

    /// [`TaskName::frames`], for the task `asked`, which errors name.
    pub(super) fn frames_for(
        self,
        asked: Self,
        data: Option<&DataFolder>,
        recordings: &Path,
    ) -> Result<FrameSet> {
        match (self, data.and_then(|data| data.nmnist.as_deref())) {
            (Self::Gestures22Merge, _) => gestures(data, recordings, Polarities::Merged),
            (Self::Gestures11 | Self::Gestures22Keep | Self::Gestures22Flip, _) => {
                gestures(data, recordings, Polarities::Both)
            }
            (Self::Digits10 | Self::DigitsInTime20, Some(folder)) => digits(folder),
            (Self::Digits10 | Self::DigitsInTime20, None) => Err(Error::Argument {
                what: format!("task {}", asked.name()),
                expected: format!("--data (or {ENVIRONMENT}) with nmnist/Train/<digit>/*.bin"),
                found: "no such folder".into(),
            }),
            (Self::GestureChains, _) => gesture_chains(data, recordings),
            (Self::Steering, _) => Err(Error::Argument {
                what: format!("task {}", self.name()),
                expected: "a task of clips, which can be cut into folds".into(),
                found: "drives, whose parts follow each other in time".into(),
            }),
        }
    }

    /// What the reversed half of its classes does with polarity.
    fn direction(self) -> Option<Direction> {
        match self {
            Self::Gestures11 | Self::Digits10 | Self::GestureChains | Self::Steering => None,
            Self::Gestures22Keep => Some(Direction::Keep),
            Self::Gestures22Flip => Some(Direction::Flip),
            Self::Gestures22Merge | Self::DigitsInTime20 => Some(Direction::Merge),
        }
    }
}

/// Share of the training groups that is held out for choosing the epoch.
const VALIDATION_SHARE: f64 = 0.1;
/// Seed of that draw: one validation part for all networks and seeds.
const VALIDATION_SEED: u64 = 2024;
/// Seed of the synthetic recordings: the same people and lights in every run.
const GESTURE_SEED: u64 = 128;

/// What tables call recordings of gestures that the program made itself.
pub(crate) const SYNTHETIC: &str = "synthetic";

/// Frames per clip in all tasks.
const STEPS: usize = 16;

/// Eleven synthetic gestures, written in the official layout below `recordings`, once: a note beside them says when all of them
/// are there, and how they were made.
fn gesture_recordings(recordings: &Path) -> Result<DvsGesture> {
    let folder = recordings.join("gestures");
    let spec = GestureSpec { seed: GESTURE_SEED, ..GestureSpec::default() };
    let (note, recipe) =
        (recordings.join("gestures.made"), format!("{spec:?} {REVISION} {}\n", env!("CARGO_PKG_VERSION")));
    if std::fs::read_to_string(&note).ok().as_ref() != Some(&recipe) {
        notice("making synthetic recordings of gestures, some minutes, once for this run");
        generate(&spec, &folder)?;
        write_atomic(&note, recipe.as_bytes())?;
    }
    Ok(DvsGesture::open(&folder)?)
}

/// How all gestures become frames, synthetic and real ones.
fn gesture_framing(polarities: Polarities) -> Framing {
    Framing { steps: STEPS, window_us: None, polarities, shrink: 4 }
}

/// The clips of `dataset` as the networks of task gestures-11 see them.
pub(crate) fn dvs_gesture_frames(dataset: &DvsGesture) -> Result<FrameSet> {
    FrameSet::load(dataset, gesture_framing(Polarities::Both), &|| ())
}

/// The recordings of gestures: the official ones where `data` holds all of them, else synthetic ones made below `recordings`;
/// and whether they are synthetic.
fn recorded_gestures(data: Option<&DataFolder>, recordings: &Path) -> Result<(DvsGesture, bool)> {
    if let Some(folder) = data.and_then(|data| data.dvs_gesture.as_deref()) {
        let found = DvsGesture::open(folder)?;
        let Some(state) = not_official(&found) else { return Ok((found, false)) };
        notice(format_args!(
            "note: {} is DVS128 Gesture {state}: synthetic gestures are used",
            folder.display()
        ));
    }
    Ok((gesture_recordings(recordings)?, true))
}

/// Gestures as frames of equal times.
fn gestures(data: Option<&DataFolder>, recordings: &Path, polarities: Polarities) -> Result<FrameSet> {
    let (dataset, synthetic) = recorded_gestures(data, recordings)?;
    Ok(named(FrameSet::load(&dataset, gesture_framing(polarities), &|| ())?, synthetic))
}

/// Chains of gestures as frames of equal times.
fn gesture_chains(data: Option<&DataFolder>, recordings: &Path) -> Result<FrameSet> {
    let (dataset, synthetic) = recorded_gestures(data, recordings)?;
    Ok(named(chains::chain_frames(dataset, gesture_framing(Polarities::Both))?, synthetic))
}

/// The clips, called synthetic if they are: their files have the layout, and so the name, of the official ones.
fn named(mut frames: FrameSet, synthetic: bool) -> FrameSet {
    if synthetic {
        frames.data = SYNTHETIC.into();
    }
    frames
}

/// The synthetic drives, by day and by night in turn: the same in every run.
const DRIVES: DrivingSpec =
    DrivingSpec { seed: 20, recordings: 24, seconds: 20.0, noise: 1.0, frames: false };
/// Samples of 0.6 s, one every 0.3 s.
const WINDOWS: Windows = Windows { steps: 12, stride: 6 };

/// Steering on the published recordings that `data` holds, else on synthetic drives.
fn steering(data: Option<&DataFolder>, recordings: &Path) -> Result<Steering> {
    let folder = data.and_then(|data| data.ddd20.as_deref());
    let published = folder.map(drives::published).transpose()?.flatten();
    if let (Some(folder), None) = (folder, &published) {
        notice(format_args!(
            "note: {} has no recording of the published protocol: synthetic drives are used",
            folder.display()
        ));
    }
    let drives = published.map_or_else(|| drives::synthetic(&DRIVES, recordings), Ok)?;
    let name = TaskName::Steering.name();
    Steering::new(name, &drives.data, drives.drives, drives::DRIVE_SHAPE, WINDOWS)
}

/// Digits of N-MNIST, polarities merged, 16 frames over 316 ms.
fn digits(folder: &Path) -> Result<FrameSet> {
    let dataset = NMnist::open(folder)?;
    let framing =
        Framing { steps: STEPS, window_us: Some(316_000), polarities: Polarities::Merged, shrink: 1 };
    FrameSet::load(&dataset, framing, &|| ())
}

/// What the loader and the framing make of each real DVS Gesture clip. An event can be lost on the way only to a cell that is
/// full, and those are counted.
pub fn dvs_gesture_clips(folder: &Path) -> Result<Table> {
    let dataset = DvsGesture::open(folder)?;
    let frames = dvs_gesture_frames(&dataset)?;
    let mut table =
        Table::new(["clip", "part", "group", "class", "events_cut", "events_framed", "full_cells"]);
    for (index, info) in dataset.samples().iter().enumerate() {
        let cut = dataset.sample(index)?.events.len();
        let counts = frames.clip(index);
        let framed: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        let full = counts.iter().filter(|&&count| count == u8::MAX).count();
        if full == 0 && frames.late_events == 0 && framed != cut as u64 {
            return Err(Error::Argument {
                what: format!("DVS Gesture clip {index}"),
                expected: format!("{cut} events in its frames"),
                found: framed.to_string(),
            });
        }
        let part = if info.part == Part::Test { "test" } else { "train" };
        table.push([
            index.to_string(),
            part.to_owned(),
            info.group.clone(),
            dataset.classes()[info.label].clone(),
            cut.to_string(),
            framed.to_string(),
            full.to_string(),
        ])?;
    }
    Ok(table)
}
