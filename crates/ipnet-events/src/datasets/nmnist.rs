//! N-MNIST: handwritten digits shown to a camera that makes three saccades (Orchard et al. 2015).
//!
//! Layout: `Train/<digit>/*.bin` and `Test/<digit>/*.bin`, 34 x 34 pixels, about 0.3 s each. Where there is no `Test`
//! folder, a fifth of each digit's `Train` recordings is the test part: the files in order of name, shuffled by the stream
//! `nmnist/split/<digit>` of the fixed seed [`NMnist::SPLIT_SEED`], the first `round(n / 5)` of them. The split depends on
//! the file names only, not on the run's seed, so that every run keeps the same recordings unseen.

use super::{describe, entries};
use crate::cache::SourceFiles;
use crate::nmnist_bin::{self, NMNIST_SENSOR};
use crate::{Dataset, Error, Part, Sample, SampleInfo};
use ipnet_rng::Stream;
use std::path::{Path, PathBuf};

/// The N-MNIST recordings of a folder.
#[derive(Debug, Clone)]
pub struct NMnist {
    classes: Vec<String>,
    samples: Vec<SampleInfo>,
    paths: Vec<PathBuf>,
    official_test: bool,
}

impl NMnist {
    /// Seed of the split that stands in for a missing `Test` folder.
    pub const SPLIT_SEED: u64 = 34;
    /// Length that every clip is given, unless its events last longer \[us\]: three saccades of about 105 ms.
    pub const CLIP_US: u64 = 316_000;

    /// Lists the recordings below `dir`. Ten outputs are trained and tested, so each part that is there must hold all ten
    /// digits; `Test` may be absent.
    ///
    /// # Errors
    /// [`Error::Layout`] if `dir` has no `Train` folder, or if a digit has no recording in `Train`, or in a `Test` that is there.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let dir = dir.as_ref();
        if !dir.join("Train").is_dir() {
            let found = describe(dir);
            return Err(Error::Layout {
                path: dir.to_owned(),
                expected: "the folders Train/<digit> of N-MNIST".to_owned(),
                found,
            });
        }
        let mut set = Self {
            classes: (0..10).map(|digit| digit.to_string()).collect(),
            samples: Vec::new(),
            paths: Vec::new(),
            official_test: dir.join("Test").is_dir(),
        };
        set.add_part(&dir.join("Train"), Part::Train)?;
        if set.official_test {
            set.add_part(&dir.join("Test"), Part::Test)?;
        } else {
            set.split_train();
        }
        Ok(set)
    }

    /// Whether the test part is the official one, not a fifth of `Train`.
    pub fn has_official_test(&self) -> bool {
        self.official_test
    }

    fn add_part(&mut self, dir: &Path, part: Part) -> Result<(), Error> {
        let before = self.paths.len();
        let mut without = Vec::new();
        for label in 0..10 {
            let first = self.paths.len();
            let folder = dir.join(label.to_string());
            for path in if folder.is_dir() { entries(&folder)? } else { Vec::new() } {
                if path.extension().is_some_and(|extension| extension == "bin") {
                    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                    let group =
                        format!("{}/{label}/{stem}", if part == Part::Train { "Train" } else { "Test" });
                    self.samples.push(SampleInfo { label, group, part });
                    self.paths.push(path);
                }
            }
            if self.paths.len() == first {
                without.push(label.to_string());
            }
        }
        if without.is_empty() {
            return Ok(());
        }
        let (expected, found) = if self.paths.len() == before {
            ("recordings <digit>/*.bin".to_owned(), describe(dir))
        } else {
            (
                "recordings <digit>/*.bin of all ten digits".to_owned(),
                format!("none of {}", without.join(", ")),
            )
        };
        Err(Error::Layout { path: dir.to_owned(), expected, found })
    }

    fn split_train(&mut self) {
        for label in 0..10 {
            let mut of_digit: Vec<usize> =
                (0..self.samples.len()).filter(|&i| self.samples[i].label == label).collect();
            Stream::named(Self::SPLIT_SEED, &format!("nmnist/split/{label}")).shuffle(&mut of_digit);
            let test = (of_digit.len() + 2) / 5;
            of_digit[..test].iter().for_each(|&i| self.samples[i].part = Part::Test);
        }
    }
}

