//! Bins of a drive: which of them count, and the events and the frame of each.
//!
//! A recording is cut into bins of equal length of the host's clock, which the signals of the car are given in. A bin's
//! steering and speed are the last values up to its end. Bins below the least speed, and those before the first value, are left
//! out and counted; the first share of what is left trains, the rest tests. Design decision: bins are shown one by one, in order,
//! and none is kept (drives are hours long); the same code bins what comes from a file and what comes from a generator.

use crate::ddd20::{DDD20_SENSOR, Signal};
use crate::{Error, Part};
use std::collections::VecDeque;

/// Height and width of a bin's pictures.
pub const DRIVING_SHAPE: (usize, usize) = (128, 172);
/// Cells left out above and at the left: the sensor gives 130 x 173, of which the middle stays.
const LEFT_OUT: (usize, usize) = (1, 0);

/// The numbers of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DrivingProtocol {
    /// Length of a bin \[us\].
    pub bin_us: u64,
    /// Bins below this speed are left out \[km/h\].
    pub least_speed_km_per_h: f64,
    /// Share of the bins that trains, from the start.
    pub train_share: f64,
    /// Bins to leave out at the start and at the end of a recording.
    pub cut_bins: (usize, usize),
}

impl Default for DrivingProtocol {
    fn default() -> Self {
        Self { bin_us: 50_000, least_speed_km_per_h: 15.0, train_share: 0.7, cut_bins: (0, 0) }
    }
}

impl DrivingProtocol {
    /// Refuses values without meaning.
    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.bin_us > 0 && (0.0..=1.0).contains(&self.train_share) {
            return Ok(());
        }
        Err(Error::Argument {
            what: "driving protocol".to_owned(),
            expected: "bins of at least 1 us and a train share from 0 to 1".to_owned(),
            found: format!("{self:?}"),
        })
    }
}

/// A bin that counts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DrivingBin {
    /// Number of the bin in the recording.
    pub number: usize,
    /// Steering at the bin's end \[deg\], left positive.
    pub steering_deg: f64,
    /// Speed at the bin's end \[km/h\].
    pub speed_km_per_h: f64,
    /// Its part.
    pub part: Part,
}

/// Bins of a recording that do not count, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct LeftOut {
    /// Slower than the protocol asks for.
    pub slow: usize,
    /// Before the first steering or speed value.
    pub without_signal: usize,
    /// At the ends, by the protocol's cut.
    pub cut: usize,
}

/// What is shown of a bin.
#[derive(Debug)]
pub struct DrivingView<'a> {
    /// The bin.
    pub bin: &'a DrivingBin,
    /// Event counts `[2, 128, 172]`: OFF, ON.
    pub events: &'a [f32],
    /// The last frame up to the bin's end `[128, 172]`, 0..1; zeros before the first.
    pub frame: &'a [f32],
}

/// The bins that count between `start_us` on the host's clock and the last steering value, and how many do not.
pub(super) fn list_bins(
    protocol: &DrivingProtocol,
    steering: &Signal,
    speed: &Signal,
    start_us: i64,
) -> (Vec<DrivingBin>, LeftOut) {
    let last = steering.host_us.last().copied().unwrap_or(start_us);
    let count = ((last - start_us).max(0) as u64 / protocol.bin_us) as usize;
    let (mut bins, mut left_out) = (Vec::new(), LeftOut::default());
    for number in 0..count {
        let end_us = start_us + ((number as u64 + 1) * protocol.bin_us) as i64;
        let cut = number < protocol.cut_bins.0 || number + protocol.cut_bins.1 >= count;
        match (steering.at(end_us), speed.at(end_us)) {
            _ if cut => left_out.cut += 1,
            (Some(steering_deg), Some(speed_km_per_h)) => {
                if speed_km_per_h < protocol.least_speed_km_per_h {
                    left_out.slow += 1;
                } else {
                    bins.push(DrivingBin { number, steering_deg, speed_km_per_h, part: Part::Train });
                }
            }
            _ => left_out.without_signal += 1,
        }
    }
    let train = (protocol.train_share * bins.len() as f64) as usize;
    bins[train..].iter_mut().for_each(|bin| bin.part = Part::Test);
    (bins, left_out)
}

/// Fills bins with events in order of host time, and shows each once it is whole.
pub(super) struct Binner<'a, F> {
    bins: &'a [DrivingBin],
    start_us: i64,
    bin_us: u64,
    next: usize,
    used: u64,
    counts: Vec<f32>,
    frame: Vec<f32>,
    /// Frames that came after the end of the bin that is being filled.
    later: VecDeque<(i64, Vec<f32>)>,
    show: F,
}

