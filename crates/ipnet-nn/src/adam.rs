//! Adam (Kingma and Ba, ICLR 2015) with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), one pass over each
//! parameter, in place:
//! ```text
//! m' = b1 m + (1 - b1) g        v' = b2 v + (1 - b2) g^2        b1 = 0.9, b2 = 0.999, eps = 1e-8
//! w' = w (1 - lr decay) - lr / (1 - b1^k) m' / (sqrt(v' / (1 - b2^k)) + eps)
//! ```
//!
//! Design decision: parameter, gradient and both moments go through the cache once; the arithmetic is f32 in PyTorch's
//! order, the bias corrections are f64.

use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::parallel::PART;

const OP: &str = "adam";
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f32 = 1e-8;

/// First and second moments of one parameter's gradient, zero before the first update.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of its square.
    pub second: Vec<f32>,
}

/// What one update is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Number of this update, from 1.
    pub step: u32,
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the weight, times the learning rate.
    pub weight_decay: f64,
    /// What the gradient is multiplied by first, as for clipping.
    pub gradient_scale: f64,
}

impl Moments {
    /// Moments of a parameter of `len` elements, at rest.
    pub fn new(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len] }
    }

    /// One update of `var` by `grad`.
    ///
    /// # Errors
    /// A gradient or moments of another size, tensors that are not f32 on the CPU and contiguous.
    pub fn update(&mut self, var: &Var, grad: &Tensor, step: AdamStep) -> Result<()> {
        let len = var.elem_count();
        if grad.dims() != var.dims() || [self.first.len(), self.second.len()] != [len; 2] {
            return Err(Error::shape(OP, format!("a gradient {:?}", var.dims()), grad.shape()));
        }
        let grad = crate::autograd::operand(OP, grad)?;
        let op = Update { moments: Mutex::new(self), step };
        Ok(var.inplace_op2(&grad, &op)?)
    }
}

struct Update<'a> {
    moments: Mutex<&'a mut Moments>,
    step: AdamStep,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        w: &mut CpuStorage,
        w_layout: &Layout,
        g: &CpuStorage,
        g_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(w), CpuStorage::F32(g)) = (w, g) else {
            return Err(candle_core::Error::Msg(format!("{OP}: expected f32 tensors")));
        };
        let (Some(w_at), Some(g_at)) = (w_layout.contiguous_offsets(), g_layout.contiguous_offsets()) else {
            return Err(candle_core::Error::Msg(format!("{OP}: expected contiguous tensors")));
        };
        let mut moments = self.moments.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Moments { first, second } = &mut **moments;
        update(&mut w[w_at.0..w_at.1], &g[g_at.0..g_at.1], first, second, &self.step);
        Ok(())
    }
}

fn update(w: &mut [f32], g: &[f32], first: &mut [f32], second: &mut [f32], step: &AdamStep) {
    let correction = |beta: f64| 1.0 - beta.powf(f64::from(step.step));
    let rate = (step.learning_rate / correction(BETA1)) as f32;
    let spread = correction(BETA2).sqrt() as f32;
    let keep = (1.0 - step.learning_rate * step.weight_decay) as f32;
    let scale = step.gradient_scale as f32;
    let (new1, new2) = ((1.0 - BETA1) as f32, (1.0 - BETA2) as f32);
    let (b1, b2) = (BETA1 as f32, BETA2 as f32);
    let moments = first.par_chunks_mut(PART).zip(second.par_chunks_mut(PART));
    w.par_chunks_mut(PART).zip(g.par_chunks(PART)).zip(moments).for_each(|((w, g), (m, v))| {
        for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * scale;
            *m = b1 * *m + new1 * g;
            *v = b2 * *v + new2 * g * g;
            *w = *w * keep - rate * *m / (v.sqrt() / spread + EPS);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Twenty updates of one parameter against the equations in f64.
    #[test]
    fn follows_its_equations() {
        let (lr, decay) = (0.01, 0.1);
        let var = Var::from_vec(vec![0.3_f32, -2.0, 1e-3], 3, &Device::Cpu).unwrap();
        let mut moments = Moments::new(3);
        let mut expected = [(0.3_f32, -2.0_f32, 1e-3_f32)].map(|(a, b, c)| [a, b, c].map(f64::from))[0];
        let (mut m, mut v) = ([0.0; 3], [0.0; 3]);
        for k in 1..=20 {
            let g = [0.5 * f64::from(k), -1e-4, (f64::from(k)).sin()].map(|g| f64::from(g as f32));
            for i in 0..3 {
                let g = g[i] * 0.5;
                m[i] = BETA1 * m[i] + (1.0 - BETA1) * g;
                v[i] = BETA2 * v[i] + (1.0 - BETA2) * g * g;
                let (m_hat, v_hat) = (m[i] / (1.0 - BETA1.powi(k)), v[i] / (1.0 - BETA2.powi(k)));
                expected[i] = expected[i] * (1.0 - lr * decay) - lr * m_hat / (v_hat.sqrt() + f64::from(EPS));
            }
            let grad = Tensor::new(&g.map(|g| g as f32), &Device::Cpu).unwrap();
            let step =
                AdamStep { step: k as u32, learning_rate: lr, weight_decay: decay, gradient_scale: 0.5 };
            moments.update(&var, &grad, step).unwrap();
        }
        let found = var.to_vec1::<f32>().unwrap();
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-6, "{found} and not {expected}");
        }
    }
}
