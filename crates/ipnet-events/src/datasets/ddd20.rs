//! DDD-20 by the protocol of Hu et al. 2020 (arXiv 2005.08605): steering from 50 ms of events, and the frame beside them.
//!
//! A recording is cut into bins of 50 ms of the host's clock, which the CAN values are given in. An event's host time is that of
//! its packet less the device time between it and the packet's last event, as a packet is stamped when it arrives. A
//! bin's steering and speed are the last values up to its end. Bins below 15 km/h, and those before the first value,
//! are left out and counted. The first 70 % of what is left train, the rest tests. Pictures are 172 x 128: the sensor
//! summed (events) or averaged (frame) over 2 x 2 pixels, without the first and last row and the last column of cells.
//! Targets beyond three standard deviations of the train part do not count in an evaluation.
//!
//! Design decision: recordings are hours long, so a bin is not kept: [`DrivingRecording::visit`] reads the file once, in order.
//! The published code picks its best checkpoint on the test part; nothing here invites to that.

use super::{describe, entries};
use crate::ddd20::{DDD20_SENSOR, Ddd20Reader, Item, Signal};
use crate::{Error, Events, Part, Shortfall};
use std::path::{Path, PathBuf};

/// Height and width of a bin's pictures.
pub const DRIVING_SHAPE: (usize, usize) = (128, 172);
/// Cells left out above and at the left: the sensor gives 130 x 173, of which the middle stays.
const LEFT_OUT: (usize, usize) = (1, 0);

/// The published recordings by night: folder and Unix time.
pub const NIGHT_RECORDINGS: [(&str, u64); 15] = [
    ("jul09", 1499656391),
    ("jul09", 1499657850),
    ("aug01", 1501649676),
    ("aug01", 1501650719),
    ("aug01", 1501651162),
    ("aug05", 1501994881),
    ("aug09", 1502336427),
    ("aug09", 1502337436),
    ("aug09", 1502338023),
    ("aug09", 1502338983),
    ("aug09", 1502339743),
    ("jul01", 1498946027),
    ("jul01", 1498949617),
    ("jul02", 1499025222),
    ("aug12", 1502599151),
];

/// The published recordings by day.
pub const DAY_RECORDINGS: [(&str, u64); 15] = [
    ("jul16", 1500220388),
    ("jul16", 1500215505),
    ("jul18", 1500383971),
    ("jul18", 1500402142),
    ("jul28", 1501288723),
    ("jul29", 1501349894),
    ("aug01", 1501614399),
    ("aug08", 1502241196),
    ("aug15", 1502825681),
    ("jul02", 1499023756),
    ("jul05", 1499275182),
    ("jul08", 1499533882),
    ("jul17", 1500314184),
    ("jul17", 1500329649),
    ("aug05", 1501953155),
];

/// The numbers of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DrivingProtocol {
    /// Length of a bin \[us\].
    pub bin_us: u64,
    /// Bins below this speed are left out \[km/h\].
    pub least_speed_km_per_h: f64,
    /// Share of the bins that trains, from the start.
    pub train_share: f64,
    /// Bins to leave out at the start and at the end of a recording.
    pub cut_bins: (usize, usize),
}

impl Default for DrivingProtocol {
    fn default() -> Self {
        Self { bin_us: 50_000, least_speed_km_per_h: 15.0, train_share: 0.7, cut_bins: (0, 0) }
    }
}

/// A bin that counts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DrivingBin {
    /// Number of the bin in the recording.
    pub number: usize,
    /// Steering at the bin's end \[deg\], left positive.
    pub steering_deg: f64,
    /// Speed at the bin's end \[km/h\].
    pub speed_km_per_h: f64,
    /// Its part.
    pub part: Part,
}

/// Bins of a recording that do not count, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct LeftOut {
    /// Slower than the protocol asks for.
    pub slow: usize,
    /// Before the first steering or speed value.
    pub without_signal: usize,
    /// At the ends, by the protocol's cut.
    pub cut: usize,
}

/// The bins of one recording.
#[derive(Debug, Clone)]
pub struct DrivingRecording {
    path: PathBuf,
    protocol: DrivingProtocol,
    start_us: i64,
    bins: Vec<DrivingBin>,
    left_out: LeftOut,
}

