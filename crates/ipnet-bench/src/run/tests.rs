use super::*;
use crate::Backend;
use std::collections::BTreeMap;

fn manifest(command: &str, seeds: &[u64]) -> Manifest {
    let device = DeviceSet { name: "default".into(), sha256: hash_bytes(b"default") };
    Manifest::new(command, device, seeds.to_vec())
}

#[test]
fn a_run_that_died_goes_on_with_its_finished_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let result = BTreeMap::from([("accuracy".to_owned(), vec![0.1 + 0.2, f64::NAN, 1e-300])]);
    {
        let run = RunDir::create_or_resume(&path, manifest("reproduce", &[1, 2])).unwrap();
        assert!(!run.resumed());
        let mut run = run;
        run.record_data(recordings("digits", "nmnist", b"")).unwrap();
        assert_eq!(run.job_result::<BTreeMap<String, Vec<f64>>>("ip-sensor-1").unwrap(), None);
        run.finish_job("ip-sensor-1", &result).unwrap();
    }
    let run = RunDir::create_or_resume(&path, manifest("reproduce", &[1, 2])).unwrap();
    assert!(run.resumed());
    let back: BTreeMap<String, Vec<f64>> = run.job_result("ip-sensor-1").unwrap().unwrap();
    let bits =
        |values: &[f64]| values.iter().map(|v| if v.is_nan() { 0 } else { v.to_bits() }).collect::<Vec<_>>();
    assert_eq!(bits(&back["accuracy"]), bits(&result["accuracy"]));
}

#[test]
fn another_run_in_the_folder_is_refused_by_the_field_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        |command: &str, seeds: &[u64]| RunDir::create_or_resume(folder.path(), manifest(command, seeds));
    // A command that found its input wrong before it had any data leaves the folder to another.
    drop(open("sweep", &[1]).unwrap());
    let mut run = open("reproduce", &[1]).unwrap();
    run.record_data(recordings("digits", "nmnist", b"a")).unwrap();
    drop(run);
    let error = open("reproduce", &[1, 2]).unwrap_err();
    assert!(matches!(&error, Error::OtherRun { field: "seeds", found, .. } if found == "[1]"), "{error}");
    let error = open("sweep", &[1]).unwrap_err();
    assert!(matches!(&error, Error::OtherRun { field: "command", .. }), "{error}");
}

/// What a GPU computed is not continued on the CPU, nor the other way round; a manifest that names no backend is of the CPU.
#[test]
fn a_run_is_not_continued_on_another_backend() {
    let folder = tempfile::tempdir().unwrap();
    let open = |backend| {
        RunDir::create_or_resume(folder.path(), Manifest { backend, ..manifest("reproduce", &[1]) })
    };
    open(Backend::Cpu).unwrap().record_data(recordings("digits", "nmnist", b"a")).unwrap();
    let error = open(Backend::Cuda).unwrap_err();
    assert!(matches!(&error, Error::OtherRun { field: "backend", found, .. } if found == "cpu"), "{error}");

    let path = folder.path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let older = text.replace("  \"backend\": \"cpu\",\n", "");
    assert_ne!(older, text, "{text}");
    fs::write(&path, older).unwrap();
    assert_eq!(open(Backend::Cpu).unwrap().manifest().backend, Backend::Cpu);
    assert!(open(Backend::Cuda).is_err());
}

/// A grid may get seeds and device sets more, and lose none.
#[test]
fn a_run_that_grows_takes_more_seeds_and_devices() {
    let folder = tempfile::tempdir().unwrap();
    let open = |names: &str, seeds: &[u64]| {
        let device = DeviceSet { name: names.into(), sha256: hash_bytes(names.as_bytes()) };
        RunDir::create_or_grow(folder.path(), Manifest::new("sweep", device, seeds.to_vec()))
    };
    open("default", &[1]).unwrap().record_data(recordings("digits", "nmnist", b"a")).unwrap();
    let grown = open("default,mine", &[1, 2]).unwrap();
    assert!(grown.resumed());
    assert_eq!(
        (grown.manifest().device.name.as_str(), &grown.manifest().seeds[..]),
        ("default,mine", &[1, 2][..])
    );
    grown.finish().unwrap();
    let field = |names: &str, seeds: &[u64]| match open(names, seeds).unwrap_err() {
        Error::OtherRun { field, .. } => field,
        other => panic!("{other}"),
    };
    assert_eq!((field("mine", &[1, 2]), field("default,mine", &[2])), ("device", "seeds"));
}

