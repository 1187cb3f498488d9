//! The cache of decoded clips: found, built, damaged, killed, fought over, without room.

use ipnet_events::cache::{CacheState, Cached, SourceFiles};
use ipnet_events::{Dataset, Error, Events, Part, Sample, SampleInfo};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A data set of numbers that counts how often it decodes, and may be slow.
struct Numbers {
    samples: Vec<SampleInfo>,
    source: PathBuf,
    decoded: AtomicUsize,
    pause: Duration,
}

impl Numbers {
    fn new(source: &Path, pause: Duration) -> Self {
        let info = |i: usize| SampleInfo { label: i % 3, group: format!("g{i}"), part: Part::Train };
        let samples = (0..200).map(info).collect();
        Self { samples, source: source.to_owned(), decoded: AtomicUsize::new(0), pause }
    }
}

impl Dataset for Numbers {
    fn name(&self) -> &str {
        "numbers"
    }
    fn sensor_size(&self) -> (u16, u16) {
        (300, 300)
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn samples(&self) -> &[SampleInfo] {
        &self.samples
    }
    fn sample(&self, index: usize) -> Result<Sample, Error> {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(self.pause);
        let mut events = Events::default();
        for i in 0..(index * 37) % 500 {
            events.push((i * i) as u64, ((i * 7) % 300) as u16, (i % 300) as u16, i % 5 == 0);
        }
        Ok(Sample { events, label: index % 3, duration_us: 250_000 + index as u64 })
    }
}

impl SourceFiles for Numbers {
    fn source_files(&self) -> Vec<PathBuf> {
        vec![self.source.clone()]
    }
}

struct Place {
    _dir: tempfile::TempDir,
    source: PathBuf,
    cache: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (source, cache) = (dir.path().join("source"), dir.path().join("cache"));
    std::fs::write(&source, "as it is").unwrap();
    Place { _dir: dir, source, cache }
}

impl Place {
    /// Opens the cache, checks every sample, and gives the state and how many samples were decoded.
    fn open(&self) -> (CacheState, usize) {
        let set = Cached::open(Numbers::new(&self.source, Duration::ZERO), &self.cache).unwrap();
        let plain = Numbers::new(&self.source, Duration::ZERO);
        for index in 0..set.len() {
            assert_eq!(set.sample(index).unwrap(), plain.sample(index).unwrap(), "sample {index}");
        }
        (set.state().clone(), set.inner().decoded.load(Ordering::Relaxed))
    }

    /// The files of the cache whose names contain `what`.
    fn files(&self, what: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.cache) else { return Vec::new() };
        entries.map(|e| e.unwrap().path()).filter(|p| p.to_string_lossy().contains(what)).collect()
    }

    fn file(&self) -> PathBuf {
        let files: Vec<PathBuf> =
            self.files(".clips").into_iter().filter(|p| p.extension().unwrap() == "clips").collect();
        assert_eq!(files.len(), 1);
        files[0].clone()
    }

    /// A process of its own that opens the cache, slowly; `limit` precedes it in the shell.
    fn child(&self, limit: &str) -> Command {
        let mut command = Command::new("sh");
        let program = std::env::current_exe().unwrap();
        command
            .arg("-c")
            .arg(format!("{limit} exec '{}' child --exact --ignored --nocapture", program.display()));
        command.env("CACHE_TEST_SOURCE", &self.source).env("CACHE_TEST_DIR", &self.cache);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// Not a test: what [`Place::child`] runs.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn child() {
    let (Some(source), Some(dir)) =
        (std::env::var_os("CACHE_TEST_SOURCE"), std::env::var_os("CACHE_TEST_DIR"))
    else {
        return;
    };
    let set = Cached::open(Numbers::new(Path::new(&source), Duration::from_millis(5)), dir).unwrap();
    let decoded = set.inner().decoded.load(Ordering::Relaxed);
    let whole = (0..set.len()).all(|i| set.sample(i).is_ok());
    println!("state {:?}, decoded {decoded}, whole {whole}", set.state());
}

#[test]
fn the_second_run_decodes_nothing() {
    let place = place();
    assert_eq!(place.open(), (CacheState::Built, 200));
    assert_eq!(place.open(), (CacheState::Found, 0));
}

#[test]
fn a_changed_source_has_its_own_file() {
    let place = place();
    place.open();
    std::fs::write(&place.source, "as it is no more").unwrap();
    assert_eq!(place.open(), (CacheState::Built, 200));
}

#[test]
fn a_cut_file_is_built_anew() {
    let place = place();
    place.open();
    let bytes = std::fs::read(place.file()).unwrap();
    for keep in [0, 1, 63, 64, bytes.len() / 2, bytes.len() - 64, bytes.len() - 1] {
        std::fs::write(place.file(), &bytes[..keep]).unwrap();
        assert_eq!(place.open(), (CacheState::Built, 200), "cut to {keep} bytes");
    }
    assert_eq!(std::fs::read(place.file()).unwrap(), bytes);
}

/// Whichever byte is wrong, the samples are right, and the file is gone or whole afterwards.
#[test]
fn a_damaged_file_never_gives_wrong_events() {
    let place = place();
    place.open();
    let bytes = std::fs::read(place.file()).unwrap();
    let mut stream = ipnet_rng::Stream::named(6, "cache/damage");
    for _ in 0..25 {
        let mut damaged = bytes.clone();
        damaged[stream.below(bytes.len())] ^= 1 << stream.below(8);
        let path = place.cache.join(place.file());
        std::fs::write(&path, damaged).unwrap();
        place.open();
        place.open();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn a_builder_that_is_killed_leaves_nothing_that_looks_like_a_cache() {
    let place = place();
    let mut child = place.child("").spawn().unwrap();
    let start = Instant::now();
    while place.files(".partial-").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "the child does not build");
        std::thread::sleep(Duration::from_millis(5));
    }
    // SIGKILL: no destructor runs.
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.files(".partial-").len(), 1);
    assert_eq!(place.open(), (CacheState::Built, 200));
    assert!(place.files(".partial-").is_empty(), "what the killed builder left is gone");
}

#[test]
fn of_two_processes_one_builds_and_the_other_waits() {
    let place = place();
    let children = [place.child("").spawn().unwrap(), place.child("").spawn().unwrap()];
    let mut said: Vec<String> = children
        .into_iter()
        .map(|child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
        .map(|text| text.lines().find_map(|l| l.find("state").map(|at| l[at..].to_owned())).unwrap())
        .collect();
    said.sort();
    assert_eq!(said, ["state Built, decoded 200, whole true", "state Found, decoded 0, whole true"]);
    assert_eq!(place.open(), (CacheState::Found, 0));
}

/// A limit on the size of files fails in the middle of writing, as a full disk does.
#[test]
#[cfg(target_os = "linux")]
fn without_room_the_samples_are_decoded_and_the_next_run_builds() {
    let place = place();
    let output = place.child("trap '' XFSZ; ulimit -f 8;").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("state Off(") && said.contains("whole true"), "{said}");
    assert!(place.files(".clips").is_empty() || place.files(".partial-").is_empty());
    assert_eq!(place.open(), (CacheState::Built, 200));
}

#[test]
fn where_nothing_can_be_written_the_samples_are_decoded() {
    let place = place();
    // A file where the folder should be: not even the superuser can write into it.
    std::fs::write(&place.cache, "").unwrap();
    let (state, decoded) = place.open();
    assert!(matches!(state, CacheState::Off(_)), "{state:?}");
    assert_eq!(decoded, 200);
}
