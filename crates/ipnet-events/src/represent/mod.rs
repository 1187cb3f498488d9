//! From events to numbers: slices of a recording and what is made of each slice.
//!
//! Terms are Tonic's: `slice_by_time`, `slice_by_count`, `to_frame`,
//! `to_time_surface`, `to_voxel_grid`. Design decision: slicing gives index ranges into
//! the recording and copies nothing; a representation is written into the caller's `&mut [f32]`, laid out
//! `[T, C, H, W]`, so that a batch is filled in place. An event that a representation has no place for is an error,
//! never a silent loss.

mod frames;
mod slices;
mod surfaces;
mod voxels;

pub use frames::{FrameSpec, FrameValue, Polarities, to_frame};
pub use slices::{slice_by_count, slice_by_time};
pub use surfaces::to_time_surface;
pub use voxels::to_voxel_grid;
