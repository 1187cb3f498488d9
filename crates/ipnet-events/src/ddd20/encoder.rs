//! DDD recordings, written in the layout that `h5py` and the data set's own tools read.

use super::{CHUNK_ROWS, DDD20_SENSOR, FRAME, FRAME_HEAD_BYTES, Frame, GROUP};
use crate::aedat31::header::{EVENT_BYTES, PACKET_HEADER_BYTES, POLARITY};
use crate::hdf5_file::{PartialHdf5, library};
use crate::writer::{EventWriter, check_order_and_bounds};
use crate::{Error, Events};
use hdf5::types::VarLenArray;
use hdf5::{Dataset, Extent};
use ndarray::ArrayView2;
use std::collections::BTreeMap;
use std::path::Path;

const PACKET_EVENTS: usize = 4096;

/// A writer of DDD-20 recordings. Device times become host times by adding the recording's start.
pub struct Ddd20Writer {
    // Declared before the file, so that they are closed before it.
    data: Dataset,
    times: Dataset,
    file: PartialHdf5,
    host_start_us: i64,
    last_t: u64,
    last_host_us: i64,
    rows: usize,
    cells: Vec<VarLenArray<u8>>,
    hosts: Vec<i64>,
    signals: BTreeMap<String, Vec<f64>>,
}

impl Ddd20Writer {
    /// Starts a recording at `path`, whose device time 0 is `host_start_us` [Unix us] on the host's clock.
    ///
    /// # Errors
    /// A start that is not after 1970 (a host time of 0 marks an empty row), or a file that cannot be made.
    pub fn create(path: impl AsRef<Path>, host_start_us: i64) -> Result<Self, Error> {
        if host_start_us <= 0 {
            return Err(Error::Argument {
                what: "host time of the recording's start".into(),
                expected: "more than 0 us".into(),
                found: format!("{host_start_us} us"),
            });
        }
        let file = PartialHdf5::create(path.as_ref())?;
        let error = library(path.as_ref(), GROUP);
        let group = file.root()?.create_group(GROUP).map_err(&error)?;
        let data = group.new_dataset::<VarLenArray<u8>>().chunk((CHUNK_ROWS, 3));
        let data = data.shape((Extent::resizable(0), Extent::fixed(3))).create("data").map_err(&error)?;
        let times = group.new_dataset::<i64>().chunk(CHUNK_ROWS).shape(Extent::resizable(0));
        let times = times.create("timestamp").map_err(&error)?;
        Ok(Self {
            data,
            times,
            file,
            host_start_us,
            last_t: 0,
            last_host_us: 0,
            rows: 0,
            cells: Vec::new(),
            hosts: Vec::new(),
            signals: BTreeMap::new(),
        })
    }

    /// Appends a frame that arrives at device time `t_us`.
    ///
    /// # Errors
    /// Another number of pixels than the sensor's, times beyond 31 bits, or a time before the last packet's.
    pub fn write_frame(&mut self, t_us: u64, frame: &Frame) -> Result<(), Error> {
        let (width, height) = DDD20_SENSOR;
        let argument = |what: &str, expected: String, found: String| Error::Argument {
            what: what.into(),
            expected,
            found,
        };
        let pixels = usize::from(width) * usize::from(height);
        if frame.pixels.len() != pixels {
            let found = frame.pixels.len().to_string();
            return Err(argument("pixels of a frame", pixels.to_string(), found));
        }
        let [start, end] = frame.exposure_us;
        if start > end || start >> 31 != end >> 31 {
            let found = format!("{start} to {end} us");
            return Err(argument("exposure", "times in order, in one turn of 2^31 us".into(), found));
        }
        let mut payload = Vec::with_capacity(FRAME_HEAD_BYTES + 2 * pixels);
        let times = [start, end, start, end].map(|t| (t & 0x7fff_ffff) as i32);
        let head = [1, times[0], times[1], times[2], times[3], width.into(), height.into(), 0, 0];
        head.iter().for_each(|field| payload.extend(field.to_le_bytes()));
        frame.pixels.iter().for_each(|pixel| payload.extend(pixel.to_le_bytes()));
        self.write_packet(t_us, FRAME, payload.len(), 1, end >> 31, &payload)
    }

    /// Appends a value of the signal `name`, e.g. `steering_wheel_angle`, at host time `host_us` [Unix us].
    ///
    /// # Errors
    /// A name that HDF5 would take for a path, or a value that is not finite.
    pub fn write_signal(&mut self, name: &str, host_us: i64, value: f64) -> Result<(), Error> {
        if name.is_empty() || name == GROUP || name.contains(['/', '.']) || !value.is_finite() || host_us <= 0
        {
            return Err(Error::Argument {
                what: format!("signal '{name}'"),
                expected: "a plain name, a host time above 0 and a finite value".into(),
                found: format!("{value} at {host_us} us"),
            });
        }
        self.signals.entry(name.into()).or_default().extend([host_us as f64, value]);
        Ok(())
    }

