//! Training: the same optimiser, schedule and loop for every network of a comparison.
//!
//! Design decision: all that changes during training (weights, running statistics, optimiser moments, history) is one
//! checkpoint, and all that is drawn (order, shifts, spikes) is a function of seed, epoch and step. So a run that was
//! killed goes on to the same final weights as one that was not, on any number of threads.

mod checkpoint;
mod optimiser;
mod trainer;

pub use checkpoint::Checkpoint;
pub use optimiser::AdamW;
pub use trainer::{EpochRecord, Evaluation, Outcome, Progress, TrainConfig, evaluate, train};
