//! What can be wrong with a device, and where.

/// Errors of `ipnet-device`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step law without physical meaning.
    #[error("step law: {what}: expected {expected}, found {found}")]
    StepLaw {
        /// The field at fault.
        what: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
}