/// What [`DrivingRecording::visit`] shows of a bin.
#[derive(Debug)]
pub struct DrivingView<'a> {
    /// The bin.
    pub bin: &'a DrivingBin,
    /// Event counts `[2, 128, 172]`: OFF, ON.
    pub events: &'a [f32],
    /// The last frame up to the bin's end `[128, 172]`, 0..1; zeros before the first.
    pub frame: &'a [f32],
}

impl DrivingRecording {
    /// Lists the bins of the recording at `path` from its signals and its packets' times.
    ///
    /// # Errors
    /// What reading gives; [`Error::Argument`] for a protocol out of range; [`Error::Layout`] if no bin is left.
    pub fn open(path: impl AsRef<Path>, protocol: &DrivingProtocol) -> Result<Self, Error> {
        let path = path.as_ref();
        if protocol.bin_us == 0 || !(0.0..=1.0).contains(&protocol.train_share) {
            return Err(Error::Argument {
                what: "driving protocol".to_owned(),
                expected: "bins of at least 1 us and a train share from 0 to 1".to_owned(),
                found: format!("{protocol:?}"),
            });
        }
        let steering = Signal::read(path, "steering_wheel_angle")?;
        let speed = Signal::read(path, "vehicle_speed")?;
        let (Some(&first), Some(&last)) = (steering.host_us.first(), steering.host_us.last()) else {
            return Err(Self::nothing(path, "steering values", "none"));
        };
        let mut reader = Ddd20Reader::open(path, Shortfall::Refuse)?;
        let Some((packet_us, _)) = reader.next_packet(&mut Events::default())? else {
            return Err(Self::nothing(path, "packets", "none"));
        };
        let start_us = packet_us.min(first);
        let count = ((last - start_us).max(0) as u64 / protocol.bin_us) as usize;
        let mut left_out = LeftOut::default();
        let mut bins = Vec::new();
        for number in 0..count {
            let end_us = start_us + ((number as u64 + 1) * protocol.bin_us) as i64;
            let cut = number < protocol.cut_bins.0 || number + protocol.cut_bins.1 >= count;
            match (steering.at(end_us), speed.at(end_us)) {
                _ if cut => left_out.cut += 1,
                (Some(steering_deg), Some(speed_km_per_h)) => {
                    if speed_km_per_h < protocol.least_speed_km_per_h {
                        left_out.slow += 1;
                    } else {
                        bins.push(DrivingBin { number, steering_deg, speed_km_per_h, part: Part::Train });
                    }
                }
                _ => left_out.without_signal += 1,
            }
        }
        if bins.is_empty() {
            return Err(Self::nothing(path, "bins to use", &format!("none of {count}: {left_out:?}")));
        }
        let train = (protocol.train_share * bins.len() as f64) as usize;
        bins[train..].iter_mut().for_each(|bin| bin.part = Part::Test);
        Ok(Self { path: path.to_owned(), protocol: *protocol, start_us, bins, left_out })
    }

