//! Voxel grids: polarity shared out over neighbouring points in time, `[B, H, W]`.
//!
//! With `tau = (B - 1) (t - t_0) / D`, an event adds `p * max(0, 1 - |b - tau|)` to bin b, with p = +1 for ON and -1 for OFF;
//! so each event gives a total of p, split between the two bins beside its time.
//! Source: Zhu et al., "Unsupervised event-based learning of optical flow, depth, and egomotion", CVPR 2019.

use super::frames::check_inside;
use crate::{Error, Events};

/// Writes the voxel grid of the events in `[start_us, start_us + duration_us)` into `out`, laid out `[B, H, W]`.
///
/// # Errors
/// [`Error::Argument`] if `bins` or `duration_us` is 0, `out` has another length, or an event of the span lies outside
/// the sensor.
pub fn to_voxel_grid(
    events: &Events,
    start_us: u64,
    duration_us: u64,
    bins: usize,
    sensor_size: (u16, u16),
    out: &mut [f32],
) -> Result<(), Error> {
    let check = |ok: bool, what: &str, expected: String, found: usize| {
        let error = || Error::Argument { what: what.to_owned(), expected, found: found.to_string() };
        if ok { Ok(()) } else { Err(error()) }
    };
    let (width, plane) =
        (usize::from(sensor_size.0), usize::from(sensor_size.0) * usize::from(sensor_size.1));
    check(bins > 0, "bins", "at least 1".to_owned(), bins)?;
    check(duration_us > 0, "duration", "more than 0 us".to_owned(), duration_us as usize)?;
    check(out.len() == bins * plane, "the voxels' buffer", (bins * plane).to_string(), out.len())?;
    let first = events.t.partition_point(|&t| t < start_us);
    let end = events.t.partition_point(|&t| t < start_us.saturating_add(duration_us)).max(first);
    check_inside(&events.x[first..end], &events.y[first..end], sensor_size, first)?;
    out.fill(0.0);
    let scale = (bins - 1) as f64 / duration_us as f64;
    for i in first..end {
        let position = (events.t[i] - start_us) as f64 * scale;
        let bin = position as usize;
        let upper = (position - bin as f64) as f32;
        let sign = if events.polarity[i] { 1.0 } else { -1.0 };
        let pixel = usize::from(events.y[i]) * width + usize::from(events.x[i]);
        out[bin * plane + pixel] += sign * (1.0 - upper);
        if bin + 1 < bins {
            out[(bin + 1) * plane + pixel] += sign * upper;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_event_is_split_between_its_neighbours_in_time() {
        let mut events = Events::default();
        events.push(100, 0, 0, true);
        events.push(125, 1, 0, false);
        events.push(300, 0, 0, true);
        let mut out = [9.0; 6];
        to_voxel_grid(&events, 100, 200, 3, (2, 1), &mut out).unwrap();
        assert_eq!(out, [1.0, -0.75, 0.0, -0.25, 0.0, 0.0]);
        assert!(to_voxel_grid(&events, 100, 0, 3, (2, 1), &mut out).is_err());
        assert!(to_voxel_grid(&events, 100, 200, 0, (2, 1), &mut []).is_err());
        assert!(to_voxel_grid(&events, 100, 200, 3, (1, 1), &mut [0.0; 3]).is_err());
    }

    proptest! {
        /// The grid's sum is ON minus OFF of the span.
        #[test]
        fn the_sum_is_the_difference_of_the_polarities(
            mut list in prop::collection::vec((0u64..1000, any::<bool>()), 0..200), bins in 1usize..9,
        ) {
            list.sort_unstable();
            let mut events = Events::default();
            list.iter().for_each(|&(t, p)| events.push(t, 2, 1, p));
            let mut out = vec![0.0; bins * 12];
            to_voxel_grid(&events, 100, 700, bins, (4, 3), &mut out).unwrap();
            let inside = list.iter().filter(|(t, _)| (100..800).contains(t));
            let expected: f32 = inside.map(|&(_, p)| if p { 1.0 } else { -1.0 }).sum();
            prop_assert!((out.iter().sum::<f32>() - expected).abs() < 1e-3);
        }
    }
}
