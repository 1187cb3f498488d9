//! Tasks: data, loss and score.

mod catalogue;
mod chains;
mod classify;
mod drives;
mod folder;
mod frames;
mod shelf;
mod steering;
mod warp;

pub(crate) use catalogue::{SYNTHETIC, dvs_gesture_frames};
pub use catalogue::{TaskName, dvs_gesture_clips};
pub use classify::{Classification, Direction};
pub use folder::{DataFolder, ENVIRONMENT};
pub use frames::{Fold, FrameSet, Framing};
pub use shelf::Shelf;
pub use steering::{Drive, DriveBin, Steering, SteeringErrors, Windows};

use crate::Result;
use crate::run::DataSource;
use candle_core::{Device, Tensor};
use ipnet_zoo::{InputShape, Readout};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Sample numbers of each part. Validation is cut from the official training part; no group (subject, recording) stands
/// in two parts where the data set names groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits {
    /// For fitting.
    pub train: Vec<usize>,
    /// For choosing the epoch.
    pub validation: Vec<usize>,
    /// For the final number.
    pub test: Vec<usize>,
}

impl Splits {
    /// What a manifest says of the recordings `name` of `task` with that hash, cut like this.
    fn source(&self, task: String, name: String, sha256: &str) -> DataSource {
        let [train, validation, test] = [&self.train, &self.validation, &self.test].map(Vec::len);
        DataSource { task, name, sha256: sha256.to_owned(), train, validation, test }
    }
}

/// Some samples as one tensor.
#[derive(Debug)]
pub struct Batch {
    /// `[T, B, C, H, W]`.
    pub x: Tensor,
    /// The samples' numbers.
    pub samples: Vec<usize>,
}

impl Batch {
    /// The batch on `device`; where it lies there already, itself.
    ///
    /// # Errors
    /// What moving it gives.
    pub fn on(self, device: &Device) -> Result<Self> {
        Ok(Self { x: self.x.to_device(device)?, ..self })
    }
}

/// The input value `ln(1 + count)` of every count that a frame can hold.
static INPUT_OF_COUNT: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|count| (count as f32).ln_1p()));

/// Training samples that [`busy_input`] looks at, at most: they lie evenly over the part.
const LOOKED_AT: usize = 256;
/// The share of the cells with events that is not above [`busy_input`].
const BUSY: f64 = 0.95;

/// The input value of the busy cells of `task`: one in twenty of those with events, in training samples, has more. 0 where there
/// are no events.
///
/// # Errors
/// The task's.
pub fn busy_input(task: &dyn Task) -> Result<f64> {
    let train = &task.splits().train;
    let mut values = Vec::new();
    for &sample in train.iter().step_by(train.len().div_ceil(LOOKED_AT).max(1)) {
        let x = task.batch(&[sample], None)?.x.flatten_all()?.to_vec1::<f32>()?;
        values.extend(x.into_iter().filter(|value| *value > 0.0));
    }
    let Some(last) = values.len().checked_sub(1) else { return Ok(0.0) };
    let (_, busy, _) = values.select_nth_unstable_by((BUSY * last as f64) as usize, f32::total_cmp);
    Ok(f64::from(*busy))
}

/// What is done to training clips, drawn from `seed`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augment {
    /// Largest shift in each direction \[px\], one shift for all frames of a clip.
    pub max_shift_px: usize,
    /// Largest entry of a random linear map around the middle, less the identity: turns, shears and stretches.
    pub max_warp: f64,
    /// Chance that a cell is emptied.
    pub drop_share: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// Data, loss and score of one benchmark.
pub trait Task: Sync {
    /// Name for tables, e.g. `digits-in-time`.
    fn name(&self) -> &str;
    /// Where the recordings come from: `nmnist`, `synthetic`, `dvs_gesture`, ...
    fn data(&self) -> &str;
    /// Shape of one sample.
    fn input(&self) -> InputShape;
    /// Outputs of a network for this task.
    fn outputs(&self) -> usize;
    /// The parts.
    fn splits(&self) -> &Splits;
    /// The samples as a batch on the CPU, as they are or augmented.
    fn batch(&self, samples: &[usize], augment: Option<Augment>) -> Result<Batch>;
    /// Mean loss of `outputs` `[B, K]`, wherever they lie.
    fn loss(&self, outputs: &Tensor, batch: &Batch, label_smoothing: f64) -> Result<Tensor>;
    /// The score of `outputs` on `samples`, higher is better: accuracy, or explained variance.
    fn score(&self, outputs: &[Vec<f32>], samples: &[usize]) -> f64;
    /// What a manifest says of this task's recordings.
    fn source(&self) -> DataSource;

    /// Which steps a network's outputs are read from.
    fn readout(&self) -> Readout {
        Readout::Mean
    }

    /// Mean real time that a sample spans \[s\], where it is known.
    fn window_s(&self) -> Option<f64> {
        None
    }

    /// The fold, where the task is one of several cuts of its clips.
    fn fold_of(&self) -> Option<Fold> {
        None
    }

    /// The classification that this task is, if it is one: what has classes and confusions.
    fn classification(&self) -> Option<&Classification> {
        None
    }

    /// Share of samples whose direction of time is right, whatever the class; none for tasks without reversed classes.
    fn direction(&self, _outputs: &[Vec<f32>], _samples: &[usize]) -> Option<f64> {
        None
    }

    /// The class that each row of `outputs` tells; empty for a regression.
    fn predictions(&self, _outputs: &[Vec<f32>]) -> Vec<usize> {
        Vec::new()
    }

    /// The value that each row of `outputs` tells, in the unit of the task; empty for a classification.
    fn estimates(&self, _outputs: &[Vec<f32>]) -> Vec<f64> {
        Vec::new()
    }

    /// Further measures by name, units in the name: `rmse_deg`.
    fn measures(&self, _outputs: &[Vec<f32>], _samples: &[usize]) -> BTreeMap<String, f64> {
        BTreeMap::new()
    }
}
