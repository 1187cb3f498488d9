//! Index of the crate's tests.

mod cases;
mod conformance;