fn recordings(task: &str, name: &str, content: &[u8]) -> DataSource {
    DataSource {
        task: task.into(),
        name: name.into(),
        sha256: hash_bytes(content),
        train: 2,
        validation: 1,
        test: 1,
    }
}

/// Tasks on data sets of one name stand side by side; a run goes on with more data than it had, not with others.
#[test]
fn data_are_told_apart_by_task() {
    let folder = tempfile::tempdir().unwrap();
    let open = |command: &str| RunDir::create_or_resume(folder.path(), manifest(command, &[1]));
    let mut run = open("reproduce").unwrap();
    let (chains, flips) = (recordings("chains", "synthetic", b"a"), recordings("flips", "synthetic", b"b"));
    run.record_data(chains.clone()).unwrap();
    run.record_data(flips.clone()).unwrap();
    run.finish().unwrap();
    let mut run = open("reproduce --data DIR").unwrap();
    assert_eq!((run.manifest().ended.clone(), run.manifest().outputs.len()), (None, 0));
    assert_eq!(run.manifest().command, "reproduce --data DIR");
    let digits = recordings("digits", "nmnist", b"c");
    run.record_data(digits.clone()).unwrap();
    run.record_data(flips.clone()).unwrap();
    let error = run.record_data(recordings("flips", "synthetic", b"d")).unwrap_err();
    assert!(matches!(&error, Error::OtherRun { field: "data", .. }), "{error}");
    assert_eq!(run.manifest().data, [chains, flips, digits]);
}

/// What a killed process left of a write is removed by the next one, and is no output.
#[test]
fn leftovers_of_a_killed_write_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunDir::create_or_resume(folder.path(), manifest("reproduce", &[1])).unwrap());
    let left = folder.path().join("tables/.accuracy.csv.17.tmp");
    std::fs::write(&left, "half").unwrap();
    let run = RunDir::create_or_resume(folder.path(), manifest("reproduce", &[1])).unwrap();
    assert!(!left.exists());
    assert!(run.finish().unwrap().outputs.is_empty());
}

#[test]
fn a_second_process_is_kept_out_while_the_first_lives() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create_or_resume(folder.path(), manifest("reproduce", &[1])).unwrap();
    let second = RunDir::create_or_resume(folder.path(), manifest("reproduce", &[1]));
    assert!(matches!(second, Err(Error::Busy { .. })));
    drop(run);
    assert!(RunDir::create_or_resume(folder.path(), manifest("reproduce", &[1])).is_ok());
}

#[test]
fn the_manifest_ends_with_a_hash_of_every_output() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = RunDir::create_or_resume(folder.path(), manifest("reproduce", &[1])).unwrap();
    let mut table = Table::new(["task", "accuracy_mean"]);
    table.push(["digits", "95.5"]).unwrap();
    assert_eq!(run.write_table("accuracy", &table).unwrap(), "tables/accuracy.csv");
    run.write_figure("accuracy", "<svg/>").unwrap();
    run.metrics().unwrap().append(&MetricLine::new("a", "test", 0, [("accuracy", 0.955)])).unwrap();
    let data = recordings("digits", "nmnist", b"");
    run.record_data(data.clone()).unwrap();
    run.finish().unwrap();
    let manifest = Manifest::read(&folder.path().join("manifest.json")).unwrap();
    assert_eq!(manifest.data, [data]);
    assert!(manifest.ended.is_some());
    let names: Vec<&str> = manifest.outputs.keys().map(String::as_str).collect();
    assert_eq!(names, ["figures/accuracy.svg", "metrics.jsonl", "tables/accuracy.csv"]);
    assert_eq!(manifest.outputs["tables/accuracy.csv"], hash_bytes(b"task,accuracy_mean\ndigits,95.5\n"));
    let leftovers: Vec<_> = std::fs::read_dir(folder.path().join("tables")).unwrap().collect();
    assert_eq!(leftovers.len(), 1, "no temporary file stays");
}

