//! A sweep: networks over device sets, placements, memories, folds and seeds, described in TOML.
//! ```toml
//! task = "digits-in-time-20"
//! folds = 5                      # cut all clips into five; without it, the data set's own parts
//!
//! [train]                        # what differs from the task's own training
//! epochs = 10
//!
//! [[grid]]                       # grids are run in order; each key is a value or a list of values
//! memory = ["ip", "ema"]
//! placement = ["sensor", "head"]
//! device = "default"             # as for --device
//! fold = [1, 2]                  # default: all of them
//! seed = [1, 2, 3]               # default: 1
//! ```
//! Design decision: the order of the file is the order of the work, so that a sweep that takes hours answers its first
//! question first; a job that two grids name is run once. Seeds vary slowest within a grid, then folds, then networks: what
//! is done when a sweep is stopped is a comparison of all networks on fewer seeds, not of fewer networks.

use super::grid::open_growing_run;
use super::job::file_name;
use super::{Effort, Job, JobDevice, JobResult, job_id, run_with_progress};
use crate::notice::notice;
use crate::run::{RunDir, read_job};
use crate::table::Table;
use crate::task::{DataFolder, Fold, Shelf, TaskName};
use crate::train::TrainConfig;
use crate::{Error, Result};
use ipnet_device::DeviceSet;
use ipnet_zoo::{Backbone, Firing, Memory, NetSpec, Placement};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One job of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepJob {
    /// The network.
    pub spec: NetSpec,
    /// The device set, as for `--device`.
    pub device: String,
    /// The fold.
    pub fold: Option<Fold>,
    /// The seed.
    pub seed: u64,
}

/// A sweep, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// The task.
    pub task: TaskName,
    /// How networks are trained.
    pub config: TrainConfig,
    /// The jobs in their order, each once.
    pub jobs: Vec<SweepJob>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    task: String,
    folds: Option<usize>,
    #[serde(default)]
    train: toml::Table,
    grid: Vec<Grid>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    #[serde(default)]
    backbone: List<Backbone>,
    #[serde(default)]
    width: List<usize>,
    memory: List<Memory>,
    #[serde(default)]
    placement: List<Placement>,
    #[serde(default)]
    firing: List<Firing>,
    #[serde(default)]
    device: List<String>,
    #[serde(default)]
    fold: List<usize>,
    #[serde(default)]
    seed: List<u64>,
}

/// A value or a list of values.
struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let values = match toml::Value::deserialize(deserializer)? {
            toml::Value::Array(values) if values.is_empty() => {
                return Err(D::Error::custom(
                    "expected a value or a list with at least one, found an empty list",
                ));
            }
            toml::Value::Array(values) => values,
            value => vec![value],
        };
        let parse = |value: toml::Value| {
            value.try_into().map_err(|error: toml::de::Error| D::Error::custom(error.message()))
        };
        Ok(Self(values.into_iter().map(parse).collect::<std::result::Result<_, _>>()?))
    }
}

impl<T: Clone> List<T> {
    fn or(&self, default: T) -> Vec<T> {
        if self.0.is_empty() { vec![default] } else { self.0.clone() }
    }
}

