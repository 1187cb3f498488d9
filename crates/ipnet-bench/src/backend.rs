//! What computes networks while they are trained and evaluated.
//!
//! Design decision: a backend is where tensors lie, nothing else. Data, optimiser, running statistics and checkpoints stay on the
//! host, so that a network trained on one backend is evaluated on the other. Only the CPU promises equal bits: a GPU adds in another
//! order.

use crate::Result;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What computes networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The processor: equal bits on any number of threads.
    #[default]
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

impl Backend {
    /// Its name on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    /// Where the tensors of one job lie: a GPU gives each job a stream of its own.
    ///
    /// # Errors
    /// A backend that this program or this machine does not have, with what is missing. Nothing else is taken instead.
    pub fn device(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Ok(ipnet_kernel::cuda_device()?),
        }
    }

    /// `text`, a command or a folder's name of the default backend, with `before` and the name of another one behind it.
    pub fn behind(self, text: &str, before: &str) -> String {
        match self {
            Self::Cpu => text.to_owned(),
            Self::Cuda => format!("{text}{before}{self}"),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
