//! The data sets on written and on real recordings.

#[cfg(feature = "hdf5")]
#[path = "datasets/ddd20.rs"]
mod ddd20;
#[path = "datasets/dvs_gesture.rs"]
mod dvs_gesture;
#[path = "datasets/gesture_chain.rs"]
mod gesture_chain;
#[path = "datasets/nmnist.rs"]
mod nmnist;
#[path = "formats/support.rs"]
mod support;
