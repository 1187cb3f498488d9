//! A sweep and an evaluation as a user meets them: killed at any moment the sweep goes on, and what `eval` finds is what
//! training reported.

use assert_cmd::Command;
use ipnet_events::synth::gestures::{GestureSpec, generate};
use ipnet_rng::Stream;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

/// Six recordings of each digit in N-MNIST's layout: a short bar whose place and direction depend on the digit.
fn recordings(root: &Path) {
    for digit in 0..10_u8 {
        let folder = root.join(format!("nmnist/Train/{digit}"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..6 {
            let mut stream = Stream::named(7, &format!("{digit}/{file}"));
            let mut bytes = Vec::new();
            for event in 0..300_u32 {
                let (t, along) = (event * 1000, (event / 10) as u8);
                let (x, y) = if digit % 2 == 0 { (along, 3 * digit) } else { (3 * digit, along) };
                let noise = stream.below(3) as u8;
                bytes.extend([x + noise, y + noise]);
                bytes.extend(&(t | (u32::from(noise == 0) << 23)).to_be_bytes()[1..]);
            }
            fs::write(folder.join(format!("{file:05}.bin")), bytes).unwrap();
        }
    }
}

const SWEEP: &str = r#"
task = "digits-in-time-20"
folds = 2

[train]
epochs = 3
batch = 16

[[grid]]
memory = "ip"
placement = "sensor"
width = 4

[[grid]]
memory = "none"
width = 4
"#;

fn ipnet(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("ipnet").unwrap();
    command.args(arguments).env_remove("IPNET_DATA");
    command
}

fn stdout(arguments: &[&str]) -> String {
    String::from_utf8(ipnet(arguments).assert().success().get_output().stdout.clone()).unwrap()
}

#[test]
fn a_killed_sweep_goes_on_and_eval_finds_what_training_reported() {
    let root = tempfile::tempdir().unwrap();
    recordings(root.path());
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (file, data, whole, broken) = (path("s.toml"), path(""), path("whole"), path("broken"));
    fs::write(&file, SWEEP).unwrap();
    let run = |out: &str| {
        ["sweep", &file, "--data", &data, "--out", out, "--threads", "1"].map(str::to_owned).to_vec()
    };
    let arguments = |out: &str| run(out);

    // Killed as soon as there is a first checkpoint: in the middle of a job.
    let mut child = Process::new(assert_cmd::cargo::cargo_bin("ipnet"))
        .args(arguments(&broken))
        .env_remove("IPNET_DATA")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let checkpoints = Path::new(&broken).join("checkpoints");
    let started = Instant::now();
    while fs::read_dir(&checkpoints).map_or(0, Iterator::count) == 0 {
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint");
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let results = fs::read_dir(Path::new(&broken).join("jobs")).unwrap();
    let is_job = |name: &str| name.starts_with("digits-in-time-20");
    let done = results.filter(|entry| is_job(&entry.as_ref().unwrap().file_name().to_string_lossy())).count();
    assert!(done < 4, "killed too late to mean anything");

    // What is there already can be looked at.
    let table = stdout(&["sweep", &file, "--out", &broken, "--table", "--format", "csv"]);
    assert_eq!(table.lines().count(), 3, "{table}");

    for out in [&broken, &whole] {
        let arguments = arguments(out);
        stdout(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for name in ["metrics.jsonl", "tables/sweep.csv", "tables/sweep.md", "tables/sweep_jobs.csv"] {
        let read = |out: &str| fs::read(Path::new(out).join(name)).unwrap();
        assert_eq!(read(&broken), read(&whole), "{name}");
    }
    for entry in fs::read_dir(Path::new(&whole).join("checkpoints")).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |out: &str| fs::read(Path::new(out).join("checkpoints").join(&name)).unwrap();
        assert!(read(&broken) == read(&whole), "{name:?}: other weights, moments or history");
    }

    let reports: serde_json::Value =
        serde_json::from_str(&stdout(&["eval", &whole, "--data", &data, "--json"])).unwrap();
    let last: serde_json::Value =
        serde_json::from_str(&stdout(&["eval", &whole, "--data", &data, "--json", "--weights", "last"]))
            .unwrap();
    assert_eq!(reports.as_array().unwrap().len(), 4);
    for (report, last) in reports.as_array().unwrap().iter().zip(last.as_array().unwrap()) {
        let job = report["job"].as_str().unwrap();
        let text = fs::read_to_string(Path::new(&whole).join(format!("jobs/{job}.toml"))).unwrap();
        let stored = |key: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
            line.split(" = ").nth(1).unwrap().parse().unwrap()
        };
        assert_eq!(report["score"].as_f64().unwrap(), stored("score"), "{job}");
        assert_eq!(report["direction"].as_f64().unwrap(), stored("direction"), "{job}");
        assert_eq!(last["score"].as_f64().unwrap(), stored("score_last"), "{job}");
        let rows = report["confusion"].as_array().unwrap();
        let diagonal: u64 = (0..20).map(|k| rows[k][k].as_u64().unwrap()).sum();
        let samples = report["samples"].as_u64().unwrap();
        assert_eq!(samples, 60);
        assert!((diagonal as f64 / samples as f64 - stored("score")).abs() < 1e-12);
    }

    // Other settings are refused by the keys that differ, before anything changes: the run stays a finished one.
    let refusal = |arguments: &[&str], part: &str| {
        let output = ipnet(arguments).assert().code(2).get_output().clone();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(part), "{arguments:?}: {text}");
    };
    fs::write(&file, SWEEP.replace("epochs = 3", "epochs = 4")).unwrap();
    refusal(
        &["sweep", &file, "--out", &whole, "--table"],
        "[train] = epochs = 3, but this one has epochs = 4",
    );
    refusal(&["sweep", &file, "--data", &data, "--out", &whole], "[train] = epochs = 3");
    stdout(&["verify", &whole]);

    fs::write(&file, SWEEP).unwrap();

    // Seeds may be added, and what was trained before stays; none may go.
    let seeds = |seeds: &str| SWEEP.replace("width = 4", &format!("width = 4\nseed = {seeds}"));
    let rows = || stdout(&["sweep", &file, "--out", &whole, "--table", "--jobs", "--format", "csv"]);
    let before = rows();
    fs::write(&file, seeds("[1, 2]")).unwrap();
    stdout(&["sweep", &file, "--data", &data, "--out", &whole]);
    let after = rows();
    assert_eq!(after.lines().count(), 1 + 2 * 4, "{after}");
    assert!(before.lines().all(|row| after.contains(row)), "{before}{after}");
    fs::write(&file, seeds("[2]")).unwrap();
    refusal(&["sweep", &file, "--data", &data, "--out", &whole], "seeds");

    // Networks that are gone from the file are kept, and it is said that its tables leave them out.
    let said = |arguments: &[&str]| {
        String::from_utf8(ipnet(arguments).assert().success().get_output().stderr.clone()).unwrap()
    };
    fs::write(&file, seeds("[1, 2]").split("[[grid]]\nmemory = \"none\"").next().unwrap()).unwrap();
    let message = said(&["sweep", &file, "--data", &data, "--out", &whole]);
    assert!(message.contains("that this sweep does not name (4)"), "{message}");
    fs::write(&file, seeds("[1, 2]")).unwrap();
    let message = said(&["sweep", &file, "--data", &data, "--out", &whole]);
    assert!(!message.contains("does not name"), "{message}");
    assert_eq!(rows(), after);

    // Other recordings and no sweep at all are refused.
    fs::remove_file(root.path().join("nmnist/Train/3/00002.bin")).unwrap();
    refusal(&["eval", &whole, "--data", &data], "recordings with sha256");
    refusal(&["eval", &path("nowhere")], "nothing of that name");
    refusal(&["eval", &file, "--data", &data], "s.toml");
    refusal(&["sweep", &file, "--data", &data, "--out", &whole], "holds a run with data");
}

/// Every sweep of the repository is one that can be run.
#[test]
fn the_sweeps_of_the_repository_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sweeps");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let sweep = ipnet::bench::study::Sweep::read(&entry.unwrap().path()).unwrap();
        assert!(!sweep.jobs.is_empty());
        seen += 1;
    }
    assert!(seen > 0);
}

