//! Drives as frames: DDD-20's own recordings, or generated ones.
//!
//! Synthetic drives go through files in the layout of DDD-20 where the program is built with HDF5, and from the generator
//! straight into the same binning where it is not; the frames are the same, bit for bit (tested). Design decision: what the
//! generator takes minutes for is kept below the run's recordings, as one file of frames.

use super::steering::{Drive, DriveBin};
use crate::notice::notice;
use crate::run::{hash_bytes, write_atomic};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use ipnet_events::Part;
use ipnet_events::datasets::{DRIVING_SHAPE, DrivingProtocol, DrivingRecording, find_recordings};
use ipnet_events::synth::driving::DrivingSpec;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Counts the changes of the generator and of the binning: kept frames of an older one are made again.
const REVISION: u32 = 2;
/// Side of the square of the protocol's cells (172 x 128) that is summed into one.
const SHRINK: usize = 4;
/// Channels, rows and columns of a bin.
pub const DRIVE_SHAPE: [usize; 3] = [2, DRIVING_SHAPE.0 / SHRINK, DRIVING_SHAPE.1 / SHRINK];

/// Drives and where they come from.
pub struct Drives {
    /// In words, for tables.
    pub data: String,
    /// The drives.
    pub drives: Vec<Drive>,
}

/// The published recordings that `folder` holds; none if there is none of them.
///
/// # Errors
/// A folder without recordings of the layout, a program without HDF5, and what reading gives.
pub fn published(folder: &Path) -> Result<Option<Drives>> {
    let files = find_recordings(folder)?;
    let paths = files.published();
    if paths.is_empty() {
        return Ok(None);
    }
    let data = match files.missing.len() {
        0 => "ddd20".to_owned(),
        _ => format!("ddd20, {} of 30 recordings", paths.len()),
    };
    Ok(Some(Drives { data, drives: read(&paths)? }))
}

#[cfg(feature = "hdf5")]
fn read(paths: &[impl AsRef<Path> + Sync]) -> Result<Vec<Drive>> {
    paths.par_iter().map(|path| frame(&DrivingRecording::open(path, &DrivingProtocol::default())?)).collect()
}

#[cfg(not(feature = "hdf5"))]
fn read(paths: &[&Path]) -> Result<Vec<Drive>> {
    Err(Error::Argument {
        what: format!("DDD-20 recordings ({} found)", paths.len()),
        expected: "a program that reads HDF5: build it with --features hdf5".into(),
        found: "one without".into(),
    })
}

/// The drives of `spec`, made once below `recordings`.
///
/// # Errors
/// What generating, writing and reading give.
pub fn synthetic(spec: &DrivingSpec, recordings: &Path) -> Result<Drives> {
    let protocol = DrivingProtocol::default();
    let recipe = format!("{spec:?} {DRIVE_SHAPE:?} {protocol:?} {REVISION} {}", env!("CARGO_PKG_VERSION"));
    let path = recordings.join(format!("driving-{}.safetensors", &hash_bytes(recipe.as_bytes())[..12]));
    let drives = match load(&path, &recipe) {
        Some(drives) => drives,
        None => {
            notice("making synthetic drives, some minutes, once for this run");
            let drives = make(spec, &recordings.join("driving"))?;
            std::fs::create_dir_all(recordings).map_err(Error::io(recordings, "create the folder"))?;
            save(&path, &recipe, &drives)?;
            drives
        }
    };
    Ok(Drives { data: SYNTHETIC.into(), drives })
}

/// How synthetic drives come about in this program.
const SYNTHETIC: &str =
    if cfg!(feature = "hdf5") { "synthetic, through DDD-20 files" } else { "synthetic, in memory" };

#[cfg(feature = "hdf5")]
fn make(spec: &DrivingSpec, folder: &Path) -> Result<Vec<Drive>> {
    read(&ipnet_events::synth::driving::generate(spec, folder)?.files)
}

#[cfg(not(feature = "hdf5"))]
fn make(spec: &DrivingSpec, _: &Path) -> Result<Vec<Drive>> {
    in_memory(spec)
}

/// The drives of `spec` without a file between.
#[cfg(any(test, not(feature = "hdf5")))]
fn in_memory(spec: &DrivingSpec) -> Result<Vec<Drive>> {
    let play = |number| frame(&DrivingRecording::generated(spec, number, &DrivingProtocol::default())?);
    (0..spec.recordings).into_par_iter().map(play).collect()
}

