//! One file per command; this one only dispatches.

pub mod synth;

use crate::Command;
use std::process::ExitCode;

/// Runs one command; its exit code is 0 done or 1 for a negative result, and an error becomes 2.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Synth(command) => synth::run(command),
    }
}
