//! Filters: which events of a stream are kept.
//!
//! - [`BackgroundActivity`]: an event without a recent neighbour is noise.
//! - [`Refractory`]: an event too soon after the last one of its pixel is dropped.
//! - [`HotPixelMask`]: pixels that fire far more than those around them are silenced.
//!
//! Design decision: a filter is a state that judges one event after the other, so that it works on chunks of a
//! recording of any length; [`Filter::apply`] says how many events were dropped, so that a ledger can be kept.

mod activity;
mod hot_pixels;
mod refractory;

pub use activity::BackgroundActivity;
pub use hot_pixels::HotPixelMask;
pub use refractory::Refractory;

use crate::Events;

/// A judge of events in order of time.
pub trait Filter {
    /// Whether the event is kept. Events outside the filter's sensor are not.
    fn keep(&mut self, t: u64, x: u16, y: u16, polarity: bool) -> bool;

    /// Keeps what [`Filter::keep`] keeps of `events`; the number of events dropped.
    fn apply(&mut self, events: &mut Events) -> usize {
        let mut kept = 0;
        for i in 0..events.len() {
            if self.keep(events.t[i], events.x[i], events.y[i], events.polarity[i]) {
                events.t[kept] = events.t[i];
                events.x[kept] = events.x[i];
                events.y[kept] = events.y[i];
                events.polarity[kept] = events.polarity[i];
                kept += 1;
            }
        }
        let dropped = events.len() - kept;
        events.truncate(kept);
        dropped
    }
}
