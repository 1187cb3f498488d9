//! Index of the crate's tests.

mod bf16;
mod cases;
mod composed;
mod conformance;
#[cfg(feature = "cuda")]
mod cuda;
mod emulated;
mod gradients;
mod lif;
#[cfg(feature = "cuda")]
mod nvrtc;
mod statistics;
