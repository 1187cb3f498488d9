//! Immediate free recall: a list of words, then "say all you remember".
//!
//! Recall asks every word of the vocabulary once: the words that answer are said, the strongest answer first. Words
//! that were never shown and answer all the same are intrusions.

use super::Setting;
use super::memory::{Memory, STRANGERS, similar_items};
use ipnet_rng::{Stream, named_seed};

/// Lags of the lag-CRP: -5..=-1 and 1..=5.
pub const LAGS: [i32; 10] = [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5];

/// A list as it was presented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct List {
    /// Words.
    pub words: usize,
    /// Seconds from one word to the next.
    pub word_s: f64,
}

/// One subject's lists.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// Recall probability by serial position.
    pub recalled: Vec<f64>,
    /// Probability that the first word said is the one at this position.
    pub first: Vec<f64>,
    /// Transitions made and possible by lag, in the order of [`LAGS`].
    pub transitions: [(u32, u32); 10],
    /// Words said in a list that were never shown.
    pub intrusions: f64,
}

/// One subject over all its lists.
pub fn subject(setting: &Setting<'_>, list: List, subject: usize) -> Score {
    let name = format!("cognition/recall/{}x{}/{subject}", list.words, list.word_s);
    let seed = named_seed(setting.seed, &name);
    let mut patterns = Stream::named(seed, "patterns");
    let mut score =
        Score { recalled: vec![0.0; list.words], first: vec![0.0; list.words], ..Score::default() };
    let share = 1.0 / setting.trials as f64;
    let vocabulary: Vec<usize> = (0..list.words + STRANGERS).collect();
    let mut memory = Memory::new(setting, seed, similar_items(&mut patterns, vocabulary.len(), 0.0));
    for _ in 0..setting.trials {
        memory.rest();
        memory.show(&vocabulary[..list.words], list.word_s, &vocabulary);
        memory.end_slot(&vocabulary);
        let said = memory.recall(&vocabulary);
        if let Some(&first) = said.first().filter(|w| **w < list.words) {
            score.first[first] += share;
        }
        score.intrusions += share * said.iter().filter(|w| **w >= list.words).count() as f64;
        let words: Vec<usize> = said.into_iter().filter(|w| *w < list.words).collect();
        for &word in &words {
            score.recalled[word] += share;
        }
        transitions(&words, list.words, &mut score.transitions);
    }
    score
}

/// Adds the transitions of one recall sequence: made, and possible among the words not yet said.
fn transitions(said: &[usize], words: usize, counts: &mut [(u32, u32); 10]) {
    for step in 1..said.len() {
        let from = said[step - 1] as i32;
        for (lag, count) in LAGS.iter().zip(counts.iter_mut()) {
            let to = from + lag;
            let open = (0..words as i32).contains(&to) && !said[..step].contains(&(to as usize));
            count.1 += u32::from(open);
            count.0 += u32::from(said[step] as i32 == to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3, 4, 2 of five words (from 0): from 3 the open lags are -3..=-1 and 1, from 4 they are -4, -3, -2.
    #[test]
    fn transitions_count_made_and_possible() {
        let mut counts = [(0, 0); 10];
        transitions(&[3, 4, 2], 5, &mut counts);
        let by_lag = |lag: i32| counts[LAGS.iter().position(|l| *l == lag).unwrap()];
        assert_eq!(by_lag(1), (1, 1));
        assert_eq!(by_lag(-1), (0, 1));
        assert_eq!(by_lag(-2), (1, 2));
        assert_eq!(by_lag(-3), (0, 2));
        assert_eq!(by_lag(-4), (0, 1));
        assert_eq!(by_lag(2), (0, 0));
    }
}
