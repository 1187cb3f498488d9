//! What a program says beside its results.

use std::io::Write;

/// Prints a line on stderr. Work goes on where nothing can be said, as on a full disk: a notice is no result.
pub(crate) fn notice(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
