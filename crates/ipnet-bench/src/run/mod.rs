//! The run folder: everything one command computed, and what it takes to compute it again.
//!
//! ```text
//! results/<run>/
//!   manifest.json      what was run, on what, by which code, where and when; sha256 of what came out
//!   metrics.jsonl      one line per epoch or evaluation, appended as they happen
//!   jobs/<job>.toml    the result of each finished job: what a resumed run does not do again
//!   tables/*.csv       figures/*.svg       checkpoints/*.safetensors
//!   report.html        one file, opens anywhere
//! ```
//!
//! The decision: every file but `metrics.jsonl` is written to a temporary file beside it, synced and
//! renamed, so a reader (and a run that died and goes on) sees the old file or the new one, never half of
//! one. `metrics.jsonl` is append-only, and a last line without its line end is what a killed process
//! left: it is cut off before the first new line. A lock keeps a second process out; the operating system
//! drops it with the process, so that a killed run leaves nothing to clean up.
//!
//! Job results are TOML and not JSON because they are read back and computed on: TOML keeps every bit of
//! an `f64` as well as NaN and infinity.

mod atomic;
mod host;
mod manifest;
mod metrics;
mod verify;

pub use atomic::write_atomic;
pub use host::Host;
pub use manifest::{DataSource, DeviceSet, Manifest, built_from, hash_bytes, hash_file};
pub use metrics::{MetricLine, Metrics};
pub use verify::{Check, Expectations, ExpectedCell, Verdict, check_table, verify};

use crate::table::Table;
use crate::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A run folder that this process alone writes.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    manifest: Manifest,
    resumed: bool,
    /// Whether this process has written the manifest, and so may write the rest.
    begun: AtomicBool,
    _lock: File,
}

impl RunDir {
    /// Creates the folder, or goes on in it where it holds the same run (same command but for its data, same device set and
    /// seeds). From then on until [`RunDir::finish`] the run has not ended, whether it had before or not. A new folder gets its
    /// manifest with the first data set or with the end: a command that finds its input wrong before leaves the folder to others.
    ///
    /// # Errors
    /// [`Error::OtherRun`] where it holds another run, [`Error::Busy`] where a live process writes it,
    /// [`Error::Io`] where it cannot be written.
    pub fn create_or_resume(path: &Path, manifest: Manifest) -> Result<Self> {
        Self::open(path, manifest, false)
    }

    /// As [`RunDir::create_or_resume`], for a run that may have device sets and seeds more than the one in the folder; its manifest
    /// then names all of them.
    ///
    /// # Errors
    /// As [`RunDir::create_or_resume`], and one for a device set or seed that is gone.
    pub fn create_or_grow(path: &Path, manifest: Manifest) -> Result<Self> {
        Self::open(path, manifest, true)
    }

