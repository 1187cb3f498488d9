//! Cells of variable length, read past the HDF5 library.
//!
//! A cell of a dataset of variable-length bytes is a reference: its length (u32), the address of a collection (u64) and the
//! index of an object in it (u32). A collection is `GCOL`, version 1, its size (u64), and objects one after the other:
//! index (u16), reference count (u16), 4 bytes, length (u64), the bytes, padded to 8. All little-endian.
//! Source: HDF5 File Format Specification, III.E "Global Heap".
//!
//! Design decision: the library (1.10) follows a damaged reference out of its memory, which ends the process, and a
//! damaged length round in circles. Here every address, length and index is held to the file before it is followed.
//! The library still finds the dataset and its chunks; only where these are packed are the cells read by it too.

use super::{CHUNK_ROWS, GROUP};
use crate::Error;
use crate::hdf5_file::{fault, library};
use crate::source::{read_exact_at, u32_le};
use hdf5::Dataset;
use hdf5::types::{IntSize, TypeDescriptor, VarLenArray};
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of a reference, of a collection's head and of an object's.
const CELL_BYTES: usize = 16;
const HEAD_BYTES: usize = 16;
/// A collection larger than this, many times that of a frame, is not believed.
const MAX_COLLECTION_BYTES: u64 = 64 << 20;
/// Collections kept: rows take turns in those of small and of large objects.
const KEPT: usize = 8;

/// The rows of `/dvs/data`, three cells each.
pub(super) struct Cells {
    path: PathBuf,
    data: Dataset,
    plain: Option<Plain>,
}

/// Where the chunks of references are, and the collections met last.
struct Plain {
    file: File,
    file_bytes: u64,
    chunks: HashMap<usize, u64>,
    collections: Vec<Collection>,
    oldest: usize,
}

struct Collection {
    address: u64,
    bytes: Vec<u8>,
    objects: HashMap<u32, Range<usize>>,
}

impl Cells {
    /// The cells of `data`, of shape `[N, 3]`, in the file at `path`.
    pub fn new(path: &Path, data: Dataset) -> Result<Self, Error> {
        let item = format!("/{GROUP}/data");
        let kind = data.dtype().and_then(|t| t.to_descriptor()).map_err(library(path, &item))?;
        let bytes = matches!(&kind, TypeDescriptor::VarLenArray(of)
            if matches!(**of, TypeDescriptor::Unsigned(IntSize::U1) | TypeDescriptor::Integer(IntSize::U1)));
        if !bytes {
            return Err(fault(path, item, "bytes of variable length", kind.to_string()));
        }
        Ok(Self { path: path.to_path_buf(), plain: Plain::find(path, &data), data })
    }

    /// The cells of the chunk of rows that starts at row `first`, up to row `end`.
    pub fn read(&mut self, first: usize, end: usize) -> Result<Vec<Vec<u8>>, Error> {
        match &mut self.plain {
            Some(plain) => plain.read(&self.path, first, end),
            None => {
                let item = format!("/{GROUP}/data rows {first} to {end}");
                let cells = self.data.read_slice_2d::<VarLenArray<u8>, _>((first..end, 0..3));
                let cells = cells.map_err(library(&self.path, &item))?;
                Ok(cells.iter().map(|cell| cell.to_vec()).collect())
            }
        }
    }
}

impl Plain {
    /// Where the chunks of `data` are, if they are stored as they are in a file with addresses and lengths of 8 bytes.
    fn find(path: &Path, data: &Dataset) -> Option<Self> {
        let file = File::open(path).ok().filter(|_| cfg!(unix))?;
        let file_bytes = file.metadata().ok()?.len();
        let mut head = [0; 16];
        read_exact_at(&file, &mut head, 0).ok()?;
        let sizes = if head[8] < 2 { [head[13], head[14]] } else { [head[9], head[10]] };
        let usual = head.starts_with(b"\x89HDF\r\n\x1a\n") && sizes == [8, 8];
        let packed = !data.filters().is_empty() || data.chunk().as_deref() != Some(&[CHUNK_ROWS, 3]);
        if !usual || packed {
            return None;
        }
        let mut chunks = HashMap::new();
        for i in 0..data.num_chunks()? {
            let chunk = data.chunk_info(i)?;
            chunks.insert(usize::try_from(*chunk.offset.first()?).ok()?, chunk.addr);
        }
        Some(Self { file, file_bytes, chunks, collections: Vec::new(), oldest: 0 })
    }

