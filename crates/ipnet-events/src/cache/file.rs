//! The cache's file, version 1, little-endian.
//!
//! Events of sample 0, 1, ...: 8 bytes each, `t` u32 \[us\], `x` u16, `y` u16 with ON in bit 15. Then the index, 48 bytes a
//! sample: offset u64, events u64, duration u64 \[us\], label u32, 0 u32, first half of the events' SHA-256. Then the
//! footer, 64 bytes: magic, version u32, samples u32, key, first half of the index' SHA-256. What is written last is
//! checked first, so a cut file is known at once.

use crate::writer::PartialFile;
use crate::{Error, Events, Sample};
use memmap2::Mmap;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Version of the layout and of the rules by which samples are cut.
pub(super) const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"IPNCLIPS";
const EVENT: usize = 8;
const ENTRY: usize = 48;
const FOOTER: usize = 64;
const ON: u16 = 0x8000;

fn half_hash(bytes: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(bytes)[..16]);
    half
}

/// Writes the file.
pub(super) struct Encoder {
    file: PartialFile,
    offset: u64,
    index: Vec<u8>,
    bytes: Vec<u8>,
}

impl Encoder {
    pub fn new(file: PartialFile) -> Self {
        Self { file, offset: 0, index: Vec::new(), bytes: Vec::new() }
    }

    /// Appends a sample.
    ///
    /// # Errors
    /// A time or a row that the layout has no room for, or a file that cannot be written.
    pub fn add(&mut self, sample: &Sample) -> Result<(), Error> {
        let Sample { events, label, duration_us } = sample;
        let wide = events.t.iter().any(|&t| t > u64::from(u32::MAX)) || events.y.iter().any(|&y| y >= ON);
        if wide {
            return Err(Error::Argument {
                what: "a clip to cache".to_owned(),
                expected: "times below 2^32 us and rows below 2^15".to_owned(),
                found: "more".to_owned(),
            });
        }
        self.bytes.clear();
        for i in 0..events.len() {
            self.bytes.extend((events.t[i] as u32).to_le_bytes());
            self.bytes.extend(events.x[i].to_le_bytes());
            self.bytes.extend((events.y[i] | if events.polarity[i] { ON } else { 0 }).to_le_bytes());
        }
        self.file.write(&self.bytes)?;
        for field in [self.offset, events.len() as u64, *duration_us, *label as u64] {
            self.index.extend(field.to_le_bytes());
        }
        self.index.extend(half_hash(&self.bytes));
        self.offset += self.bytes.len() as u64;
        Ok(())
    }

    /// Writes index and footer and puts the file in its place.
    pub fn finish(mut self, key: &[u8; 32]) -> Result<(), Error> {
        self.file.write(&self.index)?;
        self.file.write(MAGIC)?;
        self.file.write(&VERSION.to_le_bytes())?;
        self.file.write(&((self.index.len() / ENTRY) as u32).to_le_bytes())?;
        self.file.write(key)?;
        self.file.write(&half_hash(&self.index))?;
        self.file.finish()
    }
}

/// A whole file with a valid index.
#[derive(Debug)]
pub(super) struct CacheFile {
    path: PathBuf,
    map: Mmap,
    index: usize,
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

impl CacheFile {
    /// The file at `path`, if it is there, whole, of this version, and of `samples` samples of the source `key`.
    pub fn open(path: &Path, key: &[u8; 32], samples: usize) -> Option<Self> {
        let file = std::fs::File::open(path).ok()?;
        // SAFETY: cache files are never changed in place, by this program at least: they are written under another name
        // and renamed, or removed, which leaves the mapped bytes as they are. Every read is bounds-checked, and no
        // byte is trusted to have any particular value.
        let map = unsafe { Mmap::map(&file) }.ok()?;
        let index = map.len().checked_sub(FOOTER + samples.checked_mul(ENTRY)?)?;
        let (entries, footer) = map[index..].split_at(samples * ENTRY);
        let expected = [&MAGIC[..], &VERSION.to_le_bytes(), &(samples as u32).to_le_bytes(), key].concat();
        let valid = footer[..48] == expected[..] && footer[48..] == half_hash(entries);
        valid.then(|| Self { path: path.to_owned(), index, map })
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sample `index`, unless its bytes are not those that were written.
    pub fn sample(&self, index: usize) -> Option<Sample> {
        let entry = self.map.get(self.index + index * ENTRY..)?.get(..ENTRY)?;
        let [offset, count, duration_us, label] = std::array::from_fn(|i| u64_at(entry, 8 * i));
        let (start, length) =
            (usize::try_from(offset).ok()?, usize::try_from(count).ok()?.checked_mul(EVENT)?);
        let bytes = self.map[..self.index].get(start..start.checked_add(length)?)?;
        if half_hash(bytes) != entry[32..] {
            return None;
        }
        let mut events = Events::with_capacity(bytes.len() / EVENT);
        for event in bytes.chunks_exact(EVENT) {
            let half = |at: usize| u16::from_le_bytes([event[at], event[at + 1]]);
            let t = u32::from_le_bytes([event[0], event[1], event[2], event[3]]);
            events.push(u64::from(t), half(4), half(6) & !ON, half(6) & ON != 0);
        }
        Some(Sample { events, label: label as usize, duration_us })
    }
}
