//! Plain HDF5, written: chunks of 65536 rows, shuffled and deflated.

use super::GROUP;
use crate::hdf5_file::{PartialHdf5, library};
use crate::writer::{EventWriter, check_end, check_order_and_bounds};
use crate::{Error, Events};
use hdf5::{Dataset, Extent};
use std::path::Path;

const CHUNK_ROWS: usize = 1 << 16;

/// A writer of plain HDF5 recordings.
pub struct H5Writer {
    // Declared before the file, so that they are closed before it.
    columns: [Dataset; 4],
    file: PartialHdf5,
    sensor: (u16, u16),
    last_t: u64,
    rows: usize,
    pending: Events,
}

impl H5Writer {
    /// Starts a recording of a sensor of size `(width, height)` at `path`.
    pub fn create(path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Self, Error> {
        let file = PartialHdf5::create(path.as_ref())?;
        let root = file.root()?;
        let error = library(path.as_ref(), GROUP);
        let group = root.create_group(GROUP).map_err(&error)?;
        for (name, side) in [("width", sensor.0), ("height", sensor.1)] {
            let attribute = group.new_attr::<u16>().create(name).map_err(&error)?;
            attribute.write_scalar(&side).map_err(&error)?;
        }
        fn column<T: hdf5::H5Type>(group: &hdf5::Group, name: &str) -> Result<Dataset, hdf5::Error> {
            let builder = group.new_dataset::<T>().chunk(CHUNK_ROWS).shuffle().deflate(1);
            builder.shape(Extent::resizable(0)).create(name)
        }
        let columns = [
            column::<i64>(&group, "t").map_err(&error)?,
            column::<u16>(&group, "x").map_err(&error)?,
            column::<u16>(&group, "y").map_err(&error)?,
            column::<u8>(&group, "p").map_err(&error)?,
        ];
        Ok(Self { columns, file, sensor, last_t: 0, rows: 0, pending: Events::default() })
    }

    /// Writes the first `count` pending events.
    fn flush_rows(&mut self, count: usize) -> Result<(), Error> {
        let range = self.rows..self.rows + count;
        let error = library(self.file.path(), GROUP);
        let t: Vec<i64> = self.pending.t[..count].iter().map(|&t| t as i64).collect();
        let p: Vec<u8> = self.pending.polarity[..count].iter().map(|&on| on.into()).collect();
        for column in &self.columns {
            column.resize(range.end).map_err(&error)?;
        }
        self.columns[0].write_slice(&t, range.clone()).map_err(&error)?;
        self.columns[1].write_slice(&self.pending.x[..count], range.clone()).map_err(&error)?;
        self.columns[2].write_slice(&self.pending.y[..count], range.clone()).map_err(&error)?;
        self.columns[3].write_slice(&p, range.clone()).map_err(&error)?;
        self.rows = range.end;
        self.pending.t.drain(..count);
        self.pending.x.drain(..count);
        self.pending.y.drain(..count);
        self.pending.polarity.drain(..count);
        Ok(())
    }
}

impl EventWriter for H5Writer {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, self.sensor, &mut self.last_t)?;
        check_end(self.last_t, 63)?;
        let mut start = 0;
        while start < events.len() {
            let end = events.len().min(start + CHUNK_ROWS - self.pending.len());
            self.pending.extend_from(events, start..end);
            start = end;
            if self.pending.len() == CHUNK_ROWS {
                self.flush_rows(CHUNK_ROWS)?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.flush_rows(self.pending.len())?;
        let Self { columns, file, .. } = *self;
        drop(columns);
        file.finish()
    }
}
