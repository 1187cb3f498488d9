//! A study: many (task, network, seed) jobs, run side by side, each resumable, and the tables made of them.
//!
//! Design decision: a job runs on one thread of its own rayon pool and jobs run side by side. Two small networks on two
//! cores finish sooner than one network on both, and since no operation's result depends on the thread count, the
//! same job gives the same bits either way.

mod job;
mod progress;
mod single;
mod tables;

pub use job::{Job, JobResult, run_jobs};
pub use progress::StudyProgress;
pub use single::{Training, train_networks};
pub use tables::{Row, accuracy_table, rows};
