//! Columns that stand in the file as they are: read past the library, by several threads.
//!
//! Design decision: the library reads one column at a time under one lock, and into memory that must be given a value
//! before. Recordings are often written without chunks or compression; then a column is a range of the file, whose
//! offset the library knows, and reading it needs nothing else.

use crate::columns::ByteColumns;
use crate::hdf5_file::Column;
use crate::source::read_exact_at;
use hdf5::types::{IntSize, TypeDescriptor};
use std::fs::File;
use std::ops::Range;
use std::path::Path;

/// The file and the offsets of t, x, y and p.
pub(super) struct Plain {
    file: File,
    at: [u64; 4],
}

/// Bytes of a row of each column.
const ROW_BYTES: [usize; 4] = [8, 2, 2, 1];

impl Plain {
    /// The columns t, x, y and p of the recording at `path`, if they are plain and of the usual types.
    pub fn find(path: &Path, columns: &[Column; 4]) -> Option<Self> {
        use TypeDescriptor::{Boolean, Integer, Unsigned};
        let [t, x, y, p] = columns.each_ref().map(Column::kind);
        let usual = matches!(t, Integer(IntSize::U8) | Unsigned(IntSize::U8))
            && [x, y].iter().all(|kind| matches!(kind, Unsigned(IntSize::U2)))
            && matches!(p, Integer(IntSize::U1) | Boolean);
        let file = File::open(path).ok().filter(|_| usual && cfg!(unix))?;
        let file_bytes = file.metadata().ok()?.len();
        let mut at = [0; 4];
        for i in 0..4 {
            at[i] = columns[i].plain_offset(ROW_BYTES[i], file_bytes)?;
        }
        Some(Self { file, at })
    }

    /// The rows `rows`, in `buffers`; nothing if they cannot be read.
    pub fn read<'b>(&self, rows: Range<usize>, buffers: &'b mut [Vec<u8>; 4]) -> Option<ByteColumns<'b>> {
        for i in 0..4 {
            buffers[i].resize(rows.len() * ROW_BYTES[i], 0);
            let offset = self.at[i] + (rows.start * ROW_BYTES[i]) as u64;
            read_exact_at(&self.file, &mut buffers[i], offset).ok()?;
        }
        let [t, x, y, on] = buffers;
        Some(ByteColumns { t: t.as_chunks().0, x: x.as_chunks().0, y: y.as_chunks().0, on })
    }
}
