//! DVS-Gesture-Chain: gestures of one recording, one after the other; the class is their order.
//!
//! Vicente-Sola et al., arXiv 2209.14915, whose public generator gives the protocol: chains of `length` gestures
//! (default 4) over the first `gestures` (default 3) of the list [`CHAIN_ORDER`]; every combination is a class, with or
//! without the same gesture twice in a row; each recording gives one chain per class, from the first clip of each
//! gesture. Of gesture i the first `alpha_i` is shown, `alpha_i` uniform in [0.5, 0.7] under the condition that they add up to
//! `0.6 * length`, so that the length of a chain tells nothing. There, fractions count frames after a clip was cut into
//! frames of equal event counts; here they are fractions of the clip's time, and the chain is a recording like any other.

use super::DvsGesture;
use crate::cache::SourceFiles;
use crate::{Dataset, Error, Events, Sample, SampleInfo};
use ipnet_rng::Stream;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The gestures (labels from 0) in the order in which chains take them up.
pub const CHAIN_ORDER: [usize; 10] = [1, 3, 8, 7, 9, 0, 2, 4, 6, 5];

/// What chains are made of.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ChainSpec {
    /// Gestures in a chain, 1..=8.
    pub length: usize,
    /// Different gestures, 1..=10.
    pub gestures: usize,
    /// Whether a gesture may follow itself.
    pub repeat: bool,
    /// Smallest and largest share of a gesture's clip.
    pub alpha: (f64, f64),
    /// Seed of the shares.
    pub seed: u64,
}

impl Default for ChainSpec {
    fn default() -> Self {
        Self { length: 4, gestures: 3, repeat: true, alpha: (0.5, 0.7), seed: 123 }
    }
}

#[derive(Debug, Clone)]
struct Chain {
    /// Clips of the gestures, and the share of each.
    links: Vec<(usize, f64)>,
}

/// Chains of the clips of a [`DvsGesture`] data set.
#[derive(Debug, Clone)]
pub struct GestureChain {
    base: DvsGesture,
    spec: ChainSpec,
    classes: Vec<String>,
    samples: Vec<SampleInfo>,
    chains: Vec<Chain>,
    /// Clips that were decoded in advance.
    clips: BTreeMap<usize, Sample>,
}

impl GestureChain {
    /// The chains of `base`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a number of `spec` outside its range, or more than 4096 classes.
    pub fn new(base: DvsGesture, spec: &ChainSpec) -> Result<Self, Error> {
        let check = |ok: bool, what: &str, expected: &str, found: String| {
            let error = || Error::Argument { what: what.to_owned(), expected: expected.to_owned(), found };
            if ok { Ok(()) } else { Err(error()) }
        };
        check((1..=8).contains(&spec.length), "length of a chain", "1 to 8", spec.length.to_string())?;
        check(
            (1..=10).contains(&spec.gestures),
            "gestures of a chain",
            "1 to 10",
            spec.gestures.to_string(),
        )?;
        let (low, high) = spec.alpha;
        let in_range = low > 0.0 && low <= 0.6 && (0.6..=1.0).contains(&high);
        check(in_range, "shares of a gesture", "0 < low <= 0.6 <= high <= 1", format!("{:?}", spec.alpha))?;
        let orders = orders(spec);
        check(orders.len() <= 4096, "classes of chains", "at most 4096", orders.len().to_string())?;

        let name = |order: &Vec<usize>| {
            order.iter().map(|&gesture| base.classes()[gesture].as_str()).collect::<Vec<_>>().join(", ")
        };
        let mut set = Self {
            classes: orders.iter().map(name).collect(),
            samples: Vec::new(),
            chains: Vec::new(),
            clips: BTreeMap::new(),
            spec: *spec,
            base,
        };
        for (recording, clips) in set.base.clips_by_recording() {
            let first =
                |gesture: usize| clips.iter().copied().find(|&i| set.base.samples()[i].label == gesture);
            for (label, order) in orders.iter().enumerate() {
                let Some(clips) = order.iter().map(|&gesture| first(gesture)).collect::<Option<Vec<_>>>()
                else {
                    continue;
                };
                let mut stream = Stream::named(spec.seed, &format!("gesture_chain/{recording}/{label}"));
                let links = clips.iter().copied().zip(shares(spec, &mut stream)).collect();
                let info = &set.base.samples()[clips[0]];
                set.samples.push(SampleInfo { label, group: info.group.clone(), part: info.part });
                set.chains.push(Chain { links });
            }
        }
        Ok(set)
    }