/// Each command has a folder of its own, in which the same one goes on; a full disk behind stderr is no reason to end.
#[cfg(target_os = "linux")]
#[test]
fn two_trainings_need_no_folder_given_and_no_stderr() {
    let root = tempfile::tempdir().unwrap();
    recordings(root.path());
    let train = |memory: &str| {
        let net = format!("memory = \"{memory}\", placement = \"sensor\", width = 2");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Process::new(assert_cmd::cargo::cargo_bin("ipnet"))
            .args(["train", "digits-in-time-20", "--net", &net, "--data", ".", "--epochs", "1"])
            .current_dir(root.path())
            .stderr(full)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{memory}");
        output.stdout
    };
    let first = train("ema");
    train("lif");
    assert_eq!(train("ema"), first);
    let runs = fs::read_dir(root.path().join("results")).unwrap();
    let names: Vec<_> = runs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("train-digits-in-time-20-")), "{names:?}");
}

/// Minutes of making recordings do not pass in silence, and what was left out is named.
#[test]
fn gestures_that_are_not_whole_are_named_before_others_are_made() {
    let root = tempfile::tempdir().unwrap();
    let spec = GestureSpec { subjects: 2, lights: 1, clip_s: 0.2, ..GestureSpec::default() };
    generate(&spec, root.path().join("dvs_gesture")).unwrap();
    let mut child = Process::new(assert_cmd::cargo::cargo_bin("ipnet"))
        .args(["train", "gestures-11", "--net", "memory = \"none\"", "--data", "."])
        .current_dir(root.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().take(2);
    let lines: Vec<String> = said.map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    let note = "is DVS128 Gesture without 120 of 122 recordings: synthetic gestures are used";
    assert!(lines.len() == 2 && lines[0].ends_with(note), "{lines:?}");
    assert!(lines[1].starts_with("making synthetic recordings of gestures"), "{lines:?}");
}

#[test]
fn a_tensorboard_folder_gets_one_run_per_network() {
    let root = tempfile::tempdir().unwrap();
    recordings(root.path());
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let net = "memory = \"ema\", placement = \"sensor\", width = 2";
    stdout(&[
        "train",
        "digits-in-time-20",
        "--net",
        net,
        "--data",
        &path(""),
        "--epochs",
        "1",
        "--optimiser",
        "sgd",
        "--out",
        &path("run"),
        "--tensorboard",
        &path("board"),
    ]);
    let run = root.path().join("board/digits-in-time-20.width2.ema.sensor.seed1");
    let file = fs::read_dir(run).unwrap().next().unwrap().unwrap();
    let bytes = fs::read(file.path()).unwrap();
    for tag in ["brain.Event:2", "train_loss", "validation_loss", "validation_score"] {
        assert!(bytes.windows(tag.len()).any(|window| window == tag.as_bytes()), "{tag}");
    }
}
