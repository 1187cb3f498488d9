//! The step law as a candle operation.
//!
//! A candle operation has at most three arguments and one result. So gain and bias travel as one `[2, C]`
//! tensor, and an operation that hands its state on returns `[T + P, B, C, ...]`: the firing, then the heat.

use crate::cpu::{ThermalInput, ThermalOutput};
#[cfg(feature = "candle-cuda")]
use crate::cuda::tensors;
use crate::op::{TensorElement, elements, expect_shape, filled, on_cpu, operand, same_dtype, with_element};
use crate::scan::check_heat;
use crate::{CpuBackend, Result, ScanConfig, ScanShape, ThermalBackward, ThermalScan};
#[cfg(feature = "candle-cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

/// The firing of a layer of junctions driven by `x` over time, from ambient temperature.
///
/// `x` is `[T, B, C, ...]` (or `[T, N]`, then C = 1) in f32, `gain` [V per unit of drive] and `bias` \[V\] are
/// `[C]`. The result has the shape of `x`: the switching probability (expected firing) or 0 and 1 (sampled).
/// Differentiable in `x`, `gain` and `bias`; the gradient of a sample passes straight through to its
/// probability. `f64` is computed by the reference instance of the kernels, for gradient checks, on the CPU alone. On a GPU
/// (feature `candle-cuda`) the kernels work on candle's own memory and stream.
///
/// # Errors
/// A law without meaning, or tensors whose shapes or element types do not fit.
pub fn thermal_scan(x: &Tensor, gain: &Tensor, bias: &Tensor, config: &ScanConfig) -> Result<Tensor> {
    let (op, x, gain_bias) = prepare(x, gain, bias, config)?;
    Ok(x.apply_op2(&gain_bias, op)?)
}

/// [`thermal_scan`] from a given heat: returns the firing and the heat after the last step.
///
/// `heat` is `[P, B, C, ...]` \[K\], `P` poles; so is what is returned. Differentiable in `heat` too. A stream cut
/// anywhere gives the bits of the stream in one piece, if `config.step_offset` says where it was cut.
///
/// # Errors
/// As [`thermal_scan`]; heat that is not finite or below 0.
pub fn thermal_scan_from(
    x: &Tensor,
    gain: &Tensor,
    bias: &Tensor,
    heat: &Tensor,
    config: &ScanConfig,
) -> Result<(Tensor, Tensor)> {
    let (op, x, gain_bias) = prepare(x, gain, bias, config)?;
    same_dtype(&x, "heat", heat)?;
    let (steps, poles) = (op.scan.shape().steps, op.scan.poles());
    let mut state_dims = x.dims().to_vec();
    state_dims[0] = poles;
    expect_shape("heat", heat, &state_dims)?;
    if !heat.device().is_cpu() {
        // A few numbers a neuron, once a stream: what the CPU's kernel checks where it reads them.
        check_heat(Some(&heat.flatten_all()?.to_vec1::<f32>()?), heat.elem_count())?;
    }
    let packed = x.apply_op3(&gain_bias, &heat.contiguous()?, op)?;
    Ok((packed.narrow(0, 0, steps)?, packed.narrow(0, steps, poles)?))
}

fn prepare(
    x: &Tensor,
    gain: &Tensor,
    bias: &Tensor,
    config: &ScanConfig,
) -> Result<(ThermalOp, Tensor, Tensor)> {
    let shape = ScanShape::of(x.dims())?;
    for (what, tensor) in [("gain", gain), ("bias", bias)] {
        expect_shape(what, tensor, &[shape.channels])?;
        same_dtype(x, what, tensor)?;
    }
    let scan = ThermalScan::new(config, shape)?;
    Ok((ThermalOp { scan }, operand(x)?, Tensor::stack(&[gain, bias], 0)?))
}

struct ThermalOp {
    scan: ThermalScan,
}

impl ThermalOp {
    fn forward<E: TensorElement>(&self, x: &[E], gain_bias: &[E], heat: Option<&[E]>) -> Result<Vec<E>> {
        let shape = self.scan.shape();
        check_heat(heat, self.scan.poles() * shape.neurons())?;
        let state = if heat.is_some() { self.scan.poles() * shape.neurons() } else { 0 };
        let (gain, bias) = gain_bias.split_at(shape.channels);
        let mut final_heat = vec![E::default(); state];
        // SAFETY: the kernel writes `[T, N]`, and the heat is copied behind it.
        Ok(unsafe {
            filled(shape.elements() + state, |result| {
                let (out, kept) = result.split_at_mut(shape.elements());
                let wanted = heat.is_some().then_some(&mut final_heat[..]);
                let input = ThermalInput { x, gain, bias, heat };
                CpuBackend::default().forward(&self.scan, input, ThermalOutput { out, final_heat: wanted });
                kept.iter_mut().zip(&final_heat).for_each(|(to, from)| {
                    to.write(*from);
                });
            })
        })
    }

