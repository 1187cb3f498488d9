//! The LIF baselines as candle operations: from rest one of two arguments, from a state one of three that hands it on behind
//! the spikes, `[T + S, B, C, ...]`.

use crate::cpu::{LifGrad, LifInput};
#[cfg(feature = "candle-cuda")]
use crate::cuda::tensors;
use crate::op::{TensorElement, elements, expect_shape, filled, on_cpu, operand, same_dtype, with_element};
use crate::{AlifConfig, CpuBackend, LifConfig, Result, ScanShape};
#[cfg(feature = "candle-cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

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
    let (op, x, decay) = prepare(x, decay, config)?;
    Ok(x.apply_op2(&decay, op)?)
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
    let (op, x, decay) = prepare(x, decay, config)?;
    same_dtype(&x, "state", state)?;
    let (steps, mut dims) = (op.shape.steps, x.dims().to_vec());
    dims[0] = states(config);
    expect_shape("state", state, &dims)?;
    let packed = x.apply_op3(&decay, &state.contiguous()?, op)?;
    Ok((packed.narrow(0, 0, steps)?, packed.narrow(0, steps, states(config))?))
}

fn prepare(x: &Tensor, decay: &Tensor, config: &AlifConfig) -> Result<(LifOp, Tensor, Tensor)> {
    config.validate()?;
    let shape = ScanShape::of(x.dims())?;
    expect_shape("decay", decay, &[shape.channels])?;
    same_dtype(x, "decay", decay)?;
    Ok((LifOp { shape, config: *config }, operand(x)?, decay.contiguous()?))
}

fn states(config: &AlifConfig) -> usize {
    if config.adaptation_strength > 0.0 { 2 } else { 1 }
}

struct LifOp {
    shape: ScanShape,
    config: AlifConfig,
}

impl LifOp {
    /// The spikes `[T, N]`; behind them the last state, if one is given.
    fn forward<E: TensorElement>(&self, x: &[E], decay: &[E], state: Option<&[E]>) -> Vec<E> {
        let kept = state.map_or(0, <[E]>::len);
        let mut last = vec![E::default(); kept];
        let input = LifInput { x, decay, state };
        // SAFETY: the kernel writes `[T, N]`, and the state is copied behind it.
        unsafe {
            filled(x.len() + kept, |result| {
                let (out, kept) = result.split_at_mut(x.len());
                let wanted = state.is_some().then_some(&mut last[..]);
                CpuBackend::default().lif_forward(self.shape, &self.config, input, out, wanted);
                kept.iter_mut().zip(&last).for_each(|(to, from)| {
                    to.write(*from);
                });
            })
        }
    }

    /// Gradients of x, decay and state; what has no graph behind it is left out.
    fn backward<E: TensorElement>(
        &self,
        [x, decay]: [&Tensor; 2],
        state: Option<&Tensor>,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        #[cfg(feature = "candle-cuda")]
        if x.device().is_cuda() {
            return tensors::lif_backward(self.shape, &self.config, [x, decay], state, grad);
        }
        let grad = grad.contiguous()?;
        let wanted_state = state.filter(|state| state.track_op());
        let mut grad_decay = vec![E::default(); self.shape.channels];
        let mut grad_state = vec![E::default(); wanted_state.map_or(0, Tensor::elem_count)];
        let grad_x = {
            let held = [x, decay, &grad].map(Tensor::storage_and_layout);
            let [x, decay, grad] = &held;
            let held_state = state.map(Tensor::storage_and_layout);
            let state = held_state.as_ref().map(|(s, l)| on_cpu::<E>(s, l)).transpose()?;
            let (x, decay) = (on_cpu::<E>(&x.0, x.1)?, on_cpu::<E>(&decay.0, decay.1)?);
            let (out, final_state) = on_cpu::<E>(&grad.0, grad.1)?.split_at(x.len());
            let input = LifInput { x, decay, state };
            // SAFETY: the kernel writes every element.
            unsafe {
                filled(x.len(), |grad_x| {
                    let grad = LifGrad {
                        out,
                        final_state: state.map(|_| final_state),
                        x: grad_x,
                        decay: &mut grad_decay,
                        state: wanted_state.map(|_| &mut grad_state[..]),
                    };
                    CpuBackend::default().lif_backward(self.shape, &self.config, input, grad);
                })
            }
        };
        let tensor = |values: Vec<E>, like: &Tensor| {
            let wanted = like.track_op();
            if wanted { Tensor::from_vec(values, like.shape(), like.device()).map(Some) } else { Ok(None) }
        };
        let of_state = state.map_or(Ok(None), |state| tensor(grad_state, state))?;
        Ok([tensor(grad_x, x)?, tensor(grad_decay, decay)?, of_state])
    }
}

impl CustomOp2 for LifOp {
    fn name(&self) -> &'static str {
        "lif-scan"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        decay: &CpuStorage,
        decay_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        with_element!(candle_core::backend::BackendStorage::dtype(x), E => {
            let decay = elements::<E>(decay, decay_layout)?;
            let out = self.forward(elements::<E>(x, x_layout)?, decay, None);
            Ok((<E as candle_core::WithDType>::to_cpu_storage_owned(out), x_layout.shape().clone()))
        })
    }

    #[cfg(feature = "candle-cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        decay: &CudaStorage,
        decay_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (x, decay) = ((x, x_layout), (decay, decay_layout));
        Ok((tensors::lif_forward(self.shape, &self.config, x, decay, None)?, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        decay: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, decay, _] = with_element!(x.dtype(), E => {
            Ok::<_, candle_core::Error>(self.backward::<E>([x, decay], None, grad)?)
        })?;
        Ok((x, decay))
    }
}

impl CustomOp3 for LifOp {
    fn name(&self) -> &'static str {
        "lif-scan-from"
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
            let packed = self.forward(elements::<E>(x, x_layout)?, decay, Some(state));
            let mut dims = x_layout.dims().to_vec();
            dims[0] += states(&self.config);
            Ok((<E as candle_core::WithDType>::to_cpu_storage_owned(packed), dims.into()))
        })
    }

    #[cfg(feature = "candle-cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        decay: &CudaStorage,
        decay_layout: &Layout,
        state: &CudaStorage,
        state_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (x, decay, state) = ((x, x_layout), (decay, decay_layout), (state, state_layout));
        let packed = tensors::lif_forward(self.shape, &self.config, x, decay, Some(state))?;
        let mut dims = x_layout.dims().to_vec();
        dims[0] += states(&self.config);
        Ok((packed, dims.into()))
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
            Ok::<_, candle_core::Error>(self.backward::<E>([x, decay], Some(state), grad)?)
        })?;
        Ok((x, decay, state))
    }
}
