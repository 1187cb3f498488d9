//! The contract of every data set: labelled recordings with an official split.

use crate::{Error, Events};

/// Which part of a data set a sample belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// For fitting and for choosing (a validation part is cut from it).
    Train,
    /// For the final number only.
    Test,
}

/// One labelled clip; times start at 0 at the clip's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The events.
    pub events: Events,
    /// Class, counted from 0.
    pub label: usize,
    /// Length of the clip \[us\], by its label row or its recording.
    pub duration_us: u64,
}

/// What is known of a sample without decoding it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleInfo {
    /// Class, counted from 0.
    pub label: usize,
    /// The person, recording or other unit that must not stand on both sides of a split.
    pub group: String,
    /// The official part.
    pub part: Part,
}

/// A labelled data set of event recordings.
pub trait Dataset: Sync {
    /// Short name for tables, e.g. `nmnist`.
    fn name(&self) -> &str;
    /// Sensor size `(width, height)`.
    fn sensor_size(&self) -> (u16, u16);
    /// Names of the classes, in label order.
    fn classes(&self) -> &[String];
    /// One entry per sample, in a fixed order.
    fn samples(&self) -> &[SampleInfo];
    /// Decodes sample `index`.
    fn sample(&self, index: usize) -> Result<Sample, Error>;
    /// Number of samples.
    fn len(&self) -> usize {
        self.samples().len()
    }
    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.samples().is_empty()
    }
    /// Indices of `part`, in order.
    fn split(&self, part: Part) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.samples()[i].part == part).collect()
    }
}
