//! Training-path tensor operations for candle, f32, each with its exact gradient: kernels of their own on the CPU.
//!
//! candle's own CPU operations are slow for training (its convolution is 9 to 15 times slower than a direct one,
//! element-wise operations run on one thread) and some are wrong: `max_pool2d`'s backward gives a quarter of the
//! gradient, normalisations cut the graph. So the operations that a network of this workspace is trained with live
//! here, and every one of them is checked against an f64 reference and its finite differences
//! (`tests/suite`).
//!
//! Design decision: an operation is two functions on slices, value and backward, joined to candle's graph by one
//! adapter (`autograd`). candle keeps tensors, variables and the order of the backward pass; nothing else of it
//! computes. Work is split into parts fixed by the shapes (`parallel`), so that a result has the same bits for any
//! number of rayon threads. Time and batch are folded: a network runs its convolutions on `[T * B, C, H, W]` at once.
//!
//! On a GPU the same functions are compositions of candle's operations (`composed`).
//!
//! Numbers are stored as f32; sums that run over a whole batch are carried in f64 or in fixed partial sums.

mod activation;
mod adam;
mod add_relu;
mod autograd;
mod buffers;
#[doc(hidden)]
pub mod composed;
mod conv;
mod conv_norm;
mod dropout;
mod ema;
mod error;
mod group_norm;
mod keeping;
mod linear;
mod loss;
mod matmul;
mod norm;
mod norm_relu_pool;
mod parallel;
mod pool;
mod recurrent;
mod relu_pool;
mod stage;
mod time;
mod time_stage;

pub use activation::relu;
pub use adam::{AdamStep, Moments};
pub use add_relu::add_relu;
pub use conv::{conv_time, conv2d, conv3d};
pub use conv_norm::conv_norm_relu_pool;
pub use dropout::{DropoutAt, dropout};
pub use ema::ema_scan;
pub use error::{Error, Result};
pub use group_norm::group_norm;
pub use keeping::Keeping;
pub use linear::linear;
pub use loss::cross_entropy;
pub use norm::{BatchStats, batch_norm, batch_norm_eval};
pub use norm_relu_pool::{batch_norm_relu_pool, batch_norm_relu_pool_eval};
pub use pool::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
pub use recurrent::{conv_lstm_scan, gru_scan, lstm_scan, rnn_scan};
pub use relu_pool::relu_avg_pool2d;
pub use stage::{Neurons, conv_stage};
pub use time::mean_over_time;
pub use time_stage::conv_time_stage;
