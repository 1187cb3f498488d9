//! The main job as a user meets it: bad input ends with one clear message and exit code 2.

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};

fn ipnet(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("ipnet").unwrap();
    command.args(arguments).env_remove("IPNET_DATA");
    command
}

/// The one line on stderr of a command that must fail with exit code 2.
fn refusal(arguments: &[&str]) -> String {
    let output = ipnet(arguments).assert().code(2).get_output().clone();
    assert!(output.stdout.is_empty(), "a refusal prints nothing on stdout");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

fn refusal_of_data(data: &Path) -> String {
    let out = tempfile::tempdir().unwrap();
    let (data, out) = (data.to_str().unwrap(), out.path().join("run"));
    refusal(&["reproduce", "--data", data, "--out", out.to_str().unwrap()])
}

/// A recording of one packet header and eight polarity events, by the format's description.
fn recording() -> Vec<u8> {
    let mut bytes = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n".to_vec();
    bytes.extend([1_i16, 1].iter().flat_map(|v| v.to_le_bytes()));
    bytes.extend([8_i32, 4, 0, 8, 8, 8].iter().flat_map(|v| v.to_le_bytes()));
    for i in 0..8_u32 {
        bytes.extend(((i << 17) | (i << 2) | 3).to_le_bytes());
        bytes.extend((1000 + 100 * i).to_le_bytes());
    }
    bytes
}

/// A data folder with one gesture recording and these label rows.
fn gestures(recording: &[u8], labels: &str) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("dvs_gesture");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("user01_led.aedat"), recording).unwrap();
    let text = format!("class,startTime_usec,endTime_usec\n{labels}");
    fs::write(folder.join("user01_led_labels.csv"), text).unwrap();
    let path = root.path().to_owned();
    (root, path)
}

#[test]
fn a_wrong_or_empty_data_folder_says_what_was_expected_and_found() {
    let empty = tempfile::tempdir().unwrap();
    let message = refusal_of_data(empty.path());
    assert!(
        message.contains("nmnist/Train/<digit>/*.bin") && message.contains("found none of them"),
        "{message}"
    );
    let message = refusal_of_data(&empty.path().join("nothing"));
    assert!(message.contains("found nothing of that name"), "{message}");
    fs::create_dir_all(empty.path().join("nmnist/Train/0")).unwrap();
    let message = refusal_of_data(empty.path());
    assert!(message.contains("nmnist"), "{message}");
}

#[test]
fn a_cut_recording_is_named_with_its_offset() {
    let whole = recording();
    let (_root, path) = gestures(&whole[..whole.len() - 5], "1,1000,1800\n");
    let message = refusal_of_data(&path);
    for part in ["user01_led.aedat", "byte", "expected", "found"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_bad_label_row_is_named_with_its_line() {
    for (rows, found) in [("1,1000,1400\n2,oops,1800\n", "oops"), ("1,1000,1400\n12,1400,1800\n", "12")] {
        let (_root, path) = gestures(&recording(), rows);
        let message = refusal_of_data(&path);
        assert!(message.contains("user01_led_labels.csv: line 3: expected"), "{message}");
        assert!(message.contains(found), "{message}");
    }
}

#[test]
fn arguments_without_meaning_are_refused() {
    for arguments in [
        &["reproduce", "--device", "no-such-set"][..],
        &["reproduce", "--seeds", "0"],
        &["reproduce", "--tier", "enormous"],
        &["train", "gestures-11", "--net", "memory = \"elephant\""],
        &["train", "gestures-11", "--net", "memory = \"lstm\", placement = \"sensor\""],
        &["train", "digits-in-time-20", "--net", "memory = \"none\""],
    ] {
        let out = tempfile::tempdir().unwrap();
        let mut command = ipnet(arguments);
        let output = command.current_dir(out.path()).assert().code(2).get_output().clone();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.starts_with("error: ") && text.contains(arguments[2].trim_start_matches("--"))
                || text.contains("expected"),
            "{text}"
        );
    }
}

#[test]
fn every_command_explains_itself() {
    let help = ipnet(&["--help"]).assert().success().get_output().clone();
    let text = String::from_utf8(help.stdout).unwrap();
    let listed = text.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let commands: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() >= 4, "{text}");
    for command in commands.iter().filter(|command| **command != "help") {
        let output = ipnet(&[command, "--help"]).assert().success().get_output().clone();
        let text = String::from_utf8(output.stdout).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.len() > 20 && !first.starts_with("Usage"), "{command}: {text}");
    }
}

#[test]
fn a_label_row_that_overlaps_the_next_is_cut_by_itself() {
    // Events at 1000, 1100, ..., 1700: the rows [1000, 1500) and [1300, 1800) share two events and each gets five.
    let (_root, path) = gestures(&recording(), "1,1000,1500\n2,1300,1800\n");
    let dataset = ipnet::events::datasets::DvsGesture::open(path.join("dvs_gesture")).unwrap();
    use ipnet::events::Dataset;
    let lengths: Vec<usize> = (0..2).map(|clip| dataset.sample(clip).unwrap().events.len()).collect();
    assert_eq!(lengths, [5, 5]);
}

/// `ipnet device list | true` must not end in a panic: the reader is gone before the text is written.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    use std::process::{Command as Process, Stdio};
    let mut child = Process::new(assert_cmd::cargo::cargo_bin("ipnet"))
        .args(["device", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
}
