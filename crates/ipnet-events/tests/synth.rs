//! Synthetic recordings, read back by the loaders of the real data.

#[path = "synth/gestures.rs"]
mod gestures;
