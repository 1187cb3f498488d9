//! Cutting a recording into consecutive slices: equal times or equal counts.
//!
//! `slice_by_time`: slice i holds the events with `start + floor(i D / n) <= t < start + floor((i+1) D / n)`.
//! `slice_by_count`: slice i holds the events number `floor(i N / n)` to `floor((i+1) N / n)`, exclusive.
//! Both partition what they cover: no event is in two slices, and none inside the span is in none.

use crate::Events;
use std::ops::Range;

/// Index ranges of `slices` equal times that cover `[start_us, start_us + duration_us)`.
///
/// Times must not decrease (every reader guarantees it). Events outside the span are in no range; whether there are
/// any is seen from the first range's start and the last range's end.
pub fn slice_by_time(events: &Events, start_us: u64, duration_us: u64, slices: usize) -> Vec<Range<usize>> {
    let edge = |i: usize| {
        let offset = (duration_us as u128 * i as u128 / slices as u128) as u64;
        events.t.partition_point(|&t| t < start_us.saturating_add(offset))
    };
    edges_to_ranges(slices, edge)
}

/// Index ranges of `slices` runs of events whose lengths differ by one at most; together they hold every event.
pub fn slice_by_count(events: &Events, slices: usize) -> Vec<Range<usize>> {
    let edge = |i: usize| (events.len() as u128 * i as u128 / slices as u128) as usize;
    edges_to_ranges(slices, edge)
}

fn edges_to_ranges(slices: usize, edge: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
    if slices == 0 {
        return Vec::new();
    }
    let edges: Vec<usize> = (0..=slices).map(edge).collect();
    edges.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(times: &[u64]) -> Events {
        let mut events = Events::default();
        times.iter().for_each(|&t| events.push(t, 0, 0, true));
        events
    }

    #[test]
    fn an_event_on_an_edge_belongs_to_the_later_slice() {
        assert_eq!(slice_by_time(&at(&[0, 9, 10, 19, 20]), 0, 20, 2), [0..2, 2..4]);
    }

    #[test]
    fn no_slice_of_nothing() {
        assert!(slice_by_time(&at(&[1]), 0, 10, 0).is_empty());
        assert!(slice_by_count(&at(&[1]), 0).is_empty());
        assert_eq!(slice_by_count(&at(&[]), 2), [0..0, 0..0]);
    }

    proptest! {
        #[test]
        fn time_slices_partition_the_span(
            mut times in prop::collection::vec(0u64..5000, 0..300),
            start in 0u64..3000, duration in 1u64..4000, slices in 1usize..20,
        ) {
            times.sort_unstable();
            let events = at(&times);
            let ranges = slice_by_time(&events, start, duration, slices);
            prop_assert_eq!(ranges.len(), slices);
            for (i, range) in ranges.iter().enumerate() {
                let low = start + duration * i as u64 / slices as u64;
                let high = start + duration * (i as u64 + 1) / slices as u64;
                for (index, &t) in times.iter().enumerate() {
                    prop_assert_eq!(range.contains(&index), (low..high).contains(&t));
                }
            }
        }

        #[test]
        fn count_slices_hold_every_event_once(n in 0usize..1000, slices in 1usize..40) {
            let ranges = slice_by_count(&at(&vec![0; n]), slices);
            prop_assert_eq!(ranges.iter().map(ExactSizeIterator::len).sum::<usize>(), n);
            let lengths: Vec<usize> = ranges.iter().map(ExactSizeIterator::len).collect();
            prop_assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }
}
