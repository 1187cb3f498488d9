//! One file with all that training needs to go on: safetensors, written beside its target and renamed. What is not a
//! tensor stands in the header as TOML, which keeps every bit of an f64.

use super::trainer::EpochRecord;
use crate::Error;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const META: &str = "ipnet";

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
    /// Metrics of the epochs that are done.
    pub history: Vec<EpochRecord>,
    /// The epoch chosen on the validation part so far.
    pub chosen_epoch: usize,
}

impl Checkpoint {
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

    /// Reads a checkpoint that must carry `identity`.
    ///
    /// # Errors
    /// A file that is cut or of another format, and a checkpoint of another run.
    pub fn load(path: &Path, identity: &str) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::io(path, "read"))?;
        let refuse = |source| Error::Safetensors { path: path.into(), source };
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(refuse)?;
        let text = header.metadata().as_ref().and_then(|map| map.get(META)).map_or("", String::as_str);
        let meta: CheckpointMeta = toml::from_str(text).map_err(|error| Error::Malformed {
            path: path.into(),
            line: 1,
            expected: "a checkpoint's description",
            found: error.message().to_owned(),
        })?;
        if meta.identity != identity {
            return Err(Error::Checkpoint {
                expected: format!("{}: a checkpoint of run {identity}", path.display()),
                found: format!("one of run {}", meta.identity),
            });
        }
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?.into_iter().collect();
        Ok(Self { meta, tensors })
    }
}
