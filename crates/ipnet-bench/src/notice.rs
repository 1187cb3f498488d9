//! What a program says beside its results.

use std::fmt;
use std::io::Write;

/// Prints a line on stderr. Where nothing can be said, as on a full disk, work goes on and what was done stands: a notice is no
/// result.
pub fn notice(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
