//! Index of the integration tests: each operation against a plain f64 reference of its formula.

mod basics;
mod convolution;
mod refusals;
mod stage;
mod support;
mod temporal;
mod threads;
