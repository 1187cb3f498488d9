//! What can go wrong: an operand of the wrong shape, an option out of range, a tensor of another type or device.

use candle_core::{DType, Shape};

/// Result of the operations of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation refused its operands. Converts into [`candle_core::Error`], so that `?` works in candle code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operand has a shape that the operation cannot take.
    #[error("{op}: expected {expected}, found {found}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// An option is outside its range.
    #[error("{op}: {option} must be {expected}, found {found}")]
    Option {
        /// The operation.
        op: &'static str,
        /// The option's name.
        option: &'static str,
        /// Its range.
        expected: &'static str,
        /// The value given.
        found: String,
    },
    /// A tensor is not `f32`, or not on the device of the other operands.
    #[error("{op}: expected f32 tensors, all on one device, found {dtype:?} on {device}")]
    Placement {
        /// The operation.
        op: &'static str,
        /// The tensor's type.
        dtype: DType,
        /// Where it lives.
        device: String,
    },
    /// The neurons of a stage refused their setting or buffers.
    #[error(transparent)]
    Neurons(Box<ipnet_kernel::Error>),
    /// An error of candle itself.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<ipnet_kernel::Error> for Error {
    fn from(error: ipnet_kernel::Error) -> Self {
        Self::Neurons(Box::new(error))
    }
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(inner) => inner,
            other => candle_core::Error::wrap(other),
        }
    }
}

impl Error {
    pub(crate) fn shape(op: &'static str, expected: impl Into<String>, found: &Shape) -> Self {
        Self::Shape { op, expected: expected.into(), found: format!("{:?}", found.dims()) }
    }
}
