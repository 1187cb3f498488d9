//! DDD-20 by the protocol of Hu et al. 2020 (arXiv 2005.08605): steering from 50 ms of events, and the frame beside them.
//!
//! Bins are of the host's clock; an event's host time is that of its packet less the device time between it and the packet's
//! last event, as a packet is stamped when it arrives. Pictures are 172 x 128: the sensor summed (events) or averaged
//! (frame) over 2 x 2 pixels, without the first and last row and the last column of cells. Targets beyond three standard
//! deviations of the train part do not count in an evaluation. The published code picks its best checkpoint on the test
//! part; nothing here invites to that.
//!
//! Design decision: a recording is a file (feature `hdf5`) or a drive of the generator that was never written; both are binned by
//! the same code, and a test holds them equal, so that a program built without HDF5 has the same synthetic data.

use super::driving_bins::{Binner, DrivingBin, DrivingProtocol, DrivingView, LeftOut, list_bins};
use super::{describe, entries};
use crate::ddd20::Signal;
use crate::synth::driving::{Drive, DrivingSpec, Seen};
use crate::{Error, Part};
use std::path::{Path, PathBuf};

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

/// Where a recording's events come from.
#[derive(Debug, Clone)]
enum Source {
    #[cfg(feature = "hdf5")]
    File(PathBuf),
    Generated(DrivingSpec, usize),
}

/// The bins of one recording.
#[derive(Debug, Clone)]
pub struct DrivingRecording {
    name: String,
    source: Source,
    protocol: DrivingProtocol,
    start_us: i64,
    night: Option<bool>,
    bins: Vec<DrivingBin>,
    left_out: LeftOut,
}

impl DrivingRecording {
    /// Lists the bins of the recording at `path` from its signals and its packets' times.
    ///
    /// # Errors
    /// What reading gives; [`Error::Argument`] for a protocol out of range; [`Error::Layout`] if no bin is left.
    #[cfg(feature = "hdf5")]
    pub fn open(path: impl AsRef<Path>, protocol: &DrivingProtocol) -> Result<Self, Error> {
        use crate::ddd20::{Ddd20Reader, signal_names};
        let path = path.as_ref();
        let steering = Signal::read(path, "steering_wheel_angle")?;
        let speed = Signal::read(path, "vehicle_speed")?;
        let Some(&first) = steering.host_us.first() else {
            return Err(nothing(path, "steering values", "none"));
        };
        let mut reader = Ddd20Reader::open(path, crate::Shortfall::Refuse)?;
        let Some((packet_us, _)) = reader.next_packet(&mut crate::Events::default())? else {
            return Err(nothing(path, "packets", "none"));
        };
        let night = match published_night(path) {
            None if signal_names(path)?.iter().any(|name| name == HEADLAMPS) => {
                lit(&Signal::read(path, HEADLAMPS)?)
            }
            known => known,
        };
        let source = Source::File(path.to_owned());
        Self::new((path, source, night), protocol, packet_us.min(first), [&steering, &speed])
    }

    /// The drive `number` (from 0) of the generator, without a file between: the same bins, events and frames as `open` finds in
    /// the file that `synth::driving::generate` writes of it (both with the feature `hdf5`).
    ///
    /// # Errors
    /// [`Error::Argument`] for a number of `spec` or a protocol out of range; [`Error::Layout`] if no bin is left.
    pub fn generated(spec: &DrivingSpec, number: usize, protocol: &DrivingProtocol) -> Result<Self, Error> {
        let drive = Drive::new(spec, number)?;
        let [steering, speed, headlamps] = drive.signals();
        let name = drive.file_name();
        let about = (Path::new(&name), Source::Generated(*spec, number), lit(&headlamps));
        Self::new(about, protocol, drive.start_us(), [&steering, &speed])
    }

