//! Chains of generated gestures.

use ipnet_events::datasets::{CHAIN_ORDER, ChainSpec, DvsGesture, GestureChain};
use ipnet_events::synth::gestures::{GestureSpec, generate};
use ipnet_events::{Dataset, Part};

#[test]
fn a_chain_shows_the_beginnings_of_its_gestures_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let spec = GestureSpec { seed: 5, subjects: 2, lights: 1, clip_s: 0.3, noise: 1.0 };
    generate(&spec, dir.path()).unwrap();
    let base = DvsGesture::open(dir.path()).unwrap();
    let chain_spec = ChainSpec { length: 3, gestures: 2, ..ChainSpec::default() };
    let set = GestureChain::new(base.clone(), &chain_spec).unwrap();
    assert_eq!((set.classes().len(), set.len()), (8, 16));
    assert_eq!((set.split(Part::Train).len(), set.split(Part::Test).len()), (8, 8));
    assert_eq!(set.classes()[1], "right hand wave, right hand wave, right arm clockwise");

    let chain = set.sample(1).unwrap();
    assert_eq!(chain.label, 1);
    assert!(chain.duration_us.abs_diff(540_000) <= 3, "{} us", chain.duration_us);
    assert!(chain.events.t.is_sorted());
    assert!(*chain.events.t.last().unwrap() < chain.duration_us);
    // It begins as the first clip of its first gesture does.
    let first = base.sample(CHAIN_ORDER[0]).unwrap();
    let shown = first.events.t.partition_point(|&t| t < 150_000);
    assert!(shown > 100);
    assert_eq!(chain.events.t[..shown], first.events.t[..shown]);
    assert_eq!(chain.events.x[..shown], first.events.x[..shown]);
    assert_eq!(GestureChain::new(base.clone(), &chain_spec).unwrap().sample(1).unwrap(), chain);
    let other = GestureChain::new(base.clone(), &ChainSpec { seed: 7, ..chain_spec }).unwrap();
    assert_ne!(other.sample(1).unwrap(), chain);
    assert!(GestureChain::new(base, &ChainSpec { gestures: 11, ..chain_spec }).is_err());
}
