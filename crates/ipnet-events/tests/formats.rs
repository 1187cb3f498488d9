//! The formats: real recordings, round trips, and files that are cut or damaged.

#[path = "formats/aedat31.rs"]
mod aedat31;
#[cfg(feature = "hdf5")]
#[path = "formats/hdf5_formats.rs"]
mod hdf5_formats;
#[path = "formats/real_files.rs"]
mod real_files;
#[path = "formats/support.rs"]
mod support;
