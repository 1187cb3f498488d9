//! The seam between a step law and whatever computes it.

use crate::{Error, Result, ThermalBackward, ThermalForward, ThermalScan};

/// Runs a step law over `[T, N]` in `f32`: a processor, a GPU, the reference, or an instrument.
///
/// # What every backend agrees on
/// - Values: within 2e-6 of `ipnet_device::StepLaw` in double precision, heat within 1e-5 of its largest value.
/// - Draws: the uniform number of (seed, layer, step, neuron) is the same everywhere, so spikes differ only
///   where p and the number agree to the last digits. The CPU backends agree to the last bit.
/// - A scan cut in two, the final heat of one part handed to the next, equals the scan in one piece bit by bit.
/// - A NaN in `x` makes that neuron's outputs NaN from that step on and touches no other neuron. An infinity
///   is clamped as any number is. Heat handed in must be finite and not negative, and is refused otherwise.
/// - No steps or no neurons: nothing is written, and the final heat is the one handed in.
pub trait ScanBackend: Send + Sync {
    /// What computes, for messages and reports.
    fn name(&self) -> &'static str;

    /// Forward: writes `io.out`, and `io.final_heat` if asked for.
    ///
    /// # Errors
    /// Buffers that do not fit `scan`, or a fault of the backend.
    fn thermal_forward(&self, scan: &ThermalScan, io: ThermalForward<'_>) -> Result<()>;

    /// Backward: writes the gradients that `io` asks for. An instrument has none.
    ///
    /// # Errors
    /// Buffers that do not fit `scan`, or a backend that has no gradient.
    fn thermal_backward(&self, _scan: &ThermalScan, _io: ThermalBackward<'_>) -> Result<()> {
        Err(Error::Unavailable { backend: self.name(), missing: "a backward pass".into() })
    }
}
