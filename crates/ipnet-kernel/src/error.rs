//! What can be wrong with a scan, and where.

/// Errors of `ipnet-kernel`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step law that has no physical meaning.
    #[error(transparent)]
    Law(#[from] ipnet_device::Error),
    /// A buffer or tensor of the wrong shape.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which buffer.
        what: &'static str,
        /// The shape or length it must have.
        expected: String,
        /// The one it has.
        found: String,
    },
    /// A setting without meaning.
    #[error("{what}: expected {expected}, found {found}")]
    Setting {
        /// The setting at fault.
        what: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A backend that this machine or this build does not have.
    #[error("backend {backend} is not available: {missing}")]
    Unavailable {
        /// The backend that was asked for.
        backend: &'static str,
        /// What is missing.
        missing: String,
    },
    /// A fault reported by candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(error) => error,
            other => candle_core::Error::wrap(other),
        }
    }
}

/// Results of `ipnet-kernel`.
pub type Result<T> = std::result::Result<T, Error>;
