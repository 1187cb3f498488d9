//! Bytes of a recording, read once from front to back through a bounded buffer.
//!
//! Design decision: large reads into one reused buffer, and no memory map. A map turns a file that is cut while it
//! is read into a signal instead of an error, counts against the process's memory, and is not faster where each
//! byte is looked at once. The buffer grows only as fast as bytes really arrive, so no length field of a hostile
//! file can make it large. Where very many records of a file are wanted, threads read their own parts of it past that buffer
//! ([`Direct`]).

use crate::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes asked of the system at once: few enough to stay in the second-level cache, unless the caller wants very many
/// events, which are then decoded by several threads.
const READ_BYTES: usize = 256 * 1024;
const LARGE_READ_BYTES: usize = 16 * READ_BYTES;

/// Where decoded records come from, for errors about them.
pub(crate) trait Place {
    /// An error about the record `relative` bytes after the first of those being decoded.
    fn fault_at(&self, relative: u64, expected: String, found: String) -> Error;
}

impl Place for Source {
    fn fault_at(&self, relative: u64, expected: String, found: String) -> Error {
        self.fault(self.offset + relative, expected, found)
    }
}

/// The part of a source's bytes that starts some bytes after the next one.
pub(crate) struct Part<'a> {
    source: &'a Source,
    start: usize,
}

impl Place for Part<'_> {
    fn fault_at(&self, relative: u64, expected: String, found: String) -> Error {
        self.source.fault_at(self.start as u64 + relative, expected, found)
    }
}

/// A recording's bytes with their offsets.
pub(crate) struct Source {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    /// The file behind `input`, and its length when it was opened; nothing for devices, pipes and bytes in memory.
    file: Option<(File, u64)>,
}

/// The rest of a file, readable by several threads at once.
pub(crate) struct Direct<'a> {
    file: &'a File,
    offset: u64,
}

impl Direct<'_> {
    /// Fills `records` with those from the `first` on; nothing if they cannot be read.
    pub fn read<const N: usize>(&self, first: usize, records: &mut [[u8; N]]) -> Option<()> {
        let offset = self.offset.checked_add((first as u64).checked_mul(N as u64)?)?;
        read_exact_at(self.file, records.as_flattened_mut(), offset).ok()
    }
}

/// Fills `bytes` from `offset` of `file` on, whatever its place; where the system cannot, it is unsupported.
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset);
    #[cfg(not(unix))]
    return Err(std::io::ErrorKind::Unsupported.into());
}