    /// Gradients of x, gain and bias, and heat; what has no graph behind it is left out.
    fn backward<E: TensorElement>(
        &self,
        [x, gain_bias]: [&Tensor; 2],
        heat: Option<&Tensor>,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        #[cfg(feature = "candle-cuda")]
        if x.device().is_cuda() {
            return tensors::thermal_backward(&self.scan, [x, gain_bias], heat, result, grad);
        }
        let shape = self.scan.shape();
        let state = self.scan.poles() * shape.neurons();
        let grad = grad.contiguous()?;
        let wants = |tensor: &Tensor| tensor.track_op();
        let mut grad_gain_bias = vec![E::default(); 2 * shape.channels];
        let mut grad_heat = vec![E::default(); if heat.is_some_and(wants) { state } else { 0 }];
        let wanted_params = wants(gain_bias);
        let wanted_x = if wants(x) { shape.elements() } else { 0 };
        let grad_x = {
            let held = [x, gain_bias, result, &grad].map(Tensor::storage_and_layout);
            let [x, gain_bias, result, grad] = &held;
            let held_heat = heat.map(Tensor::storage_and_layout);
            let heat = held_heat.as_ref().map(|(s, l)| on_cpu::<E>(s, l)).transpose()?;
            let (gain, bias) = on_cpu::<E>(&gain_bias.0, gain_bias.1)?.split_at(shape.channels);
            let (grad_gain, grad_bias) = grad_gain_bias.split_at_mut(shape.channels);
            let (out, _) = on_cpu::<E>(&result.0, result.1)?.split_at(shape.elements());
            let (grad_out, grad_final_heat) = on_cpu::<E>(&grad.0, grad.1)?.split_at(shape.elements());
            let io = ThermalBackward {
                x: on_cpu::<E>(&x.0, x.1)?,
                gain,
                bias,
                heat,
                out,
                grad_out,
                grad_final_heat: heat.map(|_| grad_final_heat),
                grad_x: None,
                grad_gain_bias: wanted_params.then_some([grad_gain, grad_bias]),
                grad_heat: (!grad_heat.is_empty()).then_some(&mut grad_heat[..]),
            };
            // SAFETY: the kernel writes every element of a gradient that it is given.
            unsafe {
                filled(wanted_x, |grad_x| {
                    let grad_x = (wanted_x > 0).then_some(grad_x);
                    CpuBackend::default().backward(&self.scan, io, grad_x);
                })
            }
        };
        let tensor = |values: Vec<E>, like: &Tensor| {
            if wants(like) {
                Tensor::from_vec(values, like.shape(), like.device()).map(Some)
            } else {
                Ok(None)
            }
        };
        let of_heat = heat.map_or(Ok(None), |heat| tensor(grad_heat, heat))?;
        Ok([tensor(grad_x, x)?, tensor(grad_gain_bias, gain_bias)?, of_heat])
    }
}

impl CustomOp2 for ThermalOp {
    fn name(&self) -> &'static str {
        "thermal-scan"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain_bias: &CpuStorage,
        gain_bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        with_element!(candle_core::backend::BackendStorage::dtype(x), E => {
            let gain_bias = elements::<E>(gain_bias, gain_bias_layout)?;
            let out = self.forward(elements::<E>(x, x_layout)?, gain_bias, None)?;
            Ok((<E as candle_core::WithDType>::to_cpu_storage_owned(out), x_layout.shape().clone()))
        })
    }

    #[cfg(feature = "candle-cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        gain_bias: &CudaStorage,
        gain_bias_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let gain_bias = (gain_bias, gain_bias_layout);
        let out = tensors::thermal_forward(&self.scan, (x, x_layout), gain_bias, None)?;
        Ok((out, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain_bias: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, gain_bias, _] = with_element!(x.dtype(), E => {
            Ok::<_, candle_core::Error>(self.backward::<E>([x, gain_bias], None, result, grad)?)
        })?;
        Ok((x, gain_bias))
    }
}

impl CustomOp3 for ThermalOp {
    fn name(&self) -> &'static str {
        "thermal-scan-from"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain_bias: &CpuStorage,
        gain_bias_layout: &Layout,
        heat: &CpuStorage,
        heat_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        with_element!(candle_core::backend::BackendStorage::dtype(x), E => {
            let gain_bias = elements::<E>(gain_bias, gain_bias_layout)?;
            let heat = elements::<E>(heat, heat_layout)?;
            let packed = self.forward(elements::<E>(x, x_layout)?, gain_bias, Some(heat))?;
            let mut dims = x_layout.dims().to_vec();
            dims[0] += self.scan.poles();
            Ok((<E as candle_core::WithDType>::to_cpu_storage_owned(packed), dims.into()))
        })
    }

    #[cfg(feature = "candle-cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        gain_bias: &CudaStorage,
        gain_bias_layout: &Layout,
        heat: &CudaStorage,
        heat_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (gain_bias, heat) = ((gain_bias, gain_bias_layout), (heat, heat_layout));
        let packed = tensors::thermal_forward(&self.scan, (x, x_layout), gain_bias, Some(heat))?;
        let mut dims = x_layout.dims().to_vec();
        dims[0] += self.scan.poles();
        Ok((packed, dims.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain_bias: &Tensor,
        heat: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, gain_bias, heat] = with_element!(x.dtype(), E => {
            Ok::<_, candle_core::Error>(self.backward::<E>([x, gain_bias], Some(heat), result, grad)?)
        })?;
        Ok((x, gain_bias, heat))
    }
}