    fn nothing(path: &Path, expected: &str, found: &str) -> Error {
        Error::Layout { path: path.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
    }

    /// The bins that count, in order of time.
    pub fn bins(&self) -> &[DrivingBin] {
        &self.bins
    }

    /// The bins that do not.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Which test bins an evaluation counts: those within three standard deviations of the train part's steering.
    pub fn evaluated(&self) -> Vec<&DrivingBin> {
        let train: Vec<f64> =
            self.bins.iter().filter(|bin| bin.part == Part::Train).map(|bin| bin.steering_deg).collect();
        let n = train.len().max(1) as f64;
        let mean = train.iter().sum::<f64>() / n;
        let sd = (train.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        let near = |bin: &&DrivingBin| bin.part == Part::Test && (bin.steering_deg - mean).abs() <= 3.0 * sd;
        self.bins.iter().filter(near).collect()
    }

    /// Reads the recording once and shows every bin that counts, in order; how many events fell into them.
    ///
    /// # Errors
    /// What reading gives, and what `show` returns.
    pub fn visit(&self, mut show: impl FnMut(DrivingView<'_>) -> Result<(), Error>) -> Result<u64, Error> {
        let (height, width) = DRIVING_SHAPE;
        let mut reader = Ddd20Reader::open(&self.path, Shortfall::Refuse)?.with_frames();
        let (mut counts, mut frame) = (vec![0.0; 2 * height * width], vec![0.0; height * width]);
        let (mut packet, mut next, mut used) = (Events::default(), 0, 0);
        let end_of =
            |bin: &DrivingBin| self.start_us + ((bin.number as u64 + 1) * self.protocol.bin_us) as i64;
        loop {
            packet.clear();
            let item = reader.next_packet(&mut packet)?;
            let last_t = packet.t.last().copied().unwrap_or(0);
            let host_of = |t: u64, host: i64| host - (last_t - t) as i64;
            let begins =
                item.as_ref().map(|(host, _)| packet.t.first().map_or(*host, |&t| host_of(t, *host)));
            // A bin is whole once a packet begins after its end; packets of events follow each other in time.
            while let Some(bin) = self.bins.get(next) {
                if begins.is_some_and(|begins| begins < end_of(bin)) {
                    break;
                }
                show(DrivingView { bin, events: &counts, frame: &frame })?;
                counts.fill(0.0);
                next += 1;
            }
            match item {
                None => return Ok(used),
                Some((_, Item::Frame(picture))) => average(&picture.pixels, &mut frame),
                Some((host, _)) => {
                    for i in 0..packet.len() {
                        let t = host_of(packet.t[i], host);
                        while self.bins.get(next).is_some_and(|bin| t >= end_of(bin)) {
                            show(DrivingView { bin: &self.bins[next], events: &counts, frame: &frame })?;
                            counts.fill(0.0);
                            next += 1;
                        }
                        let Some(bin) = self.bins.get(next) else { break };
                        if t < end_of(bin) - self.protocol.bin_us as i64 {
                            continue;
                        }
                        used += 1;
                        let (x, y) = (usize::from(packet.x[i] / 2), usize::from(packet.y[i] / 2));
                        let (Some(x), Some(y)) = (x.checked_sub(LEFT_OUT.1), y.checked_sub(LEFT_OUT.0))
                        else {
                            continue;
                        };
                        if x < width && y < height {
                            counts[(usize::from(packet.polarity[i]) * height + y) * width + x] += 1.0;
                        }
                    }
                }
            }
        }
    }
}

/// Averages a frame over 2 x 2 pixels into `out`, 0..1.
fn average(pixels: &[u16], out: &mut [f32]) {
    let (height, width) = DRIVING_SHAPE;
    let row = usize::from(DDD20_SENSOR.0);
    for y in 0..height {
        for x in 0..width {
            let at = 2 * (y + LEFT_OUT.0) * row + 2 * (x + LEFT_OUT.1);
            let sum: u32 = [at, at + 1, at + row, at + row + 1].iter().map(|&i| u32::from(pixels[i])).sum();
            out[y * width + x] = sum as f32 / (4.0 * 65_535.0);
        }
    }
}

/// The recordings of the published protocol, or of a generated set, in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ddd20Files {
    /// What is there, in order of name.
    pub present: Vec<PathBuf>,
    /// Those of the 30 that are not.
    pub missing: Vec<String>,
}

/// Finds `rec<time>.hdf5` in `dir` and in its folders (`jul09`, ...).
///
/// # Errors
/// [`Error::Layout`] if there is none.
pub fn find_recordings(dir: impl AsRef<Path>) -> Result<Ddd20Files, Error> {
    let dir = dir.as_ref();
    let is_recording = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("rec") && name.ends_with(".hdf5")
    };
    let mut present = Vec::new();
    for path in entries(dir)? {
        if path.is_dir() {
            present.extend(entries(&path)?.into_iter().filter(is_recording));
        } else if is_recording(&path) {
            present.push(path);
        }
    }
    if present.is_empty() {
        let found = describe(dir);
        return Err(Error::Layout {
            path: dir.to_owned(),
            expected: "recordings rec<time>.hdf5, in it or in its folders".to_owned(),
            found,
        });
    }
    let published = NIGHT_RECORDINGS.iter().chain(&DAY_RECORDINGS);
    let name = |&(folder, time): &(&str, u64)| format!("{folder}/rec{time}.hdf5");
    let there =
        |name: &str| present.iter().any(|path| path.ends_with(name.rsplit('/').next().unwrap_or(name)));
    let missing = published.map(name).filter(|name| !there(name)).collect();
    Ok(Ddd20Files { present, missing })
}
