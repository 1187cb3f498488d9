//! The crate's one error type. A variant carries the file, what was tried or expected, and what was found.

use std::path::{Path, PathBuf};

/// What can go wrong in a run, a figure or a report.
///
/// A message is whole by itself: the cause stands in it. So no variant gives it as [`std::error::Error::source`] too, or those who print
/// the chain (`{:#}` of `anyhow`) would print it twice; `r#source` is what `thiserror` does not take for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused: no such folder, read-only, disk full, ...
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase: "create the folder", "write", ...
        action: &'static str,
        /// The operating system's own words.
        r#source: std::io::Error,
    },
    /// A file of a run folder that does not hold what its name promises.
    #[error("{path}, line {line}: expected {expected}, found {found}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
        /// What stands there, or the parser's words about it.
        found: String,
    },
    /// The folder holds another run than the one that was to go on in it.
    #[error(
        "{path}: holds a run with {field} = {found}, but this one has {expected}; choose another folder with \
         --out, or remove that one"
    )]
    OtherRun {
        /// The run folder.
        path: PathBuf,
        /// The field of the manifest that differs.
        field: &'static str,
        /// Its value in this run.
        expected: String,
        /// Its value in the folder.
        found: String,
    },
    /// Another process writes into the folder now.
    #[error("{path}: another ipnet process is writing into this run folder")]
    Busy {
        /// The run folder.
        path: PathBuf,
    },
    /// A value that cannot be written in the format of its file.
    #[error("{path}: cannot be written as {format}: {message}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// JSON, TOML or CSV.
        format: &'static str,
        /// The encoder's words.
        message: String,
    },
    /// A name that would leave the run folder or that no file system takes.
    #[error("{name:?}: not a name for a file of a run (letters, digits, '-', '_' and '.' only)")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// A row with another number of cells than the table has columns.
    #[error("table row {row}: expected {expected} cells, found {found}")]
    RaggedTable {
        /// The row, from 0.
        row: usize,
        /// Columns of the table.
        expected: usize,
        /// Cells of the row.
        found: usize,
    },
    /// A figure that cannot be drawn from what it was given.
    #[error("figure {title:?}: {message}")]
    Figure {
        /// The figure's title.
        title: String,
        /// What is wrong with its data, or the drawing library's words.
        message: String,
    },
    /// A safetensors file that cannot be read or written.
    #[error("{path}: {source}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        r#source: safetensors::SafeTensorError,
    },
    /// A stored state of another run, or one that lacks something.
    #[error("expected {expected}, found {found}")]
    Checkpoint {
        /// What was asked for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A parameter that the loss does not reach.
    #[error("parameter `{parameter}` has no gradient: an operation between it and the loss cuts the graph")]
    NoGradient {
        /// Its name.
        parameter: String,
    },
    /// Training left the finite numbers.
    #[error(
        "training diverged: {what} is not finite at update {update}; look there first, or lower the learning rate"
    )]
    NotFinite {
        /// The first layer or value at fault.
        what: String,
        /// The optimiser's update, from 0.
        update: usize,
    },
    /// An argument or a data set that a task cannot work with.
    #[error("{what}: expected {expected}, found {found}")]
    Argument {
        /// What is at fault.
        what: String,
        /// What was asked for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Threads that the operating system does not give.
    #[error("cannot start a thread: {message}")]
    Threads {
        /// The system's words.
        message: String,
    },
    /// A recording or data set.
    #[error(transparent)]
    Events(#[from] ipnet_events::Error),
    /// A device.
    #[error(transparent)]
    Device(#[from] ipnet_device::Error),
    /// A network.
    #[error(transparent)]
    Zoo(#[from] ipnet_zoo::Error),
    /// A scan, or a backend that is not there.
    #[error(transparent)]
    Kernel(#[from] ipnet_kernel::Error),
    /// An operation of the training path.
    #[error(transparent)]
    Nn(#[from] ipnet_nn::Error),
    /// A tensor operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err`: an [`Error::Io`] with its path and what was tried.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as `anyhow` prints it with `{:#}`: its message and those of its sources.
    fn chain(error: &dyn std::error::Error) -> String {
        let sources = std::iter::successors(Some(error), |error| error.source());
        sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    #[test]
    fn a_cause_stands_once_in_the_chain() {
        let system = || std::io::Error::from_raw_os_error(2);
        let events = ipnet_events::Error::io("a.dat", system());
        let device = ipnet_device::Error::Io { path: "a.toml".into(), source: system() };
        let json = serde_json::from_str::<u8>("").unwrap_err();
        let safetensors = safetensors::SafeTensorError::InvalidHeaderDeserialization(json);
        let (said, parser) = (system().to_string(), "EOF while parsing");
        let cases = [
            (Error::io(Path::new("a.csv"), "read")(system()), "a.csv: cannot read", said.as_str()),
            (events.into(), "a.dat", &said),
            (device.into(), "a.toml", &said),
            (Error::Safetensors { path: "a.st".into(), source: safetensors }, "a.st", parser),
        ];
        for (error, start, cause) in cases {
            let chain = chain(&error);
            assert!(chain.starts_with(start) && chain.matches(cause).count() == 1, "{chain}");
            assert_eq!(chain, error.to_string());
        }
    }
}
