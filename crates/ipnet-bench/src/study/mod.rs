//! A study: many (task, network, seed) jobs, run side by side, each resumable, and the tables made of them.
//!
//! Design decision: a job runs on one thread of its own rayon pool and jobs run side by side. Two small networks on two
//! cores finish sooner than one network on both, and since no operation's result depends on the thread count, the
//! same job gives the same bits either way.

mod condition;
mod eval;
mod grid;
mod job;
mod progress;
mod sim_to_real;
mod single;
mod sweep;
mod sweep_table;
mod tables;

pub use condition::{Condition, ConditionRow, conditions_table, test_conditions};
pub use eval::{ClassScore, EvalReport, EvalRequest, Split, Weights, checkpoints_of, eval_checkpoints};
pub use grid::{Effort, grid, open_run, open_run_on, run_with_progress};
use job::in_parallel;
pub use job::{Job, JobDevice, JobResult, job_id, run_jobs};
pub use progress::StudyProgress;
pub use sim_to_real::{RealGestures, sim_to_real};
pub use single::{Training, train_networks};
pub use sweep::{Sweep, SweepJob, SweepRun, run_sweep, sweep_tables};
pub use tables::{Row, accuracy_table, label, measures_table, percent, rows};
