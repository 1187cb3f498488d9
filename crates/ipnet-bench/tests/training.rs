//! Training is a function of its seed: not of threads, not of interruptions; and it learns what it is asked to.

use ipnet_bench::study::{Effort, JobDevice, grid, open_run, run_with_progress};
use ipnet_bench::task::{Classification, Direction, Fold, FrameSet, Task};
use ipnet_bench::train::{About, EpochRecord, Keep, Outcome, Progress, Rule, TrainConfig, evaluate, train};
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
        mean_window_us: 0.0,
    };
    Classification::new("bars-4", frames, Some(Direction::Merge), 0.2, 7).unwrap()
}

fn config(epochs: usize) -> TrainConfig {
    TrainConfig { epochs, batch: 8, learning_rate: 1e-2, max_shift_px: 1, ..TrainConfig::default() }
}

fn device() -> JobDevice {
    JobDevice::new("default", &DeviceSet::load("default").unwrap()).unwrap()
}

fn about(spec: NetSpec) -> About {
    About {
        task: "bars-4".into(),
        fold: None,
        data_sha256: String::new(),
        seed: 1,
        device: "default".into(),
        device_sha256: String::new(),
        spec,
        config: config(4),
        sensor_gain_v: None,
    }
}

fn law() -> Arc<StepLaw> {
    Arc::new(DeviceSet::load("default").unwrap().reduce().unwrap().law)
}

fn network(task: &Classification, spec: NetSpec) -> Network {
    Network::new(&spec, task.input(), task.outputs(), Some(&law()), 1).unwrap()
}

/// Keeps a copy of the checkpoint as it was after `epoch`.
struct CopyAfter<'a> {
    epoch: usize,
    from: &'a Path,
    to: &'a Path,
}

impl Progress for CopyAfter<'_> {
    fn resumed(&mut self, _: usize) -> ipnet_bench::Result<()> {
        Ok(())
    }
    fn updates(&mut self, _: usize, _: usize) {}
    fn epoch(&mut self, record: &EpochRecord) -> ipnet_bench::Result<()> {
        // The callback comes before the epoch's own checkpoint: the file is the one of the epoch before.
        if record.epoch == self.epoch + 1 {
            std::fs::copy(self.from, self.to).unwrap();
        }
        Ok(())
    }
}

struct Silent;
impl Progress for Silent {
    fn resumed(&mut self, _: usize) -> ipnet_bench::Result<()> {
        Ok(())
    }
    fn updates(&mut self, _: usize, _: usize) {}
    fn epoch(&mut self, _: &EpochRecord) -> ipnet_bench::Result<()> {
        Ok(())
    }
}

#[test]
fn a_run_that_was_killed_ends_like_one_that_was_not() {
    killed_and_not(Rule::Adamw);
    killed_and_not(Rule::Sgd);
}

fn killed_and_not(optimiser: Rule) {
    let config = |epochs| TrainConfig { optimiser, drop_share: 0.1, ..config(epochs) };
    let (task, folder) = (task(24), tempfile::tempdir().unwrap());
    let spec = NetSpec::plain(Memory::Ip, Placement::Sensor);
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let about = about(spec);
    let at = |path, identity| Keep { path, identity, about: &about };
    let mut copy = CopyAfter { epoch: 2, from: &whole, to: &broken };
    let unbroken =
        train(&task, &network(&task, spec), &config(4), 1, Some(&at(&whole, "id")), &mut copy).unwrap();
    let net = network(&task, spec);
    let resumed = train(&task, &net, &config(4), 1, Some(&at(&broken, "id")), &mut Silent).unwrap();
    assert_eq!(resumed, unbroken);
    assert_eq!(std::fs::read(&whole).unwrap().len(), std::fs::read(&broken).unwrap().len());

    let error = train(&task, &net, &config(4), 1, Some(&at(&whole, "other")), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("a checkpoint of run other"), "{error}");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
    let error = train(&task, &net, &config(4), 1, Some(&at(&whole, "id")), &mut Silent).unwrap_err();
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
        task.direction(&outcome.last.outputs, &task.splits().test).unwrap()
    };
    // Exactly half: a clip and its reversal get the same outputs, and each is right for one of the two.
    assert_eq!(direction(Memory::None, Placement::None), 0.5);
    assert!(direction(Memory::Ip, Placement::Sensor) > 0.9);
}