impl Sweep {
    /// Reads and checks a sweep file.
    ///
    /// # Errors
    /// A file that cannot be read, TOML errors with their line, an unknown task, a network that makes no sense with the number
    /// of its grid, a fold that there is not, training values without meaning.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let malformed = |error: toml::de::Error| Error::Malformed {
            path: path.into(),
            line: error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count()),
            expected: "a sweep: task, folds, [train], [[grid]]",
            found: error.message().to_owned(),
        };
        let file: File = toml::from_str(text).map_err(malformed)?;
        let refuse = |what: String, expected: String, found: String| Error::Argument {
            what: format!("{}: {what}", path.display()),
            expected,
            found,
        };
        let task = TaskName::parse(&file.task)?;
        let config = overridden(task.training(), file.train).map_err(|message| {
            refuse(
                "[train]".into(),
                "keys of the training, e.g. epochs, batch, learning_rate".into(),
                message,
            )
        })?;
        config.validate()?;
        if let Some(folds) = file.folds.filter(|folds| !(2..=100).contains(folds)) {
            return Err(refuse("folds".into(), "2 to 100".into(), folds.to_string()));
        }
        if file.grid.is_empty() {
            return Err(refuse("[[grid]]".into(), "at least one".into(), "none".into()));
        }
        let (mut jobs, mut known, mut devices) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        for (number, grid) in (1..).zip(&file.grid) {
            let folds = grid_folds(grid, file.folds)
                .map_err(|(expected, found)| refuse(format!("grid {number}: fold"), expected, found))?;
            let specs = grid_specs(grid).map_err(|error| {
                let inside = "a network that makes sense for every combination of the grid's keys".into();
                refuse(format!("grid {number}"), inside, error.to_string())
            })?;
            for device in grid.device.or("default".into()) {
                let first = devices.entry(file_name(&device)).or_insert_with(|| device.clone());
                if *first != device {
                    let found = format!("{first} and {device}");
                    return Err(refuse(
                        format!("grid {number}: device"),
                        "names that differ in letters and digits".into(),
                        found,
                    ));
                }
            }
            for seed in grid.seed.or(1) {
                for &fold in &folds {
                    for &spec in &specs {
                        for device in grid.device.or("default".into()) {
                            let job = SweepJob { spec, device, fold, seed };
                            if known.insert(job.id(task)) {
                                jobs.push(job);
                            }
                        }
                    }
                }
            }
        }
        Ok(Self { task, config, jobs })
    }

    /// Different values of the jobs, sorted.
    fn distinct<T: Ord>(&self, value: impl Fn(&SweepJob) -> T) -> Vec<T> {
        self.jobs.iter().map(value).collect::<BTreeSet<T>>().into_iter().collect()
    }
}

impl SweepJob {
    /// The job's name in the run's folder.
    pub fn id(&self, task: TaskName) -> String {
        job_id(task.name(), self.fold, &self.spec, &self.device, self.seed)
    }
}

/// The task's training with the keys of `changes` replaced.
fn overridden(config: TrainConfig, changes: toml::Table) -> std::result::Result<TrainConfig, String> {
    let mut table = toml::Table::try_from(config).map_err(|error| error.to_string())?;
    for (key, value) in changes {
        // 1 is as good as 1.0 for a key that is a real number.
        let value = match (table.get(&key), value) {
            (Some(toml::Value::Float(_)), toml::Value::Integer(whole)) => toml::Value::Float(whole as f64),
            (_, value) => value,
        };
        table.insert(key, value);
    }
    table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

fn grid_folds(grid: &Grid, of: Option<usize>) -> std::result::Result<Vec<Option<Fold>>, (String, String)> {
    match (of, grid.fold.0.as_slice()) {
        (None, []) => Ok(vec![None]),
        (None, numbers) => {
            Err(("`folds` at the top of the file".into(), format!("fold = {numbers:?} and no folds")))
        }
        (Some(of), []) => Ok((1..=of).map(|number| Some(Fold { number, of })).collect()),
        (Some(of), numbers) => match numbers.iter().find(|number| !(1..=of).contains(number)) {
            Some(number) => Err((format!("1 to {of}"), number.to_string())),
            None => Ok(numbers.iter().map(|&number| Some(Fold { number, of })).collect()),
        },
    }
}

fn grid_specs(grid: &Grid) -> std::result::Result<Vec<NetSpec>, ipnet_zoo::Error> {
    let widths: Vec<Option<usize>> =
        if grid.width.0.is_empty() { vec![None] } else { grid.width.0.iter().copied().map(Some).collect() };
    let mut specs = Vec::new();
    for backbone in grid.backbone.or(Backbone::default()) {
        for &width in &widths {
            for &memory in &grid.memory.0 {
                for placement in grid.placement.or(Placement::default()) {
                    for firing in grid.firing.or(Firing::default()) {
                        let spec = NetSpec { backbone, width, memory, placement, firing };
                        spec.validate()?;
                        specs.push(spec);
                    }
                }
            }
        }
    }
    Ok(specs)
}

/// A sweep and where it runs.
#[derive(Debug, Clone)]
pub struct SweepRun {
    /// The sweep.
    pub sweep: Sweep,
    /// Real recordings, where there are any.
    pub data: Option<DataFolder>,
    /// The run's folder.
    pub out: PathBuf,
    /// How jobs run.
    pub effort: Effort,
    /// The command line, for the manifest.
    pub command: String,
}

/// Runs the jobs that are not done yet and gives the tables of all (see [`sweep_tables`]).
///
/// # Errors
/// Any of the layers'; what was finished is kept and a second call goes on from there.
pub fn run_sweep(plan: &SweepRun) -> Result<Table> {
    let sweep = &plan.sweep;
    let mut devices = Vec::new();
    for name in sweep.distinct(|job| job.device.clone()) {
        devices.push(JobDevice::new(&name, &DeviceSet::load(&name)?)?);
    }
    let (backend, seeds) = (plan.effort.backend, sweep.distinct(|job| job.seed));
    let mut run = open_growing_run(backend, &plan.out, &plan.command, &devices, &seeds)?;
    same_settings(sweep, &plan.out)?;
    say_left_out(sweep, &plan.out)?;
    let mut shelf = Shelf::new(plan.data.as_ref(), run.path().join("recordings"));
    for fold in sweep.distinct(|job| job.fold) {
        shelf.load(sweep.task, fold)?;
        run.record_data(shelf.get(sweep.task, fold)?.source())?;
    }
    let find = |job: &SweepJob| -> Option<Job<'_>> {
        let task = shelf.get(sweep.task, job.fold).ok()?;
        let device = devices.iter().find(|device| device.name == job.device)?;
        Some(Job { task, spec: job.spec, device, seed: job.seed, config: sweep.config })
    };
    let jobs: Vec<Job<'_>> = sweep.jobs.iter().filter_map(find).collect();
    if !run.resumed() {
        run.finish_job(SETTINGS, &Settings::of(sweep))?;
    }
    let results = run_with_progress(&run, &jobs, &plan.effort)?;
    let found: Vec<Option<JobResult>> = results.into_iter().map(Some).collect();
    let table = write_tables(&run, sweep, &found)?;
    run.finish()?;
    Ok(table)
}