    /// Appends one packet whose last item has device time `t_us`.
    fn write_packet(
        &mut self,
        t_us: u64,
        kind: i16,
        event_bytes: usize,
        count: usize,
        overflow: u64,
        payload: &[u8],
    ) -> Result<(), Error> {
        let host_us = i64::try_from(t_us).ok().and_then(|t| t.checked_add(self.host_start_us));
        let Some(host_us) = host_us.filter(|&host| host >= self.last_host_us) else {
            return Err(Error::Argument {
                what: "time of a packet".into(),
                expected: format!("a host time from {} us", self.last_host_us),
                found: format!("device time {t_us} us"),
            });
        };
        self.last_host_us = host_us;
        let mut header = Vec::with_capacity(PACKET_HEADER_BYTES);
        header.extend(kind.to_le_bytes());
        header.extend(1i16.to_le_bytes());
        let time_offset = if kind == POLARITY { 4 } else { 8 };
        let count = count as i32;
        for field in [event_bytes as i32, time_offset, overflow as i32, count, count, count] {
            header.extend(field.to_le_bytes());
        }
        self.cells.push(host_us.to_string().as_bytes().into());
        self.cells.push(header.as_slice().into());
        self.cells.push(payload.into());
        self.hosts.push(host_us);
        if self.hosts.len() == CHUNK_ROWS { self.flush_rows() } else { Ok(()) }
    }

    fn flush_rows(&mut self) -> Result<(), Error> {
        let error = library(self.file.path(), GROUP);
        let range = self.rows..self.rows + self.hosts.len();
        self.data.resize((range.end, 3)).map_err(&error)?;
        self.times.resize(range.end).map_err(&error)?;
        let cells = ArrayView2::from_shape((self.hosts.len(), 3), &self.cells);
        let cells = cells.map_err(|e| Error::Library {
            path: self.file.path().to_path_buf(),
            item: GROUP.into(),
            reason: e.to_string(),
        })?;
        self.data.write_slice(cells, (range.clone(), 0..3)).map_err(&error)?;
        self.times.write_slice(&self.hosts, range.clone()).map_err(&error)?;
        self.rows = range.end;
        self.cells.clear();
        self.hosts.clear();
        Ok(())
    }
}

impl EventWriter for Ddd20Writer {
    fn write(&mut self, events: &Events) -> Result<(), Error> {
        check_order_and_bounds(events, DDD20_SENSOR, &mut self.last_t)?;
        let mut start = 0;
        let mut payload = Vec::new();
        while start < events.len() {
            let overflow = events.t[start] >> 31;
            let rest = &events.t[start..events.len().min(start + PACKET_EVENTS)];
            let count = rest.partition_point(|t| t >> 31 == overflow);
            payload.clear();
            for i in start..start + count {
                let (x, y) = (u32::from(events.x[i]), u32::from(events.y[i]));
                let data = x << 17 | y << 2 | u32::from(events.polarity[i]) << 1 | 1;
                payload.extend(data.to_le_bytes());
                payload.extend(((events.t[i] & 0x7fff_ffff) as u32).to_le_bytes());
            }
            start += count;
            self.write_packet(events.t[start - 1], POLARITY, EVENT_BYTES, count, overflow, &payload)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.flush_rows()?;
        let root = self.file.root()?;
        for (name, pairs) in &self.signals {
            let error = library(self.file.path(), name);
            let group = root.create_group(name).map_err(&error)?;
            let rows = pairs.len() / 2;
            let view = ArrayView2::from_shape((rows, 2), pairs).map_err(|e| Error::Library {
                path: self.file.path().to_path_buf(),
                item: name.clone(),
                reason: e.to_string(),
            })?;
            let data = group.new_dataset::<f64>().chunk((CHUNK_ROWS, 2));
            let data = data.shape((Extent::resizable(rows), Extent::fixed(2)));
            data.create("data").and_then(|data| data.write(view)).map_err(&error)?;
            let host_us: Vec<i64> = pairs.chunks_exact(2).map(|pair| pair[0] as i64).collect();
            let times = group.new_dataset::<i64>().chunk(CHUNK_ROWS).shape(Extent::resizable(rows));
            times.create("timestamp").and_then(|times| times.write(&host_us)).map_err(&error)?;
        }
        drop(root);
        let Self { data, times, file, .. } = *self;
        drop((data, times));
        file.finish()
    }
}
