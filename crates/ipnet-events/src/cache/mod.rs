//! Decoded clips on disk: the second run of a data set reads a memory-mapped file and decodes nothing.
//!
//! `<name>-<key>.clips` holds the events of every sample; `key` hashes what they were decoded from (names, sizes and times
//! of change of the source files, and the list of samples), so that a changed data set has another file. The index
//! is checked by SHA-256 when the file is opened, a clip's events when the clip is read; a file that is cut, damaged
//! or of another version is built anew, and a damaged clip is decoded from its source.
//!
//! Design decision: a cache may never be the reason why a run fails or differs. It is written under another name and
//! renamed when whole, so a killed process leaves nothing that looks like a cache; a lock of the operating system, which
//! ends with its process, keeps two processes from building at once (the second waits, then reads); where the file
//! cannot be written (full disk, read-only folder) the data set works without it and says why.

mod file;

use crate::writer::PartialFile;
use crate::{Dataset, Error, Sample, SampleInfo};
use file::{CacheFile, Encoder};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A data set that can name the files its samples are decoded from.
pub trait SourceFiles: Dataset {
    /// The files, in a fixed order.
    fn source_files(&self) -> Vec<PathBuf>;

    /// What else decides how samples are made of the files, for example the numbers of a specification.
    fn recipe(&self) -> String {
        String::new()
    }
}

/// How a [`Cached`] data set came by its clips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheState {
    /// The file was there.
    Found,
    /// The file was built.
    Built,
    /// There is no file, for this reason; every sample is decoded.
    Off(String),
}

/// A data set with its decoded clips on disk.
#[derive(Debug)]
pub struct Cached<D> {
    inner: D,
    file: Option<CacheFile>,
    state: CacheState,
}

/// Clips that are decoded at a time while the file is built.
const BATCH: usize = 64;

impl<D: SourceFiles> Cached<D> {
    /// Opens the cache of `inner` in the folder `dir`, building it first where there is none.
    ///
    /// # Errors
    /// What reading the samples or naming their files gives; nothing that is wrong with the cache itself.
    pub fn open(inner: D, dir: impl AsRef<Path>) -> Result<Self, Error> {
        let key = source_key(&inner)?;
        let hex: String = key[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = dir.as_ref().join(format!("{}-{hex}.clips", inner.name()));
        let (file, state) = match find_or_build(&inner, &key, &path)? {
            Ok((file, state)) => (Some(file), state),
            Err(reason) => {
                tracing::warn!("no cache of decoded clips: {reason}");
                (None, CacheState::Off(reason))
            }
        };
        Ok(Self { inner, file, state })
    }

    /// How the clips were come by.
    pub fn state(&self) -> &CacheState {
        &self.state
    }

    /// The data set behind the cache.
    pub fn inner(&self) -> &D {
        &self.inner
    }
}

impl<D: SourceFiles> Dataset for Cached<D> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn sensor_size(&self) -> (u16, u16) {
        self.inner.sensor_size()
    }

    fn classes(&self) -> &[String] {
        self.inner.classes()
    }

    fn samples(&self) -> &[SampleInfo] {
        self.inner.samples()
    }

    fn sample(&self, index: usize) -> Result<Sample, Error> {
        let Some(file) = &self.file else { return self.inner.sample(index) };
        if let Some(sample) = file.sample(index) {
            return Ok(sample);
        }
        tracing::warn!(
            "{}: clip {index} is damaged; decoding it, and removing the cache",
            file.path().display()
        );
        // The file stays mapped; the next run builds another. If it cannot be removed, that run comes here again.
        let _ = std::fs::remove_file(file.path());
        self.inner.sample(index)
    }
}

/// The valid file at `path`, found or built; the inner error is why there can be none.
fn find_or_build<D: SourceFiles>(
    inner: &D,
    key: &[u8; 32],
    path: &Path,
) -> Result<Result<(CacheFile, CacheState), String>, Error> {
    let look = || CacheFile::open(path, key, inner.len());
    if let Some(file) = look() {
        return Ok(Ok((file, CacheState::Found)));
    }
    let lock = match lock(path) {
        Ok(lock) => lock,
        Err(error) => return Ok(Err(format!("{}: {error}", path.display()))),
    };
    if let Some(file) = look() {
        return Ok(Ok((file, CacheState::Found)));
    }
    remove_abandoned(path);
    let built = build(inner, key, path)?;
    drop(lock);
    Ok(match (built, look()) {
        (Ok(()), Some(file)) => Ok((file, CacheState::Built)),
        (Ok(()), None) => Err(format!("{}: cannot be read back", path.display())),
        (Err(error), _) => Err(error.to_string()),
    })
}

/// An exclusive lock beside the file at `path`; it ends with its process at the latest.
fn lock(path: &Path) -> std::io::Result<std::fs::File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let file = std::fs::File::create(path.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

/// Removes what builders that were killed left behind; only the holder of the lock may call it.
fn remove_abandoned(path: &Path) {
    let Some(name) = path.file_name() else { return };
    let start = format!("{}.partial-", name.to_string_lossy());
    let Some(entries) = path.parent().and_then(|dir| std::fs::read_dir(dir).ok()) else { return };
    for entry in entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&start)) {
        // What cannot be removed is only a waste of room.
        let _ = std::fs::remove_file(entry.path());
    }
}

/// Decodes every sample into the file at `path`; the inner error is one of writing.
fn build<D: SourceFiles>(inner: &D, key: &[u8; 32], path: &Path) -> Result<Result<(), Error>, Error> {
    let mut encoder = match PartialFile::create(path) {
        Ok(file) => Encoder::new(file),
        Err(error) => return Ok(Err(error)),
    };
    for first in (0..inner.len()).step_by(BATCH) {
        let batch: Vec<Sample> = (first..(first + BATCH).min(inner.len()))
            .into_par_iter()
            .map(|index| inner.sample(index))
            .collect::<Result<_, _>>()?;
        for sample in &batch {
            if let Err(error) = encoder.add(sample) {
                return Ok(Err(error));
            }
        }
    }
    Ok(encoder.finish(key))
}

/// SHA-256 of what the samples are decoded from.
fn source_key<D: SourceFiles>(inner: &D) -> Result<[u8; 32], Error> {
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    field(&format!("{} v{} {:?} {}", inner.name(), file::VERSION, inner.sensor_size(), inner.recipe()));
    for path in inner.source_files() {
        let about = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?;
        let changed = about.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        field(&format!("{} {} {:?}", path.display(), about.len(), changed.map(|t| t.as_nanos())));
    }
    for info in inner.samples() {
        field(&format!("{} {} {:?}", info.label, info.group, info.part));
    }
    Ok(hash.finalize().into())
}