/// The tables of the jobs that are finished in the run's folder, without running any: one row per network and device set
/// (`sweep`), and one per job (`sweep_jobs`).
///
/// # Errors
/// A folder or a result that cannot be read, results of other settings.
pub fn sweep_tables(sweep: &Sweep, out: &Path) -> Result<[Table; 2]> {
    if !out.join("manifest.json").is_file() {
        return Err(Error::Argument {
            what: out.display().to_string(),
            expected: "the folder of a sweep that was started".into(),
            found: if out.exists() { "no manifest.json in it" } else { "nothing of that name" }.into(),
        });
    }
    same_settings(sweep, out)?;
    let read = |job: &SweepJob| read_job::<JobResult>(out, &job.id(sweep.task));
    let found = sweep.jobs.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok([super::sweep_table::networks(sweep, &found)?, super::sweep_table::jobs(sweep, &found)?])
}

/// What all jobs of a sweep share, kept beside their results from the run's beginning.
#[derive(PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    task: String,
    train: TrainConfig,
}

/// Name of the file of [`Settings`].
const SETTINGS: &str = "sweep.settings";

impl Settings {
    fn of(sweep: &Sweep) -> Self {
        Self { task: sweep.task.name().to_owned(), train: sweep.config }
    }

    /// Its keys and values, each on a line of its own.
    fn lines(&self) -> Result<Vec<String>> {
        let encoded = |error: toml::ser::Error| Error::Encode {
            path: SETTINGS.into(),
            format: "TOML",
            message: error.to_string(),
        };
        Ok(toml::to_string(self).map_err(encoded)?.lines().map(str::to_owned).collect())
    }
}

/// Refuses the folder of a sweep that trained with other settings, naming those that differ.
fn same_settings(sweep: &Sweep, out: &Path) -> Result<()> {
    let Some(kept) = read_job::<Settings>(out, SETTINGS)?.filter(|kept| *kept != Settings::of(sweep)) else {
        return Ok(());
    };
    let (ours, theirs) = (Settings::of(sweep).lines()?, kept.lines()?);
    let without = |all: &[String], those: &[String]| {
        all.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>().join(", ")
    };
    Err(Error::OtherRun {
        path: out.to_path_buf(),
        field: "[train]",
        expected: without(&ours, &theirs),
        found: without(&theirs, &ours),
    })
}

