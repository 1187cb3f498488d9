//! Index of the integration tests: each operation against a plain f64 reference of its formula.

mod basics;
mod composed;
mod convolution;
mod refusals;
mod stage;
mod support;
mod temporal;
mod threads;
