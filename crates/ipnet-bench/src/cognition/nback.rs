//! n-back in columns (Oberauer 2006): digit t appears in column t mod n and is compared with the last digit there.
//!
//! An item is a digit in a column; the same digit in two columns shares [`DIGIT_SHARE`] of its neurons. The stimulus is
//! its own question: its pattern is polled and the answer is "match" when it answers; then it is written. What is
//! rehearsed are the items of the running window, the last digit of each column, if they still answer: the task says
//! which places count, heat alone says what is left there. A digit that was replaced cools.
//!
//! Half the stimuli match. Of the others half are plain (a digit that is in no column) and half lures: the digit shown n-1
//! back (now in the next column) or n+1 back (the one that was replaced last in the column before). With one column
//! there is no other column and no lure, as in the human study.

use super::Setting;
use super::memory::{ITEM_NEURONS, Memory, Pattern, item_with, pattern};
use ipnet_rng::{Stream, named_seed};
use serde::Serialize;

/// n of the task.
pub const LEVELS: [usize; 5] = [1, 2, 3, 4, 5];
/// Digits in use.
pub const DIGITS: usize = 9;
/// Share of an item's neurons that stand for the digit in whatever column. Assumed.
pub const DIGIT_SHARE: f64 = 0.09375;
/// Stimuli that are judged in one run.
pub const JUDGED: usize = 40;
/// Seconds per stimulus. Assumed: the human task was self-paced.
pub const STIMULUS_S: f64 = 6.0;

/// What a stimulus is to the item n back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The same digit.
    Match,
    /// A digit in no column.
    Plain,
    /// The digit shown n-1 back.
    LureBefore,
    /// The digit shown n+1 back.
    LureAfter,
}

/// Counts of right answers and stimuli by [`Kind`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Score {
    /// Right answers: matches, plain, lures n-1, lures n+1.
    pub right: [u32; 4],
    /// Stimuli.
    pub shown: [u32; 4],
}

impl Score {
    /// Counts one answer.
    pub fn add(&mut self, kind: Kind, said_match: bool) {
        self.shown[kind as usize] += 1;
        self.right[kind as usize] += u32::from(said_match == (kind == Kind::Match));
    }

    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        f64::from(self.right.iter().sum::<u32>()) / f64::from(self.shown.iter().sum::<u32>().max(1))
    }

    /// Share of right answers to stimuli of `kind`; `None` where none was shown.
    pub fn right_share(&self, kind: Kind) -> Option<f64> {
        let shown = self.shown[kind as usize];
        (shown > 0).then(|| f64::from(self.right[kind as usize]) / f64::from(shown))
    }
}

/// A sequence of digits and, from the n-th on, what each is.
pub fn sequence(stream: &mut Stream, n: usize, judged: usize) -> (Vec<usize>, Vec<Option<Kind>>) {
    let mut digits: Vec<usize> = Vec::with_capacity(n + judged);
    let mut kinds = Vec::with_capacity(n + judged);
    for t in 0..n + judged {
        let recent = &digits[t.saturating_sub(n + 1)..];
        let fresh: Vec<usize> = (0..DIGITS).filter(|digit| !recent.contains(digit)).collect();
        let plain = fresh[stream.below(fresh.len())];
        if t < n {
            digits.push(plain);
            kinds.push(None);
            continue;
        }
        let target = digits[t - n];
        let lure =
            |back: usize| (n > 1 && back > 0 && back <= t).then(|| digits[t - back]).filter(|d| *d != target);
        let (kind, digit) = match stream.below(8) {
            0..4 => (Kind::Match, target),
            4 => lure(n - 1).map_or((Kind::Plain, plain), |d| (Kind::LureBefore, d)),
            5 => lure(n + 1).map_or((Kind::Plain, plain), |d| (Kind::LureAfter, d)),
            _ => (Kind::Plain, plain),
        };
        digits.push(digit);
        kinds.push(Some(kind));
    }
    (digits, kinds)
}

/// One subject at every n of [`LEVELS`].
pub fn subject(setting: &Setting<'_>, subject: usize) -> Vec<Score> {
    LEVELS.iter().map(|&n| at_n(setting, subject, n)).collect()
}

/// One subject at one n.
pub fn at_n(setting: &Setting<'_>, subject: usize, n: usize) -> Score {
    let seed = named_seed(setting.seed, &format!("cognition/nback/{n}/{subject}"));
    let mut stream = Stream::named(seed, "task");
    let shared = (DIGIT_SHARE * ITEM_NEURONS as f64) as usize;
    let cores: Vec<Pattern> = (0..DIGITS).map(|_| pattern(&mut stream, shared, &[])).collect();
    let items = (0..n * DIGITS).map(|i| item_with(&mut stream, &cores[i % DIGITS])).collect();
    let mut memory = Memory::new(setting, seed, items);
    let mut score = Score::default();
    for _ in 0..setting.trials.div_ceil(4) {
        memory.rest();
        let (digits, kinds) = sequence(&mut stream, n, JUDGED);
        let item = |t: usize| t % n * DIGITS + digits[t];
        for (t, kind) in kinds.into_iter().enumerate() {
            if let Some(kind) = kind {
                let answer = memory.ask(item(t));
                score.add(kind, memory.answers(answer));
            }
            memory.present(item(t));
            // What is to be kept from here on: the last digit of each column.
            let window: Vec<usize> = (t.saturating_sub(n - 1)..=t).map(item).collect();
            memory.wait(STIMULUS_S, &window);
        }
    }
    score
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_what_its_kinds_say() {
        for n in LEVELS {
            let (digits, kinds) = sequence(&mut Stream::named(5, "sequence"), n, 4000);
            let mut shown = [0; 4];
            for (t, kind) in kinds.iter().enumerate() {
                let Some(kind) = kind else { continue };
                shown[*kind as usize] += 1;
                assert_eq!(digits[t] == digits[t - n], *kind == Kind::Match);
                match kind {
                    Kind::LureBefore => assert_eq!(digits[t], digits[t + 1 - n]),
                    Kind::LureAfter => assert_eq!(digits[t], digits[t - n - 1]),
                    Kind::Plain => assert!(!digits[t - n..t].contains(&digits[t])),
                    Kind::Match => {}
                }
            }
            // Binomial(4000, 1/2): sd 31.6; five of them.
            assert!((f64::from(shown[0]) - 2000.0).abs() < 158.0);
            assert_eq!(shown[Kind::LureBefore as usize] == 0, n == 1);
            assert_eq!(shown[Kind::LureAfter as usize] > 100, n > 1);
        }
    }
}
