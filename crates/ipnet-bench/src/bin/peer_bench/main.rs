//! IPNet beside its peers: answers the protocol of the peer benchmark kit, one operation at a time.
//!
//! The kit starts `peer_bench PEER --bench BENCH --params JSON` beside the other libraries and calls all of them
//! in shuffled, interleaved rounds:
//! ```text
//! peer_bench -> READY {"version": .., "warm_s": ..}   after set-up, warm-up and a check of the result; or FAIL why
//! kit        -> run                                   a burst of at least 50 ms; answers {"s": .., "cpu": ..} per call
//! kit        -> quit                                  answers {"rss_mb": peak} and ends
//! ```
//! `peer_bench PEER --bench conv_step --check FILE` prints losses instead: see `conv_step`.
//!
//! The kit's parameter `malloc` says where results go. `warm`: into buffers the caller keeps, as the kernels
//! allow. `default`: into a fresh tensor a call, through candle and its autograd, with the allocator of the
//! `ipnet` program (mimalloc): a user's call as shipped.

mod conv_step;
mod event_decode;
mod event_to_frames;
mod kit_events;
mod neuron_scan;

use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: ipnet_nn::Keeping<mimalloc::MiMalloc> = ipnet_nn::Keeping::new(mimalloc::MiMalloc);

/// Training steps whose losses `--check` prints.
const CHECKED_STEPS: usize = 10;

const BURST: Duration = Duration::from_millis(50);

/// An operation that is ready to be timed.
pub struct Prepared {
    /// Fields of the READY line: what was checked and how far it was off.
    pub info: Value,
    /// One call of the operation.
    pub call: Box<dyn FnMut()>,
}

/// Why an operation cannot be timed: a message for the FAIL line.
pub type Refused = Box<dyn std::error::Error>;

fn prepare(arguments: &[String]) -> Result<Prepared, Refused> {
    let usage = "peer_bench PEER --bench BENCH --params JSON";
    let [peer, rest @ ..] = arguments else { return Err(usage.into()) };
    let value = |flag: &str| {
        let at = rest.iter().position(|a| a == flag).ok_or(usage)?;
        rest.get(at + 1).ok_or(usage)
    };
    let (bench, params) = (value("--bench")?, serde_json::from_str::<Value>(value("--params")?)?);
    match bench.as_str() {
        "conv_step" => conv_step::prepare(peer, &params),
        "event_decode" => event_decode::prepare(&params),
        "event_to_frames" => event_to_frames::prepare(&params),
        "neuron_scan" => neuron_scan::prepare(peer, &params),
        other => Err(format!("no bench called {other}").into()),
    }
}

/// Processor time of this process's threads \[s\].
fn cpu_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let on_cpu = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        on_cpu.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// Largest resident memory so far \[MiB\].
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn burst(call: &mut dyn FnMut()) -> Value {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut calls = 0;
    while start.elapsed() < BURST {
        call();
        calls += 1;
    }
    let calls = f64::from(calls);
    json!({"s": start.elapsed().as_secs_f64() / calls, "cpu": (cpu_seconds() - cpu) / calls, "k": calls})
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    if let [peer, bench, name, check, file] = &arguments[..]
        && [bench.as_str(), name, check] == ["--bench", "conv_step", "--check"]
    {
        return match conv_step::losses(peer, std::path::Path::new(file), CHECKED_STEPS) {
            Ok(losses) => writeln!(out, "{losses}"),
            Err(why) => Err(std::io::Error::other(why.to_string())),
        };
    }
    let mut prepared = match prepare(&arguments) {
        Ok(prepared) => prepared,
        Err(why) => {
            writeln!(out, "FAIL {}", why.to_string().replace('\n', " "))?;
            return out.flush();
        }
    };
    (prepared.call)();
    let start = Instant::now();
    (prepared.call)();
    prepared.info["warm_s"] = json!(start.elapsed().as_secs_f64());
    prepared.info["version"] = json!(concat!("ipnet ", env!("CARGO_PKG_VERSION")));
    writeln!(out, "READY {}", prepared.info)?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            "run" => writeln!(out, "{}", burst(&mut *prepared.call))?,
            "quit" => {
                writeln!(out, "{}", json!({"rss_mb": peak_rss_mb()}))?;
                return out.flush();
            }
            _ => continue,
        }
        out.flush()?;
    }
    Ok(())
}
