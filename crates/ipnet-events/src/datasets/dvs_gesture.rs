//! DVS128 Gesture: eleven arm and hand movements of 29 persons under five lights (Amir et al., CVPR 2017).
//!
//! Layout: raw AEDAT 3.1 recordings `userNN_<light>.aedat` with `userNN_<light>_labels.csv`; 122 recordings, cut by the
//! labels into 1176 clips to train and 288 to test. Users 01..=23 train and 24..=29 test. A user of another number is in
//! neither official part; such clips count as train, so that no unofficial person ever enters a test figure.
//! A clip is `[start, end)` of its label row, its times counted from `start`; see the rule for overlapping rows
//! in the label reader. Folders written by `synth::gestures` have the same layout and name their recordings in
//! `trials_to_train.txt` and `trials_to_test.txt`, which completeness is then measured against. Design decision: these lists
//! say that a folder is whole, never that it is the official one; for that the official list is in this file.

use super::labels::{LabelRow, read_labels};
use super::{describe, entries};
use crate::cache::SourceFiles;
use crate::{Aedat31Reader, Dataset, Error, EventReader, Events, Part, Sample, SampleInfo, Shortfall};
use std::path::{Path, PathBuf};

/// The classes in label order (label 0 is class 1 of the label files); left and right are the person's own.
pub const GESTURE_CLASSES: [&str; 11] = [
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
];

const SENSOR: (u16, u16) = (128, 128);
/// Clips of the complete official set: train, test.
const OFFICIAL_CLIPS: (usize, usize) = (1176, 288);
/// Per user from 01, the lights of the official recordings by their initials:
/// F fluorescent, f fluorescent_led, b lab, l led, n natural.
const OFFICIAL_LIGHTS: [&str; 29] = [
    "Ffbln", "Ffbln", "Ffln", "Ffln", "Ffbln", "Ffbln", "Ffbl", "Ffbl", "Ffbln", "Ffbl", "Ffn", "fl",
    "Ffbln", "Ffln", "Ffbln", "Fbln", "Ffbln", "Ffbl", "Ffbln", "Ffl", "Ffbn", "Ffbln", "Ffbl", "Ffl", "Fl",
    "Ffbln", "Ffln", "Ffbln", "Ffbln",
];

/// How much of the data set a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Completeness {
    /// Recordings that the data set has.
    pub expected: usize,
    /// Those of them that are not in the folder.
    pub missing: Vec<String>,
    /// Clips in the train part of the folder.
    pub train_clips: usize,
    /// Clips in the test part of the folder.
    pub test_clips: usize,
}

#[derive(Debug, Clone)]
struct Clip {
    recording: usize,
    row: LabelRow,
    last_of_recording: bool,
}

/// The DVS128 Gesture recordings of a folder.
#[derive(Debug, Clone)]
pub struct DvsGesture {
    dir: PathBuf,
    classes: Vec<String>,
    recordings: Vec<PathBuf>,
    clips: Vec<Clip>,
    samples: Vec<SampleInfo>,
}

