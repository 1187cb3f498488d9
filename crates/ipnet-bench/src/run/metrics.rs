//! `metrics.jsonl`: one JSON object per line, appended as things happen.
//!
//! A line holds nothing that depends on the clock or the number of threads, so that two runs with the same seeds can be compared
//! byte by byte. (Processors of another kind may round sums in another order.)

use super::atomic::write_atomic;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One line: what a job measured at one of its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricLine {
    /// The job, as in `jobs/<job>.toml`.
    pub job: String,
    /// What was measured on: train, validation, test, ...
    pub part: String,
    /// Epoch or step, from 0.
    pub step: u64,
    /// The values by name; NaN and infinities are written as `null` and read as NaN.
    #[serde(with = "nullable")]
    pub values: BTreeMap<String, f64>,
}

impl MetricLine {
    /// A line from name-value pairs.
    pub fn new<'a>(
        job: &str,
        part: &str,
        step: u64,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { job: job.to_owned(), part: part.to_owned(), step, values }
    }
}

/// The open file.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens the file for appending; a last line without its end, left by a killed process, is cut off.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let open = || OpenOptions::new().create(true).append(true).open(path);
        let file = open().map_err(Error::io(path, "open for appending"))?;
        let bytes = std::fs::read(path).map_err(Error::io(path, "read"))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(Error::io(path, "cut the last line of"))?;
        }
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Appends one line whole, or nothing.
    ///
    /// # Errors
    /// [`Error::Io`], for a full disk too.
    pub fn append(&mut self, line: &MetricLine) -> Result<()> {
        let bytes = encode(line, &self.path)?;
        let before = self.file.metadata().map_err(Error::io(&self.path, "look at"))?.len();
        self.file.write_all(&bytes).map_err(|error| {
            // The next line must not be glued to a piece of this one; if the cut fails too, opening the file again makes it.
            let _ = self.file.set_len(before);
            Error::io(&self.path, "append to")(error)
        })
    }

    /// Drops the lines of `job` from step `from` on: what a job that restarts there will measure again.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn rewind(&mut self, job: &str, from: u64) -> Result<()> {
        let lines = Self::read(&self.path)?;
        let mut bytes = Vec::new();
        for line in lines.iter().filter(|line| line.job != job || line.step < from) {
            bytes.extend(encode(line, &self.path)?);
        }
        write_atomic(&self.path, &bytes)?;
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Puts the lines into the order of `jobs`, and of steps within a job: what is left does not show which job ran first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn arrange(&mut self, jobs: &[String]) -> Result<()> {
        let mut lines = Self::read(&self.path)?;
        let place = |job: &String| jobs.iter().position(|known| known == job).unwrap_or(jobs.len());
        lines.sort_by_key(|line| (place(&line.job), line.step));
        let mut bytes = Vec::new();
        for line in &lines {
            bytes.extend(encode(line, &self.path)?);
        }
        write_atomic(&self.path, &bytes)?;
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Reads every whole line.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] with the line.
    pub fn read(path: &Path) -> Result<Vec<MetricLine>> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| Error::Malformed {
                path: path.to_path_buf(),
                line: index + 1,
                expected: "a line of metrics",
                found: error.to_string(),
            })
        };
        whole.lines().enumerate().map(parse).collect()
    }
}

fn encode(line: &MetricLine, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line).map_err(|error| Error::Encode {
        path: path.to_path_buf(),
        format: "JSON",
        message: error.to_string(),
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// JSON has no NaN: `null` stands for every value that is not finite.
mod nullable {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub fn serialize<S: Serializer>(
        values: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let finite: BTreeMap<&String, Option<f64>> =
            values.iter().map(|(name, value)| (name, value.is_finite().then_some(*value))).collect();
        finite.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let values = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(job: &str, step: u64, loss: f64) -> MetricLine {
        MetricLine::new(job, "train", step, [("loss", loss)])
    }

    #[test]
    fn a_line_cut_by_a_kill_is_removed_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        Metrics::open(&path).unwrap().append(&line("a", 0, 0.5)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(br#"{"job":"a","pa"#);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Metrics::read(&path).unwrap().len(), 1);
        Metrics::open(&path).unwrap().append(&line("a", 1, 0.25)).unwrap();
        assert_eq!(Metrics::read(&path).unwrap(), [line("a", 0, 0.5), line("a", 1, 0.25)]);
    }

    #[test]
    fn rewind_drops_only_what_will_be_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(&path).unwrap();
        for step in 0..3 {
            metrics.append(&line("a", step, 1.0)).unwrap();
            metrics.append(&line("b", step, 2.0)).unwrap();
        }
        metrics.rewind("a", 1).unwrap();
        metrics.append(&line("a", 1, 3.0)).unwrap();
        let lines = Metrics::read(&path).unwrap();
        let kept: Vec<(&str, u64)> = lines.iter().map(|l| (l.job.as_str(), l.step)).collect();
        assert_eq!(kept, [("a", 0), ("b", 0), ("b", 1), ("b", 2), ("a", 1)]);
    }

    #[test]
    fn nan_survives_as_null() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        Metrics::open(&path).unwrap().append(&line("a", 0, f64::NAN)).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("null"));
        assert!(Metrics::read(&path).unwrap()[0].values["loss"].is_nan());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_said_with_the_file() {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut metrics = Metrics { path: PathBuf::from("run/metrics.jsonl"), file };
        let error = metrics.append(&line("a", 0, 1.0)).unwrap_err().to_string();
        assert!(error.starts_with("run/metrics.jsonl: cannot append to: No space left"), "{error}");
    }
}
