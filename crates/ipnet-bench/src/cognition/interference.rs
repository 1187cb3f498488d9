//! Proactive and retroactive interference: three targets among lists of similar items.
//!
//! Proactive: `lists` lists of three, each shown at a second per item, come before the targets. Retroactive: they come after, inside
//! a retention interval of fixed length. The test offers each target with an item of the same similarity that was never shown; the
//! stronger answer is chosen, a coin decides ties, so that chance is 1/2. Old lists are rehearsed as the targets are:
//! what is warm answers. All items of a trial share `similarity` of
//! their neurons with each other.

use super::Setting;
use super::memory::{Memory, similar_items};
use ipnet_rng::{Stream, named_seed};
use serde::Serialize;

/// Similarities: share of neurons in common.
pub const SIMILARITIES: [f64; 4] = [0.0, 0.25, 0.5, 0.75];
/// Numbers of interfering lists.
pub const LISTS: [usize; 4] = [0, 1, 2, 4];
/// Items of a list.
const ITEMS: usize = 3;
/// Seconds per item.
const ITEM_S: f64 = 1.0;
/// Seconds from the last target to the test.
pub const RETENTION_S: f64 = 18.0;

/// On which side of the targets the interfering lists stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Lists before the targets.
    Proactive,
    /// Lists after the targets.
    Retroactive,
}

impl Side {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proactive => "proactive",
            Self::Retroactive => "retroactive",
        }
    }
}

/// One subject's share of right choices: `[similarity][lists]`.
pub fn subject(setting: &Setting<'_>, side: Side, subject: usize) -> Vec<Vec<f64>> {
    let cell = |&similarity: &f64| {
        LISTS.iter().map(|&lists| chosen(setting, side, subject, similarity, lists)).collect()
    };
    SIMILARITIES.iter().map(cell).collect()
}

fn chosen(setting: &Setting<'_>, side: Side, subject: usize, similarity: f64, lists: usize) -> f64 {
    let name = format!("cognition/interference/{side:?}/{similarity}/{lists}/{subject}");
    let seed = named_seed(setting.seed, &name);
    let mut patterns = Stream::named(seed, "patterns");
    // Targets, foils, items of the other lists.
    let count = ITEMS * (2 + lists);
    let vocabulary: Vec<usize> = (0..count).collect();
    let (targets, others) = (&vocabulary[..ITEMS], &vocabulary[2 * ITEMS..]);
    let mut memory = Memory::new(setting, seed, similar_items(&mut patterns, count, similarity));
    let mut right = 0;
    for _ in 0..setting.trials.div_ceil(2) {
        memory.rest();
        let used_s = match side {
            Side::Proactive => {
                memory.show(others, ITEM_S, &vocabulary);
                memory.show(targets, ITEM_S, &vocabulary);
                0.0
            }
            Side::Retroactive => {
                memory.show(targets, ITEM_S, &vocabulary);
                memory.show(others, ITEM_S, &vocabulary);
                others.len() as f64 * ITEM_S
            }
        };
        memory.wait(RETENTION_S - used_s, &vocabulary);
        memory.end_slot(&vocabulary);
        for target in 0..ITEMS {
            // The same neurons cannot be pulsed twice in a slot: one slot for each of the two items of a choice.
            let seen = memory.ask(target).share();
            memory.end_slot(&[]);
            let foil = memory.ask(target + ITEMS).share();
            memory.end_slot(&[]);
            right += u32::from(seen > foil || (seen == foil && memory.choice().uniform() < 0.5));
        }
    }
    f64::from(right) / (ITEMS * setting.trials.div_ceil(2)) as f64
}
