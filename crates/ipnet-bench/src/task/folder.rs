//! Where real recordings are looked for, and whether all of them are there.

use crate::{Error, Result};
use ipnet_events::datasets::{DvsGesture, NMnist, find_recordings};
use ipnet_events::{Dataset, Part};
use std::path::{Path, PathBuf};

/// The environment variable that names the folder of real recordings where `--data` does not.
pub const ENVIRONMENT: &str = "IPNET_DATA";

/// Recordings of the whole N-MNIST to train on and to test.
const OFFICIAL_DIGITS: (usize, usize) = (60_000, 10_000);

/// A folder of real recordings and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    /// N-MNIST in its official layout (`Train/<digit>/*.bin`).
    pub nmnist: Option<PathBuf>,
    /// DVS128 Gesture recordings with their label files.
    pub dvs_gesture: Option<PathBuf>,
    /// DDD-20 recordings (`<day>/rec<time>.hdf5`).
    pub ddd20: Option<PathBuf>,
}

impl DataFolder {
    /// Looks for the data sets below `root`.
    ///
    /// # Errors
    /// No such folder, and a folder in which none of them is found.
    pub fn open(root: &Path) -> Result<Self> {
        let first = |names: &[&str]| names.iter().map(|name| root.join(name)).find(|path| path.is_dir());
        let refuse = |found: &str| Error::Argument {
            what: format!("data folder {}", root.display()),
            expected:
                "a folder that holds nmnist/Train/<digit>/*.bin, dvs_gesture/*.aedat or ddd20/<day>/*.hdf5"
                    .into(),
            found: found.into(),
        };
        if !root.is_dir() {
            return Err(refuse(if root.exists() { "a file" } else { "nothing of that name" }));
        }
        let found = Self {
            nmnist: first(&["nmnist", "NMNIST", "N-MNIST"]),
            dvs_gesture: first(&["dvs_gesture", "DvsGesture", "DVSGesture"]),
            ddd20: first(&["ddd20", "DDD20", "DDD-20"]),
        };
        if found.nmnist.is_none() && found.dvs_gesture.is_none() && found.ddd20.is_none() {
            return Err(refuse("none of them"));
        }
        Ok(found)
    }

    /// The folder that `argument` names, else the environment; none where neither does.
    ///
    /// # Errors
    /// As [`DataFolder::open`].
    pub fn from_argument(argument: Option<&Path>) -> Result<Option<Self>> {
        match argument {
            Some(path) => Self::open(path).map(Some),
            None => std::env::var_os(ENVIRONMENT)
                .filter(|value| !value.is_empty())
                .map(|value| Self::open(Path::new(&value)))
                .transpose(),
        }
    }

    /// That all of N-MNIST, of DVS128 Gesture and of DDD-20's published protocol are there.
    ///
    /// # Errors
    /// One that says of every data set what is missing.
    pub fn require_official(&self) -> Result<()> {
        let missing: Vec<String> = [self.missing_digits()?, self.missing_gestures()?, self.missing_drives()?]
            .into_iter()
            .flatten()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::Argument {
            what: "recordings".into(),
            expected:
                "all of N-MNIST, DVS128 Gesture and the published recordings of DDD-20 (see docs/data.md)"
                    .into(),
            found: missing.join("; "),
        })
    }

    fn missing_digits(&self) -> Result<Option<String>> {
        let Some(folder) = &self.nmnist else { return Ok(Some("no nmnist".into())) };
        let digits = NMnist::open(folder)?;
        let of = |part| digits.samples().iter().filter(|sample| sample.part == part).count();
        let (train, test) = (of(Part::Train), of(Part::Test));
        let complete = digits.has_official_test() && (train, test) == OFFICIAL_DIGITS;
        // Without a folder Test the parts are this program's own, all of them in Train.
        let found = match digits.has_official_test() {
            true => format!("nmnist with {train} in Train and {test} in Test"),
            false => format!("nmnist with {} in Train and no folder Test", digits.samples().len()),
        };
        Ok((!complete).then_some(found))
    }

    fn missing_gestures(&self) -> Result<Option<String>> {
        let Some(folder) = &self.dvs_gesture else { return Ok(Some("no dvs_gesture".into())) };
        Ok(not_official(&DvsGesture::open(folder)?).map(|state| format!("dvs_gesture {state}")))
    }

    fn missing_drives(&self) -> Result<Option<String>> {
        let Some(folder) = &self.ddd20 else { return Ok(Some("no ddd20".into())) };
        let missing = find_recordings(folder)?.missing.len();
        Ok((missing > 0).then(|| format!("ddd20 without {missing} of 30 recordings")))
    }
}

/// What keeps a folder from being the official DVS128 Gesture, to be put behind its name; none where it is.
pub(super) fn not_official(gestures: &DvsGesture) -> Option<String> {
    let found = gestures.official_completeness();
    let text = match found.missing.len() {
        0 => format!("with {} and {} clips", found.train_clips, found.test_clips),
        missing => format!("without {missing} of {} recordings", found.expected),
    };
    (!gestures.is_official_complete()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet_events::synth::gestures::{GestureSpec, generate};

    /// What is missing is said of every data set; synthetic gestures, which name their own trials, are not the official ones.
    #[test]
    fn what_is_missing_is_named_for_every_data_set() {
        let root = tempfile::tempdir().unwrap();
        let spec = GestureSpec { subjects: 2, lights: 1, clip_s: 0.2, ..GestureSpec::default() };
        generate(&spec, root.path().join("dvs_gesture")).unwrap();
        let found = |root: &Path| DataFolder::open(root).unwrap().require_official().unwrap_err().to_string();
        assert!(
            found(root.path())
                .ends_with("found no nmnist; dvs_gesture without 120 of 122 recordings; no ddd20"),
            "{}",
            found(root.path())
        );

        for digit in 0..10 {
            let digit = root.path().join(format!("nmnist/Train/{digit}"));
            std::fs::create_dir_all(&digit).unwrap();
            std::fs::write(digit.join("00001.bin"), [0, 0, 0x80, 0, 7]).unwrap();
        }
        let recording = root.path().join("ddd20/jul09");
        std::fs::create_dir_all(&recording).unwrap();
        std::fs::write(recording.join("rec1499656391.hdf5"), []).unwrap();
        let message = found(root.path());
        assert!(message.contains("nmnist with 10 in Train and no folder Test"), "{message}");
        assert!(message.ends_with("ddd20 without 29 of 30 recordings"), "{message}");
    }
}