impl Dataset for NMnist {
    fn name(&self) -> &str {
        "nmnist"
    }

    fn sensor_size(&self) -> (u16, u16) {
        NMNIST_SENSOR
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn samples(&self) -> &[SampleInfo] {
        &self.samples
    }

    /// Reads the recording; one without events is refused, as a copy that broke off leaves a file of 0 bytes.
    fn sample(&self, index: usize) -> Result<Sample, Error> {
        let path = &self.paths[index];
        let events = nmnist_bin::read(path)?;
        let Some(&last) = events.t.last() else {
            let (expected, found) = ("a recording with events".to_owned(), "none".to_owned());
            return Err(Error::Layout { path: path.clone(), expected, found });
        };
        let duration_us = (last + 1).max(Self::CLIP_US);
        Ok(Sample { events, label: self.samples[index].label, duration_us })
    }
}

impl SourceFiles for NMnist {
    fn source_files(&self) -> Vec<PathBuf> {
        self.paths.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventWriter, Events};

    fn write_digits(dir: &Path, part: &str, per_digit: usize) {
        for digit in 0..10_u16 {
            let folder = dir.join(part).join(digit.to_string());
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..per_digit {
                let path = folder.join(format!("{i:05}.bin"));
                let mut writer = Box::new(nmnist_bin::NmnistWriter::create(path, NMNIST_SENSOR).unwrap());
                let mut events = Events::default();
                events.push(7, digit, i as u16, true);
                writer.write(&events).unwrap();
                writer.finish().unwrap();
            }
        }
    }

    #[test]
    fn a_fifth_of_each_digit_is_the_test_part_where_there_is_no_test_folder() {
        let dir = tempfile::tempdir().unwrap();
        write_digits(dir.path(), "Train", 10);
        let set = NMnist::open(dir.path()).unwrap();
        assert_eq!((set.len(), set.split(Part::Test).len(), set.has_official_test()), (100, 20, false));
        for digit in 0..10 {
            assert_eq!(set.split(Part::Test).iter().filter(|&&i| set.samples()[i].label == digit).count(), 2);
        }
        let sample = set.sample(37).unwrap();
        assert_eq!((sample.label, sample.events.x[0], sample.events.y[0]), (3, 3, 7));
        assert_eq!(sample.duration_us, NMnist::CLIP_US);
        assert_eq!(NMnist::open(dir.path()).unwrap().samples(), set.samples());

        write_digits(dir.path(), "Test", 1);
        let set = NMnist::open(dir.path()).unwrap();
        assert_eq!((set.split(Part::Train).len(), set.split(Part::Test).len()), (100, 10));
    }

    #[test]
    fn a_wrong_or_empty_folder_says_what_was_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let message = || NMnist::open(dir.path()).unwrap_err().to_string();
        assert!(message().ends_with("expected the folders Train/<digit> of N-MNIST, found an empty folder"));
        std::fs::create_dir(dir.path().join("Train")).unwrap();
        assert!(message().ends_with("expected recordings <digit>/*.bin, found an empty folder"));
        assert!(NMnist::open(dir.path().join("nowhere")).is_err());
    }

    #[test]
    fn a_digit_without_recordings_is_named_in_each_part_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let message = || NMnist::open(dir.path()).unwrap_err().to_string();
        for part in ["Train", "Test"] {
            write_digits(dir.path(), part, 1);
            let digits = dir.path().join(part);
            std::fs::remove_dir_all(digits.join("3")).unwrap();
            std::fs::remove_file(digits.join("8/00000.bin")).unwrap();
            let expected = "expected recordings <digit>/*.bin of all ten digits, found none of 3, 8";
            assert!(message().ends_with(&format!("{part}: {expected}")), "{}", message());
            write_digits(dir.path(), part, 1);
            assert!(NMnist::open(dir.path()).is_ok());
        }
    }

    #[test]
    fn a_file_of_0_bytes_is_no_clip() {
        let dir = tempfile::tempdir().unwrap();
        write_digits(dir.path(), "Train", 1);
        std::fs::write(dir.path().join("Train/3/00000.bin"), []).unwrap();
        let message = NMnist::open(dir.path()).unwrap().sample(3).unwrap_err().to_string();
        assert!(message.ends_with("00000.bin: expected a recording with events, found none"), "{message}");
    }
}