impl DvsGesture {
    /// Lists the clips of the recordings in `dir`.
    ///
    /// # Errors
    /// [`Error::Layout`] if there is no recording, a recording has another name than `userNN_<light>.aedat` or no
    /// label file; [`Error::Line`] for a label row that does not follow its format.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let mut set = Self {
            dir: dir.to_owned(),
            classes: GESTURE_CLASSES.iter().map(|&name| name.to_owned()).collect(),
            recordings: Vec::new(),
            clips: Vec::new(),
            samples: Vec::new(),
        };
        for path in entries(dir)? {
            if path.extension().is_some_and(|extension| extension == "aedat") {
                set.add_recording(path)?;
            }
        }
        if set.recordings.is_empty() {
            let found = describe(dir);
            return Err(Error::Layout {
                path: dir.to_owned(),
                expected: "recordings userNN_<light>.aedat".to_owned(),
                found,
            });
        }
        Ok(set)
    }

    /// The files of the data set that the folder lacks, by its own lists of trials if it has them, and the clips it has.
    ///
    /// # Errors
    /// [`Error::Io`] if a list of trials is there but cannot be read.
    pub fn completeness(&self) -> Result<Completeness, Error> {
        let expected = match self.listed_trials()? {
            Some(names) => names,
            None => official_recordings(),
        };
        Ok(self.measured_against(&expected))
    }

    /// As [`completeness`](Self::completeness), measured against the official list of 122 recordings, whatever lists of
    /// trials the folder has.
    pub fn official_completeness(&self) -> Completeness {
        self.measured_against(&official_recordings())
    }

    /// Whether the folder holds the official data set, whole: its 122 recordings by name, no other, and their 1176 and 288
    /// clips. A folder of `synth::gestures` never does, as its recordings have 11 clips each, 1342 in 122.
    pub fn is_official_complete(&self) -> bool {
        let state = self.official_completeness();
        state.missing.is_empty()
            && self.recordings.len() == state.expected
            && (state.train_clips, state.test_clips) == OFFICIAL_CLIPS
    }

    fn measured_against(&self, expected: &[String]) -> Completeness {
        let there = |name: &String| self.recordings.iter().any(|path| path.ends_with(name));
        Completeness {
            expected: expected.len(),
            missing: expected.iter().filter(|name| !there(name)).cloned().collect(),
            train_clips: self.split(Part::Train).len(),
            test_clips: self.split(Part::Test).len(),
        }
    }

    /// Asserts that the folder holds the whole data set; for the official one, 1176 and 288 clips.
    ///
    /// # Errors
    /// [`Error::Layout`] that names what is missing.
    pub fn require_complete(&self) -> Result<Completeness, Error> {
        let state = self.completeness()?;
        let layout =
            |expected: String, found: String| Error::Layout { path: self.dir.clone(), expected, found };
        if !state.missing.is_empty() {
            let found =
                format!("{}; missing: {}", state.expected - state.missing.len(), state.missing.join(", "));
            return Err(layout(format!("{} recordings", state.expected), found));
        }
        let clips = (state.train_clips, state.test_clips);
        if state.expected == official_recordings().len() && clips != OFFICIAL_CLIPS {
            let text = |(train, test): (usize, usize)| format!("{train} clips to train and {test} to test");
            return Err(layout(text(OFFICIAL_CLIPS), text(clips)));
        }
        Ok(state)
    }

    /// Every recording's name and clips, in order.
    pub(super) fn clips_by_recording(&self) -> Vec<(String, Vec<usize>)> {
        let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut all: Vec<(String, Vec<usize>)> =
            self.recordings.iter().map(|path| (name(path), Vec::new())).collect();
        self.clips.iter().enumerate().for_each(|(i, clip)| all[clip.recording].1.push(i));
        all
    }

    fn add_recording(&mut self, path: PathBuf) -> Result<(), Error> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some((user, group)) = parse_user(&stem) else {
            return Err(Error::Layout {
                path,
                expected: "a recording named userNN_<light>.aedat".to_owned(),
                found: format!("{stem}.aedat"),
            });
        };
        let labels = path.with_file_name(format!("{stem}_labels.csv"));
        if !labels.is_file() {
            let expected = format!("its label file {stem}_labels.csv beside it");
            return Err(Error::Layout { path, expected, found: "none".to_owned() });
        }
        let part = if (24..=29).contains(&user) { Part::Test } else { Part::Train };
        let rows = read_labels(&labels, self.classes.len())?;
        let last = rows.iter().map(|row| row.end_us).max();
        for row in rows {
            self.samples.push(SampleInfo { label: row.class - 1, group: group.clone(), part });
            let last_of_recording = Some(row.end_us) == last;
            self.clips.push(Clip { recording: self.recordings.len(), row, last_of_recording });
        }
        self.recordings.push(path);
        Ok(())
    }

    /// The recordings that `trials_to_train.txt` and `trials_to_test.txt` name, if they are there.
    fn listed_trials(&self) -> Result<Option<Vec<String>>, Error> {
        let mut names = Vec::new();
        for list in ["trials_to_train.txt", "trials_to_test.txt"] {
            let path = self.dir.join(list);
            if !path.is_file() {
                return Ok(None);
            }
            let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
            names.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        }
        Ok(Some(names))
    }
}

impl Dataset for DvsGesture {
    fn name(&self) -> &str {
        "dvs_gesture"
    }