#[test]
fn a_study_keeps_finished_jobs_and_its_metrics_in_order() {
    let (task, folder) = (task(24), tempfile::tempdir().unwrap());
    let device = device();
    let specs =
        [NetSpec::plain(Memory::None, Placement::None), NetSpec::plain(Memory::Ip, Placement::Sensor)];
    let jobs = grid([(&task as &dyn Task, config(2))], &specs, &device, &[1, 2]);
    let study = |name: &str, threads: usize| {
        let path: PathBuf = folder.path().join(name);
        let run = open_run(&path, "test", std::slice::from_ref(&device), &[1, 2]).unwrap();
        let results = run_with_progress(&run, &jobs, &Effort { threads, ..Effort::default() }).unwrap();
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

    // Every weight is finite, but not what the second stage makes of them.
    let net = network(&task, NetSpec::default());
    let mut snapshot = net.parameters().snapshot().unwrap();
    let huge = snapshot[name].ones_like().unwrap().affine(3e38, 0.0).unwrap();
    snapshot.insert(name.into(), huge);
    net.parameters().restore(&snapshot).unwrap();
    let error = train(&task, &net, &config(1), 1, None, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("the output of stage2"), "{error}");
}

#[test]
fn training_ends_where_the_validation_score_has_stood_still() {
    let task = task(24);
    let net = network(&task, NetSpec::default());
    let config = TrainConfig { patience: 2, learning_rate: 1e-30, ..config(9) };
    let outcome = train(&task, &net, &config, 1, None, &mut Silent).unwrap();
    assert_eq!(outcome.history.len(), outcome.chosen_epoch + 2);
    assert!(outcome.history.len() < 9);
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

/// Clips of two classes that all look the same, for training.
fn two_classes(clips: usize, label: impl Fn(usize) -> usize, group: impl Fn(usize) -> usize) -> FrameSet {
    FrameSet {
        data: "any".into(),
        classes: vec!["a".into(), "b".into()],
        shape: [2, 1, 8, 8],
        labels: (0..clips).map(label).collect(),
        groups: (0..clips).map(|clip| group(clip).to_string()).collect(),
        parts: vec![Part::Train; clips],
        counts: vec![1; clips * 2 * 64],
        saturated: 0,
        framed_events: 0,
        late_events: 0,
        mean_window_us: 0.0,
    }
}

#[test]
fn each_clip_is_in_the_test_part_of_one_fold() {
    let clips = 23;
    let frames = two_classes(clips, |clip| usize::from(clip >= 11), |clip| clip);
    let mut tested = vec![0; clips];
    for number in 1..=5 {
        let task = Classification::fold("any", &frames, None, (0.1, 1), Fold { number, of: 5 }).unwrap();
        let splits = task.splits();
        splits.test.iter().for_each(|&clip| tested[clip] += 1);
        // 11 and 12 clips of the two classes: two or three of each.
        let of_class = |class| splits.test.iter().filter(|&&clip| task.label(clip) == class).count();
        assert!((2..=3).contains(&of_class(0)) && (2..=3).contains(&of_class(1)));
        let all = splits.train.len() + splits.validation.len() + splits.test.len();
        assert_eq!(all, clips);
        assert!(task.source().name.ends_with(&format!("fold{number}of5")));
    }
    assert_eq!(tested, vec![1; clips]);
    for (number, of) in [(0, 5), (6, 5), (1, 1), (1, 12)] {
        assert!(frames.fold(Fold { number, of }).is_err(), "{number} of {of}");
    }
}

/// Clips of one group (a subject) are not cut apart by a fold; fewer groups than folds, and a training part that validation would
/// empty, are refused.
#[test]
fn a_group_is_in_the_test_part_of_one_fold() {
    let clips = 12;
    let frames = |groups: usize| two_classes(clips, |clip| clip % 2, |clip| clip % groups);
    let mut tested = vec![0; clips];
    for number in 1..=3 {
        let fold = frames(5).fold(Fold { number, of: 3 }).unwrap();
        for (clip, tested) in tested.iter_mut().enumerate() {
            assert_eq!(fold.parts[clip], fold.parts[clip % 5], "clip {clip} and its group");
            *tested += usize::from(fold.parts[clip] == Part::Test);
        }
    }
    assert_eq!(tested, vec![1; clips]);
    let error = frames(2).fold(Fold { number: 1, of: 3 }).unwrap_err().to_string();
    assert!(error.contains("at most 2 folds, one per group"), "{error}");
    let mut one_group = frames(1);
    one_group.parts[0] = Part::Test;
    let error = Classification::new("any", one_group, None, 0.2, 7).unwrap_err().to_string();
    assert!(error.contains("training part of task any") && error.contains("found one"), "{error}");
}