    /// Decodes every clip once, in parallel, and keeps it: each stands in many chains.
    ///
    /// # Errors
    /// What decoding gives.
    pub fn decoded(mut self) -> Result<Self, Error> {
        let links = self.chains.iter().flat_map(|chain| &chain.links);
        let used: BTreeSet<usize> = links.map(|&(clip, _)| clip).collect();
        let used: Vec<usize> = used.into_iter().collect();
        self.clips = used.par_iter().map(|&i| Ok((i, self.base.sample(i)?))).collect::<Result<_, Error>>()?;
        Ok(self)
    }
}

/// Every class as its list of gestures.
fn orders(spec: &ChainSpec) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..spec.length {
        let longer = |order: &Vec<usize>| {
            let gestures = CHAIN_ORDER[..spec.gestures].iter();
            let allowed = gestures.filter(|&gesture| spec.repeat || order.last() != Some(gesture));
            allowed.map(|&gesture| [order.as_slice(), &[gesture]].concat()).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}

/// Shares of the gestures of one chain: each in its bounds, together `0.6 * length`.
fn shares(spec: &ChainSpec, stream: &mut Stream) -> Vec<f64> {
    let (low, high) = spec.alpha;
    let mut left = 0.6 * spec.length as f64;
    let mut shares = Vec::new();
    for rest in (0..spec.length).rev().map(|rest| rest as f64) {
        let (least, most) = ((left - rest * high).max(low), (left - rest * low).min(high));
        let share = if rest == 0.0 { left } else { stream.uniform_in(least, most.max(least)) };
        left -= share;
        shares.push(share);
    }
    shares
}

impl Dataset for GestureChain {
    fn name(&self) -> &str {
        "gesture_chain"
    }

    fn sensor_size(&self) -> (u16, u16) {
        self.base.sensor_size()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn samples(&self) -> &[SampleInfo] {
        &self.samples
    }

    fn sample(&self, index: usize) -> Result<Sample, Error> {
        let mut chain = Events::default();
        let mut offset = 0;
        for &(clip, share) in &self.chains[index].links {
            let fresh;
            let clip = match self.clips.get(&clip) {
                Some(known) => known,
                None => {
                    fresh = self.base.sample(clip)?;
                    &fresh
                }
            };
            let length = (share * clip.duration_us as f64) as u64;
            let first = chain.len();
            let end = clip.events.t.partition_point(|&t| t < length);
            chain.extend_from(&clip.events, 0..end);
            chain.t[first..].iter_mut().for_each(|t| *t += offset);
            offset += length;
        }
        Ok(Sample { events: chain, label: self.samples[index].label, duration_us: offset })
    }
}

impl SourceFiles for GestureChain {
    fn source_files(&self) -> Vec<PathBuf> {
        self.base.source_files()
    }

    fn recipe(&self) -> String {
        format!("{:?}", self.spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_a_class_once() {
        let spec = ChainSpec::default();
        let all = orders(&spec);
        assert_eq!(all.len(), 81);
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 81);
        let changing = orders(&ChainSpec { repeat: false, ..spec });
        assert_eq!(changing.len(), 3 * 2 * 2 * 2);
        assert!(changing.iter().all(|order| order.windows(2).all(|pair| pair[0] != pair[1])));
    }

    #[test]
    fn shares_keep_their_bounds_and_their_sum() {
        let mut stream = Stream::named(1, "shares");
        for length in 1..=8 {
            let spec = ChainSpec { length, ..ChainSpec::default() };
            for _ in 0..200 {
                let shares = shares(&spec, &mut stream);
                assert!((shares.iter().sum::<f64>() - 0.6 * length as f64).abs() < 1e-9);
                assert!(shares.iter().all(|share| (0.5 - 1e-9..=0.7 + 1e-9).contains(share)), "{shares:?}");
            }
        }
    }
}
