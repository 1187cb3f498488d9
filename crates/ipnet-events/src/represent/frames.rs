//! Frames: how often each pixel fired in a slice, `[T, C, H, W]`.
//!
//! `frame[s, c, y, x] = #{ events of slice s with polarity channel c at pixel (x, y) }`, or 1 where that count is not
//! zero. Channel 0 holds OFF and channel 1 ON; merged polarities share channel 0. Design decision: events are counted in
//! integers, in a frame's worth of memory that stays in the second-level cache, and become `f32` at the end, exact up to
//! 2^24 events per cell. Each slice owns its part of the output, so that threads never share a
//! cell and the result does not depend on their number.

use crate::{Error, Events};
use rayon::prelude::*;
use std::ops::Range;

/// What stands in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameValue {
    /// The number of events.
    #[default]
    Count,
    /// 1 where there was any event, else 0.
    Binary,
}

/// Which polarities share a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Polarities {
    /// Two channels: OFF, ON.
    #[default]
    Both,
    /// One channel for both.
    Merged,
}

/// The shape and content of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSpec {
    /// Sensor `(width, height)`.
    pub sensor_size: (u16, u16),
    /// Side of the square of pixels that is summed into one cell; 1 keeps every pixel.
    pub shrink: u16,
    /// Channels.
    pub polarities: Polarities,
    /// Cell content.
    pub value: FrameValue,
}

impl FrameSpec {
    /// Counts of both polarities at full size.
    pub fn new(sensor_size: (u16, u16)) -> Self {
        Self { sensor_size, shrink: 1, polarities: Polarities::Both, value: FrameValue::Count }
    }

    /// The shape `[C, H, W]` of one frame; a side that `shrink` does not divide ends in a narrower cell.
    pub fn shape(&self) -> [usize; 3] {
        let channels = match self.polarities {
            Polarities::Both => 2,
            Polarities::Merged => 1,
        };
        let side = |pixels: u16| usize::from(pixels.div_ceil(self.shrink.max(1)));
        [channels, side(self.sensor_size.1), side(self.sensor_size.0)]
    }

    /// Numbers in one frame.
    pub fn frame_len(&self) -> usize {
        self.shape().iter().product()
    }
}

/// From this many events on, slices are shared out over the threads of the current rayon pool.
const PARALLEL_EVENTS: usize = 1 << 18;

/// Writes one frame per slice into `out`, laid out `[T, C, H, W]` with `T = slices.len()`; `out` is overwritten.
///
/// # Errors
/// [`Error::Argument`] if `out` has another length, `shrink` is 0, a slice reaches past the recording, or an event of
/// a slice lies outside the sensor.
pub fn to_frame(
    events: &Events,
    slices: &[Range<usize>],
    spec: &FrameSpec,
    out: &mut [f32],
) -> Result<(), Error> {
    let wrong = |what: &str, expected: String, found: String| {
        Err(Error::Argument { what: what.to_owned(), expected, found })
    };
    if spec.shrink == 0 {
        return wrong("shrink", "at least 1".to_owned(), "0".to_owned());
    }
    let frame_len = spec.frame_len();
    if out.len() != frame_len * slices.len() {
        let expected = format!("{} x {:?} numbers", slices.len(), spec.shape());
        return wrong("the frames' buffer", expected, out.len().to_string());
    }
    if let Some(slice) = slices.iter().find(|slice| slice.end > events.len() || slice.start > slice.end) {
        return wrong("slice", format!("a range within 0..{}", events.len()), format!("{slice:?}"));
    }
    if frame_len == 0 || slices.is_empty() {
        return Ok(());
    }
    let fill = |(frame, slice): (&mut [f32], &Range<usize>)| fill_frame(events, slice.clone(), spec, frame);
    let total: usize = slices.iter().map(ExactSizeIterator::len).sum();
    if total >= PARALLEL_EVENTS {
        out.par_chunks_mut(frame_len).zip(slices).try_for_each(fill)
    } else {
        out.chunks_mut(frame_len).zip(slices).try_for_each(fill)
    }
}