    fn sensor_size(&self) -> (u16, u16) {
        SENSOR
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn samples(&self) -> &[SampleInfo] {
        &self.samples
    }

    /// Reads the recording up to the clip's end; the last clip's read goes on to the end of the file, so that a file
    /// that is cut short is found by whoever reads all its clips.
    fn sample(&self, index: usize) -> Result<Sample, Error> {
        let Clip { recording, row, last_of_recording } = &self.clips[index];
        let path = &self.recordings[*recording];
        let mut reader = Aedat31Reader::open(path, Shortfall::Refuse)?;
        let (mut events, mut chunk) = (Events::default(), Events::default());
        while reader.next_chunk(&mut chunk)? {
            let from = chunk.t.partition_point(|&t| t < row.start_us);
            let to = chunk.t.partition_point(|&t| t < row.end_us);
            events.extend_from(&chunk, from..to);
            if to < chunk.len() && !last_of_recording {
                break;
            }
        }
        if events.is_empty() {
            return Err(Error::Layout {
                path: path.clone(),
                expected: format!(
                    "events from {} to {} us (line {} of its labels)",
                    row.start_us, row.end_us, row.line
                ),
                found: "none".to_owned(),
            });
        }
        events.t.iter_mut().for_each(|t| *t -= row.start_us);
        Ok(Sample { events, label: row.class - 1, duration_us: row.end_us - row.start_us })
    }
}

impl SourceFiles for DvsGesture {
    fn source_files(&self) -> Vec<PathBuf> {
        let labels = |path: &PathBuf| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            path.with_file_name(format!("{stem}_labels.csv"))
        };
        self.recordings.iter().flat_map(|path| [path.clone(), labels(path)]).collect()
    }
}

/// The user's number and name in `userNN_<light>`.
fn parse_user(stem: &str) -> Option<(u32, String)> {
    let (user, light) = stem.split_once('_')?;
    let digits = user.strip_prefix("user")?;
    let valid = digits.len() >= 2 && digits.bytes().all(|b| b.is_ascii_digit()) && !light.is_empty();
    Some((digits.parse().ok().filter(|_| valid)?, user.to_owned()))
}

/// Names of the 122 official recordings.
fn official_recordings() -> Vec<String> {
    let light = |initial| match initial {
        'F' => "fluorescent",
        'f' => "fluorescent_led",
        'b' => "lab",
        'l' => "led",
        _ => "natural",
    };
    let of_user = |(user, lights): (usize, &&'static str)| {
        lights
            .chars()
            .map(move |initial| format!("user{user:02}_{}.aedat", light(initial)))
            .collect::<Vec<_>>()
    };
    (1..).zip(&OFFICIAL_LIGHTS).flat_map(of_user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_list_has_98_and_24_recordings() {
        let names = official_recordings();
        let train = names.iter().filter(|name| name.as_str() < "user24").count();
        assert_eq!((train, names.len() - train), (98, 24));
    }

    #[test]
    fn only_the_official_recordings_with_their_clips_are_official() {
        let dir = tempfile::tempdir().unwrap();
        let names = official_recordings();
        let write = |name: &str, clips: usize| {
            // Opening lists clips by their labels; the recordings themselves are not read.
            let row = |i: usize| format!("{},{},{}\n", i % 11 + 1, i * 10, i * 10 + 10);
            let rows: String = (0..clips).map(row).collect();
            let stem = name.trim_end_matches(".aedat");
            std::fs::write(dir.path().join(name), []).unwrap();
            let text = format!("class,startTime_usec,endTime_usec\n{rows}");
            std::fs::write(dir.path().join(format!("{stem}_labels.csv")), text).unwrap();
        };
        let set = || DvsGesture::open(dir.path()).unwrap();
        names.iter().for_each(|name| write(name, 12));
        assert!(set().is_official_complete());
        // 11 clips each, as generated ones have; then one recording beside them.
        names.iter().for_each(|name| write(name, 11));
        assert!(set().official_completeness().missing.is_empty() && !set().is_official_complete());
        names.iter().for_each(|name| write(name, 12));
        write(&names[0], 11);
        write("user30_lab.aedat", 1);
        assert_eq!(set().official_completeness().train_clips, 1176);
        assert!(!set().is_official_complete());
        // Lists that name what is there make a folder whole, but not official.
        for name in ["user30_lab", "user29_natural"] {
            std::fs::remove_file(dir.path().join(format!("{name}.aedat"))).unwrap();
        }
        let listed: String = names[..121].iter().map(|name| format!("{name}\n")).collect();
        std::fs::write(dir.path().join("trials_to_train.txt"), listed).unwrap();
        std::fs::write(dir.path().join("trials_to_test.txt"), "").unwrap();
        assert!(set().completeness().unwrap().missing.is_empty());
        assert_eq!(set().official_completeness().missing, ["user29_natural.aedat"]);
        assert!(!set().is_official_complete());
    }

    #[test]
    fn user_names() {
        assert_eq!(parse_user("user07_lab"), Some((7, "user07".to_owned())));
        assert_eq!(parse_user("user22_fluorescent_led"), Some((22, "user22".to_owned())));
        for bad in ["user7_lab", "user07", "user07_", "person07_lab", "user+7_lab", "lab"] {
            assert_eq!(parse_user(bad), None, "{bad}");
        }
    }
}
