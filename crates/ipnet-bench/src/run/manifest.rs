//! `manifest.json`: what was run, on what, by which code, where and when.

use super::atomic::write_atomic;
use super::host::{Host, now};
use crate::{Backend, Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

/// Everything it takes to run a command again and to check that the result is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The git revision that the program was built from, with `-dirty` where the sources had changes; `None` outside git, and in a
    /// program that did not say it ([`built_from`]).
    pub revision: Option<String>,
    /// The command line as one could type it again, without the folder it wrote to; `DIR` stands for the folder of recordings.
    pub command: String,
    /// What computed the networks; the CPU in older manifests.
    #[serde(default)]
    pub backend: Backend,
    /// The MTJ parameter set.
    pub device: DeviceSet,
    /// The recordings.
    pub data: Vec<DataSource>,
    /// The seeds, in the order they ran.
    pub seeds: Vec<u64>,
    /// Versions of the workspace's crates and of what computes: name to version.
    pub versions: BTreeMap<String, String>,
    /// The machine.
    pub host: Host,
    /// Start, UTC.
    pub started: String,
    /// End, UTC; `None` while it runs and after it died.
    pub ended: Option<String>,
    /// Other revisions or machines that went on with the run after it died.
    #[serde(default)]
    pub resumed_by: Vec<String>,
    /// Files of the run folder and their sha256, once it has ended.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
}

/// The parameter set of a run's neurons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSet {
    /// A preset's name or a file's.
    pub name: String,
    /// sha256 of the parameter set as TOML text.
    pub sha256: String,
}

/// One data set of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// The task, with its fold where it has folds; empty in older manifests.
    #[serde(default)]
    pub task: String,
    /// As in the tables' column `data`: nmnist, synthetic, dvs_gesture, ...
    pub name: String,
    /// sha256 over what was read: of a generator's settings and seed, or of the files in their order.
    pub sha256: String,
    /// Clips for training.
    pub train: usize,
    /// Clips for validation.
    pub validation: usize,
    /// Clips for the test.
    pub test: usize,
}

/// Reads a `T` from a JSON file; `expected` names it in errors.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, expected: &'static str) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    serde_json::from_str(&text).map_err(|error| Error::Malformed {
        path: path.to_path_buf(),
        line: error.line(),
        expected,
        found: error.to_string(),
    })
}

impl Manifest {
    /// The manifest of a run that starts now, here.
    pub fn new(command: impl Into<String>, device: DeviceSet, seeds: Vec<u64>) -> Self {
        let versions = [("ipnet", env!("CARGO_PKG_VERSION")), ("step_law_draws", "philox4x32-10")];
        Self {
            revision: REVISION.get().map(|&revision| revision.to_owned()),
            command: command.into(),
            backend: Backend::Cpu,
            device,
            data: Vec::new(),
            seeds,
            versions: versions.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
            host: Host::here(),
            started: now(),
            ended: None,
            resumed_by: Vec::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`] with the line.
    pub fn read(path: &Path) -> Result<Self> {
        read_json(path, "the manifest of a run")
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| Error::Encode {
            path: path.to_path_buf(),
            format: "JSON",
            message: error.to_string(),
        })?;
        text.push('\n');
        write_atomic(path, text.as_bytes())
    }

    /// Checks that `found`, the manifest in the folder `path`, is of the same run as this one. Recordings may have come or gone:
    /// [`super::RunDir::record_data`] compares them task by task.
    ///
    /// A run that `grows` may have device sets and seeds more than it had; what each of its jobs is of, its result says.
    pub(super) fn same_run(&self, found: &Self, path: &Path, grows: bool) -> Result<()> {
        let without_data = |manifest: &Self| {
            let end = manifest.command.find(" --data ").unwrap_or(manifest.command.len());
            manifest.command[..end].to_owned()
        };
        let (ours, theirs) = (&self.device, &found.device);
        let more_devices = theirs.name.split(',').all(|name| ours.name.split(',').any(|our| our == name));
        let more_seeds = found.seeds.iter().all(|seed| self.seeds.contains(seed));
        // What is compared, and whether a run that grows may differ in it.
        let fields = [
            ("backend", self.backend.to_string(), found.backend.to_string(), false),
            ("command", without_data(self), without_data(found), false),
            ("device", ours.name.clone(), theirs.name.clone(), more_devices),
            ("device sha256", ours.sha256.clone(), theirs.sha256.clone(), ours.name != theirs.name),
            ("seeds", format!("{:?}", self.seeds), format!("{:?}", found.seeds), more_seeds),
        ];
        for (field, expected, found, grown) in fields {
            if expected != found && !(grows && grown) {
                return Err(Error::OtherRun { path: path.to_path_buf(), field, expected, found });
            }
        }
        Ok(())
    }
}

/// sha256 of bytes, as 64 hexadecimal digits.
pub fn hash_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// sha256 of a file, read in pieces.
///
/// # Errors
/// [`Error::Io`].
pub fn hash_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io(path, "open"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(Error::io(path, "read"))? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The revision that the program was built from, once [`built_from`] was told.
static REVISION: OnceLock<&'static str> = OnceLock::new();

/// Tells the manifests of this process the git revision that the program was built from; the first call counts.
pub fn built_from(revision: &'static str) {
    // A second call is the caller's mistake and changes nothing.
    let _ = REVISION.set(revision);
}
