//! Magnetic tunnel junction (MTJ) physics: parameter sets, heat, switching, macrospin, fit, and the reduction of
//! a device to the few numbers of a step law.
//!
//! Design decision: a network never sees a device, only its [`StepLaw`]. This crate owns the `f64` reference of that law.
//! The way there is [`DeviceSet::load`] (what is known, with sources) -> [`Device`] (numbers) -> [`DeviceSet::reduce`] (the law and
//! its error).

pub mod constants;
pub mod curves;
mod device;
mod error;
pub mod fit;
pub mod macrospin;
mod ode;
mod reduce;
mod sensitivity;
pub mod set;
mod step_law;
mod switching;
mod thermal;
mod transport;

pub use device::{Device, PulseScheme};
pub use error::Error;
pub use ode::dormand_prince;
pub use reduce::{Reduction, ReductionError, reduce_device, reduction_error, reduction_over_widths};
pub use sensitivity::{Behaviour, Sensitivity, Variant, Variants};
pub use set::{DeviceSet, Parameter, preset_names};
pub use step_law::{Arrhenius, HeatPole, MAX_POLES, Spread, StepLaw, Switching, SwitchingTable};
pub use switching::PulseOutcome;
pub use thermal::{FosterNetwork, Pole};
pub use transport::State;
