//! Index of the crate's tests.

mod cases;
mod composed;
mod conformance;
mod gradients;
mod lif;
#[cfg(feature = "cuda")]
mod nvrtc;
mod statistics;
