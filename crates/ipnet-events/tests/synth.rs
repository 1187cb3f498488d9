//! Synthetic recordings, read back by the loaders of the real data.

#[cfg(feature = "hdf5")]
#[path = "synth/driving.rs"]
mod driving;
#[path = "synth/gestures.rs"]
mod gestures;