impl<'a, F: FnMut(DrivingView<'_>) -> Result<(), Error>> Binner<'a, F> {
    pub fn new(bins: &'a [DrivingBin], start_us: i64, bin_us: u64, show: F) -> Self {
        let cells = DRIVING_SHAPE.0 * DRIVING_SHAPE.1;
        let (counts, frame) = (vec![0.0; 2 * cells], vec![0.0; cells]);
        Self { bins, start_us, bin_us, next: 0, used: 0, counts, frame, later: VecDeque::new(), show }
    }

    fn end_of(&self, bin: &DrivingBin) -> i64 {
        self.start_us + ((bin.number as u64 + 1) * self.bin_us) as i64
    }

    fn show_next(&mut self, end_us: i64) -> Result<(), Error> {
        while self.later.front().is_some_and(|(host_us, _)| *host_us <= end_us) {
            if let Some((_, frame)) = self.later.pop_front() {
                self.frame = frame;
            }
        }
        let bin = &self.bins[self.next];
        (self.show)(DrivingView { bin, events: &self.counts, frame: &self.frame })?;
        self.counts.fill(0.0);
        self.next += 1;
        Ok(())
    }

    /// Takes an event at `host_us`, not before the last one.
    pub fn event(&mut self, host_us: i64, x: u16, y: u16, on: bool) -> Result<(), Error> {
        let bin = loop {
            let Some(bin) = self.bins.get(self.next) else { return Ok(()) };
            let end_us = self.end_of(bin);
            if host_us < end_us {
                break bin;
            }
            self.show_next(end_us)?;
        };
        if host_us < self.end_of(bin) - self.bin_us as i64 {
            return Ok(());
        }
        self.used += 1;
        let (height, width) = DRIVING_SHAPE;
        let cell = (usize::from(x / 2).checked_sub(LEFT_OUT.1), usize::from(y / 2).checked_sub(LEFT_OUT.0));
        if let (Some(x), Some(y)) = cell
            && x < width
            && y < height
        {
            self.counts[(usize::from(on) * height + y) * width + x] += 1.0;
        }
        Ok(())
    }

    /// Takes a frame of the sensor that arrives at `host_us`.
    pub fn frame(&mut self, host_us: i64, pixels: &[u16]) {
        self.later.push_back((host_us, average(pixels)));
    }

    /// Shows the bins that are left; how many events fell into bins.
    pub fn finish(mut self) -> Result<u64, Error> {
        while let Some(bin) = self.bins.get(self.next) {
            self.show_next(self.end_of(bin))?;
        }
        Ok(self.used)
    }
}

/// A frame averaged over 2 x 2 pixels, 0..1.
fn average(pixels: &[u16]) -> Vec<f32> {
    let (height, width) = DRIVING_SHAPE;
    let row = usize::from(DDD20_SENSOR.0);
    let mut out = Vec::with_capacity(height * width);
    for y in 0..height {
        for x in 0..width {
            let at = 2 * (y + LEFT_OUT.0) * row + 2 * (x + LEFT_OUT.1);
            let sum: u32 = [at, at + 1, at + row, at + row + 1].iter().map(|&i| u32::from(pixels[i])).sum();
            out.push(sum as f32 / (4.0 * 65_535.0));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIN_US: u64 = 100;

    /// Ten bins from 1000 us on; the value at a bin's end is its number; the car stands in bin 2.
    fn signals() -> (Signal, Signal) {
        let host_us: Vec<i64> = (0..=10).map(|i| 1000 + 100 * i).collect();
        let steering = (0..=10).map(|i| f64::from(i) - 1.0).collect();
        let speed = (0..=10).map(|i| if i == 3 { 0.0 } else { 50.0 }).collect();
        (Signal { host_us: host_us.clone(), value: steering }, Signal { host_us, value: speed })
    }

    #[test]
    fn bins_take_the_value_at_their_end_and_slow_ones_are_left_out() {
        let protocol = DrivingProtocol { bin_us: BIN_US, ..DrivingProtocol::default() };
        let (steering, speed) = signals();
        let (bins, left_out) = list_bins(&protocol, &steering, &speed, 1000);
        assert_eq!(left_out, LeftOut { slow: 1, without_signal: 0, cut: 0 });
        let numbers: Vec<usize> = bins.iter().map(|bin| bin.number).collect();
        assert_eq!(numbers, [0, 1, 3, 4, 5, 6, 7, 8, 9]);
        assert!(bins.iter().all(|bin| bin.steering_deg == bin.number as f64));
        assert_eq!(bins.iter().filter(|bin| bin.part == Part::Train).count(), 6);
    }

    /// Events go to the bin `[start, end)` that they are in, events of a bin that is left out to none, and a frame is shown with
    /// the first bin that ends at or after it, even where it arrives before older events.
    #[test]
    fn events_and_frames_fall_into_their_bins() {
        let protocol = DrivingProtocol { bin_us: BIN_US, ..DrivingProtocol::default() };
        let (steering, speed) = signals();
        let (bins, _) = list_bins(&protocol, &steering, &speed, 1000);
        let mut seen = Vec::new();
        let mut binner = Binner::new(&bins, 1000, BIN_US, |view: DrivingView<'_>| {
            seen.push((view.bin.number, view.events.iter().sum::<f32>(), view.frame[0]));
            Ok(())
        });
        let frame = vec![65_535; usize::from(DDD20_SENSOR.0) * usize::from(DDD20_SENSOR.1)];
        binner.frame(1150, &frame);
        for host_us in [999, 1000, 1099, 1100, 1199, 1200, 1250, 1300, 1990] {
            binner.event(host_us, 10, 10, true).unwrap();
        }
        assert_eq!(binner.finish().unwrap(), 6);
        let expected = [(0, 2.0, 0.0), (1, 2.0, 1.0), (3, 1.0, 1.0), (4, 0.0, 1.0)];
        assert_eq!(seen[..4], expected);
        assert_eq!((seen.len(), seen[8]), (9, (9, 1.0, 1.0)));
    }
}
