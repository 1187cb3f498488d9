//! The LIF baselines as candle operations.

use crate::cpu::{LifGrad, LifInput};
use crate::op::{TensorElement, elements, expect_shape, filled, on_cpu, same_dtype, with_element};
use crate::{AlifConfig, CpuBackend, LifConfig, Result, ScanShape};
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

/// The spikes of a layer of leaky integrate-and-fire neurons driven by `x` over time, from rest.
///
/// `x` is `[T, B, C, ...]` (or `[T, N]`, then C = 1) in f32, `decay` is `[C]`. Differentiable in `x` and in
/// `decay` (a PLIF trains it).
///
/// # Errors
/// A setting without meaning, or tensors whose shapes or element types do not fit.
pub fn lif_scan(x: &Tensor, decay: &Tensor, config: &LifConfig) -> Result<Tensor> {
    let config = AlifConfig { lif: *config, adaptation_decay: 0.0, adaptation_strength: 0.0 };
    alif_scan(x, decay, &config)
}

/// The spikes of a layer of LIF neurons with adaptive thresholds driven by `x` over time, from rest.
///
/// `x` is `[T, B, C, ...]` (or `[T, N]`, then C = 1) in f32, `decay` is `[C]`. Differentiable in `x` and `decay`.
///
/// # Errors
/// A setting without meaning, or tensors whose shapes or element types do not fit.
pub fn alif_scan(x: &Tensor, decay: &Tensor, config: &AlifConfig) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    if let Some(first) = dims.first_mut() {
        *first = states(config);
    }
    let rest = Tensor::zeros(dims, x.dtype(), x.device())?;
    Ok(alif_scan_from(x, decay, &rest, config)?.0)
}

/// [`alif_scan`] (or [`lif_scan`], with strength 0) from a given state: returns the spikes and the last state.
///
/// `state` is `[S, B, C, ...]`: the membrane and, with an adaptation strength above 0, the adaptation. So is what
/// is returned. Differentiable in `state` too.
///
/// # Errors
/// As [`alif_scan`].
pub fn alif_scan_from(
    x: &Tensor,
    decay: &Tensor,
    state: &Tensor,
    config: &AlifConfig,
) -> Result<(Tensor, Tensor)> {
    config.validate()?;
    let shape = ScanShape::of(x.dims())?;
    expect_shape("decay", decay, &[shape.channels])?;
    same_dtype(x, "decay", decay)?;
    same_dtype(x, "state", state)?;
    let mut dims = x.dims().to_vec();
    dims[0] = states(config);
    expect_shape("state", state, &dims)?;
    let op = LifOp { shape, config: *config };
    let packed = x.contiguous()?.apply_op3(&decay.contiguous()?, &state.contiguous()?, op)?;
    Ok((packed.narrow(0, 0, shape.steps)?, packed.narrow(0, shape.steps, states(config))?))
}

fn states(config: &AlifConfig) -> usize {
    if config.adaptation_strength > 0.0 { 2 } else { 1 }
}

struct LifOp {
    shape: ScanShape,
    config: AlifConfig,
}

impl LifOp {
    fn forward<E: TensorElement>(&self, x: &[E], decay: &[E], state: &[E]) -> Vec<E> {
        let mut last = vec![E::default(); state.len()];
        let input = LifInput { x, decay, state: Some(state) };
        // SAFETY: the kernel writes `[T, N]`, and the state is copied behind it.
        unsafe {
            filled(x.len() + state.len(), |result| {
                let (out, kept) = result.split_at_mut(x.len());
                CpuBackend::default().lif_forward(self.shape, &self.config, input, out, Some(&mut last));
                kept.iter_mut().zip(&last).for_each(|(to, from)| {
                    to.write(*from);
                });
            })
        }
    }

    fn backward<E: TensorElement>(
        &self,
        [x, decay, state]: [&Tensor; 3],
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let grad = grad.contiguous()?;
        let mut grad_decay = vec![E::default(); self.shape.channels];
        let mut grad_state = vec![E::default(); state.elem_count()];
        let grad_x = {
            let held = [x, decay, state, &grad].map(Tensor::storage_and_layout);
            let [x, decay, state, grad] = &held;
            let (x, grad) = (on_cpu::<E>(&x.0, x.1)?, on_cpu::<E>(&grad.0, grad.1)?);
            let (out, final_state) = grad.split_at(x.len());
            let (decay, state) = (on_cpu::<E>(&decay.0, decay.1)?, on_cpu::<E>(&state.0, state.1)?);
            let input = LifInput { x, decay, state: Some(state) };
            // SAFETY: the kernel writes every element.
            unsafe {
                filled(x.len(), |grad_x| {
                    let grad = LifGrad {
                        out,
                        final_state: Some(final_state),
                        x: grad_x,
                        decay: &mut grad_decay,
                        state: Some(&mut grad_state),
                    };
                    CpuBackend::default().lif_backward(self.shape, &self.config, input, grad);
                })
            }
        };
        let tensor = |values: Vec<E>, like: &Tensor| {
            let wanted = like.track_op();
            if wanted { Tensor::from_vec(values, like.shape(), like.device()).map(Some) } else { Ok(None) }
        };
        Ok([tensor(grad_x, x)?, tensor(grad_decay, decay)?, tensor(grad_state, state)?])
    }
}

impl CustomOp3 for LifOp {
    fn name(&self) -> &'static str {
        "lif-scan"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        decay: &CpuStorage,
        decay_layout: &Layout,
        state: &CpuStorage,
        state_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        with_element!(candle_core::backend::BackendStorage::dtype(x), E => {
            let (decay, state) = (elements::<E>(decay, decay_layout)?, elements::<E>(state, state_layout)?);
            let packed = self.forward(elements::<E>(x, x_layout)?, decay, state);
            let mut dims = x_layout.dims().to_vec();
            dims[0] += states(&self.config);
            Ok((<E as candle_core::WithDType>::to_cpu_storage_owned(packed), dims.into()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        decay: &Tensor,
        state: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, decay, state] = with_element!(x.dtype(), E => {
            Ok::<_, candle_core::Error>(self.backward::<E>([x, decay, state], grad)?)
        })?;
        Ok((x, decay, state))
    }
}
