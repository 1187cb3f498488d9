//! What can be wrong with a device, and where.

use std::path::PathBuf;

/// Errors of `ipnet-device`.
///
/// A message is whole by itself: the cause stands in it. So no variant gives it as [`std::error::Error::source`] too, or those who print
/// the chain (`{:#}` of `anyhow`) would print it twice; `r#source` is what `thiserror` does not take for one.
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
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        r#source: std::io::Error,
    },
    /// Neither a preset nor a file.
    #[error("no device set {name:?}: expected one of the presets {presets} or a path to a TOML file")]
    UnknownSet {
        /// What was asked for.
        name: String,
        /// The presets there are.
        presets: String,
    },
    /// Something in a parameter file is refused.
    #[error("{file}:{line}: {what}: expected {expected}, found {found}")]
    Refused {
        /// The file, or `preset NAME`.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// The key at fault.
        what: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A file that is not TOML.
    #[error("{file}:{line}: not valid TOML: {message}")]
    Syntax {
        /// The file, or `preset NAME`.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// What the TOML parser says.
        message: String,
    },
    /// `extends` that comes back to a set it started from.
    #[error("{file}: extends a chain of sets that returns to itself: {chain}")]
    ExtendsCycle {
        /// The file, or `preset NAME`.
        file: String,
        /// The sets in order.
        chain: String,
    },
    /// A device whose physics cannot be put into a step law.
    #[error("device set {set}: cannot be reduced: {reason}")]
    Reduction {
        /// Name of the set.
        set: String,
        /// Why.
        reason: String,
    },
    /// Measurements that cannot be read or do not suffice.
    #[error("{file}:{line}: measurement: {what}: expected {expected}, found {found}")]
    Measurement {
        /// The CSV file.
        file: String,
        /// Line, counted from 1.
        line: u64,
        /// The column at fault.
        what: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A fit that did not come to an end.
    #[error("fit: {0}")]
    Fit(String),
}
