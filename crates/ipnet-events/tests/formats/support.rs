//! What the tests of several formats share.

use std::path::PathBuf;

/// The file `name` of the folder of real recordings, or a printed reason to skip.
pub fn real(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("IPNET_DATA") else {
        eprintln!("skipped: IPNET_DATA does not name the folder of real recordings ({name})");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    assert!(path.exists(), "IPNET_DATA is set, but {} is not there", path.display());
    Some(path)
}
