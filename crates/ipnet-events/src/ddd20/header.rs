//! Reads the signals of a DDD recording.

use super::{GROUP, Signal};
use crate::Error;
use crate::hdf5_file::{fault, library, open};
use std::path::Path;

impl Signal {
    /// Reads the signal `name` of the recording at `path`; its empty tail is left out.
    ///
    /// # Errors
    /// A missing signal, one of another shape, times that step back, or rows after an empty one.
    pub fn read(path: impl AsRef<Path>, name: &str) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = open(path)?;
        let item = format!("/{name}/data");
        let Ok(data) = file.dataset(&format!("{name}/data")) else {
            return Err(fault(path, item, "a dataset", "none"));
        };
        let shape = data.shape();
        if !matches!(shape.as_slice(), [_, 2]) {
            return Err(fault(path, item, "shape [N, 2]", format!("{shape:?}")));
        }
        let rows = data.read_2d::<f64>().map_err(library(path, &item))?;
        let used = rows.rows().into_iter().position(|r| r[0] == 0.0).unwrap_or(shape[0]);
        let mut signal = Self::default();
        for (i, row) in rows.rows().into_iter().enumerate() {
            let (host_us, value) = (row[0], row[1]);
            let item = || format!("{item} row {i}");
            if i >= used {
                if host_us != 0.0 {
                    return Err(fault(path, item(), "an empty row after the first one", host_us.to_string()));
                }
                continue;
            }
            if !(host_us > 0.0 && host_us < 9e15 && value.is_finite()) {
                return Err(fault(
                    path,
                    item(),
                    "a host time and a finite value",
                    format!("{host_us}, {value}"),
                ));
            }
            let host_us = host_us.round() as i64;
            if signal.host_us.last().is_some_and(|&last| host_us < last) {
                return Err(fault(path, item(), "a host time not before the last", host_us.to_string()));
            }
            signal.host_us.push(host_us);
            signal.value.push(value);
        }
        Ok(signal)
    }
}

/// Names of the signals in the recording at `path`.
pub fn signal_names(path: impl AsRef<Path>) -> Result<Vec<String>, Error> {
    let path = path.as_ref();
    let names = open(path)?.member_names().map_err(library(path, "/"))?;
    Ok(names.into_iter().filter(|n| n != GROUP).collect())
}
