//! HDF5 files with a flipped bit, read in child processes, as the HDF5 library itself may crash on them.
//!
//! A child reads damaged files one after the other and prints a line for each; where it dies by a signal, the parent counts a
//! crash of the library and starts another one behind that file. A panic of this crate, or a child that says nothing for
//! [`PATIENCE`], fails. `cargo test` flips few bits; `IPNET_DAMAGE_FLIPS=10000` (recipe `damage-hdf5`) as many as wanted.

use crate::sample::some_events;
use ipnet_events::{Error, Events, Format, OpenOptions, Shortfall};
use ipnet_rng::Stream;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const EVENTS: usize = 300;
const PATIENCE: Duration = Duration::from_secs(30);
/// What the child is to do: format, first flip, last flip, file.
const CHILD: &str = "IPNET_DAMAGE_CHILD";

/// A small recording of `format`, with compressed chunks or rows of packets.
pub fn small(format: Format) -> (Vec<u8>, Events) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small");
    let mut writer = format.create(&path, (346, 260)).unwrap();
    let events = some_events(EVENTS, (346, 260));
    writer.write(&events).unwrap();
    writer.finish().unwrap();
    (std::fs::read(path).unwrap(), events)
}

/// Reads `bytes` from a file, if its events are accounted for.
pub fn read_bytes(bytes: &[u8], format: Format, shortfall: Shortfall) -> Result<(Events, u64), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    std::fs::write(&path, bytes).unwrap();
    let options = OpenOptions { shortfall, format: Some(format), ..OpenOptions::default() };
    let (_, mut reader) = ipnet_events::open(&path, &options)?;
    let read = reader.read_to_end()?;
    assert_eq!(reader.ledger().events, read.len() as u64);
    let accounted = reader.ledger().events + reader.ledger().dropped();
    Ok((read, accounted))
}

/// What becomes of flip number `flip`, which is the same whatever was read before.
fn outcome(bytes: &[u8], events: &Events, format: Format, flip: usize) -> (usize, &'static str) {
    let mut random = Stream::named(flip as u64, &format!("damage/{format}"));
    let mut bad = bytes.to_vec();
    let at = random.below(bytes.len());
    bad[at] ^= 1 << random.below(8);
    let what = match read_bytes(&bad, format, Shortfall::Refuse) {
        Err(_) => "refused",
        Ok((read, _)) if read == *events => "whole",
        Ok((_, accounted)) if accounted == EVENTS as u64 => "changed",
        Ok(_) => "fewer",
    };
    (at, what)
}

/// The child's part: nothing unless it is asked for.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let mut parts = task.splitn(4, ' ');
    let mut part = || parts.next().unwrap();
    let format: Format = part().parse().unwrap();
    let (first, last): (usize, usize) = (part().parse().unwrap(), part().parse().unwrap());
    let bytes = std::fs::read(part()).unwrap();
    let (_, events) = small(format);
    let mut out = std::io::stdout();
    for flip in first..last {
        let (at, what) = outcome(&bytes, &events, format, flip);
        writeln!(out, "\nflip {flip} {at} {what}").unwrap();
        out.flush().unwrap();
    }
}

/// The number of flips with each outcome; `crash` ended the child by a signal, `hang` had to be ended.
fn outcomes(format: Format, flips: usize) -> BTreeMap<&'static str, usize> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole");
    // Written once: HDF5 files hold the time of their making.
    std::fs::write(&path, small(format).0).unwrap();
    let mut counts = BTreeMap::new();
    let mut next = 0;
    while next < flips {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hdf5_damage::child", "--nocapture"])
            .env(CHILD, format!("{format} {next} {flips} {}", path.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let reading = std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let mut end = "crash";
        loop {
            let line = match lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    child.kill().unwrap();
                    end = "hang";
                    break;
                }
            };
            let Some(fields) = line.strip_prefix("flip ") else { continue };
            let known = ["refused", "whole", "changed", "fewer"].into_iter().find(|w| fields.ends_with(w));
            *counts.entry(known.unwrap()).or_default() += 1;
            next += 1;
        }
        reading.join().unwrap().unwrap();
        let done = child.wait_with_output().unwrap();
        if next < flips {
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.code().is_none(), "{format}: flip {next} ended with {}: {said}", done.status);
            println!("{format}: flip {next}: {end}");
            *counts.entry(end).or_default() += 1;
            next += 1;
        }
    }
    counts
}

#[test]
fn a_flipped_bit_in_hdf5_is_refused_or_accounted_for() {
    let asked = std::env::var("IPNET_DAMAGE_FLIPS").ok().map(|n| n.parse::<usize>().unwrap());
    let flips = asked.unwrap_or(400);
    for format in [Format::H5, Format::Ddd20] {
        let counts = outcomes(format, flips);
        println!("{format}: {flips} flips: {counts:?}");
        let count = |what: &str| counts.get(what).copied().unwrap_or(0);
        assert_eq!(counts.values().sum::<usize>(), flips);
        assert!(count("refused") > 0 && count("whole") > 0, "{format}: {counts:?}");
        assert_eq!(count("crash") + count("hang"), 0, "{format}: {counts:?}");
        // A packet or a dataset that then says itself that it holds fewer.
        assert!(count("fewer") <= flips / 400, "{format}: {counts:?}");
    }
}