    fn open(path: &Path, manifest: Manifest, grows: bool) -> Result<Self> {
        fs::create_dir_all(path).map_err(Error::io(path, "create the folder"))?;
        for folder in ["jobs", "tables", "figures", "checkpoints"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(Error::io(&folder, "create the folder"))?;
        }
        let lock_path = path.join(".lock");
        let lock = File::create(&lock_path).map_err(Error::io(&lock_path, "create"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: path.to_path_buf() }),
            Err(TryLockError::Error(source)) => return Err(Error::io(&lock_path, "lock")(source)),
        }
        remove_leftovers(path)?;
        let manifest_path = path.join("manifest.json");
        let (manifest, resumed) = if manifest_path.exists() {
            let mut found = Manifest::read(&manifest_path)?;
            manifest.same_run(&found, path, grows)?;
            // Another revision or machine may finish the run: what is in the folder was made by both.
            if found.revision != manifest.revision || found.host != manifest.host {
                found.resumed_by.push(format!(
                    "{} on {} at {}",
                    manifest.revision.as_deref().unwrap_or("unknown revision"),
                    manifest.host.cpu,
                    manifest.started
                ));
            }
            (found.command, found.ended) = (manifest.command, None);
            (found.device, found.seeds) = (manifest.device, manifest.seeds);
            found.outputs.clear();
            (found, true)
        } else {
            (manifest, false)
        };
        Ok(Self { path: path.to_path_buf(), manifest, resumed, begun: AtomicBool::new(false), _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the run.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// True where the folder already held this run.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Opens `metrics.jsonl` for appending, with a cut last line removed.
    ///
    /// # Errors
    /// As [`Metrics::open`].
    pub fn metrics(&self) -> Result<Metrics> {
        self.begin()?;
        Metrics::open(&self.path.join("metrics.jsonl"))
    }

    /// The result of a job that an earlier process of this run finished.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the file is not a `T`.
    pub fn job_result<T: DeserializeOwned>(&self, job: &str) -> Result<Option<T>> {
        read_job(&self.path, job)
    }

    /// Writes the result of a finished job: from here on, a resumed run does not do it again.
    ///
    /// # Errors
    /// [`Error::Encode`] where TOML has no form for it (its top level must be a struct or map).
    pub fn finish_job<T: Serialize>(&self, job: &str, result: &T) -> Result<()> {
        self.begin()?;
        let path = self.file("jobs", job, "toml")?;
        let text = toml::to_string(result).map_err(|error| Error::Encode {
            path: path.clone(),
            format: "TOML",
            message: error.to_string(),
        })?;
        write_atomic(&path, text.as_bytes())
    }

    /// Writes `tables/<name>.csv` and gives its path relative to the folder.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BadName`].
    pub fn write_table(&self, name: &str, table: &Table) -> Result<String> {
        self.write("tables", name, "csv", table.to_csv().as_bytes())
    }

    /// Writes `figures/<name>.svg` and gives its path relative to the folder.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BadName`].
    pub fn write_figure(&self, name: &str, svg: &str) -> Result<String> {
        self.write("figures", name, "svg", svg.as_bytes())
    }

    /// Writes `tables/<name>.md` and gives its path relative to the folder.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BadName`].
    pub fn write_markdown(&self, name: &str, table: &Table) -> Result<String> {
        self.write("tables", name, "md", table.to_markdown().as_bytes())
    }

    /// Writes `report.html`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_report(&self, html: &str) -> Result<PathBuf> {
        self.begin()?;
        let path = self.path.join("report.html");
        write_atomic(&path, html.as_bytes())?;
        Ok(path)
    }

    /// The path of `checkpoints/<name>.safetensors`; write it with [`write_atomic`].
    ///
    /// # Errors
    /// [`Error::BadName`].
    pub fn checkpoint_path(&self, name: &str) -> Result<PathBuf> {
        self.file("checkpoints", name, "safetensors")
    }

    /// Puts the recordings of a task into the manifest, once they have been read and counted.
    ///
    /// # Errors
    /// [`Error::OtherRun`] where the folder's results of this task were made on other recordings, [`Error::Io`].
    pub fn record_data(&mut self, data: DataSource) -> Result<()> {
        let same = |known: &&mut DataSource| {
            known.task == data.task || (known.task.is_empty() && known.name == data.name)
        };
        match self.manifest.data.iter_mut().find(same) {
            Some(known) if known.sha256 != data.sha256 && !known.task.is_empty() => {
                return Err(Error::OtherRun {
                    path: self.path.clone(),
                    field: "data",
                    expected: format!("{}: {} {}", data.task, data.name, data.sha256),
                    found: format!("{} {}", known.name, known.sha256),
                });
            }
            Some(known) => *known = data,
            None => self.manifest.data.push(data),
        }
        // A folder that holds this run already stays as it is until something is written: the command may still be refused.
        if self.resumed && !*self.begun.get_mut() {
            return Ok(());
        }
        *self.begun.get_mut() = true;
        self.write_manifest()
    }

    /// Ends the run: the manifest gets the end time and the sha256 of every table, figure and of the
    /// metrics, which `verify` checks.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<Manifest> {
        let mut outputs = Vec::new();
        for folder in ["tables", "figures", "jobs"] {
            let path = self.path.join(folder);
            for entry in fs::read_dir(&path).map_err(Error::io(&path, "list"))? {
                let name = entry.map_err(Error::io(&path, "list"))?.file_name();
                outputs.push(format!("{folder}/{}", name.to_string_lossy()));
            }
        }
        for file in ["metrics.jsonl", "report.html"] {
            if self.path.join(file).exists() {
                outputs.push(file.to_owned());
            }
        }
        outputs.sort();
        self.manifest.outputs.clear();
        for name in outputs {
            let hash = hash_file(&self.path.join(&name))?;
            self.manifest.outputs.insert(name, hash);
        }
        self.manifest.ended = Some(host::now());
        self.write_manifest()?;
        Ok(self.manifest)
    }

    /// Before anything else of this process is written: the manifest, which says that the run has not ended.
    fn begin(&self) -> Result<()> {
        match self.begun.swap(true, Ordering::Relaxed) {
            true => Ok(()),
            false => self.write_manifest(),
        }
    }

    fn write_manifest(&self) -> Result<()> {
        self.manifest.write(&self.path.join("manifest.json"))
    }

    fn write(&self, folder: &str, name: &str, extension: &str, bytes: &[u8]) -> Result<String> {
        self.begin()?;
        write_atomic(&self.file(folder, name, extension)?, bytes)?;
        Ok(format!("{folder}/{name}.{extension}"))
    }

    fn file(&self, folder: &str, name: &str, extension: &str) -> Result<PathBuf> {
        file_in(&self.path, folder, name, extension)
    }
}

/// Removes what writes of a killed process left in a run's folder, which this process has locked.
fn remove_leftovers(run: &Path) -> Result<()> {
    for folder in ["", "jobs", "tables", "figures", "checkpoints"] {
        let path = run.join(folder);
        for entry in fs::read_dir(&path).map_err(Error::io(&path, "list"))? {
            let file = entry.map_err(Error::io(&path, "list"))?.path();
            if atomic::is_temporary(&file) {
                fs::remove_file(&file).map_err(Error::io(&file, "remove"))?;
            }
        }
    }
    Ok(())
}

/// `<run>/<folder>/<name>.<extension>`, for a name that no file system refuses.
fn file_in(run: &Path, folder: &str, name: &str, extension: &str) -> Result<PathBuf> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(good) {
        return Err(Error::BadName { name: name.to_owned() });
    }
    Ok(run.join(folder).join(format!("{name}.{extension}")))
}

/// The result of a job in a run's folder, if it is finished; the folder is not locked.
///
/// # Errors
/// [`Error::Malformed`] where the file is not a `T`.
pub fn read_job<T: DeserializeOwned>(run: &Path, job: &str) -> Result<Option<T>> {
    let path = file_in(run, "jobs", job, "toml")?;
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(&path, "read")(error)),
    };
    toml::from_str(&text).map(Some).map_err(|error| Error::Malformed {
        line: error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count()),
        path,
        expected: "the result of a finished job",
        found: error.message().to_owned(),
    })
}

#[cfg(test)]
mod tests;
