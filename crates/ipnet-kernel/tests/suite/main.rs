//! Index of the crate's tests.

mod cases;
mod composed;
mod conformance;
#[cfg(feature = "cuda")]
mod cuda;
mod gradients;
mod lif;
#[cfg(feature = "cuda")]
mod nvrtc;
mod statistics;
