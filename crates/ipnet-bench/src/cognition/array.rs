//! An array of IP neurons whose only state is heat, cooled only where and when a pulse arrives.
//!
//! In a slot a neuron takes one pulse at most: a write (`v_max`) or a weak poll. It fires with the step law's p(u, T) and
//! every pole takes the pulse's heat and the reset's:
//! ```text
//! T_i <- a_i^n T_i                     n slots since the neuron's last pulse
//! s    ~ Bernoulli(p(u, sum_i T_i))
//! T_i <- T_i + h_i u^2 + r_i s         [K]; the decay a_i at the slot's end is part of the next n
//! ```
//! Design decision: a pulse touches one item (0.8 % of the array), so heat is stored with the slot of its last pulse and
//! powers of the decay are tabulated; a slot then costs what it pulses, not the size of the array. p depends on
//! heat alone once the amplitude is fixed, so the law is tabulated over heat for the two amplitudes in use, once per
//! kind of device. Spread between devices is a fixed set of [`KINDS`] kinds; spread from pulse to pulse is integrated into
//! the table (a Bernoulli draw with a random p is one with its mean).

use ipnet_device::{MAX_POLES, StepLaw, Switching};
use ipnet_rng::Stream;

/// Kinds of device in an array: joint draws of barrier, critical voltage and heating.
pub const KINDS: usize = 16;
/// Intervals of the tables over heat.
const NODES: usize = 512;
/// Heat below this share of its start counts as gone.
const GONE: f64 = 1e-7;
/// Slots after which heat counts as gone at the latest.
const LONGEST: usize = 4096;
/// Gauss-Hermite nodes and weights (probabilists', 5 points) for the spread from pulse to pulse.
const HERMITE: [(f64, f64); 5] = [
    (-2.856_970_013_872_806, 0.011_257_411_327_720_69),
    (-1.355_626_179_974_266, 0.222_075_922_005_612_64),
    (0.0, 0.533_333_333_333_333_3),
    (1.355_626_179_974_266, 0.222_075_922_005_612_64),
    (2.856_970_013_872_806, 0.011_257_411_327_720_69),
];

/// How the memory forgets: the device, or a control that keeps everything else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Forgetting {
    /// The device's heat.
    Heat,
    /// A write sets the trace to full heat for good; polls leave no trace.
    Never,
    /// A write sets the trace to full heat, which falls to nothing in a straight line over this many slots.
    Linear {
        /// Slots from full to none.
        slots: f64,
    },
}

/// The two pulses in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// The largest amplitude of the device.
    Write,
    /// The weak probe, at the study's level.
    Poll,
}

/// One pulse on every kind of device.
#[derive(Debug, Clone)]
struct Response {
    /// `[kind][node]`: p as a 32-bit threshold; `u32::MAX` is certain.
    threshold: Vec<u32>,
    /// `[pole][kind]`: rise left by the pulse \[K\].
    heat_k: Vec<[f32; KINDS]>,
}

/// A device tabulated for one poll amplitude: shared by all subjects of a study.
#[derive(Debug, Clone)]
pub struct Tables {
    write: Response,
    poll: Response,
    nodes_per_k: f32,
    /// `[pole][kind]`: rise left by a reset \[K\].
    reset_k: Vec<[f32; KINDS]>,
    /// `[pole][slots]`: `a_i^n` until heat counts as gone.
    cooling: Vec<Vec<f32>>,
    /// Slots after which every trace is gone.
    rest_slots: u32,
    forgetting: Forgetting,
    full_k: f32,
}

