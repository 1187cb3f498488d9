//! The LSTM control: a recurrent network trained on the n-back by back-propagation through time.
//!
//! Input of a stimulus: column, digit and n, one-hot each; output: match or not. One network learns all n from sequences
//! of the same generator and is tested on fresh ones. It has what the heat lacks, weights trained on the task itself,
//! and shows what the task asks for when memory does not fade. Nothing of it is fitted to people.

use super::nback::{DIGITS, JUDGED, Kind, LEVELS, Score, sequence};
use crate::Result;
use crate::train::{Optimiser, TrainConfig};
use candle_core::{Device, Tensor};
use ipnet_nn::{cross_entropy, linear, lstm_scan};
use ipnet_rng::{Stream, named_seed};
use ipnet_zoo::Parameters;

/// Units of the network.
const UNITS: usize = 48;
/// Columns, digits, n.
const INPUTS: usize = LEVELS.len() + DIGITS + LEVELS.len();
/// Sequences of an update; all have the same n.
const BATCH: usize = 32;
/// Judged stimuli of a training sequence.
const JUDGED_IN_TRAINING: usize = 20;
const LEARNING_RATE: f64 = 5e-3;
const CLIP_NORM: f64 = 1.0;

struct Network {
    parameters: Parameters,
    w_in: Tensor,
    b_in: Tensor,
    w_hh: Tensor,
    w_out: Tensor,
    b_out: Tensor,
}

impl Network {
    fn new(seed: u64) -> Result<Self> {
        let mut parameters = Parameters::new(named_seed(seed, "cognition/lstm/parameters"));
        let bound = 1.0 / (UNITS as f64).sqrt();
        let mut draw = |name: &str, shape: &[usize]| parameters.uniform(name, shape, bound);
        let (w_in, b_in) = (draw("w_in", &[4 * UNITS, INPUTS])?, draw("b_in", &[4 * UNITS])?);
        let w_hh = draw("w_hh", &[4 * UNITS, UNITS])?;
        let (w_out, b_out) = (draw("w_out", &[2, UNITS])?, draw("b_out", &[2])?);
        Ok(Self { parameters, w_in, b_in, w_hh, w_out, b_out })
    }

    /// `x [T, B, INPUTS]` to logits `[T, B, 2]`: no match, match.
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let projected = linear(x, &self.w_in, Some(&self.b_in))?;
        let state = lstm_scan(&projected, &self.w_hh, None)?;
        Ok(linear(&state, &self.w_out, Some(&self.b_out))?)
    }
}

/// Sequences of one n as the network sees them, and what each stimulus is: `kinds[b][t]`.
struct Batch {
    x: Tensor,
    kinds: Vec<Vec<Option<Kind>>>,
}

impl Batch {
    fn draw(stream: &mut Stream, n: usize, sequences: usize, judged: usize) -> Result<Self> {
        let steps = n + judged;
        let mut x = vec![0.0f32; steps * sequences * INPUTS];
        let mut kinds = Vec::with_capacity(sequences);
        for b in 0..sequences {
            let (digits, of) = sequence(stream, n, judged);
            for (t, digit) in digits.into_iter().enumerate() {
                let row = &mut x[(t * sequences + b) * INPUTS..][..INPUTS];
                row[t % n] = 1.0;
                row[LEVELS.len() + digit] = 1.0;
                row[LEVELS.len() + DIGITS + n - 1] = 1.0;
            }
            kinds.push(of);
        }
        Ok(Self { x: Tensor::from_vec(x, (steps, sequences, INPUTS), &Device::Cpu)?, kinds })
    }
}

/// Trains for `updates` and tests on one sequence of each n for each of `subjects`: `[subject][n]`.
///
/// # Errors
/// A gradient that is not finite.
pub fn train_and_test(seed: u64, updates: usize, subjects: usize) -> Result<Vec<Vec<Score>>> {
    let network = Network::new(seed)?;
    let mut optimiser =
        Optimiser::new(&network.parameters, &TrainConfig { weight_decay: 0.0, ..TrainConfig::default() });
    let mut stream = Stream::named(seed, "cognition/lstm/training");
    for update in 0..updates {
        let n = LEVELS[update % LEVELS.len()];
        let batch = Batch::draw(&mut stream, n, BATCH, JUDGED_IN_TRAINING)?;
        let logits = network.logits(&batch.x)?.narrow(0, n, JUDGED_IN_TRAINING)?.contiguous()?;
        let targets: Vec<u32> = (n..n + JUDGED_IN_TRAINING)
            .flat_map(|t| batch.kinds.iter().map(move |kinds| u32::from(kinds[t] == Some(Kind::Match))))
            .collect();
        let loss = cross_entropy(&logits.reshape((JUDGED_IN_TRAINING * BATCH, 2))?, &targets, 0.0)?;
        let left = 1.0 - update as f64 / updates as f64;
        optimiser.step(&network.parameters, &loss.backward()?, LEARNING_RATE * left, CLIP_NORM)?;
    }
    let mut stream = Stream::named(seed, "cognition/lstm/test");
    let mut scores = vec![Vec::with_capacity(LEVELS.len()); subjects];
    for n in LEVELS {
        let batch = Batch::draw(&mut stream, n, subjects, JUDGED)?;
        let logits = network.logits(&batch.x)?.to_vec3::<f32>()?;
        for (b, (score, kinds)) in scores.iter_mut().zip(&batch.kinds).enumerate() {
            let mut at_n = Score::default();
            for (t, kind) in kinds.iter().enumerate() {
                if let Some(kind) = kind {
                    at_n.add(*kind, logits[t][b][1] > logits[t][b][0]);
                }
            }
            score.push(at_n);
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accuracy of n = 1 over all subjects: chance is 1/2 (400 * 40 draws, sd 0.004); a few updates learn something.
    #[test]
    fn training_moves_the_network_off_chance_the_same_way_every_time() {
        let accuracy = |updates| {
            let scores = train_and_test(3, updates, 40).unwrap();
            scores.iter().map(|s| s[0].accuracy()).sum::<f64>() / scores.len() as f64
        };
        let (before, after) = (accuracy(0), accuracy(150));
        assert!(after > before + 0.05 && after > 0.6, "{before} {after}");
        assert_eq!(after, accuracy(150));
    }
}
