//! The formats: real recordings, round trips, and files that are cut or damaged.

#[path = "formats/aedat2.rs"]
mod aedat2;
#[path = "formats/aedat31.rs"]
mod aedat31;
#[path = "formats/aedat4.rs"]
mod aedat4;
#[path = "formats/every_format.rs"]
mod every_format;
#[path = "formats/evt.rs"]
mod evt;
#[cfg(feature = "hdf5")]
#[path = "formats/hdf5_damage.rs"]
mod hdf5_damage;
#[cfg(feature = "hdf5")]
#[path = "formats/hdf5_formats.rs"]
mod hdf5_formats;
#[path = "formats/real_files.rs"]
mod real_files;
#[path = "formats/sample.rs"]
mod sample;
#[path = "formats/support.rs"]
mod support;