/// Says how many finished networks in the run's folder the sweep does not name, as where its grids have shrunk or another file of
/// the same name came before. They are kept, but its tables, which take the place of the old ones, leave them out.
fn say_left_out(sweep: &Sweep, out: &Path) -> Result<()> {
    let named: BTreeSet<String> = sweep.jobs.iter().map(|job| job.id(sweep.task) + ".toml").collect();
    let of_task = format!("{}.", sweep.task.name());
    let jobs = out.join("jobs");
    let mut left_out = 0;
    for entry in std::fs::read_dir(&jobs).map_err(Error::io(&jobs, "list"))? {
        let name = entry.map_err(Error::io(&jobs, "list"))?.file_name().to_string_lossy().into_owned();
        left_out += usize::from(name.starts_with(&of_task) && !named.contains(&name));
    }
    if left_out > 0 {
        notice(format_args!(
            "note: {} holds finished networks that this sweep does not name ({left_out}): its tables leave them out",
            out.display()
        ));
    }
    Ok(())
}

fn write_tables(run: &RunDir, sweep: &Sweep, found: &[Option<JobResult>]) -> Result<Table> {
    let table = super::sweep_table::networks(sweep, found)?;
    run.write_table("sweep", &table)?;
    run.write_markdown("sweep", &table)?;
    run.write_table("sweep_jobs", &super::sweep_table::jobs(sweep, found)?)?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Sweep> {
        Sweep::parse(Path::new("s.toml"), text)
    }

    #[test]
    fn grids_run_in_order_and_no_job_twice() {
        let sweep = parse(
            "task = \"digits-in-time-20\"\nfolds = 3\n[train]\nepochs = 2\nlearning_rate = 1\n\
             [[grid]]\nmemory = \"ip\"\nplacement = \"sensor\"\nfold = 2\n\
             [[grid]]\nmemory = [\"ip\", \"lif\"]\nplacement = \"sensor\"\nseed = [1, 2]",
        );
        let sweep = sweep.unwrap();
        assert_eq!((sweep.config.epochs, sweep.config.learning_rate), (2, 1.0));
        let ids: Vec<String> = sweep.jobs.iter().map(|job| job.id(sweep.task)).collect();
        assert_eq!(ids.len(), 2 * 3 * 2);
        let expected = ["fold2of3.ip.sensor.seed1", "fold1of3.ip.sensor.seed1", "fold1of3.lif.sensor.seed1"];
        for (id, expected) in ids.iter().zip(expected) {
            assert_eq!(*id, format!("digits-in-time-20.{expected}"));
        }
    }

    #[test]
    fn bad_sweeps_are_refused_with_the_place_at_fault() {
        let grid = "[[grid]]\nmemory = \"none\"\n";
        for (text, parts) in [
            ("task = \"digits\"\n[[grid]]\nmemory = \"none\"".into(), ["digits-in-time-20", "digits"]),
            ("task = \"gestures-11\"\ngrid = []".into(), ["[[grid]]", "none"]),
            (format!("task = \"gestures-11\"\nfold = 5\n{grid}"), ["line 2", "fold"]),
            (format!("task = \"gestures-11\"\n{grid}fold = 1"), ["folds", "grid 1"]),
            (format!("task = \"gestures-11\"\nfolds = 5\n{grid}fold = [5, 6]"), ["1 to 5", "6"]),
            (format!("task = \"gestures-11\"\n{grid}\n{grid}placement = \"head\""), ["grid 2", "placement"]),
            ("task = \"gestures-11\"\n[[grid]]\nmemory = \"elephant\"".into(), ["elephant", "lstm"]),
            ("task = \"gestures-11\"\n[[grid]]\nmemory = []".into(), ["empty list", "line 3"]),
            (format!("task = \"gestures-11\"\n[train]\nepoch = 3\n{grid}"), ["[train]", "epoch"]),
            (format!("task = \"gestures-11\"\n[train]\nbatch = 0\n{grid}"), ["batch", "1 to 100000"]),
            (
                "task = \"gestures-11\"\n[[grid]]\nmemory = \"ip\"\nplacement = \"sensor\"\ndevice = [\"a/b.toml\", \"a-b.toml\"]".into(),
                ["grid 1: device", "a/b.toml and a-b.toml"],
            ),
        ] {
            let text: String = text;
            let message = parse(&text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}\n{message}");
        }
    }
}
