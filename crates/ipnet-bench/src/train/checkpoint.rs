//! One file with all that training needs to go on: safetensors, written beside its target and renamed. What is not a
//! tensor stands in the header as TOML, which keeps every bit of an f64.

use super::TrainConfig;
use super::trainer::EpochRecord;
use crate::Error;
use candle_core::{Device, Tensor};
use ipnet_zoo::NetSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const META: &str = "ipnet";
/// Names of the chosen epoch's tensors start with this.
const CHOSEN: &str = "chosen.";

/// What was trained, on what, how: enough to build the network and its task again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The task's name.
    pub task: String,
    /// Number of the fold (from 1) and of folds, where the task was cut into some.
    pub fold: Option<[usize; 2]>,
    /// sha256 of the framed data and its parts.
    pub data_sha256: String,
    /// The seed.
    pub seed: u64,
    /// The device set's name or file.
    pub device: String,
    /// Its sha256.
    pub device_sha256: String,
    /// The network.
    pub spec: NetSpec,
    /// How it is trained.
    pub config: TrainConfig,
    /// Initial gain of IP neurons at the sensor, where it is not the nominal one \[V / unit drive\].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor_gain_v: Option<f64>,
}

/// Where training keeps its state, and what it writes there of itself.
#[derive(Debug, Clone, Copy)]
pub struct Keep<'a> {
    /// The file.
    pub path: &'a Path,
    /// Hash of everything the result depends on.
    pub identity: &'a str,
    /// The same in words.
    pub about: &'a About,
}

/// The state of a training run after a whole number of epochs.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Everything that is not a tensor.
    pub meta: CheckpointMeta,
    /// Parameters, running statistics, optimiser moments, and the parameters of the chosen epoch (`chosen.` names).
    pub tensors: BTreeMap<String, Tensor>,
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointMeta {
    /// Hash of task, network, device set, configuration and seed: a checkpoint of anything else is refused.
    pub identity: String,
    /// Optimiser updates made.
    pub optimiser_steps: u32,
    /// The epoch chosen on the validation part so far.
    pub chosen_epoch: usize,
    /// What was trained.
    pub about: About,
    /// Metrics of the epochs that are done.
    pub history: Vec<EpochRecord>,
}

impl Checkpoint {
    /// The state after an epoch: weights, optimiser, and the weights of the chosen epoch.
    pub fn new(
        meta: CheckpointMeta,
        last: BTreeMap<String, Tensor>,
        optimiser: BTreeMap<String, Tensor>,
        chosen: &BTreeMap<String, Tensor>,
    ) -> Self {
        let mut tensors = last;
        tensors.extend(optimiser);
        tensors.extend(chosen.iter().map(|(name, tensor)| (format!("{CHOSEN}{name}"), tensor.clone())));
        Self { meta, tensors }
    }

    /// Parameters and running statistics of the chosen epoch; those of the last stand in `tensors` by their own names.
    pub fn chosen(&self) -> BTreeMap<String, Tensor> {
        let stripped = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix(CHOSEN)?.to_owned(), tensor.clone()))
        };
        self.tensors.iter().filter_map(stripped).collect()
    }

    /// Writes the checkpoint; a reader sees the old file or the new one, never a part.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let meta = toml::to_string(&self.meta).map_err(|error| Error::Encode {
            path: path.into(),
            format: "TOML",
            message: error.to_string(),
        })?;
        let bytes = safetensors::serialize(
            self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)),
            Some(HashMap::from([(META.to_owned(), meta)])),
        )
        .map_err(|source| Error::Safetensors { path: path.into(), source })?;
        crate::run::write_atomic(path, &bytes)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A file that is cut or of another format.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::io(path, "read"))?;
        let refuse = |found: String| Error::Argument {
            what: path.display().to_string(),
            expected: "a checkpoint (safetensors) of `ipnet train`, `ipnet sweep` or `ipnet reproduce`"
                .into(),
            found,
        };
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes)
            .map_err(|error| refuse(format!("a file that is none, or not whole: {error}")))?;
        let text = (header.metadata().as_ref().and_then(|map| map.get(META)))
            .ok_or_else(|| refuse("a safetensors file that names no training".into()))?;
        let meta: CheckpointMeta = toml::from_str(text).map_err(|error| Error::Malformed {
            path: path.into(),
            line: 1,
            expected: "a checkpoint's description",
            found: error.message().to_owned(),
        })?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?.into_iter().collect();
        Ok(Self { meta, tensors })
    }
    /// Refuses a checkpoint of another run than `identity`.
    pub fn expect_identity(&self, path: &Path, identity: &str) -> Result<(), Error> {
        if self.meta.identity == identity {
            return Ok(());
        }
        Err(Error::Checkpoint {
            expected: format!("{}: a checkpoint of run {identity}", path.display()),
            found: format!("one of run {}", self.meta.identity),
        })
    }
}
