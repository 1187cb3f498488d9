//! The formats: real recordings, round trips, and files that are cut or damaged.

#[path = "formats/aedat31.rs"]
mod aedat31;
#[path = "formats/real_files.rs"]
mod real_files;
#[path = "formats/support.rs"]
mod support;
