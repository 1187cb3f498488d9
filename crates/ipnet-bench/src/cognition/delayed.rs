//! Recall after a filled delay (Brown-Peterson): three letters, then digits one a second, then "which letters?".
//!
//! The digits are items as the letters are and take pulses of the shared budget; the letters are what is rehearsed. At
//! most three letters are said, the strongest answers first.

use super::Setting;
use super::memory::{Memory, STRANGERS, similar_items};
use ipnet_rng::{Stream, named_seed};

/// Letters to keep.
pub const LETTERS: usize = 3;
/// Delays \[s\], those of the human study.
pub const DELAYS_S: [f64; 5] = [0.0, 3.0, 18.0, 36.0, 60.0];
/// Seconds per letter and per digit. Assumed.
pub const ITEM_S: f64 = 1.0;

/// One subject's share of letters recalled at each delay.
pub fn subject(setting: &Setting<'_>, subject: usize) -> Vec<f64> {
    DELAYS_S.iter().map(|&delay_s| recalled(setting, subject, delay_s)).collect()
}

/// One subject's share of letters recalled after `delay_s` seconds.
pub fn recalled(setting: &Setting<'_>, subject: usize, delay_s: f64) -> f64 {
    let seed = named_seed(setting.seed, &format!("cognition/delayed/{delay_s}/{subject}"));
    let mut patterns = Stream::named(seed, "patterns");
    let digits = (delay_s / ITEM_S) as usize;
    let known = LETTERS + STRANGERS;
    let alphabet: Vec<usize> = (0..known).collect();
    let letters: Vec<usize> = (0..LETTERS).collect();
    let counted: Vec<usize> = (known..known + digits).collect();
    let mut memory = Memory::new(setting, seed, similar_items(&mut patterns, known + digits, 0.0));
    let mut kept = 0;
    for _ in 0..setting.trials {
        memory.rest();
        memory.show(&letters, ITEM_S, &alphabet);
        memory.show(&counted, ITEM_S, &alphabet);
        memory.wait(delay_s - digits as f64 * ITEM_S, &alphabet);
        memory.end_slot(&alphabet);
        let said = memory.recall(&alphabet);
        kept += said.into_iter().take(LETTERS).filter(|item| *item < LETTERS).count();
    }
    kept as f64 / (LETTERS * setting.trials) as f64
}
