//! A peer of an interleaved benchmark over stdin and stdout: one whole recording from the page cache into arrays.
//!
//! `event_decode --bench event_decode --params '{"format": "aedat31", "events": 10000000}'` finds the file
//! `$PEERS_DATA/<format>_<events>.<extension>`, checks every sum of its content against `events_<events>.npy`, prints
//! `READY {..}`, answers each line `run` with the seconds of a call after a burst of at least 50 ms, and `quit` with its
//! peak memory. The system's allocator is kept, so that the benchmark's settings of it hold.

use ipnet_events::{Error, Events, Format, OpenOptions, open};
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BURST: Duration = Duration::from_millis(50);

fn main() {
    match prepare() {
        Ok((path, options, info)) => {
            println!("READY {info}");
            serve(&path, &options);
        }
        Err(why) => println!("FAIL {why}"),
    }
}

fn prepare() -> Result<(PathBuf, OpenOptions, Value), String> {
    let arguments: Vec<_> = std::env::args().collect();
    let at = arguments.iter().position(|a| a == "--params").ok_or("no --params")?;
    let text = arguments.get(at + 1).ok_or("no --params")?;
    let params: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let name = params["format"].as_str().ok_or("no format")?;
    let count = params["events"].as_u64().ok_or("no number of events")?;
    let (format, extension) = match name {
        "aedat4_lz4" | "aedat4_zstd" | "aedat4_none" => (Format::Aedat4, "aedat4"),
        "aedat31" => (Format::Aedat31, "aedat"),
        "aedat2" => (Format::Aedat2, "aedat"),
        "h5" | "h5_gzip" => (Format::H5, "h5"),
        "dat" => (Format::Dat, "dat"),
        "evt2" => (Format::Evt2, "raw"),
        "evt3" => (Format::Evt3, "raw"),
        "nmnist" => (Format::Bin, "bin"),
        _ => return Err(format!("no format {name}")),
    };
    let folder = PathBuf::from(std::env::var_os("PEERS_DATA").ok_or("PEERS_DATA is not set")?);
    let path = folder.join(format!("{name}_{count}.{extension}"));
    let options = OpenOptions { sensor: Some((128, 128)), format: Some(format), ..OpenOptions::default() };

    let started = Instant::now();
    let events = read(&path, &options).map_err(|e| e.to_string())?;
    let first_s = started.elapsed().as_secs_f64();
    check(&events, &folder.join(format!("events_{count}.npy")), format)?;
    drop(events);
    let started = Instant::now();
    drop(read(&path, &options).map_err(|e| e.to_string())?);
    let warm_s = started.elapsed().as_secs_f64();
    let version = concat!("ipnet-events ", env!("CARGO_PKG_VERSION"));
    Ok((path, options, json!({"version": version, "first_s": first_s, "warm_s": warm_s, "check": "ok"})))
}

fn read(path: &Path, options: &OpenOptions) -> Result<Events, Error> {
    open(path, options)?.1.read_to_end()
}

/// Compares count, span and sums with the NumPy array that the recording was made from: records of i64 t, i16 x, i16 y,
/// u8 p and padding, 16 bytes each.
fn check(events: &Events, source: &Path, format: Format) -> Result<(), String> {
    let bytes = std::fs::read(source).map_err(|e| format!("{}: {e}", source.display()))?;
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (records, _) = bytes[header..].as_chunks::<16>();
    let sums = |items: &mut dyn Iterator<Item = (u64, u16, u16, bool)>| {
        items.fold([0u64; 5], |s, (t, x, y, on)| {
            [s[0] + 1, s[1] + t, s[2] + u64::from(x), s[3] + u64::from(y), s[4] + u64::from(on)]
        })
    };
    let (mut first, mut last) = (None, 0);
    let want = sums(&mut records.iter().map(|r| {
        let t = u64::from_le_bytes([r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]]);
        let (x, y) = (u16::from_le_bytes([r[8], r[9]]), u16::from_le_bytes([r[10], r[11]]));
        last = t;
        (t - *first.get_or_insert(t), x, y, r[12] == 1)
    }));
    let start = events.t.first().copied().unwrap_or(0);
    let got = sums(&mut (0..events.len()).map(|i| {
        let (t, x, y, on) = (events.t[i] - start, events.x[i], events.y[i], events.polarity[i]);
        // The benchmark's AEDAT 2.0 writer puts x, y and p into the address as they are; the format means the lower right
        // corner and a clear bit for ON.
        if format == Format::Aedat2 { (t, 127 - x, 127 - y, !on) } else { (t, x, y, on) }
    }));
    let span = events.t.last().map_or(0, |last| last - start);
    if got != want || span != last - first.unwrap_or(0) {
        return Err(format!("expected sums {want:?}, found {got:?}"));
    }
    Ok(())
}

fn serve(path: &Path, options: &OpenOptions) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.trim() {
            "run" => {
                let (mut wall, mut calls) = (Duration::ZERO, 0);
                let cpu = cpu_s();
                while wall < BURST {
                    let started = Instant::now();
                    let events = read(path, options);
                    wall += started.elapsed();
                    if let Err(e) = events {
                        println!("FAIL {e}");
                        return;
                    }
                    calls += 1;
                }
                let each = |s: f64| s / f64::from(calls);
                println!(
                    "{}",
                    json!({"s": each(wall.as_secs_f64()), "cpu": each(cpu_s() - cpu), "k": calls})
                );
            }
            "quit" => {
                println!("{}", json!({"rss_mb": peak_mb()}));
                return;
            }
            _ => {}
        }
    }
}

/// Processor time of this process \[s\], in the system's ticks of 10 ms.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Largest resident memory of this process so far \[MB\].
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
