//! Counter-based random draws from named seeds.
//!
//! Every random number of the workspace is `Philox4x32-10(counter, key)` (Salmon et al., "Parallel random
//! numbers: as easy as 1, 2, 3", SC'11). Design decision: a draw is a pure function of its coordinates
//! (seed, what it is for, which item), not of how many draws came before it. So the result of a run does
//! not depend on the thread count, the batch split or the backend, and a CUDA thread computes the same
//! number as a CPU lane.
//!
//! Two ways in: [`philox4x32_10`] for kernels that address draws by coordinates, and [`Stream`] for code
//! that wants a sequence with a name.

mod philox;
mod stream;

pub use philox::{philox4x32_10, unit_f32, unit_f64};
pub use stream::{Stream, named_seed};