fn fill_frame(
    events: &Events,
    slice: Range<usize>,
    spec: &FrameSpec,
    frame: &mut [f32],
) -> Result<(), Error> {
    let (x, y, polarity) =
        (&events.x[slice.clone()], &events.y[slice.clone()], &events.polarity[slice.clone()]);
    check_inside(x, y, spec.sensor_size, slice.start)?;
    let layout = Layout::new(spec);
    let mut counts = vec![0u32; frame.len()];
    let mut cells = [0u32; BLOCK];
    for ((x, y), polarity) in x.chunks(BLOCK).zip(y.chunks(BLOCK)).zip(polarity.chunks(BLOCK)) {
        let cells = &mut cells[..x.len()];
        layout.cells(x, y, polarity, cells);
        for &cell in &*cells {
            // Every cell is in the frame, as every event is on the sensor.
            if let Some(count) = counts.get_mut(cell as usize) {
                *count = count.wrapping_add(1);
            }
        }
    }
    let binary = spec.value == FrameValue::Binary;
    for (value, count) in frame.iter_mut().zip(counts) {
        *value = if binary { f32::from(u8::from(count > 0)) } else { count as f32 };
    }
    Ok(())
}

/// Events whose cells are found together, by vectors, before they are counted.
const BLOCK: usize = 1024;

/// Where in a frame an event is counted.
struct Layout {
    /// Numbers in a row, and from OFF to ON.
    row: u32,
    on: u32,
    /// Cell of each column and row of the sensor, where they are shared.
    shrunk: Option<[Vec<u32>; 2]>,
}

impl Layout {
    fn new(spec: &FrameSpec) -> Self {
        let [channels, height, width] = spec.shape().map(|side| side as u32);
        let cells = |side: u16| (0..side).map(|i| u32::from(i / spec.shrink)).collect();
        Self {
            row: width,
            on: if channels == 2 { width * height } else { 0 },
            shrunk: (spec.shrink > 1).then(|| [cells(spec.sensor_size.0), cells(spec.sensor_size.1)]),
        }
    }

    /// Writes the cell of each event into `cells`.
    fn cells(&self, x: &[u16], y: &[u16], polarity: &[bool], cells: &mut [u32]) {
        let events = x.iter().zip(y).zip(polarity);
        let cell = |column: u32, row: u32, on: bool| {
            let plane = u32::from(on).wrapping_mul(self.on);
            row.wrapping_mul(self.row).wrapping_add(column).wrapping_add(plane)
        };
        match &self.shrunk {
            None => {
                for (to, ((&x, &y), &on)) in cells.iter_mut().zip(events) {
                    *to = cell(u32::from(x), u32::from(y), on);
                }
            }
            Some([columns, rows]) => {
                for (to, ((&x, &y), &on)) in cells.iter_mut().zip(events) {
                    *to = cell(columns[usize::from(x)], rows[usize::from(y)], on);
                }
            }
        }
    }
}

