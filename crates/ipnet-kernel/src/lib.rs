//! The fused step law over time as one candle operation, and the LIF baselines on the same machinery.

mod backend;
mod bf16;
mod config;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[doc(hidden)]
pub mod cuda_source;
mod device;
mod error;
mod lif_op;
mod op;
mod reference;
mod scan;
mod thermal_op;

pub use backend::ScanBackend;
pub use config::{AlifConfig, Firing, LifConfig, Reset, ScanConfig};
pub use cpu::CpuBackend;
pub use device::cuda_device;
pub use error::{Error, Result};
pub use reference::ReferenceBackend;
pub use scan::{ScanShape, ThermalBackward, ThermalForward, ThermalScan};

pub use lif_op::{alif_scan, alif_scan_from, lif_scan};
pub use thermal_op::{thermal_scan, thermal_scan_from};
