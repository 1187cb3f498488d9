//! Magnetic tunnel junction (MTJ) physics: parameter sets, heat, switching, macrospin, fit, and the reduction of
//! a device to the few numbers of a step law.
//!
//! Design decision: a network never sees a device, only its [`StepLaw`]. This crate owns the `f64` reference of that law.

mod error;
mod step_law;

pub use error::Error;
pub use step_law::{Arrhenius, HeatPole, MAX_POLES, Spread, StepLaw, Switching, SwitchingTable};
