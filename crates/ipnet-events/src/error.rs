//! What can be wrong with a recording, and where in it.

use std::path::PathBuf;

/// Errors of `ipnet-events`. Each names the file and the place, what was expected there and what was found.
///
/// A message is whole by itself: the cause stands in it. So no variant gives it as [`std::error::Error::source`] too, or those who print
/// the chain (`{:#}` of `anyhow`) would print it twice; `r#source` is what `thiserror` does not take for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        r#source: std::io::Error,
    },
    /// Bytes that do not follow their format.
    #[error("{path}: at byte {offset}: expected {expected}, found {found}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Offset of the first byte of the faulty item.
        offset: u64,
        /// What the format asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A line of a text file that does not follow its format.
    #[error("{path}: line {line}: expected {expected}, found {found}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What the format asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An item inside a container that does not follow its format.
    #[error("{path}: {item}: expected {expected}, found {found}")]
    Item {
        /// The file.
        path: PathBuf,
        /// Where in it, e.g. `/dvs/data row 17, byte 80`.
        item: String,
        /// What the format asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A library under a format refused an operation.
    #[error("{path}: {item}: {reason}")]
    Library {
        /// The file.
        path: PathBuf,
        /// What was read or written.
        item: String,
        /// The library's reason.
        reason: String,
    },
    /// A format that this build leaves out.
    #[error("{path}: {format} needs the feature `{feature}`, without which this program was built")]
    Feature {
        /// The file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
    /// A data set's folder that does not hold what its layout asks for.
    #[error("{path}: expected {expected}, found {found}")]
    Layout {
        /// The folder or file.
        path: PathBuf,
        /// What the layout asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An argument outside its range.
    #[error("{what}: expected {expected}, found {found}")]
    Argument {
        /// The argument.
        what: String,
        /// Its range.
        expected: String,
        /// Its value.
        found: String,
    },
}

impl Error {
    /// An [`Error::Io`] on `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}
