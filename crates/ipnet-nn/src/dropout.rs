//! Dropout: `y = x m / (1 - p)` with `m` Bernoulli(1 - p); `dx = dy m / (1 - p)`.
//!
//! Design decision: `m[i]` is word `i % 4` of Philox at counter `(i / 4, layer, step)` under the seed, so the mask
//! depends neither on threads nor on what was drawn before, and the backward pass draws it again instead of
//! storing it.

use candle_core::Tensor;
use ipnet_rng::{philox4x32_10, unit_f32};
use rayon::prelude::*;

use crate::autograd::{operand, record1, view};
use crate::composed;
use crate::error::{Error, Result};
use crate::parallel::{self, PART};

/// Where in the run a mask is drawn; two masks with different coordinates are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropoutAt {
    /// Seed of the run, or of its dropout.
    pub seed: u64,
    /// Number of the layer.
    pub layer: u32,
    /// Number of the training step.
    pub step: u32,
}

/// Sets each element of `x` to zero with probability `p` and scales the rest by `1 / (1 - p)`.
///
/// # Errors
/// `p` outside `[0, 1)`, a tensor that is not f32.
pub fn dropout(x: &Tensor, p: f64, at: DropoutAt) -> Result<Tensor> {
    const OP: &str = "dropout";
    if !(0.0..1.0).contains(&p) {
        return Err(Error::Option { op: OP, option: "p", expected: "in [0, 1)", found: p.to_string() });
    }
    if composed::takes(OP, x)? {
        return composed::masked(x, masked(&vec![1.0; x.elem_count()], p as f32, at));
    }
    let x = operand(OP, x)?;
    if p == 0.0 {
        return Ok(x);
    }
    let y = masked(view(OP, &x)?.slice()?, p as f32, at);
    record1(OP, &x, y, x.shape(), move |args| Ok([Some(masked(args.grad, p as f32, at))]))
}

fn masked(x: &[f32], p: f32, at: DropoutAt) -> Vec<f32> {
    let scale = 1.0 / (1.0 - p);
    let key = [at.seed as u32, (at.seed >> 32) as u32];
    parallel::written(x.len(), PART, x.par_chunks(PART).enumerate(), |y, (part, x)| {
        for (quad, (y, x)) in y.chunks_mut(4).zip(x.chunks(4)).enumerate() {
            let block = (part * PART / 4 + quad) as u64;
            let words = philox4x32_10([block as u32, (block >> 32) as u32, at.layer, at.step], key);
            for ((y, x), word) in y.iter_mut().zip(x).zip(words) {
                *y = if unit_f32(word) < p { 0.0 } else { x * scale };
            }
        }
    })
}
