//! CODATA 2018 constants, SI.

/// Boltzmann constant \[J/K\].
pub const K_B: f64 = 1.380_649e-23;
/// Elementary charge \[C\].
pub const E_CHARGE: f64 = 1.602_176_634e-19;
/// Reduced Planck constant [J s].
pub const HBAR: f64 = 1.054_571_817e-34;
/// Vacuum permeability [T m/A].
pub const MU_0: f64 = 1.256_637_062_12e-6;
/// Gyromagnetic ratio of the free electron, |gamma| [rad/(s T)].
pub const GAMMA: f64 = 1.760_859_630_23e11;
