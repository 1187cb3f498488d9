//! What the candle operations share: slices of tensors, and results in memory that is written once.

use crate::cpu::Element;
use crate::{Error, Result};
use candle_core::{CpuStorage, DType, Layout, Storage, Tensor, WithDType};
use std::mem::MaybeUninit;

/// An element type that candle and the kernels both have.
pub(crate) trait TensorElement: Element + WithDType {}
impl TensorElement for f32 {}
impl TensorElement for f64 {}

/// Runs `$body` with `$E` the element type `$dtype`: `f32`, or `f64` for checks.
macro_rules! with_element {
    ($dtype:expr, $E:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $E = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $E = f64;
                $body
            }
            other => Err($crate::op::wrong_dtype(other).into()),
        }
    };
}
pub(crate) use with_element;

pub(crate) fn wrong_dtype(found: DType) -> Error {
    Error::Shape {
        what: "x",
        expected: "elements of f32 (or f64 for checks)".into(),
        found: format!("{found:?}"),
    }
}

/// The elements of contiguous storage.
pub(crate) fn elements<'a, E: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [E]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::Shape {
        what: "tensor",
        expected: "a contiguous layout".into(),
        found: format!("{layout:?}"),
    })?;
    Ok(&storage.as_slice::<E>()?[start..end])
}

/// The elements of a contiguous tensor on the CPU, from its `storage_and_layout`.
pub(crate) fn on_cpu<'a, E: WithDType>(storage: &'a Storage, layout: &Layout) -> Result<&'a [E]> {
    match storage {
        Storage::Cpu(storage) => elements(storage, layout),
        other => Err(Error::Unavailable {
            backend: "cpu",
            missing: format!("the tensor, which lies on {:?}", other.device().location()),
        }),
    }
}

/// A vector of `len` elements that `write` fills, every one.
///
/// # Safety
/// `write` writes every element.
pub(crate) unsafe fn filled<E>(len: usize, write: impl FnOnce(&mut [MaybeUninit<E>])) -> Vec<E> {
    let mut result = Vec::with_capacity(len);
    write(&mut result.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is `len` and the caller vouches that all of it was written.
    unsafe { result.set_len(len) };
    result
}

/// `x` as the kernels read it: contiguous, and on a GPU where they can load four numbers at once.
pub(crate) fn operand(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "candle-cuda")]
    if x.device().is_cuda() {
        return crate::cuda::tensors::aligned(x);
    }
    Ok(x.contiguous()?)
}

/// Refuses tensors whose element types differ.
pub(crate) fn same_dtype(x: &Tensor, what: &'static str, other: &Tensor) -> Result<()> {
    if x.dtype() == other.dtype() {
        return Ok(());
    }
    Err(Error::Shape {
        what,
        expected: format!("elements of {:?} as x has", x.dtype()),
        found: format!("{:?}", other.dtype()),
    })
}

/// Refuses a tensor of another shape.
pub(crate) fn expect_shape(what: &'static str, tensor: &Tensor, expected: &[usize]) -> Result<()> {
    if tensor.dims() == expected {
        return Ok(());
    }
    Err(Error::Shape { what, expected: format!("{expected:?}"), found: format!("{:?}", tensor.dims()) })
}