/// Bins of a recording as counts in cells of `SHRINK x SHRINK`.
fn frame(recording: &DrivingRecording) -> Result<Drive> {
    let counted: BTreeSet<usize> = recording.evaluated().iter().map(|bin| bin.number).collect();
    let [channels, rows, columns] = DRIVE_SHAPE;
    let (height, width) = DRIVING_SHAPE;
    let mut frames = Vec::with_capacity(recording.bins().len() * channels * rows * columns);
    recording.visit(|view| {
        for channel in 0..channels {
            for row in 0..rows {
                for column in 0..columns {
                    let at = (channel * height + row * SHRINK) * width + column * SHRINK;
                    let line = |y: usize| view.events[at + y * width..][..SHRINK].iter().sum::<f32>();
                    // A cast from f32 to u8 saturates.
                    frames.push((0..SHRINK).map(line).sum::<f32>() as u8);
                }
            }
        }
        Ok(())
    })?;
    let bin = |bin: &ipnet_events::datasets::DrivingBin| DriveBin {
        number: bin.number,
        steering_deg: bin.steering_deg,
        part: bin.part,
        counts: counted.contains(&bin.number),
    };
    Ok(Drive {
        name: recording.name().to_owned(),
        night: recording.night(),
        bins: recording.bins().iter().map(bin).collect(),
        frames,
    })
}

const RECIPE: &str = "recipe";

/// Keeps frames: for each drive `<name>.frames` `[bins, C, H, W]` and `<name>.bins` `[bins, 4]`: number, angle, part, whether
/// a test counts it; day or night stands in the name.
fn save(path: &Path, recipe: &str, drives: &[Drive]) -> Result<()> {
    let mut tensors = Vec::new();
    for drive in drives {
        let [channels, rows, columns] = DRIVE_SHAPE;
        let bins = drive.bins.len();
        let rule = |bin: &DriveBin| {
            [
                bin.number as f64,
                bin.steering_deg,
                f64::from(u8::from(bin.part == Part::Test)),
                f64::from(u8::from(bin.counts)),
            ]
        };
        let values: Vec<f64> = drive.bins.iter().flat_map(rule).collect();
        let frames = Tensor::from_slice(&drive.frames, (bins, channels, rows, columns), &Device::Cpu)?;
        let light = match drive.night {
            Some(true) => "night",
            Some(false) => "day",
            None => "unknown",
        };
        tensors.push((format!("{}.{light}.frames", drive.name), frames));
        tensors.push((
            format!("{}.{light}.bins", drive.name),
            Tensor::from_vec(values, (bins, 4), &Device::Cpu)?,
        ));
    }
    let header = Some(HashMap::from([(RECIPE.to_owned(), recipe.to_owned())]));
    let bytes = safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), header)
        .map_err(|source| Error::Safetensors { path: path.into(), source })?;
    write_atomic(path, &bytes)
}

/// Kept frames of `recipe`; none where there is no such file or it is damaged: then they are made again.
fn load(path: &Path, recipe: &str) -> Option<Vec<Drive>> {
    let bytes = std::fs::read(path).ok()?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).ok()?;
    if header.metadata().as_ref()?.get(RECIPE)? != recipe {
        return None;
    }
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).ok()?;
    let mut names: Vec<&str> = tensors.keys().filter_map(|name| name.strip_suffix(".frames")).collect();
    names.sort_unstable();
    let one = |name: &&str| {
        let (drive, light) = name.rsplit_once('.')?;
        let bin = |row: &Vec<f64>| {
            let &[number, steering_deg, test, counts] = row.as_slice() else { return None };
            let part = if test > 0.0 { Part::Test } else { Part::Train };
            Some(DriveBin { number: number as usize, steering_deg, part, counts: counts > 0.0 })
        };
        let rows = tensors.get(&format!("{name}.bins"))?.to_vec2::<f64>().ok()?;
        Some(Drive {
            name: drive.to_owned(),
            night: (light != "unknown").then_some(light == "night"),
            bins: rows.iter().map(bin).collect::<Option<_>>()?,
            frames: tensors.get(&format!("{name}.frames"))?.flatten_all().ok()?.to_vec1::<u8>().ok()?,
        })
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: DrivingSpec =
        DrivingSpec { seed: 3, recordings: 2, seconds: 0.4, noise: 1.0, frames: false };

    /// The second time frames come from the file, the same to the bit; a file that is cut is made again. With the feature
    /// `hdf5` the first time goes through recordings in the layout of DDD-20, and the last line holds the two ways equal.
    #[test]
    fn generated_drives_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = synthetic(&SHORT, dir.path()).unwrap();
        assert_eq!(
            first.drives.iter().map(|drive| drive.night).collect::<Vec<_>>(),
            [Some(false), Some(true)]
        );
        assert_eq!(first.drives[0].bins.len(), 8);
        assert_eq!(first.drives[0].frames.len(), 8 * DRIVE_SHAPE.iter().product::<usize>());
        assert!(first.drives.iter().all(|drive| drive.frames.iter().any(|&count| count > 0)));
        let kept = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.unwrap().path();
            path.extension().is_some_and(|extension| extension == "safetensors").then_some(path)
        };
        let path = std::fs::read_dir(dir.path()).unwrap().find_map(kept).unwrap();
        assert_eq!(load(&path, "another recipe"), None);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(synthetic(&SHORT, dir.path()).unwrap().drives, first.drives);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(synthetic(&SHORT, dir.path()).unwrap().drives, first.drives);
        assert_eq!(in_memory(&SHORT).unwrap(), first.drives);
    }
}
