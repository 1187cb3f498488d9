//! The contract of every format that can be written, and the file under it.
//!
//! Design decision: a recording is written under a name of its own (`<name>.partial-<process>`) and renamed at the
//! end, so a full disk or a killed process never leaves a file that looks whole. A rename replaces whatever has the name, so
//! a name that stands for anything but a regular file (a device, a pipe, a folder) is refused before anything is written.

use crate::{Error, Events};
use std::fs::{File, FileType};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A recording being written.
pub trait EventWriter {
    /// Appends `events`; times must not step back, pixels must lie inside the sensor.
    fn write(&mut self, events: &Events) -> Result<(), Error>;

    /// Completes the file under its name. Without it nothing is left behind.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// A file that gets its name only when it is whole. Dropped before [`finish`](Self::finish) it leaves nothing behind.
pub struct PartialFile {
    path: PathBuf,
    target: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    done: bool,
}

impl PartialFile {
    /// Starts a file that will stand at `path`, or where a link at `path` leads.
    ///
    /// # Errors
    /// Something at `path` that is no regular file, or a file that cannot be made.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let target = target(path)?;
        let partial = partial_path(&target);
        let file = File::create(&partial).map_err(|e| Error::io(path, e))?;
        Ok(Self {
            path: path.to_path_buf(),
            target,
            partial,
            file: BufWriter::with_capacity(1 << 18, file),
            done: false,
        })
    }

    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|e| Error::io(&self.path, e))
    }

    /// Where an encoder of another crate writes.
    pub fn stream(&mut self) -> &mut impl Write {
        &mut self.file
    }

    /// The path the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Overwrites bytes already written, e.g. a length that is known only at the end.
    pub fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        use std::io::{Seek, SeekFrom};
        let error = |e| Error::io(&self.path, e);
        self.file.seek(SeekFrom::Start(offset)).map_err(error)?;
        self.file.write_all(bytes).map_err(error)?;
        self.file.seek(SeekFrom::End(0)).map_err(error)?;
        Ok(())
    }

    /// Puts the whole file in its place.
    pub fn finish(mut self) -> Result<(), Error> {
        self.file.flush().map_err(|e| Error::io(&self.path, e))?;
        self.file.get_ref().sync_all().map_err(|e| Error::io(&self.path, e))?;
        std::fs::rename(&self.partial, &self.target).map_err(|e| Error::io(&self.path, e))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.done {
            // Nothing can be done about a failure here; the name says what the file is.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// Where a file for `path` must stand: at `path` if that is a regular file or a new name, or where a link at `path` leads.
///
/// # Errors
/// Anything else at `path`: a rename would put a regular file in its place.
pub(crate) fn target(path: &Path) -> Result<PathBuf, Error> {
    let refuse = |found: &str| Error::Argument {
        what: path.display().to_string(),
        expected: "a regular file or a new name to write to".into(),
        found: found.into(),
    };
    match (std::fs::symlink_metadata(path), std::fs::metadata(path)) {
        (Ok(itself), Ok(end)) if end.is_file() && itself.is_symlink() => {
            path.canonicalize().map_err(|e| Error::io(path, e))
        }
        (_, Ok(end)) if end.is_file() => Ok(path.to_path_buf()),
        (_, Ok(end)) => Err(refuse(kind(end.file_type()))),
        (Ok(itself), Err(_)) if itself.is_symlink() => Err(refuse("a link that leads nowhere")),
        // A new name; or one that cannot be looked at, which the attempt to write there will explain.
        (_, Err(_)) => Ok(path.to_path_buf()),
    }
}

/// What a file is that is not a regular one.
fn kind(of: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if of.is_fifo() {
            return "a pipe";
        }
        if of.is_socket() {
            return "a socket";
        }
        if of.is_char_device() || of.is_block_device() {
            return "a device";
        }
    }
    if of.is_dir() { "a folder" } else { "a special file" }
}

/// Where the recording for `path` grows.
pub(crate) fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".partial-{}", std::process::id()));
    path.with_file_name(name)
}

/// Checks what every format needs of events to be written: order, and pixels inside `sensor`.
pub(crate) fn check_order_and_bounds(
    events: &Events,
    sensor: (u16, u16),
    last_t: &mut u64,
) -> Result<(), Error> {
    let fault = |i: usize, expected: String, found: String| Error::Argument {
        what: format!("event {i} to write"),
        expected,
        found,
    };
    for i in 0..events.len() {
        if events.x[i] >= sensor.0 || events.y[i] >= sensor.1 {
            return Err(fault(
                i,
                format!("a pixel inside {} x {}", sensor.0, sensor.1),
                format!("({}, {})", events.x[i], events.y[i]),
            ));
        }
        if events.t[i] < *last_t {
            return Err(fault(i, format!("a time of at least {last_t} us"), format!("{} us", events.t[i])));
        }
        *last_t = events.t[i];
    }
    Ok(())
}

/// Checks that a time fits a clock of `bits` bits.
pub(crate) fn check_end(last_t: u64, bits: u32) -> Result<(), Error> {
    if last_t >> bits == 0 {
        return Ok(());
    }
    Err(Error::Argument {
        what: "time to write".into(),
        expected: format!("less than 2^{bits} us"),
        found: format!("{last_t} us"),
    })
}

/// Checks that both sides of a sensor are from 1 to `max`.
pub(crate) fn check_sensor(sensor: (u16, u16), max: u16) -> Result<(), Error> {
    if (1..=max).contains(&sensor.0) && (1..=max).contains(&sensor.1) {
        return Ok(());
    }
    Err(Error::Argument {
        what: "sensor size".into(),
        expected: format!("sides from 1 to {max}"),
        found: format!("{} x {}", sensor.0, sensor.1),
    })
}
