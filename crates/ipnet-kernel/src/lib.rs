//! The fused step law over time as one candle operation, and the LIF baselines on the same machinery.

mod backend;
mod composed;
mod config;
pub mod cpu;
mod error;
mod reference;
mod scan;

pub use backend::ScanBackend;
pub use config::{AlifConfig, Firing, LifConfig, Reset, ScanConfig};
pub use cpu::CpuBackend;
pub use error::{Error, Result};
pub use reference::ReferenceBackend;
pub use scan::{ScanShape, ThermalBackward, ThermalForward, ThermalScan};

use candle_core::Tensor;

/// The firing of a layer of junctions driven by `x` over time.
///
/// `x` is `[T, B, C, ...]` in f32, `gain` [V per unit of drive] and `bias` [V] are `[C]`. The result has the
/// shape of `x`: the switching probability (expected firing) or 0 and 1 (sampled). Differentiable in `x`,
/// `gain` and `bias`; the gradient of a sample passes straight through to its probability. All junctions
/// start at ambient temperature.
///
/// # Errors
/// A law without meaning, or tensors whose shapes do not fit.
pub fn thermal_scan(x: &Tensor, gain: &Tensor, bias: &Tensor, config: &ScanConfig) -> Result<Tensor> {
    composed::thermal(x, gain, bias, config)
}

/// The spikes of a layer of leaky integrate-and-fire neurons driven by `x` over time.
///
/// `x` is `[T, B, C, ...]` in f32, `decay` is `[C]`. Differentiable in `x` and `decay` (a PLIF trains it).
///
/// # Errors
/// A setting without meaning, or tensors whose shapes do not fit.
pub fn lif_scan(x: &Tensor, decay: &Tensor, config: &LifConfig) -> Result<Tensor> {
    composed::lif(x, decay, config)
}

/// The spikes of a layer of LIF neurons with adaptive thresholds driven by `x` over time.
///
/// `x` is `[T, B, C, ...]` in f32, `decay` is `[C]`. Differentiable in `x` and `decay`.
///
/// # Errors
/// A setting without meaning, or tensors whose shapes do not fit.
pub fn alif_scan(x: &Tensor, decay: &Tensor, config: &AlifConfig) -> Result<Tensor> {
    composed::adaptive(x, decay, config)
}
