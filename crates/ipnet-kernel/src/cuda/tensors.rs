//! Candle's tensors on a GPU: the kernels run on candle's own memory and stream, and nothing passes through the host.
//!
//! **Not yet run**, as the whole of [`super`].

use super::lif::states;
use super::thermal::Saved;
use super::{CudaBackend, fault};
use crate::op::wrong_dtype;
use crate::{AlifConfig, Error, Result, ScanShape, ThermalScan};
use candle_core::backend::BackendStorage;
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Layout, Storage, Tensor};
use cudarc::driver::{CudaSlice, CudaView, CudaViewMut};

/// Storage and layout of a contiguous tensor, as an operation of candle is given them.
pub(crate) type Stored<'a> = (&'a CudaStorage, &'a Layout);

impl CudaBackend {
    /// Candle's device: its context and its stream.
    fn of(device: &CudaDevice) -> Self {
        let stream = device.cuda_stream();
        Self { context: stream.context().clone(), stream }
    }
}

/// `tensor`, contiguous, its elements at a multiple of four: the kernels read four at once.
pub(crate) fn aligned(tensor: &Tensor) -> Result<Tensor> {
    let tensor = tensor.contiguous()?;
    if tensor.layout().start_offset().is_multiple_of(4) { Ok(tensor) } else { Ok(tensor.copy()?) }
}

/// The firing `[T, N]`; behind it the heat after the last step, if one is given.
pub(crate) fn thermal_forward(
    scan: &ThermalScan,
    x: Stored<'_>,
    gain_bias: Stored<'_>,
    heat: Option<Stored<'_>>,
) -> Result<CudaStorage> {
    let (shape, state) = (scan.shape(), scan.poles() * scan.shape().neurons());
    let gpu = CudaBackend::of(x.0.device());
    let gain_bias = elements(gain_bias)?;
    let (gain, bias) = cut(&gain_bias, shape.channels)?;
    from_state(&gpu, x, heat, [shape.elements(), state], |x, heat, out, last| {
        gpu.enqueue_forward(scan, x, [&gain, &bias], heat, out, last)
    })
}

/// Gradients of x, gain and bias, and heat; what has no graph behind it is left out.
pub(crate) fn thermal_backward(
    scan: &ThermalScan,
    [x, gain_bias]: [&Tensor; 2],
    heat: Option<&Tensor>,
    result: &Tensor,
    grad: &Tensor,
) -> Result<[Option<Tensor>; 3]> {
    let (shape, state) = (scan.shape(), scan.poles() * scan.shape().neurons());
    let grad = aligned(grad)?;
    let held = [x, gain_bias, result, &grad].map(Tensor::storage_and_layout);
    let held_heat = heat.map(Tensor::storage_and_layout);
    let [of_x, of_gain_bias, of_result, of_grad] = &held;
    let device = on_gpu(&of_x.0)?.device().clone();
    let gpu = CudaBackend::of(&device);
    let (gain_bias_view, result_view) =
        (of_tensor(&of_gain_bias.0, of_gain_bias.1)?, of_tensor(&of_result.0, of_result.1)?);
    let grad_view = of_tensor(&of_grad.0, of_grad.1)?;
    let ((gain, bias), (out, _)) =
        (cut(&gain_bias_view, shape.channels)?, cut(&result_view, shape.elements())?);
    let (grad_out, grad_last) = cut(&grad_view, shape.elements())?;
    let ambient = gpu.state(None, state)?;
    let given = held_heat.as_ref().map(|(storage, layout)| of_tensor(storage, layout)).transpose()?;
    let mut grad_heat = match &given {
        Some(_) => gpu.stream.clone_dtod(&grad_last).map_err(fault)?,
        None => gpu.state(None, state)?,
    };
    let saved = Saved {
        x: of_tensor(&of_x.0, of_x.1)?,
        gain,
        bias,
        heat: given.unwrap_or_else(|| ambient.as_view()),
        out,
        grad_out,
    };
    let found = gpu.enqueue_backward(scan, &saved, &mut grad_heat)?;
    let grad_x = CudaStorage::wrap_cuda_slice(found.x, device.clone());
    let of_heat =
        heat.map_or(Ok(None), |heat| tensor(CudaStorage::wrap_cuda_slice(grad_heat, device.clone()), heat))?;
    Ok([tensor(grad_x, x)?, rounded(found.gain_bias, &device, gain_bias)?, of_heat])
}

/// The spikes `[T, N]`; behind them the last state, if one is given.
pub(crate) fn lif_forward(
    shape: ScanShape,
    config: &AlifConfig,
    x: Stored<'_>,
    decay: Stored<'_>,
    state: Option<Stored<'_>>,
) -> Result<CudaStorage> {
    let gpu = CudaBackend::of(x.0.device());
    let decay = elements(decay)?;
    let lens = [shape.elements(), states(config) * shape.neurons()];
    from_state(&gpu, x, state, lens, |x, state, out, last| {
        gpu.enqueue_lif(shape, config, [x, &decay, state], out, last)
    })
}

