//! The seam to candle's autograd: one adapter that turns (value, backward) into a node of its graph.
//!
//! Design decision: the forward value is computed by a plain function on slices *before* the node is made, and
//! the backward is a closure that owns what it saved. So an operation is two functions on slices, tested without
//! candle, and no operation writes its own `CustomOp` boilerplate. If no operand is tracked, no node is made and
//! nothing is saved: evaluation costs no graph. A gradient is computed only for the operands that are tracked
//! ([`BackwardArgs::needs`]), which candle's own convolution does not spare.

use std::ops::Deref;
use std::sync::Mutex;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Layout, Shape, Storage, Tensor,
};

use crate::error::{Error, Result};

/// Read access to the elements of a contiguous f32 CPU tensor.
pub(crate) struct View<G> {
    storage: G,
    start: usize,
    len: usize,
    op: &'static str,
}

/// A view of `tensor`, which must be contiguous (see [`operand`]).
pub(crate) fn view<'a>(
    op: &'static str,
    tensor: &'a Tensor,
) -> Result<View<impl Deref<Target = Storage> + use<'a>>> {
    let (storage, layout) = tensor.storage_and_layout();
    let (start, end) =
        layout.contiguous_offsets().ok_or_else(|| Error::shape(op, "a contiguous tensor", tensor.shape()))?;
    Ok(View { storage, start, len: end - start, op })
}

impl<G: Deref<Target = Storage>> View<G> {
    /// The elements in row-major order.
    pub(crate) fn slice(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(data)) => Ok(&data[self.start..self.start + self.len]),
            other => Err(Error::Placement {
                op: self.op,
                dtype: other.dtype(),
                device: format!("{:?}", other.device().location()),
            }),
        }
    }
}

/// `tensor` as a contiguous f32 CPU operand; an error names the operation `op`.
pub(crate) fn operand(op: &'static str, tensor: &Tensor) -> Result<Tensor> {
    if tensor.dtype() != DType::F32 || !tensor.device().is_cpu() {
        return Err(Error::Placement {
            op,
            dtype: tensor.dtype(),
            device: format!("{:?}", tensor.device().location()),
        });
    }
    Ok(tensor.contiguous()?)
}

/// What a backward closure is given: operands, result and the gradient of the loss by the result.
pub(crate) struct BackwardArgs<'a, const N: usize> {
    pub inputs: [&'a [f32]; N],
    pub output: &'a [f32],
    pub grad: &'a [f32],
    /// Which operands want a gradient; one computed for another operand is thrown away.
    pub needs: [bool; N],
}

type Backward<const N: usize> =
    Box<dyn Fn(BackwardArgs<'_, N>) -> Result<[Option<Vec<f32>>; N]> + Send + Sync>;

struct Recorded<const N: usize> {
    name: &'static str,
    value: Mutex<Option<(Vec<f32>, Shape)>>,
    backward: Backward<N>,
}

impl<const N: usize> Recorded<N> {
    fn take_value(&self) -> candle_core::Result<(CpuStorage, Shape)> {
        let taken = self.value.lock().ok().and_then(|mut value| value.take());
        let (data, shape) = taken
            .ok_or_else(|| candle_core::Error::Msg(format!("{}: its value was taken before", self.name)))?;
        Ok((CpuStorage::F32(data), shape))
    }

    fn run_backward(
        &self,
        inputs: [&Tensor; N],
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; N]> {
        let grad = grad.contiguous()?;
        let grad_view = view(self.name, &grad)?;
        let output_view = view(self.name, output)?;
        let mut views = Vec::with_capacity(N);
        for input in inputs {
            views.push(view(self.name, input)?);
        }
        let mut slices: [&[f32]; N] = [&[]; N];
        for (slice, view) in slices.iter_mut().zip(&views) {
            *slice = view.slice()?;
        }
        let needs = inputs.map(|input| input.track_op());
        let gradients = (self.backward)(BackwardArgs {
            inputs: slices,
            output: output_view.slice()?,
            grad: grad_view.slice()?,
            needs,
        })?;
        let mut tensors = [const { None }; N];
        for (((slot, gradient), input), need) in tensors.iter_mut().zip(gradients).zip(inputs).zip(needs) {
            if let (Some(gradient), true) = (gradient, need) {
                *slot = Some(Tensor::from_vec(gradient, input.shape(), &Device::Cpu)?);
            }
        }
        Ok(tensors)
    }
}

impl CustomOp1 for Recorded<1> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.take_value()
    }
    fn bwd(&self, a: &Tensor, y: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let [da] = self.run_backward([a], y, dy)?;
        Ok(da)
    }
}

impl CustomOp2 for Recorded<2> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.take_value()
    }
    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [da, db] = self.run_backward([a, b], y, dy)?;
        Ok((da, db))
    }
}

impl CustomOp3 for Recorded<3> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.take_value()
    }
    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [da, db, dc] = self.run_backward([a, b, c], y, dy)?;
        Ok((da, db, dc))
    }
}

macro_rules! record_fn {
    ($record:ident, $n:literal, $apply:ident, $($operand:ident),+) => {
        /// A tensor with `value` and `shape` whose gradient flows to the operands by `backward`.
        pub(crate) fn $record(
            name: &'static str,
            operands: [&Tensor; $n],
            value: Vec<f32>,
            shape: impl Into<Shape>,
            backward: impl Fn(BackwardArgs<'_, $n>) -> Result<[Option<Vec<f32>>; $n]> + Send + Sync + 'static,
        ) -> Result<Tensor> {
            let shape = shape.into();
            if operands.iter().all(|operand| !operand.track_op()) {
                return Ok(Tensor::from_vec(value, shape, &Device::Cpu)?);
            }
            let op =
                Recorded::<$n> { name, value: Mutex::new(Some((value, shape))), backward: Box::new(backward) };
            let [first, $($operand),*] = operands;
            Ok(first.$apply($($operand,)* op)?)
        }
    };
}

/// As `record2`, for one operand.
pub(crate) fn record1(
    name: &'static str,
    operand: &Tensor,
    value: Vec<f32>,
    shape: impl Into<Shape>,
    backward: impl Fn(BackwardArgs<'_, 1>) -> Result<[Option<Vec<f32>>; 1]> + Send + Sync + 'static,
) -> Result<Tensor> {
    let shape = shape.into();
    if !operand.track_op() {
        return Ok(Tensor::from_vec(value, shape, &Device::Cpu)?);
    }
    let op = Recorded::<1> { name, value: Mutex::new(Some((value, shape))), backward: Box::new(backward) };
    Ok(operand.apply_op1(op)?)
}

record_fn!(record2, 2, apply_op2, second);
record_fn!(record3, 3, apply_op3, second, third);