impl Tables {
    /// Tabulates `law` for polls of `poll_v` \[V\].
    pub fn new(law: &StepLaw, poll_v: f64, forgetting: Forgetting) -> Self {
        let mut stream = Stream::named(0, "cognition/device kinds");
        let spread = &law.spread;
        let mut draw = |sigma: f64| (1.0 + sigma * stream.normal()).max(0.1);
        let kinds: Vec<[f64; 3]> = (0..KINDS)
            .map(|_| [draw(spread.barrier_d2d), draw(spread.v_critical_d2d), draw(spread.heat_d2d)])
            .collect();
        // A hotter kind in every slot, and the heat of the pulse under way.
        let highest_k = law.max_rise_k() * 1.5;
        let response = |u: f64| {
            let node = |kind: &[f64; 3], n: usize| {
                let rise = highest_k * n as f64 / NODES as f64 + law.self_heat_k_per_v2 * kind[2] * u * u;
                let p: f64 = HERMITE
                    .iter()
                    .map(|(z, w)| {
                        w * switching(law, u / (kind[1] * (1.0 + spread.v_critical_c2c * z)), rise, kind[0])
                    })
                    .sum();
                (p.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32
            };
            Response {
                threshold: kinds.iter().flat_map(|kind| (0..=NODES).map(move |n| node(kind, n))).collect(),
                heat_k: per_kind(law, &kinds, &|pole| law.poles[pole].heat_k_per_v2 * u * u),
            }
        };
        let cooling: Vec<Vec<f32>> = law
            .poles
            .iter()
            .map(|pole| {
                let powers = std::iter::successors(Some(1.0f64), |p| Some(p * pole.decay));
                powers.take_while(|p| *p > GONE).take(LONGEST).map(|p| p as f32).collect()
            })
            .collect();
        let longest = cooling.iter().map(Vec::len).max().unwrap_or(1) as u32;
        let rest_slots = match forgetting {
            Forgetting::Heat => longest,
            Forgetting::Never => u32::MAX,
            Forgetting::Linear { slots } => slots.ceil() as u32,
        };
        Self {
            write: response(law.v_max_v),
            poll: response(poll_v),
            nodes_per_k: (NODES as f64 / highest_k) as f32,
            reset_k: per_kind(law, &kinds, &|pole| law.poles[pole].reset_k),
            cooling,
            rest_slots,
            forgetting,
            full_k: law.max_rise_k() as f32,
        }
    }

    /// Heat of `pole` after `slots` slots without a pulse \[K\].
    fn cooled(&self, pole: usize, heat_k: f32, slots: u32) -> f32 {
        match self.forgetting {
            Forgetting::Heat => heat_k * self.cooling[pole].get(slots as usize).copied().unwrap_or(0.0),
            Forgetting::Never => heat_k,
            Forgetting::Linear { slots: all } => (heat_k - self.full_k * slots as f32 / all as f32).max(0.0),
        }
    }
}

fn per_kind(law: &StepLaw, kinds: &[[f64; 3]], of: &dyn Fn(usize) -> f64) -> Vec<[f32; KINDS]> {
    (0..law.poles.len()).map(|pole| std::array::from_fn(|k| (of(pole) * kinds[k][2]) as f32)).collect()
}

/// p at an amplitude of `u` \[V\] over the critical voltage's factor, a rise of `rise_k` and a barrier scaled by `barrier`.
fn switching(law: &StepLaw, u: f64, rise_k: f64, barrier: f64) -> f64 {
    match &law.switching {
        Switching::Arrhenius(a) => {
            let mut a = *a;
            a.barrier = a.barrier.map(|c| c * barrier);
            a.probability(u, rise_k, law.t_amb_k)
        }
        Switching::Table(table) => table.probability(u, rise_k),
    }
}

/// What a pulse to some neurons found.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Answer {
    /// Neurons that took the pulse.
    pub pulsed: u32,
    /// Those of them that fired.
    pub fired: u32,
}

impl Answer {
    /// Share of the pulsed neurons that fired; 0 where none was pulsed.
    pub fn share(self) -> f64 {
        f64::from(self.fired) / f64::from(self.pulsed.max(1))
    }
}

/// One neuron.
#[derive(Debug, Clone, Copy, Default)]
struct Neuron {
    /// Rise over ambient right after the last pulse, pole by pole \[K\].
    heat_k: [f32; MAX_POLES],
    /// Slot of the last pulse.
    pulsed_at: u32,
}