/// Gradients of x, decay and state; what has no graph behind it is left out.
pub(crate) fn lif_backward(
    shape: ScanShape,
    config: &AlifConfig,
    [x, decay]: [&Tensor; 2],
    state: Option<&Tensor>,
    grad: &Tensor,
) -> Result<[Option<Tensor>; 3]> {
    let grad = aligned(grad)?;
    let held = [x, decay, &grad].map(Tensor::storage_and_layout);
    let held_state = state.map(Tensor::storage_and_layout);
    let [of_x, of_decay, of_grad] = &held;
    let device = on_gpu(&of_x.0)?.device().clone();
    let gpu = CudaBackend::of(&device);
    let grad_view = of_tensor(&of_grad.0, of_grad.1)?;
    let (grad_out, grad_last) = cut(&grad_view, shape.elements())?;
    let len = states(config) * shape.neurons();
    let rest = gpu.state(None, len)?;
    let given = held_state.as_ref().map(|(storage, layout)| of_tensor(storage, layout)).transpose()?;
    let mut grad_state = match &given {
        Some(_) => gpu.stream.clone_dtod(&grad_last).map_err(fault)?,
        None => gpu.state(None, len)?,
    };
    let (x_view, decay_view) = (of_tensor(&of_x.0, of_x.1)?, of_tensor(&of_decay.0, of_decay.1)?);
    let first = given.unwrap_or_else(|| rest.as_view());
    let saved = [&x_view, &decay_view, &first];
    let (grad_x, grad_decay) = gpu.enqueue_lif_gradient(shape, config, saved, &grad_out, &mut grad_state)?;
    let grad_x = CudaStorage::wrap_cuda_slice(grad_x, device.clone());
    let of_state = state
        .map_or(Ok(None), |state| tensor(CudaStorage::wrap_cuda_slice(grad_state, device.clone()), state))?;
    Ok([tensor(grad_x, x)?, rounded(grad_decay, &device, decay)?, of_state])
}

/// Runs `launch(x, state, out, last state)` into new memory of `[elements, states]` numbers: from a given state the result has
/// the last one behind it, from rest it has not.
fn from_state(
    gpu: &CudaBackend,
    x: Stored<'_>,
    state: Option<Stored<'_>>,
    [out_len, state_len]: [usize; 2],
    launch: impl FnOnce(
        &CudaView<'_, f32>,
        &CudaView<'_, f32>,
        &mut CudaViewMut<'_, f32>,
        &mut CudaViewMut<'_, f32>,
    ) -> Result<()>,
) -> Result<CudaStorage> {
    if out_len == 0 {
        let (expected, found) = ("at least one step and one neuron on a GPU".into(), "none".into());
        return Err(Error::Shape { what: "x", expected, found });
    }
    let device = x.0.device().clone();
    let x = elements(x)?;
    let result = match state {
        Some(state) => {
            let mut packed = gpu.new_slice::<f32>(out_len + state_len)?;
            let (mut out, mut last) = packed.try_split_at_mut(out_len).ok_or_else(|| short(out_len))?;
            launch(&x, &elements(state)?, &mut out, &mut last)?;
            packed
        }
        None => {
            let rest = gpu.state(None, state_len)?;
            let (mut out, mut last) = (gpu.new_slice::<f32>(out_len)?, gpu.new_slice::<f32>(state_len)?);
            launch(&x, &rest.as_view(), &mut out.as_view_mut(), &mut last.as_view_mut())?;
            out
        }
    };
    Ok(CudaStorage::wrap_cuda_slice(result, device))
}

/// The storage of a tensor on a GPU.
fn on_gpu(storage: &Storage) -> Result<&CudaStorage> {
    match storage {
        Storage::Cuda(storage) => Ok(storage),
        other => Err(Error::Unavailable {
            backend: "cuda",
            missing: format!("the tensor, which lies on {:?}", other.device().location()),
        }),
    }
}

fn of_tensor<'a>(storage: &'a Storage, layout: &'a Layout) -> Result<CudaView<'a, f32>> {
    elements((on_gpu(storage)?, layout))
}

/// The elements of contiguous storage.
fn elements<'a>((storage, layout): Stored<'a>) -> Result<CudaView<'a, f32>> {
    if storage.dtype() != DType::F32 {
        return Err(wrong_dtype(storage.dtype()));
    }
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::Shape {
        what: "tensor",
        expected: "a contiguous layout".into(),
        found: format!("{layout:?}"),
    })?;
    storage.as_cuda_slice::<f32>()?.try_slice(start..end).ok_or_else(|| short(end))
}

/// The first `at` elements, and the rest.
fn cut<'a>(view: &CudaView<'a, f32>, at: usize) -> Result<(CudaView<'a, f32>, CudaView<'a, f32>)> {
    match (view.try_slice(..at), view.try_slice(at..)) {
        (Some(first), Some(rest)) => Ok((first, rest)),
        _ => Err(short(at)),
    }
}

fn short(expected: usize) -> Error {
    let found = "fewer".into();
    Error::Shape { what: "tensor", expected: format!("storage of {expected} elements"), found }
}

/// A tensor like `like`, if that has a graph behind it.
fn tensor(values: CudaStorage, like: &Tensor) -> Result<Option<Tensor>> {
    let made = || Tensor::from_storage(Storage::Cuda(values), like.shape(), BackpropOp::none(), false);
    Ok(like.track_op().then(made))
}

/// The same from sums in f64.
fn rounded(sums: CudaSlice<f64>, device: &CudaDevice, like: &Tensor) -> Result<Option<Tensor>> {
    let sums = tensor(CudaStorage::wrap_cuda_slice(sums, device.clone()), like)?;
    Ok(sums.map(|sums| sums.to_dtype(DType::F32)).transpose()?)
}