impl Source {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        // Devices and pipes have no length; then nothing is known of what is left.
        let regular = file.metadata().ok().filter(|data| data.is_file());
        let whole = regular.and_then(|data| Some((file.try_clone().ok()?, data.len())));
        Ok(Self { file: whole, ..Self::new(Box::new(file), path) })
    }

    /// Reads `input`; `path` names it in errors.
    pub fn new(input: Box<dyn Read + Send>, path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            input,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            offset: 0,
            file: None,
        }
    }

    /// Offset in the file of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whole items of `item_bytes` that the rest of the file has room for; 0 where its length is not known.
    pub fn items_left(&self, item_bytes: usize) -> usize {
        let file_bytes = self.file.as_ref().map_or(0, |(_, bytes)| *bytes);
        usize::try_from(file_bytes.saturating_sub(self.offset) / item_bytes as u64).unwrap_or(0)
    }

    /// The bytes from the next one on, for several threads to read; nothing where the input is no file.
    pub fn direct(&self) -> Option<Direct<'_>> {
        let (file, _) = self.file.as_ref().filter(|_| cfg!(unix))?;
        Some(Direct { file, offset: self.offset })
    }

    /// Steps over `count` bytes that have been read by [`Source::direct`].
    pub fn step_over(&mut self, count: u64) -> Result<(), Error> {
        if count <= (self.end - self.start) as u64 {
            self.consume(count as usize);
            return Ok(());
        }
        self.offset += count;
        (self.start, self.end) = (0, 0);
        // `input` shares its place with this handle.
        match &mut self.file {
            Some((file, _)) => {
                file.seek(SeekFrom::Start(self.offset)).map_err(|e| Error::io(&self.path, e)).map(drop)
            }
            None => Ok(()),
        }
    }

    /// The next bytes: at least `count`, or all that are left when the file ends before.
    pub fn peek(&mut self, count: usize) -> Result<&[u8], Error> {
        self.fill(count)?;
        Ok(self.bytes())
    }

    /// The bytes that [`Source::fill`] has brought in and that are not consumed.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Brings in at least `count` bytes, or all that are left when the file ends before.
    pub fn fill(&mut self, count: usize) -> Result<(), Error> {
        while self.end - self.start < count {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.end == self.buffer.len() {
                self.buffer.resize(2 * self.end, 0);
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.path, e)),
            }
        }
        Ok(())
    }

    /// Brings in records of `N` bytes: up to `limit`, and many at once if very many are wanted.
    pub fn fill_records<const N: usize>(&mut self, limit: usize) -> Result<(), Error> {
        let want = if limit >= LARGE_READ_BYTES / N { LARGE_READ_BYTES } else { READ_BYTES };
        self.fill((want / N).min(limit) * N)
    }

    /// The whole records, up to `limit`, that [`Source::fill_records`] has brought in; none at the end of the file or
    /// where its rest is shorter than a record.
    pub fn records<const N: usize>(&self, limit: usize) -> &[[u8; N]] {
        let (records, _) = self.bytes().as_chunks::<N>();
        &records[..records.len().min(limit)]
    }

    /// The bytes from `start` on, as a place.
    pub fn part(&self, start: usize) -> Part<'_> {
        Part { source: self, start }
    }

    /// Steps over `count` bytes that [`Source::peek`] has shown.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Steps over up to `count` bytes and says how many there were.
    pub fn skip(&mut self, count: u64) -> Result<u64, Error> {
        let mut left = count;
        while left > 0 {
            let here = self.peek(1)?.len();
            if here == 0 {
                break;
            }
            let step = left.min(here as u64) as usize;
            self.consume(step);
            left -= step as u64;
        }
        Ok(count - left)
    }

    /// Steps over everything that is left and says how many bytes it was.
    pub fn skip_rest(&mut self) -> Result<u64, Error> {
        self.skip(u64::MAX)
    }

    /// The next line without its line end, if it starts with `first` and is text; `None` where data begin.
    ///
    /// Control characters tell data from text, as data may start with the byte that starts header lines. Bytes that
    /// are not ASCII become `?`: header text is only ever compared and parsed, never shown as a name.
    pub fn line(&mut self, first: u8, limit: usize) -> Result<Option<String>, Error> {
        if self.peek(1)?.first() != Some(&first) {
            return Ok(None);
        }
        let mut want = 256;
        loop {
            let bytes = self.peek(want)?;
            let end = bytes.iter().position(|&b| b < b' ' && b != b'\t' && b != b'\r');
            if let Some(end) = end {
                if bytes[end] != b'\n' {
                    return Ok(None);
                }
                let text = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
                let text = text.iter().map(|&b| if b.is_ascii() { b as char } else { '?' }).collect();
                self.consume(end + 1);
                return Ok(Some(text));
            }
            let len = bytes.len();
            if len < want || len >= limit {
                let found = if len < want { "the end of the file" } else { "none" };
                return Err(self.fault(
                    self.offset,
                    format!("a header line's end within {limit} bytes"),
                    found,
                ));
            }
            want = (2 * len).min(limit);
        }
    }

    /// An [`Error::Format`] at `offset`.
    pub fn fault(&self, offset: u64, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Format { path: self.path.clone(), offset, expected: expected.into(), found: found.into() }
    }
}

/// The little-endian i32 at `bytes[at..at + 4]`.
pub(crate) fn i32_le(bytes: &[u8], at: usize) -> i32 {
    u32_le(bytes, at) as i32
}

/// The little-endian u32 at `bytes[at..at + 4]`.
pub(crate) fn u32_le(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
