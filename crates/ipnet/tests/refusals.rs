//! What the program says of what it refuses: once, with what it expected, and never by a panic.

use std::process::Command;

/// What a refused command says on stderr.
fn refusal(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ipnet")).args(arguments).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {message}");
    message
}

/// By the error types of events, device and bench.
#[test]
fn the_systems_reason_stands_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let missing = folder.path().join("nosuch.dat");
    let missing = missing.to_str().unwrap();
    let cases = [
        vec!["events", "info", missing],
        vec!["device", "show", dir],
        vec!["cost", "--technology", missing],
        vec!["device", "fit", missing, "-o", "never.toml"],
    ];
    for arguments in cases {
        let message = refusal(&arguments);
        assert_eq!(message.matches("os error").count(), 1, "{arguments:?}: {message}");
    }
}
