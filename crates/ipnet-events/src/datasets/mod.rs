//! Data sets of event recordings, each behind [`crate::Dataset`].
//!
//! Opening a data set lists its samples and checks its layout; a sample is decoded only when it is asked for. Design
//! decision: a folder that is there but incomplete opens (one recording of DVS Gesture is useful alone), and says what is
//! missing when asked; a folder that is empty or something else is an error that names what was looked for.

mod ddd20;
mod driving_bins;
mod dvs_gesture;
mod gesture_chain;
mod labels;
mod nmnist;

pub use ddd20::{DAY_RECORDINGS, Ddd20Files, DrivingRecording, NIGHT_RECORDINGS, find_recordings};
pub use driving_bins::{DRIVING_SHAPE, DrivingBin, DrivingProtocol, DrivingView, LeftOut};
pub use dvs_gesture::{Completeness, DvsGesture, GESTURE_CLASSES};
pub use gesture_chain::{CHAIN_ORDER, ChainSpec, GestureChain};
pub use nmnist::NMnist;

use crate::Error;
use std::path::{Path, PathBuf};

/// The entries of `dir` in order of name.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        paths.push(entry.map_err(|e| Error::io(dir, e))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// What `dir` holds, in words, for an error message.
fn describe(dir: &Path) -> String {
    let Ok(paths) = entries(dir) else { return "nothing that can be read".to_owned() };
    let names: Vec<String> =
        paths.iter().filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect();
    match names.as_slice() {
        [] => "an empty folder".to_owned(),
        few if few.len() <= 5 => few.join(", "),
        many => format!("{} and {} others", many[..4].join(", "), many.len() - 4),
    }
}
