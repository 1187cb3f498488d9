//! What can be wrong with a network.

/// Errors of `ipnet-zoo`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A specification that makes no network.
    #[error("network specification: {what}: expected {expected}, found {found}")]
    Spec {
        /// The field or combination at fault.
        what: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A tensor or a stored parameter of the wrong shape.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The tensor.
        what: String,
        /// The shape asked for.
        expected: Vec<usize>,
        /// The shape given.
        found: Vec<usize>,
    },
    /// A parameter that a checkpoint lacks.
    #[error("checkpoint: parameter `{name}` is missing")]
    MissingParameter {
        /// Its name.
        name: String,
    },
    /// An operation failed.
    #[error(transparent)]
    Nn(#[from] ipnet_nn::Error),
    /// A scan failed.
    #[error(transparent)]
    Kernel(#[from] ipnet_kernel::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
