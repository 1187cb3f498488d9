//! The working memory of one simulated subject: items as sparse patterns, a budget of pulses, and one rule for reading.
//!
//! ```text
//! poll      128 of an item's 512 neurons, at the study's level
//! answer    an item answers a poll when at least `read_ratio` of the polled neurons fire
//! budget    `pulses_per_slot` item writes in a slot: presented items first, what is left rehearses
//! rehearse  items are polled in random order; each that answers is written, until the budget of the slot is spent
//! ```
//! Design decision: nothing but the array's heat remembers. An item's chance to be rehearsed is its chance to answer a
//! poll: nobody knows what is warm without asking, and asking heats. The list of patterns is the subject's vocabulary
//! (long-term knowledge) and holds items that were never presented, which the same rule may rehearse or recall by mistake.
//! The clock of slots runs freely, so a task starts at a random phase of it.

use super::Setting;
use super::array::{Answer, Array, Pulse};
use ipnet_rng::Stream;

/// Neurons of an array: as many as a 16-bit address names.
pub const NEURONS: usize = 1 << 16;
/// Neurons of an item: 0.8 % of the array.
pub const ITEM_NEURONS: usize = 512;
/// Neurons of an item that a poll pulses, in turn.
pub const POLLED: usize = 128;
/// Items of the vocabulary that a trial never presents.
pub const STRANGERS: usize = 6;

/// The neurons of an item, in random order.
pub type Pattern = Vec<u16>;

/// `count` neurons, none of `without`, drawn from `stream`.
pub fn pattern(stream: &mut Stream, count: usize, without: &[u16]) -> Pattern {
    let mut neurons: Pattern = Vec::with_capacity(count + without.len());
    neurons.extend(without);
    let mut taken = [0u64; NEURONS / 64];
    for &neuron in without {
        taken[usize::from(neuron) / 64] |= 1 << (neuron % 64);
    }
    while neurons.len() < without.len() + count {
        let neuron = stream.next_u32() as u16;
        let (word, bit) = (usize::from(neuron) / 64, 1u64 << (neuron % 64));
        if taken[word] & bit == 0 {
            taken[word] |= bit;
            neurons.push(neuron);
        }
    }
    neurons.split_off(without.len())
}

/// An item that holds `core` and draws the rest of its neurons, all in random order.
pub fn item_with(stream: &mut Stream, core: &[u16]) -> Pattern {
    let mut neurons = pattern(stream, ITEM_NEURONS - core.len(), core);
    neurons.extend(core);
    stream.shuffle(&mut neurons);
    neurons
}

/// `count` items that have a share of `similarity` of their neurons in common.
pub fn similar_items(stream: &mut Stream, count: usize, similarity: f64) -> Vec<Pattern> {
    let core = pattern(stream, (similarity * ITEM_NEURONS as f64).round() as usize, &[]);
    (0..count).map(|_| item_with(stream, &core)).collect()
}

/// The items with the neurons that any of them uses renumbered in the order of their first use, and how many those
/// are. Neurons of no item are never pulsed; without them an item lies together in the computer's memory.
fn used_only(mut items: Vec<Pattern>) -> (Vec<Pattern>, usize) {
    let mut place = vec![None; NEURONS];
    let mut used = 0u16;
    for neuron in items.iter_mut().flatten() {
        *neuron = *place[usize::from(*neuron)].get_or_insert_with(|| {
            used += 1;
            used - 1
        });
    }
    (items, usize::from(used))
}

/// A subject's memory.
#[derive(Debug, Clone)]
pub struct Memory<'a> {
    setting: Setting<'a>,
    array: Array<'a>,
    /// By places in the array.
    items: Vec<Pattern>,
    choice: Stream,
    /// Time since the start of the slot under way, in slots.
    clock: f64,
    /// Writes left in the slot under way.
    budget: f64,
    written: Vec<bool>,
    order: Vec<usize>,
}

impl<'a> Memory<'a> {
    /// A cold memory with the vocabulary `items`; `seed` names subject and task.
    pub fn new(setting: &Setting<'a>, seed: u64, items: Vec<Pattern>) -> Self {
        let mut choice = Stream::named(seed, "choice");
        let clock = choice.uniform();
        let (items, neurons) = used_only(items);
        Self {
            setting: *setting,
            array: Array::cold(setting.tables, neurons, Stream::named(seed, "firing")),
            written: vec![false; items.len()],
            items,
            choice,
            clock,
            budget: setting.protocol.pulses_per_slot,
            order: Vec::new(),
        }
    }

    /// A long pause: all traces cool to nothing, and the next trial starts at another phase of the slots' clock.
    pub fn rest(&mut self) {
        self.array.rest();
        self.clock = self.choice.uniform();
        self.start_slot();
    }

