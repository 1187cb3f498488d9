//! `ipnet events info`: what a recording holds, all of it read.

use super::{Input, report_shortfall};
use clap::Args;
use ipnet_events::{Events, Ledger};
use serde::Serialize;
use std::process::ExitCode;

/// Read a whole recording and say what it holds
#[derive(Args)]
pub struct Info {
    #[command(flatten)]
    input: Input,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    format: &'static str,
    sensor: Option<(u16, u16)>,
    events: u64,
    on: u64,
    off: u64,
    first_us: Option<u64>,
    last_us: Option<u64>,
    duration_s: f64,
    rate_per_s: Option<f64>,
    dropped: u64,
    ledger: Ledger,
}

pub fn run(args: Info) -> anyhow::Result<ExitCode> {
    let (format, mut reader) = args.input.open()?;
    let (mut first_us, mut last_us, mut on) = (None, None, 0);
    let mut chunk = Events::default();
    while reader.next_chunk(&mut chunk)? {
        first_us = first_us.or(chunk.t.first().copied());
        last_us = chunk.t.last().copied();
        on += chunk.polarity.iter().filter(|&&on| on).count() as u64;
    }
    let ledger = reader.ledger().clone();
    let span_us = last_us.zip(first_us).map_or(0, |(last, first)| last - first);
    let duration_s = span_us as f64 / 1e6;
    let report = Report {
        format: format.name(),
        sensor: reader.sensor_size().or(args.input.sensor),
        events: ledger.events,
        on,
        off: ledger.events - on,
        first_us,
        last_us,
        duration_s,
        rate_per_s: (span_us > 0).then(|| ledger.events as f64 / duration_s),
        dropped: ledger.dropped(),
        ledger,
    };
    report_shortfall(&args.input.path, &report.ledger);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print_text(&args.input.path.display().to_string(), &report);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_text(path: &str, report: &Report) {
    let sensor = report.sensor.map_or("not stated".into(), |(w, h)| format!("{w} x {h}"));
    let time = |t: Option<u64>| t.map_or("none".into(), |t| format!("{t} us"));
    let ledger = &report.ledger;
    println!("recording  {path}");
    println!("format     {}", report.format);
    println!("sensor     {sensor}");
    println!("events     {} ({} ON, {} OFF)", report.events, report.on, report.off);
    println!("time       {} to {}, {} s", time(report.first_us), time(report.last_us), report.duration_s);
    if let Some(rate) = report.rate_per_s {
        println!("rate       {rate:.0} events/s");
    }
    println!("read       {} bytes, {} packets", ledger.bytes, ledger.packets);
    println!(
        "dropped    {} ({} invalid, {} outside the sensor, {} back in time)",
        report.dropped, ledger.dropped_invalid, ledger.dropped_out_of_bounds, ledger.dropped_non_monotone
    );
    println!("other      {} frames, IMU samples, triggers or other items stepped over", ledger.skipped_other);
    println!("clock      {} wraps undone, {} restarts", ledger.wraps, ledger.resets);
    println!("cut off    {} bytes", ledger.truncated_bytes);
}
