//! Gesture chains: three gestures of one person, one after the other; the class is which, in which order.
//!
//! After DVS-Gesture-Chain (arXiv 2209.14915; see [`GestureChain`]), with chains of three of its first three gestures, the same
//! one twice in a row allowed: 27 classes. Who sees only which gestures there are, and how often, not their order, is right for
//! one class in each of the 10 sets at best: 10 of 27. Departures: frames of equal times, where the publication has equal
//! counts; three gestures in a chain, where its default is four (81 classes), so that a network trains in minutes.

use super::{FrameSet, Framing};
use crate::Result;
use ipnet_events::datasets::{ChainSpec, DvsGesture, GestureChain};

/// Three of the first three gestures, the seed of the shares as published.
pub(super) const CHAINS: ChainSpec =
    ChainSpec { length: 3, gestures: 3, repeat: true, alpha: (0.5, 0.7), seed: 123 };

/// The chains of `gestures`, framed.
///
/// Every clip is decoded once and kept while its chains are made: 13 bytes an event, of three clips a recording.
///
/// # Errors
/// What decoding gives.
pub(super) fn chain_frames(gestures: DvsGesture, framing: Framing) -> Result<FrameSet> {
    let chains = GestureChain::new(gestures, &CHAINS)?.decoded()?;
    FrameSet::load(&chains, framing, &|| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Classification;
    use crate::task::Task;
    use ipnet_events::represent::Polarities;
    use ipnet_events::synth::gestures::{GestureSpec, generate};
    use std::collections::{BTreeMap, BTreeSet};

    /// Two persons, one of whom tests. Every order is a class; no person stands in two parts; an order and its mirror image are
    /// made of the same clips and differ in their frames.
    #[test]
    fn chains_differ_in_order_and_keep_persons_apart() {
        let dir = tempfile::tempdir().unwrap();
        let spec = GestureSpec { subjects: 3, lights: 1, clip_s: 0.6, ..GestureSpec::default() };
        generate(&spec, dir.path()).unwrap();
        let framing = Framing { steps: 8, window_us: None, polarities: Polarities::Both, shrink: 4 };
        let frames = chain_frames(DvsGesture::open(dir.path()).unwrap(), framing).unwrap();
        assert_eq!((frames.classes.len(), frames.len(), frames.late_events), (27, 3 * 27, 0));
        let mut sets: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        for class in &frames.classes {
            let mut gestures: Vec<&str> = class.split(", ").collect();
            gestures.sort_unstable();
            *sets.entry(gestures).or_default() += 1;
        }
        assert_eq!(sets.len(), 10);

        let mirror = |label: usize| {
            let reversed: Vec<&str> = frames.classes[label].rsplit(", ").collect();
            frames.classes.iter().position(|class| *class == reversed.join(", ")).unwrap()
        };
        let clip_of = |group: &str, label: usize| {
            (0..frames.len()).find(|&i| frames.groups[i] == group && frames.labels[i] == label).unwrap()
        };
        let asymmetric = (0..27).filter(|&label| mirror(label) != label).collect::<Vec<_>>();
        assert_eq!(asymmetric.len(), 18);
        for label in asymmetric {
            let group = &frames.groups[0];
            assert_ne!(frames.clip(clip_of(group, label)), frames.clip(clip_of(group, mirror(label))));
        }

        let groups = frames.groups.clone();
        let task = Classification::new("chains", frames, None, 0.5, 1).unwrap();
        let of = |part: &[usize]| part.iter().map(|&i| groups[i].as_str()).collect::<BTreeSet<_>>();
        let splits = task.splits();
        let parts = [of(&splits.train), of(&splits.validation), of(&splits.test)];
        assert_eq!(parts.iter().map(BTreeSet::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(parts.iter().flatten().collect::<BTreeSet<_>>().len(), 3);
    }
}
