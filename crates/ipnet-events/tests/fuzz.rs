//! The fuzz targets on a stable compiler: mutated recordings, and what reading them may allocate.
//!
//! `cargo test` gives each format a moment; `IPNET_FUZZ_SECONDS=60 IPNET_FUZZ_FORMAT=aedat4` (recipe `fuzz-stable`) as long
//! as wanted. Seeds are small written recordings and, where `IPNET_DATA` names them, the heads of real ones. Mutations are
//! drawn from a named stream, so that a failure's number repeats it. Coverage does not guide them: `cargo fuzz` (recipe
//! `fuzz`) does that with the same targets.

#[path = "formats/sample.rs"]
mod sample;
#[path = "../../../fuzz/src/lib.rs"]
mod target;

use ipnet_events::aedat4::Compression;
use ipnet_events::{Aedat4Writer, EventWriter, Format};
use ipnet_rng::Stream;
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Counts the bytes in use, and the most there have been.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    MOST.fetch_max(IN_USE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call is the system allocator's; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.realloc(old, layout, size) }
    }
    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FORMATS: [Format; 8] = [
    Format::Aedat2,
    Format::Aedat31,
    Format::Aedat4,
    Format::Dat,
    Format::Evt2,
    Format::Evt3,
    Format::Csv,
    Format::Bin,
];
/// Bytes of a mutated recording, at most.
const MAX_BYTES: usize = 1 << 16;

/// What a read of `bytes` bytes may hold at once, beside the input: buffers and a chunk of events; for AEDAT 4 what packets
/// of these bytes unpack to (LZ4 makes 255 bytes of one at most, Zstandard is held to 32 MiB a packet).
fn allowed(format: Format, bytes: usize) -> usize {
    match format {
        Format::Aedat4 => (520 << 20) + 300 * bytes,
        _ => (6 << 20) + 40 * bytes,
    }
}

fn seeds(format: Format) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed");
    let sensor = match format {
        Format::Bin => (34, 34),
        Format::Aedat2 => (240, 180),
        _ => (346, 260),
    };
    let mut seeds = Vec::new();
    let mut keep = |mut writer: Box<dyn EventWriter>, count: usize| {
        writer.write(&sample::some_events(count, sensor)).unwrap();
        writer.finish().unwrap();
        seeds.push(std::fs::read(&path).unwrap());
    };
    for count in [0, 3, 300] {
        keep(format.create(&path, sensor).unwrap(), count);
        if format == Format::Aedat4 {
            for compression in [Compression::None, Compression::Zstd] {
                keep(Box::new(Aedat4Writer::create(&path, sensor, compression).unwrap()), count);
            }
        }
    }
    if let Some(data) = std::env::var_os("IPNET_DATA") {
        real_heads(Path::new(&data), format, &mut seeds);
    }
    seeds.iter_mut().for_each(|seed| seed.truncate(MAX_BYTES / 2));
    seeds
}

/// Adds the heads of the recordings in `format` under `folder`, the first of each folder.
fn real_heads(folder: &Path, format: Format, seeds: &mut Vec<Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut taken = 0;
    for path in paths {
        if path.is_dir() {
            real_heads(&path, format, seeds);
        } else if taken < 4 && path.extension().is_some() && Format::detect(&path).is_ok_and(|f| f == format)
        {
            seeds.extend(std::fs::read(&path));
            taken += 1;
        }
    }
}

/// `bytes` with one to eight mutations.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Stream) {
    const WORDS: [u32; 10] = [0, 1, 7, 8, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    for _ in 0..=random.below(8) {
        let len = bytes.len();
        let at = random.below(len.max(1));
        match random.below(8) {
            _ if len == 0 => bytes.extend_from_slice(&seeds[random.below(seeds.len())]),
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.below(256) as u8,
            3 => {
                let word = WORDS[random.below(WORDS.len())].to_le_bytes();
                let count = [1, 2, 4][random.below(3)].min(len - at);
                bytes[at..at + count].copy_from_slice(&word[..count]);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..(at + 1 + random.below(64)).min(len))),
            6 => {
                let part = bytes[at..(at + 1 + random.below(256)).min(len)].to_vec();
                let to = random.below(len);
                bytes.splice(to..to, part);
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len().max(1)).min(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        bytes.truncate(MAX_BYTES);
    }
}

#[test]
fn mutated_recordings_neither_panic_nor_hang_nor_allocate_beyond_the_bound() {
    let seconds = std::env::var("IPNET_FUZZ_SECONDS").ok().and_then(|s| s.parse::<f64>().ok());
    let only = std::env::var("IPNET_FUZZ_FORMAT").ok();
    let mut ran = 0;
    for format in FORMATS.into_iter().filter(|f| only.as_deref().is_none_or(|name| name == f.name())) {
        let seeds = seeds(format);
        let mut random = Stream::named(11, &format!("fuzz/{format}"));
        let started = Instant::now();
        let mut bytes = Vec::new();
        let (mut runs, mut slowest, mut most) = (0u64, Duration::ZERO, 0);
        // Without a time, a number: a test does the same work everywhere.
        while seconds.map_or(runs < 400, |s| started.elapsed().as_secs_f64() < s) {
            bytes.clone_from(&seeds[random.below(seeds.len())]);
            mutate(&mut bytes, &seeds, &mut random);
            let before = IN_USE.load(Relaxed);
            MOST.store(before, Relaxed);
            let one = Instant::now();
            target::read(format, &bytes);
            slowest = slowest.max(one.elapsed());
            let used = MOST.load(Relaxed) - before;
            most = most.max(used);
            assert!(used <= allowed(format, bytes.len()), "{format} run {runs}: {used} bytes in use");
            assert!(slowest < Duration::from_secs(20), "{format} run {runs} took {slowest:?}");
            runs += 1;
        }
        println!(
            "{format}: {runs} runs in {:.1} s, {} seeds, slowest {slowest:?}, most in use {most} bytes",
            started.elapsed().as_secs_f64(),
            seeds.len()
        );
        ran += 1;
    }
    assert!(ran > 0, "no format called {only:?}");
}
