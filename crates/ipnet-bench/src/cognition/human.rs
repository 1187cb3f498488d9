//! The human curves, carried in `data/human/*.csv` with their sources, and what each is used for.

use super::recall::List;
use super::{delayed, nback};
use serde::Serialize;

const N_BACK: &str = include_str!("../../data/human/n_back.csv");
const FREE_RECALL: &str = include_str!("../../data/human/free_recall.csv");
const RECALL_ORDER: &str = include_str!("../../data/human/free_recall_order.csv");
const BROWN_PETERSON: &str = include_str!("../../data/human/brown_peterson.csv");

/// A human curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Study {
    /// Oberauer 2006, session 1.
    NBackSession1,
    /// Oberauer 2006, session 10.
    NBackSession10,
    /// PEERS, 16 words at about 4 s.
    Peers16,
    /// Murdock 1962, 20 words at 1 s.
    Murdock20,
    /// Floden et al., young adults.
    DelayedYoung,
    /// Floden et al., old adults.
    DelayedOld,
}

impl Study {
    /// All of them: the training curve of each task, then its held-out curve.
    pub const ALL: [Self; 6] = [
        Self::NBackSession1,
        Self::NBackSession10,
        Self::Peers16,
        Self::Murdock20,
        Self::DelayedYoung,
        Self::DelayedOld,
    ];

    /// True for the half that is for fitting the three free numbers; the other half is held out.
    pub fn trained_on(self) -> bool {
        matches!(self, Self::NBackSession1 | Self::Peers16 | Self::DelayedYoung)
    }

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NBackSession1 => "n-back, session 1",
            Self::NBackSession10 => "n-back, session 10",
            Self::Peers16 => "free recall, PEERS 16",
            Self::Murdock20 => "free recall, Murdock 20",
            Self::DelayedYoung => "Brown-Peterson, young",
            Self::DelayedOld => "Brown-Peterson, old",
        }
    }

    /// The task as the command line groups it.
    pub fn task(self) -> super::Task {
        match self {
            Self::NBackSession1 | Self::NBackSession10 => super::Task::NBack,
            _ => super::Task::Recall,
        }
    }

    /// The task by name, finer than [`Study::task`].
    pub fn task_name(self) -> &'static str {
        match self {
            Self::NBackSession1 | Self::NBackSession10 => "nback",
            Self::Peers16 | Self::Murdock20 => "free_recall",
            Self::DelayedYoung | Self::DelayedOld => "delayed_recall",
        }
    }

    /// The list of a free-recall study. PEERS: 3 s and a pause of about 1 s.
    pub fn list(self) -> Option<List> {
        match self {
            Self::Peers16 => Some(List { words: 16, word_s: 4.0 }),
            Self::Murdock20 => Some(List { words: 20, word_s: 1.0 }),
            _ => None,
        }
    }

    /// The index of the one point on which the study's level is set: the middle of the curve.
    pub fn level_point(self) -> usize {
        self.x().len() / 2
    }

    /// n, serial position, or delay \[s\].
    pub fn x(self) -> Vec<f64> {
        match self {
            Self::NBackSession1 | Self::NBackSession10 => nback::LEVELS.iter().map(|n| *n as f64).collect(),
            Self::DelayedYoung | Self::DelayedOld => delayed::DELAYS_S.to_vec(),
            Self::Peers16 => (1..=16).map(f64::from).collect(),
            Self::Murdock20 => (1..=20).map(f64::from).collect(),
        }
    }

    /// The human probabilities at [`Study::x`].
    pub fn human(self) -> Vec<f64> {
        match self {
            Self::NBackSession1 => column(N_BACK, 1),
            Self::NBackSession10 => column(N_BACK, 3),
            Self::DelayedYoung => column(BROWN_PETERSON, 1),
            Self::DelayedOld => column(BROWN_PETERSON, 2),
            Self::Peers16 => keyed(FREE_RECALL, "peers_16"),
            Self::Murdock20 => keyed(FREE_RECALL, "murdock1962_20_1"),
        }
    }
}

/// Hit rates of n-back, session 1.
pub fn n_back_hits() -> Vec<f64> {
    column(N_BACK, 2)
}

/// PEERS: probability of first recall by serial position.
pub fn first_recall() -> Vec<f64> {
    keyed(RECALL_ORDER, "first_recall")
}

/// PEERS: lag-CRP at [`super::recall::LAGS`].
pub fn lag_crp() -> Vec<f64> {
    keyed(RECALL_ORDER, "lag_crp")
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).skip(1).map(|line| line.split(',').collect())
}

fn column(text: &'static str, index: usize) -> Vec<f64> {
    rows(text).filter_map(|row| row.get(index)?.parse().ok()).collect()
}

fn keyed(text: &'static str, key: &str) -> Vec<f64> {
    rows(text).filter(|row| row.first() == Some(&key)).filter_map(|row| row.get(2)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_has_a_probability_at_every_x() {
        for study in Study::ALL {
            let human = study.human();
            assert_eq!(human.len(), study.x().len(), "{study:?}");
            assert!(human.iter().all(|p| (0.0..=1.0).contains(p)));
        }
        assert_eq!(Study::Murdock20.human()[19], 0.95);
        assert_eq!(Study::DelayedOld.human()[4], 0.281);
        assert_eq!(Study::NBackSession10.human()[0], 0.986);
        assert_eq!((n_back_hits().len(), first_recall().len(), lag_crp().len()), (5, 16, 10));
    }

    #[test]
    fn half_of_the_curves_are_held_out() {
        assert_eq!(Study::ALL.iter().filter(|s| s.trained_on()).count(), 3);
    }
}