/// The array of one simulated subject.
#[derive(Debug, Clone)]
pub struct Array<'a> {
    tables: &'a Tables,
    neurons: Vec<Neuron>,
    slot: u32,
    firing: Stream,
    deposited_k: f64,
}

impl<'a> Array<'a> {
    /// `neurons` cold neurons whose firing draws come from `firing`.
    pub fn cold(tables: &'a Tables, neurons: usize, firing: Stream) -> Self {
        Self { tables, neurons: vec![Neuron::default(); neurons], slot: 1, firing, deposited_k: 0.0 }
    }

    /// Ends the slot.
    pub fn next_slot(&mut self) {
        self.slot += 1;
    }

    /// A pause after which no trace is left: the start of another trial.
    pub fn rest(&mut self) {
        if self.tables.forgetting == Forgetting::Never {
            self.neurons.fill(Neuron { pulsed_at: self.slot, ..Neuron::default() });
        } else {
            self.slot += self.tables.rest_slots;
        }
        self.slot += 1;
    }

    /// Rise of `neuron` in this slot \[K\].
    pub fn rise_k(&self, neuron: u16) -> f32 {
        let n = &self.neurons[usize::from(neuron)];
        let slots = self.slot - n.pulsed_at;
        let poles = self.tables.cooling.len();
        (0..poles).map(|pole| self.tables.cooled(pole, n.heat_k[pole], slots)).sum()
    }

    /// All heat that pulses have put into the array so far, summed over neurons \[K\].
    pub fn deposited_k(&self) -> f64 {
        self.deposited_k
    }

    /// Heat stored in the array in this slot, summed over neurons \[K\].
    pub fn stored_k(&self) -> f64 {
        (0..self.neurons.len()).map(|n| f64::from(self.rise_k(n as u16))).sum()
    }

