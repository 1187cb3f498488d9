//! Training is a function of its seed: not of threads, not of interruptions; and it learns what it is asked to.

use ipnet_bench::run::{DeviceSet as DeviceEntry, Manifest, RunDir};
use ipnet_bench::study::{Job, StudyProgress, run_jobs};
use ipnet_bench::task::{Classification, Direction, FrameSet, Task};
use ipnet_bench::train::{EpochRecord, Outcome, Progress, TrainConfig, evaluate, train};
use ipnet_device::{DeviceSet, StepLaw};
use ipnet_events::Part;
use ipnet_rng::Stream;
use ipnet_zoo::{Firing, Memory, NetSpec, Network, Placement, TemporalNet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A bar that sweeps over 8 x 8 pixels, to the right (class 0) or down (class 1), with noise; and backwards.
fn task(clips: usize) -> Classification {
    let shape = [6, 1, 8, 8];
    let mut counts = Vec::new();
    for clip in 0..clips {
        let mut stream = Stream::named(3, &format!("clip{clip}"));
        let phase = stream.below(2);
        for t in 0..6 {
            for y in 0..8 {
                for x in 0..8 {
                    let along = if clip % 2 == 0 { x } else { y };
                    let bar = if along == t + phase { 2 } else { 0 };
                    counts.push((bar + stream.poisson(0.05)) as u8);
                }
            }
        }
    }
    let frames = FrameSet {
        data: "bars".into(),
        classes: vec!["right".into(), "down".into()],
        shape,
        labels: (0..clips).map(|clip| clip % 2).collect(),
        groups: (0..clips).map(|clip| format!("clip{clip}")).collect(),
        parts: (0..clips).map(|clip| if clip % 8 < 6 { Part::Train } else { Part::Test }).collect(),
        counts,
        saturated: 0,
        framed_events: 0,
        late_events: 0,
    };
    Classification::new("bars-4", frames, Some(Direction::Merge), 0.2, 7).unwrap()
}

fn config(epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch: 8,
        learning_rate: 1e-2,
        weight_decay: 1e-2,
        clip_norm: 1.0,
        label_smoothing: 0.0,
        max_shift_px: 1,
    }
}

fn law() -> Arc<StepLaw> {
    Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law)
}

fn network(task: &Classification, spec: NetSpec) -> Network {
    Network::new(&spec, task.input(), task.outputs(), Some(&law()), 1).unwrap()
}

/// Keeps a copy of the checkpoint as it was after `epoch`.
struct Keep<'a> {
    epoch: usize,
    from: &'a Path,
    to: &'a Path,
}

impl Progress for Keep<'_> {
    fn resumed(&mut self, _: usize) {}
    fn updates(&mut self, _: usize, _: usize) {}
    fn epoch(&mut self, record: &EpochRecord) {
        // The callback comes before the epoch's own checkpoint: the file is the one of the epoch before.
        if record.epoch == self.epoch + 1 {
            std::fs::copy(self.from, self.to).unwrap();
        }
    }
}

struct Silent;
impl Progress for Silent {
    fn resumed(&mut self, _: usize) {}
    fn updates(&mut self, _: usize, _: usize) {}
    fn epoch(&mut self, _: &EpochRecord) {}
}

#[test]
fn a_run_that_was_killed_ends_like_one_that_was_not() {
    let (task, folder) = (task(24), tempfile::tempdir().unwrap());
    let spec = NetSpec::plain(Memory::Ip, Placement::Sensor);
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let mut keep = Keep { epoch: 2, from: &whole, to: &broken };
    let unbroken =
        train(&task, &network(&task, spec), &config(4), 1, Some((&whole, "id")), &mut keep).unwrap();
    let net = network(&task, spec);
    let resumed = train(&task, &net, &config(4), 1, Some((&broken, "id")), &mut Silent).unwrap();
    assert_eq!(resumed, unbroken);
    assert_eq!(std::fs::read(&whole).unwrap().len(), std::fs::read(&broken).unwrap().len());

    let error = train(&task, &net, &config(4), 1, Some((&whole, "other")), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("a checkpoint of run other"), "{error}");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
    let error = train(&task, &net, &config(4), 1, Some((&whole, "id")), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("whole"), "{error}");
}

#[test]
fn the_thread_count_changes_no_bit() {
    let task = task(24);
    for (memory, placement) in [(Memory::Ip, Placement::All), (Memory::Lstm, Placement::Head)] {
        let run = |threads: usize| -> Outcome {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let spec = NetSpec::plain(memory, placement);
            pool.install(|| train(&task, &network(&task, spec), &config(2), 1, None, &mut Silent).unwrap())
        };
        assert_eq!(run(1), run(3), "{memory}");
    }
}

#[test]
fn memory_learns_the_direction_of_time_and_its_absence_cannot() {
    let task = task(64);
    let direction = |memory, placement| {
        let spec = NetSpec::plain(memory, placement);
        let outcome = train(&task, &network(&task, spec), &config(12), 1, None, &mut Silent).unwrap();
        task.direction_accuracy(&outcome.last.outputs, &task.splits().test).unwrap()
    };
    // Exactly half: a clip and its reversal get the same outputs, and each is right for one of the two.
    assert_eq!(direction(Memory::None, Placement::None), 0.5);
    assert!(direction(Memory::Ip, Placement::Sensor) > 0.9);
}

#[test]
fn a_study_keeps_finished_jobs_and_its_metrics_in_order() {
    let (task, folder) = (task(24), tempfile::tempdir().unwrap());
    let jobs: Vec<Job<'_>> = [(Memory::None, Placement::None), (Memory::Ip, Placement::Sensor)]
        .into_iter()
        .flat_map(|(memory, placement)| [1, 2].map(|seed| (NetSpec::plain(memory, placement), seed)))
        .map(|(spec, seed)| Job { task: &task, spec, seed, config: config(2) })
        .collect();
    let study = |name: &str, threads: usize| {
        let path: PathBuf = folder.path().join(name);
        let device = DeviceEntry { name: "default".into(), sha256: "0".into() };
        let run = RunDir::create_or_resume(&path, Manifest::new("test", device, vec![], vec![1, 2])).unwrap();
        let results = run_jobs(&run, &jobs, &law(), "0", threads, &StudyProgress::new(8)).unwrap();
        (results, std::fs::read_to_string(path.join("metrics.jsonl")).unwrap())
    };
    let first = study("one", 1);
    assert_eq!(study("two", 2), first);
    let path = folder.path().join("one/jobs").join(format!("{}.toml", jobs[2].id()));
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(study("one", 2), first);
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
    assert_eq!(first.1.lines().count(), 8);
}

#[test]
fn a_loss_that_is_not_finite_ends_training_with_the_first_layer_at_fault() {
    let task = task(24);
    let net = network(&task, NetSpec::default());
    let mut snapshot = net.parameters().snapshot().unwrap();
    let name = "stage2.weight";
    let broken = (snapshot[name].clone() * f64::NAN).unwrap();
    snapshot.insert(name.into(), broken);
    net.parameters().restore(&snapshot).unwrap();
    let error = train(&task, &net, &config(1), 1, None, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("the parameter `stage2.weight` is not finite"), "{error}");
}

#[test]
fn evaluation_does_not_depend_on_the_batch_size() {
    let task = task(24);
    for firing in [Firing::Expected, Firing::Sampled] {
        let net = network(&task, NetSpec { firing, ..NetSpec::plain(Memory::Ip, Placement::All) });
        let outputs = |batch| evaluate(&task, &net, &task.splits().test, batch, 1).unwrap().outputs;
        assert_eq!(outputs(1), outputs(5), "{firing}");
    }
}