    fn new(
        (path, source, night): (&Path, Source, Option<bool>),
        protocol: &DrivingProtocol,
        start_us: i64,
        [steering, speed]: [&Signal; 2],
    ) -> Result<Self, Error> {
        protocol.validate()?;
        let (bins, left_out) = list_bins(protocol, steering, speed, start_us);
        if bins.is_empty() {
            let all = left_out.slow + left_out.cut + left_out.without_signal;
            return Err(nothing(path, "bins to use", &format!("none of {all}: {left_out:?}")));
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, source, protocol: *protocol, start_us, night, bins, left_out })
    }

    /// The recording's name, e.g. `rec1499656391`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was made by night: by the published lists, else by the headlamps; none where neither says so.
    pub fn night(&self) -> Option<bool> {
        self.night
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

    /// Goes through the recording once and shows every bin that counts, in order; how many events fell into them.
    ///
    /// # Errors
    /// What reading gives, and what `show` returns.
    pub fn visit(&self, show: impl FnMut(DrivingView<'_>) -> Result<(), Error>) -> Result<u64, Error> {
        let mut binner = Binner::new(&self.bins, self.start_us, self.protocol.bin_us, show);
        match &self.source {
            #[cfg(feature = "hdf5")]
            Source::File(path) => read_into(path, &mut binner)?,
            Source::Generated(spec, number) => Drive::new(spec, *number)?.play(&mut |seen| match seen {
                Seen::Events(events) => (0..events.len()).try_for_each(|i| {
                    let host_us = self.start_us + events.t[i] as i64;
                    binner.event(host_us, events.x[i], events.y[i], events.polarity[i])
                }),
                Seen::Frame(t_us, frame) => {
                    binner.frame(self.start_us + t_us as i64, &frame.pixels);
                    Ok(())
                }
            })?,
        }
        binner.finish()
    }
}

/// The signal that tells night from day where no list does.
#[cfg(feature = "hdf5")]
const HEADLAMPS: &str = "headlamp_status";

/// Whether the headlamps were on at the start.
fn lit(headlamps: &Signal) -> Option<bool> {
    headlamps.value.first().map(|&on| on > 0.5)
}

/// Whether the published lists have the recording at `path` among the night's or the day's.
fn published_night(path: &Path) -> Option<bool> {
    let among = |list: &[(&str, u64)]| {
        list.iter().any(|(_, time)| path.file_name().is_some_and(|name| name == &*format!("rec{time}.hdf5")))
    };
    if among(&NIGHT_RECORDINGS) { Some(true) } else { among(&DAY_RECORDINGS).then_some(false) }
}

/// Passes the packets of the file at `path` on.
#[cfg(feature = "hdf5")]
fn read_into(
    path: &Path,
    binner: &mut Binner<'_, impl FnMut(DrivingView<'_>) -> Result<(), Error>>,
) -> Result<(), Error> {
    use crate::ddd20::{Ddd20Reader, Item};
    let mut reader = Ddd20Reader::open(path, crate::Shortfall::Refuse)?.with_frames();
    let mut packet = crate::Events::default();
    loop {
        packet.clear();
        let Some((host_us, item)) = reader.next_packet(&mut packet)? else { return Ok(()) };
        if let Item::Frame(frame) = &item {
            binner.frame(host_us, &frame.pixels);
        }
        let last_t = packet.t.last().copied().unwrap_or(0);
        for i in 0..packet.len() {
            let before = (last_t - packet.t[i]) as i64;
            binner.event(host_us - before, packet.x[i], packet.y[i], packet.polarity[i])?;
        }
    }
}

fn nothing(path: &Path, expected: &str, found: &str) -> Error {
    Error::Layout { path: path.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}

/// The recordings of the published protocol, or of a generated set, in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ddd20Files {
    /// What is there, in order of name.
    pub present: Vec<PathBuf>,
    /// Those of the 30 that are not.
    pub missing: Vec<String>,
}

impl Ddd20Files {
    /// Those of the published 30 that are there.
    pub fn published(&self) -> Vec<&Path> {
        self.present.iter().map(PathBuf::as_path).filter(|path| published_night(path).is_some()).collect()
    }
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
