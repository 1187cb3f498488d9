//! The run-time compiler, and which types may be handed to a launch.

use crate::cuda_source::{Bf16, LIF, LifArgument, LifVariant, ScanArgument, THERMAL, Variant};
use crate::{Error, Result};
use cudarc::driver::DeviceRepr;
use cudarc::nvrtc::{CompileOptions, Ptx, compile_ptx_with_opts};

// SAFETY: it is a `u16`, which is plain data on both sides.
unsafe impl DeviceRepr for Bf16 {}

// SAFETY: plain numbers in C layout, without hidden padding (192 bytes, a multiple of 8).
unsafe impl DeviceRepr for ScanArgument {}

// SAFETY: plain numbers in C layout, without padding.
unsafe impl DeviceRepr for LifArgument {}

/// Compiles `variant` for `architecture` (`compute_90`); needs libnvrtc and no GPU.
///
/// # Errors
/// [`Error::Unavailable`] with the compiler's log.
pub fn compile(variant: Variant, architecture: &str) -> Result<Ptx> {
    compile_source(THERMAL, variant.defines(), architecture)
}

/// As [`compile`], of LIF neurons.
///
/// # Errors
/// [`Error::Unavailable`] with the compiler's log.
pub fn compile_lif(variant: LifVariant, architecture: &str) -> Result<Ptx> {
    compile_source(LIF, variant.defines(), architecture)
}

fn compile_source(source: &str, defines: Vec<(&str, usize)>, architecture: &str) -> Result<Ptx> {
    let defines = defines.into_iter().map(|(name, value)| format!("-D{name}={value}"));
    let options = defines.chain([format!("--gpu-architecture={architecture}")]).collect();
    let options = CompileOptions { fmad: Some(false), options, ..CompileOptions::default() };
    compile_ptx_with_opts(source, options).map_err(|error| Error::Unavailable {
        backend: "cuda",
        missing: format!("a compiled kernel: {error:?}"),
    })
}