#[test]
fn a_folder_that_cannot_be_written_is_said_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error =
        RunDir::create_or_resume(&file.join("run"), manifest("reproduce", &[1])).unwrap_err().to_string();
    assert!(error.contains("file/run: cannot create the folder"), "{error}");
}

#[test]
fn a_write_that_fails_keeps_the_old_file_and_leaves_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("taken");
    std::fs::create_dir(&target).unwrap();
    assert!(write_atomic(&target, b"x").is_err(), "a folder stands where the file should go");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn names_stay_inside_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create_or_resume(folder.path(), manifest("reproduce", &[1])).unwrap();
    for name in ["../x", "a/b", "", ".hidden", "a b"] {
        assert!(matches!(run.write_figure(name, ""), Err(Error::BadName { .. })), "{name:?}");
    }
}

#[test]
fn a_broken_manifest_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("manifest.json"), "{\n  \"revision\": 3\n}").unwrap();
    let error = RunDir::create_or_resume(folder.path(), manifest("reproduce", &[1])).unwrap_err();
    assert!(matches!(error, Error::Malformed { line: 2, .. }), "{error}");
}

/// A finished run passes; then a table is altered, a figure is lost, a file is added, and each is a failed check by its name.
#[test]
fn verify_names_what_was_altered_lost_or_added() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        RunDir::create_or_resume(folder.path(), manifest("ipnet reproduce --tier quick", &[1])).unwrap();
    let mut table = Table::new(["task", "memory", "accuracy_mean"]);
    table.push(["digits", "ip", "0.955"]).unwrap();
    run.write_table("accuracy", &table).unwrap();
    run.write_figure("accuracy", "<svg/>").unwrap();
    run.finish().unwrap();
    let cell = |value: f64, data: Option<&str>| ExpectedCell {
        table: "accuracy".into(),
        row: [("task".into(), "digits".into()), ("memory".into(), "ip".into())].into(),
        column: "accuracy_mean".into(),
        value,
        tolerance: 0.01,
        data: data.map(str::to_owned),
    };
    let expected = |command: &str, cells: Vec<ExpectedCell>| Expectations {
        command_starts_with: command.into(),
        source: "by hand".into(),
        cells,
    };
    let failed = |checks: &[Check]| -> Vec<String> {
        checks.iter().filter(|c| c.verdict == Verdict::Failed).map(|c| c.what.clone()).collect()
    };

    // The manifest of this test names a device set by a hash of its own.
    let device = vec!["device set default".to_owned()];
    let good =
        [expected("ipnet reproduce", vec![cell(0.96, None)]), expected("ipnet train", vec![cell(0.1, None)])];
    let checks = verify(folder.path(), &good).unwrap();
    assert_eq!(failed(&checks), device);
    assert!(checks.iter().any(|c| c.found == "0.955" && c.verdict == Verdict::Passed), "{checks:?}");
    let bad = [expected("ipnet reproduce", vec![cell(0.97, None), cell(0.1, Some("nmnist"))])];
    let checks = verify(folder.path(), &bad).unwrap();
    assert_eq!(failed(&checks).len(), 2);
    assert!(checks.iter().any(|c| c.verdict == Verdict::NotRun && c.found.contains("nmnist")), "{checks:?}");

    std::fs::write(folder.path().join("tables/accuracy.csv"), "task,memory,accuracy_mean\ndigits,ip,0.999\n")
        .unwrap();
    std::fs::remove_file(folder.path().join("figures/accuracy.svg")).unwrap();
    std::fs::write(folder.path().join("jobs/extra.toml"), "").unwrap();
    let found = failed(&verify(folder.path(), &[]).unwrap());
    assert_eq!(found[1..], ["figures/accuracy.svg", "tables/accuracy.csv", "jobs/extra.toml"]);
}
