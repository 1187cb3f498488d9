//! The protocol: what a simulated subject does with the device, in three free numbers for all tasks.
//!
//! | free number | meaning |
//! |---|---|
//! | `slots_per_s` | the map of human seconds to pulse slots: one number for every task |
//! | `pulses_per_slot` | the budget of a slot: items that can be written, presented or rehearsed |
//! | `read_ratio` | the share of an item's polled neurons that must fire for the item to answer |
//!
//! Besides these, each human study has one level, the poll amplitude, set on one point of its curve. The values of
//! [`Protocol::fitted`] are what `ipnet cognition fit` finds with its default arguments on the training half of the human
//! curves; [`super::fit`] is the procedure.

/// The three free numbers.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Protocol {
    /// Pulse slots in one second of a human task.
    pub slots_per_s: f64,
    /// Item writes in a slot, shared by presentation and rehearsal.
    pub pulses_per_slot: f64,
    /// Share of an item's polled neurons that must fire.
    pub read_ratio: f64,
}

impl Protocol {
    /// The numbers that the fit found (28 tries, 48 subjects, seed 1), to four digits.
    pub fn fitted() -> Self {
        Self { slots_per_s: 0.3071, pulses_per_slot: 4.342, read_ratio: 0.18 }
    }
}
