//! What the HDF5 formats share: files that get their names when whole, and columns read without silent conversion.
//!
//! Design decision: the HDF5 library clamps numbers that do not fit the type asked for, without a word. So integers
//! are read in their own type where it is the usual one and else as 64 bits, and are checked here.

use crate::Error;
use crate::writer::{partial_path, target};
use hdf5::types::{FloatSize, TypeDescriptor};
use hdf5::{Dataset, File, Group};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Turns a library error on `item` of `path` into this crate's.
pub(crate) fn library(path: &Path, item: &str) -> impl Fn(hdf5::Error) -> Error {
    let (path, item) = (path.to_path_buf(), item.to_string());
    move |error| Error::Library {
        path: path.clone(),
        item: item.clone(),
        reason: error.to_string().lines().next().unwrap_or("HDF5 error").to_string(),
    }
}

/// Opens `path` for reading.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    // A missing or unreadable file is the system's to explain.
    std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    File::open(path).map_err(library(path, "HDF5 file"))
}

/// An error on `item` of `path`.
pub(crate) fn fault(
    path: &Path,
    item: impl Into<String>,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Error {
    Error::Item {
        path: path.to_path_buf(),
        item: item.into(),
        expected: expected.into(),
        found: found.into(),
    }
}

/// A one-dimensional numeric dataset.
pub(crate) struct Column {
    path: PathBuf,
    name: String,
    data: Dataset,
    kind: TypeDescriptor,
    /// Rows.
    pub len: usize,
    /// Rows of a stored chunk, if the dataset is stored in chunks.
    pub chunk: Option<usize>,
}

/// Rows of a column in the widest type that holds them all.
pub(crate) enum Rows {
    I8(Vec<i8>),
    U16(Vec<u16>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F64(Vec<f64>),
}

impl Column {
    /// The first dataset of `group` that has one of `names`.
    pub fn find(path: &Path, group: &Group, names: &[&str]) -> Result<Self, Error> {
        let item = format!("{}/{}", group.name().trim_end_matches('/'), names[0]);
        let Some(name) = names.iter().find(|name| group.link_exists(name)) else {
            return Err(fault(path, item, format!("a dataset of the name {}", names.join(" or ")), "none"));
        };
        let data = group.dataset(name).map_err(library(path, &item))?;
        let shape = data.shape();
        let &[len] = shape.as_slice() else {
            return Err(fault(path, item, "one dimension", format!("shape {shape:?}")));
        };
        let kind = data.dtype().and_then(|t| t.to_descriptor()).map_err(library(path, &item))?;
        let chunk = data.chunk().and_then(|c| c.first().copied());
        Ok(Self { path: path.to_path_buf(), name: item, data, kind, len, chunk })
    }

    /// The dataset's full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Offset in the file of the rows of `bytes` little-endian bytes each, if they stand there as they are, one after the
    /// other and all of them.
    pub fn plain_offset(&self, bytes: usize, file_bytes: u64) -> Option<u64> {
        let kind = self.data.dtype().ok()?;
        let little = bytes == 1 || kind.byte_order() == hdf5::datatype::ByteOrder::LittleEndian;
        let contiguous = self.data.layout() == hdf5::dataset::Layout::Contiguous;
        let offset = self.data.offset().filter(|_| little && contiguous && kind.size() == bytes)?;
        let end = u64::try_from(self.len).ok()?.checked_mul(bytes as u64)?.checked_add(offset)?;
        (end <= file_bytes).then_some(offset)
    }

    /// The type of the rows.
    pub fn kind(&self) -> &TypeDescriptor {
        &self.kind
    }

    /// Rows `range`.
    pub fn rows(&self, range: Range<usize>) -> Result<Rows, Error> {
        use TypeDescriptor::{Boolean, Float, Integer, Unsigned};
        use hdf5::types::IntSize;
        let error = library(&self.path, &self.name);
        match &self.kind {
            Boolean => self.raw::<bool>(range).map(|v| Rows::I8(v.into_iter().map(i8::from).collect())),
            Integer(IntSize::U1) => self.raw(range).map(Rows::I8),
            Unsigned(IntSize::U2) => self.raw(range).map(Rows::U16),
            Unsigned(IntSize::U8) => self.raw(range).map(Rows::U64),
            Integer(_) | Unsigned(_) => self.raw(range).map(Rows::I64),
            Float(FloatSize::U8 | FloatSize::U4) => self.raw(range).map(Rows::F64),
            _ => {
                return Err(fault(&self.path, &self.name, "numbers", self.kind.to_string()));
            }
        }
        .map_err(error)
    }

    fn raw<T: hdf5::H5Type>(&self, range: Range<usize>) -> Result<Vec<T>, hdf5::Error> {
        Ok(self.data.read_slice_1d::<T, _>(range)?.into_raw_vec_and_offset().0)
    }
}

/// An HDF5 file that gets its name only when it is whole.
pub(crate) struct PartialHdf5 {
    path: PathBuf,
    target: PathBuf,
    partial: PathBuf,
    file: Option<File>,
}

impl PartialHdf5 {
    /// Starts a file that will stand at `path`, or where a link at `path` leads.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let target = target(path)?;
        let partial = partial_path(&target);
        // The system's own reason (no such folder, read-only) is clearer than the library's.
        std::fs::File::create(&partial).map_err(|e| Error::io(path, e))?;
        let file = File::create(&partial).map_err(library(path, "HDF5 file"))?;
        Ok(Self { path: path.to_path_buf(), target, partial, file: Some(file) })
    }

    /// The path the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file's root group.
    pub fn root(&self) -> Result<Group, Error> {
        match &self.file {
            Some(file) => file.group("/").map_err(library(&self.path, "/")),
            None => Err(fault(&self.path, "/", "an open file", "a closed one")),
        }
    }

    /// Puts the whole file in its place. Every dataset of it must have been dropped.
    pub fn finish(mut self) -> Result<(), Error> {
        if let Some(file) = self.file.take() {
            file.flush().map_err(library(&self.path, "HDF5 file"))?;
            file.close().map_err(library(&self.path, "HDF5 file"))?;
        }
        std::fs::rename(&self.partial, &self.target).map_err(|e| Error::io(&self.path, e))?;
        self.partial = PathBuf::new();
        Ok(())
    }
}

impl Drop for PartialHdf5 {
    fn drop(&mut self) {
        if !self.partial.as_os_str().is_empty() {
            self.file = None;
            // Nothing can be done about a failure here; the name says what the file is.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}
