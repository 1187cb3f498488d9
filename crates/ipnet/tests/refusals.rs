//! What the program says of what it refuses: once, with what it expected, and never by a panic.

use std::fs;
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

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    let cases = [
        (["cost", "--side", "100000000000"], "from 8 to 1280"),
        (["cost", "--side", "7"], "from 8 to 1280"),
        (["cost", "--steps", "18446744073709551615"], "from 1 to 1000000"),
        (["cost", "--steps", "18446744073709551616"], "from 1 to 1000000"),
        (["cost", "--channels", "0"], "from 1 to 1024"),
        (["cost", "--classes", "18446744073709551615"], "from 1 to 100000"),
        (["reproduce", "--seeds", "18446744073709551615"], "from 1 to 100000"),
    ];
    for (arguments, range) in cases {
        let message = refusal(&arguments);
        assert!(message.contains(&format!("expected a whole number {range}")), "{arguments:?}: {message}");
    }
}

/// The counts at the top of every range but that of the sides, whose network takes long to build, fit their integers.
#[test]
fn the_largest_counts_do_not_overflow() {
    let output = Command::new(env!("CARGO_BIN_EXE_ipnet"))
        .args(["cost", "--steps", "1000000", "--channels", "1024", "--classes", "100000"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_file_that_is_no_checkpoint_is_named_so() {
    let folder = tempfile::tempdir().unwrap();
    let header = br#"{"__metadata__":{"of":"another program"}}"#;
    let other = [&(header.len() as u64).to_le_bytes()[..], header].concat();
    let cases = [
        ("a.toml", b"name = \"mine\"\n".to_vec(), "not whole: header too large\n"),
        (
            "zeros",
            vec![0; 200],
            "not whole: invalid JSON in header: EOF while parsing a value at line 1 column 0\n",
        ),
        ("empty", Vec::new(), "not whole: header too small\n"),
        ("other", other, "found a safetensors file that names no training\n"),
    ];
    for (name, bytes, end) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let message = refusal(&["eval", path.to_str().unwrap()]);
        let start = format!(
            "error: {}: expected a checkpoint (safetensors) of `ipnet train`, `ipnet sweep` or `ipnet reproduce`, found a",
            path.display()
        );
        assert!(message.starts_with(&start) && message.ends_with(end), "{message}");
    }
}

/// A backend that the program was built without is an error that says how it is built with it, before anything is read, trained or
/// written; nothing else is taken instead.
#[cfg(not(feature = "cuda"))]
#[test]
fn a_backend_that_is_not_there_is_refused_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let sweep = folder.path().join("s.toml");
    fs::write(&sweep, "task = \"gestures-11\"\n[[grid]]\nmemory = \"none\"\n").unwrap();
    let (out_name, sweep) = (out.to_str().unwrap(), sweep.to_str().unwrap());
    let cases = [
        vec!["train", "gestures-11", "--net", "memory = \"none\"", "--out", out_name],
        vec!["sweep", sweep, "--out", out_name],
        vec!["reproduce", "--out", out_name],
    ];
    for mut arguments in cases {
        arguments.extend(["--backend", "cuda"]);
        let message = refusal(&arguments);
        let expected = "backend cuda is not available: this program was built without it";
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(
            message.contains("cargo build -p ipnet --features cuda") && message.contains("nvcc"),
            "{message}"
        );
        assert!(!out.exists(), "{arguments:?}");
    }
    // What is evaluated is looked for first.
    let checkpoint = folder.path().join("a.safetensors");
    fs::write(&checkpoint, "").unwrap();
    let message = refusal(&["eval", checkpoint.to_str().unwrap(), "--backend", "cuda"]);
    assert!(message.contains("built without it"), "{message}");
    let message = refusal(&["eval", checkpoint.to_str().unwrap(), "--backend", "rocm"]);
    assert!(message.contains("possible values: cpu, cuda"), "{message}");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn doctor_says_that_training_on_a_gpu_is_not_compiled_in() {
    let doctor = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ipnet")).args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = doctor(&["doctor"]);
    assert!(
        text.contains("cuda         no: ") && text.contains("(--backend cuda): not compiled in"),
        "{text}"
    );
    assert!(doctor(&["doctor", "--json"]).contains("\"compiled_in\": false"), "{text}");
}