/// Every `(x, y)` lies on the sensor; `first` is the index of the first one in the recording.
pub(super) fn check_inside(
    x: &[u16],
    y: &[u16],
    (width, height): (u16, u16),
    first: usize,
) -> Result<(), Error> {
    let largest = |values: &[u16]| values.iter().fold(0, |a, &b| a.max(b));
    if x.is_empty() || (largest(x) < width && largest(y) < height) {
        return Ok(());
    }
    let at = x.iter().zip(y).position(|(&x, &y)| x >= width || y >= height).unwrap_or(0);
    Err(Error::Argument {
        what: format!("event {}", first + at),
        expected: format!("a pixel of the {width} x {height} sensor"),
        found: format!("({}, {})", x[at], y[at]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::represent::{slice_by_count, slice_by_time};
    use proptest::prelude::*;

    fn events_of(list: &[(u64, u16, u16, bool)]) -> Events {
        let mut events = Events::default();
        list.iter().for_each(|&(t, x, y, p)| events.push(t, x, y, p));
        events
    }

    #[test]
    fn a_known_recording_gives_the_known_frames() {
        let events = events_of(&[
            (0, 0, 0, true),
            (1, 0, 0, true),
            (2, 2, 1, false),
            (10, 1, 1, true),
            (11, 1, 1, false),
        ]);
        let slices = slice_by_time(&events, 0, 20, 2);
        let mut spec = FrameSpec::new((3, 2));
        let mut out = vec![9.0; 24];
        to_frame(&events, &slices, &spec, &mut out).unwrap();
        #[rustfmt::skip]
        let expected = [
            0., 0., 0., 0., 0., 1.,   2., 0., 0., 0., 0., 0.,
            0., 0., 0., 0., 1., 0.,   0., 0., 0., 0., 1., 0.,
        ];
        assert_eq!(out, expected);

        spec.value = FrameValue::Binary;
        spec.polarities = Polarities::Merged;
        let mut out = vec![9.0; 12];
        to_frame(&events, &slices, &spec, &mut out).unwrap();
        assert_eq!(out, [1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0.]);

        spec.value = FrameValue::Count;
        spec.shrink = 2;
        assert_eq!(spec.shape(), [1, 1, 2]);
        let mut out = vec![9.0; 4];
        to_frame(&events, &slices, &spec, &mut out).unwrap();
        assert_eq!(out, [2., 1., 2., 0.]);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let events = events_of(&[(0, 0, 0, true), (1, 3, 0, true)]);
        let spec = FrameSpec::new((3, 2));
        let message = |slices: &[Range<usize>], len: usize, spec: &FrameSpec| {
            to_frame(&events, slices, spec, &mut vec![0.0; len]).unwrap_err().to_string()
        };
        assert_eq!(
            message(std::slice::from_ref(&(0..2)), 12, &spec),
            "event 1: expected a pixel of the 3 x 2 sensor, found (3, 0)"
        );
        assert!(message(std::slice::from_ref(&(0..1)), 11, &spec).contains("found 11"));
        assert!(message(std::slice::from_ref(&(0..3)), 12, &spec).contains("within 0..2"));
        assert!(
            message(std::slice::from_ref(&(0..1)), 12, &FrameSpec { shrink: 0, ..spec }).contains("shrink")
        );
    }

    proptest! {
        /// Sums are exact, and shrinking after framing gives what framing with `shrink` gives.
        #[test]
        fn sums_are_exact_and_shrinking_commutes(
            list in prop::collection::vec((0u16..13, 0u16..9, any::<bool>()), 0..500),
            shrink in 1u16..5, slices in 1usize..6,
        ) {
            let list: Vec<_> = list.iter().enumerate().map(|(t, &(x, y, p))| (t as u64, x, y, p)).collect();
            let events = events_of(&list);
            let ranges = slice_by_count(&events, slices);
            let full = FrameSpec::new((13, 9));
            let small = FrameSpec { shrink, ..full };
            let mut fine = vec![0.0; full.frame_len() * slices];
            let mut coarse = vec![0.0; small.frame_len() * slices];
            to_frame(&events, &ranges, &full, &mut fine).unwrap();
            to_frame(&events, &ranges, &small, &mut coarse).unwrap();
            prop_assert_eq!(fine.iter().sum::<f32>(), list.len() as f32);
            let [_, height, width] = small.shape();
            let mut summed = vec![0.0; coarse.len()];
            for (i, value) in fine.iter().enumerate() {
                let (x, y, plane) = (i % 13, i / 13 % 9, i / 117);
                summed[(plane * height + y / shrink as usize) * width + x / shrink as usize] += value;
            }
            prop_assert_eq!(summed, coarse);
        }
    }

    /// A recording large enough for the parallel path gives the frames of the sequential one.
    #[test]
    fn the_parallel_path_gives_the_same_frames() {
        let mut stream = ipnet_rng::Stream::named(5, "frames/parallel");
        let mut events = Events::default();
        for t in 0..2 * PARALLEL_EVENTS {
            events.push(t as u64, stream.below(40) as u16, stream.below(30) as u16, stream.below(2) == 1);
        }
        let slices = slice_by_count(&events, 16);
        let spec = FrameSpec::new((40, 30));
        let mut together = vec![0.0; spec.frame_len() * 16];
        to_frame(&events, &slices, &spec, &mut together).unwrap();
        for (frame, slice) in together.chunks(spec.frame_len()).zip(&slices) {
            let mut alone = vec![0.0; spec.frame_len()];
            to_frame(&events, std::slice::from_ref(slice), &spec, &mut alone).unwrap();
            assert_eq!(alone, frame);
        }
        assert_eq!(together.iter().sum::<f32>(), events.len() as f32);
    }
}