    /// The array.
    pub fn array(&self) -> &Array<'a> {
        &self.array
    }

    /// The stream of the subject's choices.
    pub fn choice(&mut self) -> &mut Stream {
        &mut self.choice
    }

    /// Whether an answer is one: enough of the polled neurons fired.
    pub fn answers(&self, answer: Answer) -> bool {
        answer.fired > 0 && answer.share() >= self.setting.protocol.read_ratio
    }

    /// Presents `item` now.
    pub fn present(&mut self, item: usize) {
        self.array.pulse(&self.items[item], Pulse::Write);
        self.written[item] = true;
        self.budget -= 1.0;
    }

    /// Polls `item`: a run of its neurons from a random place on.
    pub fn ask(&mut self, item: usize) -> Answer {
        let neurons = &self.items[item];
        let start = self.choice.below(neurons.len());
        let polled = neurons[start..].iter().chain(&neurons[..start]).take(POLLED);
        self.array.pulse(polled, Pulse::Poll)
    }

    /// Lets `seconds` of the human task pass; in every slot that ends meanwhile, what is left of its budget
    /// rehearses items of `goal`.
    pub fn wait(&mut self, seconds: f64, goal: &[usize]) {
        self.clock += seconds * self.setting.protocol.slots_per_s;
        while self.clock >= 1.0 {
            self.clock -= 1.0;
            self.end_slot(goal);
        }
    }

    /// Ends the slot under way, so that the next pulse finds every neuron free.
    pub fn end_slot(&mut self, goal: &[usize]) {
        if self.setting.rehearse {
            self.rehearse(goal);
        }
        self.array.next_slot();
        self.start_slot();
    }

    fn start_slot(&mut self) {
        self.written.fill(false);
        self.budget = self.setting.protocol.pulses_per_slot;
    }

    fn rehearse(&mut self, goal: &[usize]) {
        let left = self.budget.max(0.0);
        let mut writes = left as usize + usize::from(self.choice.uniform() < left.fract());
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(goal.iter().copied().filter(|item| !self.written[*item]));
        while writes > 0 && !order.is_empty() {
            let item = order.swap_remove(self.choice.below(order.len()));
            let answer = self.ask(item);
            if self.answers(answer) {
                self.array.pulse(&self.items[item], Pulse::Write);
                writes -= 1;
            }
        }
        self.order = order;
    }

    /// Shows `shown` one after another, `item_s` seconds each.
    pub fn show(&mut self, shown: &[usize], item_s: f64, goal: &[usize]) {
        for &item in shown {
            self.present(item);
            self.wait(item_s, goal);
        }
    }

    /// Asks every item of `among` once, in one slot, and gives those that answer: the strongest first, ties at random.
    pub fn recall(&mut self, among: &[usize]) -> Vec<usize> {
        let mut answers: Vec<(u32, u32, usize)> = Vec::new();
        for &item in among {
            let answer = self.ask(item);
            if self.answers(answer) {
                answers.push((answer.fired, self.choice.next_u32(), item));
            }
        }
        answers.sort_unstable_by(|a, b| b.cmp(a));
        answers.into_iter().map(|(_, _, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Protocol;
    use super::super::array::{Forgetting, Tables};
    use super::*;
    use ipnet_device::{DeviceSet, StepLaw};

    fn law() -> StepLaw {
        DeviceSet::load("default").unwrap().reduce().unwrap().law
    }

    fn common(a: &[u16], b: &[u16]) -> usize {
        a.iter().filter(|n| b.contains(n)).count()
    }

    #[test]
    fn patterns_have_their_size_and_share_what_they_should() {
        let items = similar_items(&mut Stream::named(1, "patterns"), 5, 0.5);
        for pair in items.windows(2) {
            assert_eq!(common(&pair[0], &pair[0]), ITEM_NEURONS);
            // Half by design; by chance 128 * 128 / 65408 = 0.25 of a neuron more, six at most in any sane run.
            assert!((ITEM_NEURONS / 2..ITEM_NEURONS / 2 + 6).contains(&common(&pair[0], &pair[1])));
        }
    }

    /// One slot with budget for two: two of the three warm items are written again, whoever they are, no stranger is.
    #[test]
    fn the_budget_bounds_rehearsal_and_only_what_answers_is_rehearsed() {
        let tables = Tables::new(&law(), 0.665, Forgetting::Heat);
        let protocol = Protocol { slots_per_s: 1.0, pulses_per_slot: 2.0, read_ratio: 0.17 };
        let setting = Setting { tables: &tables, protocol: &protocol, rehearse: true, trials: 1, seed: 1 };
        let items = similar_items(&mut Stream::named(2, "patterns"), 6, 0.0);
        let mut counts = [0; 6];
        for trial in 0..50 {
            let mut memory = Memory::new(&setting, trial, items.clone());
            (0..3).for_each(|item| memory.present(item));
            memory.array.next_slot();
            memory.start_slot();
            memory.end_slot(&[0, 1, 2, 3, 4, 5]);
            let rise = |memory: &Memory<'_>, i: usize| {
                memory.items[i].iter().map(|n| memory.array().rise_k(*n)).sum::<f32>() / ITEM_NEURONS as f32
            };
            // One write that cooled for two slots leaves 27 K; a second one 33 K more on the neurons it found free.
            let again: Vec<usize> = (0..6).filter(|i| rise(&memory, *i) > 40.0).collect();
            assert!(again.len() == 2 && again.iter().all(|i| *i < 3), "{again:?}");
            again.into_iter().for_each(|i| counts[i] += 1);
        }
        assert!(counts[..3].iter().all(|c| *c > 20), "{counts:?}");
    }

    #[test]
    fn seconds_become_slots_by_one_number() {
        let tables = Tables::new(&law(), 0.64, Forgetting::Heat);
        let protocol = Protocol { slots_per_s: 0.5, pulses_per_slot: 0.0, read_ratio: 0.17 };
        let setting = Setting { tables: &tables, protocol: &protocol, rehearse: false, trials: 1, seed: 1 };
        let items = similar_items(&mut Stream::named(2, "patterns"), 1, 0.0);
        let mut memory = Memory::new(&setting, 1, items);
        let neuron = memory.items[0][0];
        memory.present(0);
        let hot = memory.array().rise_k(neuron);
        memory.wait(20.0, &[]);
        let decay = law().poles[0].decay.powi(10) as f32;
        assert!((memory.array().rise_k(neuron) / hot / decay - 1.0).abs() < 1e-4);
    }
}