    fn read(&mut self, path: &Path, first: usize, end: usize) -> Result<Vec<Vec<u8>>, Error> {
        let item = format!("/{GROUP}/data rows {first} to {end}");
        let Some(&address) = self.chunks.get(&first) else {
            return Err(fault(path, item, "a stored chunk", "none"));
        };
        let mut references = vec![[0; CELL_BYTES]; 3 * (end - first)];
        self.bytes_at(references.as_flattened_mut(), address)
            .ok_or_else(|| fault(path, &item, "a chunk inside the file", format!("address {address}")))?;
        let mut cells = Vec::with_capacity(references.len());
        for (i, reference) in references.iter().enumerate() {
            let item = || format!("/{GROUP}/data row {}, cell {}", first + i / 3, i % 3);
            let (length, index) = (u32_le(reference, 0), u32_le(reference, 12));
            let address = u64_le(reference, 4);
            if length == 0 {
                cells.push(Vec::new());
                continue;
            }
            let collection = self.collection(address).map_err(|(expected, found)| {
                fault(path, item(), format!("{expected} at byte {address}"), found)
            })?;
            let object = collection.objects.get(&index).filter(|range| range.len() == length as usize);
            let Some(object) = object else {
                let expected =
                    format!("object {index} of {length} bytes in the collection at byte {address}");
                return Err(fault(path, item(), expected, "none"));
            };
            cells.push(collection.bytes[object.clone()].to_vec());
        }
        Ok(cells)
    }

    /// The collection at `address`, from memory if it has been met lately; else what was expected of it and what found.
    fn collection(&mut self, address: u64) -> Result<&Collection, (&'static str, String)> {
        if let Some(i) = self.collections.iter().position(|c| c.address == address) {
            return Ok(&self.collections[i]);
        }
        let outside = || ("a collection inside the file", format!("{} bytes of file", self.file_bytes));
        let mut head = [0; HEAD_BYTES];
        self.bytes_at(&mut head, address).ok_or_else(outside)?;
        if !head.starts_with(b"GCOL\x01") {
            return Err(("the mark of a collection", format!("'{}'", head[..5].escape_ascii())));
        }
        let size = u64_le(&head, 8);
        if size > MAX_COLLECTION_BYTES || address.checked_add(size).is_none_or(|end| end > self.file_bytes) {
            return Err(("a collection inside the file, of at most 64 MiB", format!("{size} bytes")));
        }
        let mut bytes = vec![0; size as usize];
        self.bytes_at(&mut bytes, address).ok_or_else(outside)?;
        let objects = objects(&bytes)?;
        let collection = Collection { address, bytes, objects };
        let at = self.oldest % KEPT;
        self.oldest += 1;
        match self.collections.get_mut(at) {
            Some(oldest) => *oldest = collection,
            None => self.collections.push(collection),
        }
        Ok(&self.collections[at])
    }

    /// Fills `bytes` from the file, if it has so many at `address`.
    fn bytes_at(&self, bytes: &mut [u8], address: u64) -> Option<()> {
        address.checked_add(bytes.len() as u64).filter(|&end| end <= self.file_bytes)?;
        read_exact_at(&self.file, bytes, address).ok()
    }
}

/// The objects of a collection by index; index 0 is the room behind them.
fn objects(bytes: &[u8]) -> Result<HashMap<u32, Range<usize>>, (&'static str, String)> {
    let (mut objects, mut at) = (HashMap::new(), HEAD_BYTES);
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEAD_BYTES>()) {
        let index = u32::from(u16::from_le_bytes([head[0], head[1]]));
        if index == 0 {
            break;
        }
        let start = at + HEAD_BYTES;
        let length = usize::try_from(u64_le(head, 8)).ok().filter(|&length| length <= bytes.len() - start);
        let Some(length) = length else {
            return Err(("a collection that holds its objects", format!("object {index} beyond its end")));
        };
        if objects.insert(index, start..start + length).is_some() {
            return Err(("a collection with each object once", format!("object {index} twice")));
        }
        at = start + length.next_multiple_of(8);
    }
    Ok(objects)
}

fn u64_le(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_le(bytes, at)) | u64::from(u32_le(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collection of objects `(index, length)`; byte `i` of each is `i`.
    fn collection(parts: &[(u16, u64)], room: usize) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        for &(index, length) in parts {
            bytes.extend(index.to_le_bytes());
            bytes.extend([0; 6]);
            bytes.extend(length.to_le_bytes());
            bytes.extend((0..length.min(100).next_multiple_of(8)).map(|i| i as u8));
        }
        bytes.resize(bytes.len() + room, 0);
        bytes
    }

    #[test]
    fn objects_are_found_and_none_reaches_out_of_its_collection() {
        let good = objects(&collection(&[(1, 3), (7, 16), (2, 0)], 40)).unwrap();
        assert_eq!(good, HashMap::from([(1, 32..35), (7, 56..72), (2, 88..88)]));
        assert!(objects(&collection(&[], 0)).unwrap().is_empty());
        for bad in [&[(1, 40_u64)][..], &[(1, u64::MAX)], &[(1, u64::MAX - 20)], &[(1, 8), (1, 8)]] {
            let mut bytes = collection(bad, 0);
            bytes.truncate(HEAD_BYTES + 2 * HEAD_BYTES + 16);
            assert!(objects(&bytes).is_err(), "{bad:?}");
        }
    }
}
