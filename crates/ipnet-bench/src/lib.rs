//! Tasks, training, cognition, cost and reports: everything between a network and a sentence about it.
//!
//! The decision this crate stands on: a result is a folder, not a return value. Whatever is computed is
//! written at once, atomically, into a run folder ([`run`]) that says how to compute it again; tables,
//! figures ([`figure`]) and the report ([`report`]) are then pure functions of what lies there, so that
//! every number shown to a reader has a file and a command behind it.

pub mod backend;
pub mod cognition;
pub mod cost;
pub mod error;
pub mod figure;
mod notice;
pub mod report;
pub mod reproduce;
pub mod run;
pub mod study;
pub mod table;
pub mod task;
pub mod train;

pub use backend::Backend;
pub use error::{Error, Result};
pub use notice::notice;
