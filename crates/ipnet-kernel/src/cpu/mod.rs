//! Scans on a CPU: one set of kernels, compiled per instruction set, chosen when the program runs.

mod block;
mod draws;
mod lif;
mod math;
mod portable;
mod run;
mod thermal;
mod vector;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

pub(crate) use lif::Neuron as LifNeuron;
pub use run::CpuBackend;
pub(crate) use run::{Element, LifGrad, LifInput, ThermalInput, ThermalOutput};
pub(crate) use thermal::is_plain;

/// An instruction set the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// One lane, any processor.
    Scalar,
    /// Sixteen lanes, in pairs of registers: x86-64 with AVX2 and FMA.
    Avx2,
    /// Sixteen lanes: x86-64 with AVX-512F.
    Avx512,
    /// Four lanes: 64-bit Arm.
    Neon,
}

impl Level {
    /// All levels, the widest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Scalar];

    /// The name in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "cpu-scalar",
            Self::Avx2 => "cpu-avx2",
            Self::Avx512 => "cpu-avx512",
            Self::Neon => "cpu-neon",
        }
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::Neon::detect().is_some(),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// The widest level of this processor.
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|level| level.is_available()).unwrap_or(Self::Scalar)
    }
}
