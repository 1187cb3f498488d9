//! Time surfaces: how long ago each pixel last fired, `[T, C, H, W]`.
//!
//! `S(x, y, c) = exp(-(t - t_last(x, y, c)) / tau)`, and 0 where the pixel has not fired; `t` is the moment of the surface
//! and `t_last < t` the cell's last event before it, in this slice or any earlier one.
//! Source: Lagorce et al., "HOTS", IEEE TPAMI 39(7), 2017; name and layout as in Tonic's `ToTimesurface`.

use super::frames::{FrameSpec, check_inside};
use crate::{Error, Events};

/// Writes the surface at each of `moments_us` (in order of time) into `out`, laid out `[T, C, H, W]`.
///
/// The spec's `value` plays no role.
///
/// # Errors
/// [`Error::Argument`] if `out` has another length, `tau_us` is not positive, the moments step back, `shrink` is 0, or
/// an event lies outside the sensor.
pub fn to_time_surface(
    events: &Events,
    moments_us: &[u64],
    tau_us: f64,
    spec: &FrameSpec,
    out: &mut [f32],
) -> Result<(), Error> {
    let check = |ok: bool, what: &str, expected: String, found: String| {
        if ok { Ok(()) } else { Err(Error::Argument { what: what.to_owned(), expected, found }) }
    };
    check(spec.shrink > 0, "shrink", "at least 1".to_owned(), spec.shrink.to_string())?;
    check(tau_us > 0.0, "tau", "a positive time".to_owned(), format!("{tau_us} us"))?;
    check(moments_us.is_sorted(), "moments", "no step back".to_owned(), format!("{moments_us:?}"))?;
    let length = spec.frame_len();
    let expected = length * moments_us.len();
    check(out.len() == expected, "the surfaces' buffer", expected.to_string(), out.len().to_string())?;
    check_inside(&events.x, &events.y, spec.sensor_size, 0)?;
    if length == 0 {
        return Ok(());
    }
    let [channels, height, width] = spec.shape();
    let mut last: Vec<Option<u64>> = vec![None; length];
    let mut next = 0;
    for (surface, &moment) in out.chunks_mut(length).zip(moments_us) {
        let end = events.t.partition_point(|&t| t < moment);
        for i in next..end.max(next) {
            let channel = usize::from(events.polarity[i]) * (channels - 1);
            let (x, y) = (usize::from(events.x[i] / spec.shrink), usize::from(events.y[i] / spec.shrink));
            last[(channel * height + y) * width + x] = Some(events.t[i]);
        }
        next = end.max(next);
        for (cell, last) in surface.iter_mut().zip(&last) {
            *cell = last.map_or(0.0, |last| (-((moment - last) as f64) / tau_us).exp() as f32);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::represent::Polarities;

    #[test]
    fn a_surface_decays_and_is_renewed() {
        let mut events = Events::default();
        events.push(0, 0, 0, true);
        events.push(10, 1, 0, false);
        events.push(20, 0, 0, true);
        let spec = FrameSpec { polarities: Polarities::Merged, ..FrameSpec::new((2, 1)) };
        let mut out = [9.0; 6];
        to_time_surface(&events, &[10, 20, 120], 100.0, &spec, &mut out).unwrap();
        let e = |x: f64| (-x).exp() as f32;
        assert_eq!(out, [e(0.1), 0.0, e(0.2), e(0.1), e(1.0), e(1.1)]);

        let mut out = [9.0; 4];
        to_time_surface(&events, &[120], 100.0, &FrameSpec::new((2, 1)), &mut out).unwrap();
        assert_eq!(out, [0.0, e(1.1), e(1.0), 0.0]);
        assert!(to_time_surface(&events, &[20, 10], 1.0, &spec, &mut [0.0; 4]).is_err());
        assert!(to_time_surface(&events, &[20], 0.0, &spec, &mut [0.0; 2]).is_err());
        assert!(to_time_surface(&events, &[20], 1.0, &spec, &mut [0.0; 3]).is_err());
    }
}
