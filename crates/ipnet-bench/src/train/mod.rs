//! Training: the same optimiser, schedule and loop for every network of a comparison.
//!
//! Design decision: all that changes during training (weights, running statistics, optimiser moments, history) is one
//! checkpoint, and all that is drawn (order, shifts, spikes) is a function of seed, epoch and step. So a run that was
//! killed goes on to the same final weights as one that was not, on any number of threads.

mod checkpoint;
mod config;
mod optimiser;
mod tensorboard;
mod trainer;

pub use checkpoint::{About, Checkpoint, CheckpointMeta, Keep};
pub use config::TrainConfig;
pub use optimiser::{Optimiser, Rule};
pub use tensorboard::EventFile;
pub use trainer::{EpochRecord, Evaluation, Outcome, Progress, evaluate, train};