    /// Pulses `neurons`; one that was pulsed in this slot already takes no second pulse and is not counted.
    pub fn pulse<'n>(&mut self, neurons: impl IntoIterator<Item = &'n u16>, pulse: Pulse) -> Answer {
        let tables = self.tables;
        let poles = tables.cooling.len();
        let response = match pulse {
            Pulse::Write => &tables.write,
            Pulse::Poll => &tables.poll,
        };
        let mut answer = Answer::default();
        let mut left_k = 0.0;
        for &address in neurons {
            let neuron = &mut self.neurons[usize::from(address)];
            let slots = self.slot - neuron.pulsed_at;
            if slots == 0 {
                continue;
            }
            neuron.pulsed_at = self.slot;
            let mut rise = 0.0;
            for (pole, heat) in neuron.heat_k[..poles].iter_mut().enumerate() {
                *heat = tables.cooled(pole, *heat, slots);
                rise += *heat;
            }
            let kind = usize::from(address) % KINDS;
            let node = ((rise * tables.nodes_per_k + 0.5) as usize).min(NODES);
            let threshold = response.threshold[kind * (NODES + 1) + node];
            let fired = threshold == u32::MAX || (threshold > 0 && self.firing.next_u32() < threshold);
            answer.pulsed += 1;
            answer.fired += u32::from(fired);
            for (pole, heat) in neuron.heat_k[..poles].iter_mut().enumerate() {
                match tables.forgetting {
                    Forgetting::Heat => {
                        let reset = if fired { tables.reset_k[pole][kind] } else { 0.0 };
                        *heat += response.heat_k[pole][kind] + reset;
                        left_k += response.heat_k[pole][kind] + reset;
                    }
                    _ if pole == 0 && pulse == Pulse::Write => *heat = tables.full_k,
                    _ => {}
                }
            }
        }
        self.deposited_k += f64::from(left_k);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet_device::DeviceSet;

    fn law() -> StepLaw {
        DeviceSet::load("default").unwrap().reduce().unwrap().law
    }

    fn plain_law() -> StepLaw {
        StepLaw { spread: Default::default(), ..law() }
    }

    /// Without spread the array is the step law: heat of pulses with gaps between them to f32, firing rate within five
    /// standard errors of p.
    #[test]
    fn an_array_without_spread_follows_the_step_law() {
        let (law, u) = (plain_law(), 0.7);
        let tables = Tables::new(&law, u, Forgetting::Heat);
        let mut array = Array::cold(&tables, 4096, Stream::named(9, "firing"));
        let neurons: Vec<u16> = (0..4096).collect();
        let mut heat = vec![0.0; law.poles.len()];
        for slot in 0..9 {
            // Writes certainly switch here: p is 1 to 1e-20 beyond the critical voltage.
            if [0, 1, 5].contains(&slot) {
                let answer = array.pulse(&neurons, Pulse::Write);
                assert_eq!((answer.pulsed, answer.fired), (4096, 4096));
                law.relax(&mut heat, law.v_max_v, 1.0);
            } else {
                law.relax(&mut heat, 0.0, 0.0);
            }
            array.next_slot();
        }
        let rise: f64 = heat.iter().sum();
        assert!((f64::from(array.rise_k(17)) / rise - 1.0).abs() < 1e-5, "{} {rise}", array.rise_k(17));
        let p = law.probability(&heat, u);
        let (rate, n) = (array.pulse(&neurons, Pulse::Poll).share(), 4096.0);
        // Heat is read to half a node: 0.28 K, at most 2 % of p.
        assert!((rate - p).abs() < 5.0 * (p * (1.0 - p) / n).sqrt() + 0.02 * p, "rate {rate}, p {p}");
    }

    #[test]
    fn a_neuron_takes_one_pulse_in_a_slot() {
        let tables = Tables::new(&law(), 0.7, Forgetting::Heat);
        let mut array = Array::cold(&tables, 4096, Stream::named(1, "firing"));
        assert_eq!(array.pulse(&[3, 4, 4, 3, 5], Pulse::Write).pulsed, 3);
        assert_eq!(array.pulse(&[5, 6], Pulse::Poll).pulsed, 1);
        array.next_slot();
        assert_eq!(array.pulse(&[5, 6], Pulse::Poll).pulsed, 2);
        assert_eq!(array.rise_k(100), 0.0);
    }

    /// Energy: what is stored never exceeds what was put in, and is all of it (to f32) in the slot it was put in.
    #[test]
    fn heat_comes_from_pulses_only_and_only_falls_between_them() {
        let tables = Tables::new(&law(), 0.7, Forgetting::Heat);
        let mut array = Array::cold(&tables, 4096, Stream::named(2, "firing"));
        let neurons: Vec<u16> = (100..400).collect();
        array.pulse(&neurons, Pulse::Write);
        assert!((array.stored_k() / array.deposited_k() - 1.0).abs() < 1e-5);
        let mut before = array.stored_k();
        for _ in 0..20 {
            array.next_slot();
            assert!(array.stored_k() < before);
            before = array.stored_k();
        }
        array.pulse(&neurons[..50], Pulse::Poll);
        assert!(array.stored_k() > before && array.stored_k() < array.deposited_k());
        array.rest();
        assert_eq!(array.stored_k(), 0.0);
    }

    #[test]
    fn the_controls_forget_as_they_say() {
        let law = law();
        for (forgetting, left) in [(Forgetting::Never, 1.0), (Forgetting::Linear { slots: 10.0 }, 0.5)] {
            let tables = Tables::new(&law, 0.5, forgetting);
            let mut array = Array::cold(&tables, 4096, Stream::named(1, "firing"));
            array.pulse(&[7], Pulse::Write);
            (0..5).for_each(|_| array.next_slot());
            assert!((f64::from(array.rise_k(7)) / law.max_rise_k() - left).abs() < 1e-3, "{forgetting:?}");
            array.rest();
            assert_eq!(array.rise_k(7), 0.0);
        }
    }
}
