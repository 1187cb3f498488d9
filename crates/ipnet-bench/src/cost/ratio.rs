//! Energy of one memory over another's, under every accounting.

use super::{Bill, DeviceEnergy, Placing, Store, Technology, bill};
use ipnet_zoo::{OpCounts, Role};
use serde::Serialize;

/// The abstract's ratio of an LSTM's memory power to that of the IP neurons (arXiv 2512.15829).
pub const PUBLISHED_LSTM_RATIO: f64 = 2_874.0;
/// The abstract's ratio of a parallel 3D convolution's memory power to that of the IP neurons (arXiv 2512.15829).
pub const PUBLISHED_3D_RATIO: f64 = 90_920.0;

/// What of a memory is counted, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Accounting {
    /// Short name, as in the tables.
    pub name: &'static str,
    /// Where values lie.
    pub placing: Placing,
    /// Whether the memory layers' operations count.
    pub compute: bool,
    /// Whether the memory layers' weights count.
    pub weights: bool,
    /// Whether the memory layers' activations count.
    pub activations: bool,
}

const fn accounting(name: &'static str, store: Store, counted: [bool; 3]) -> Accounting {
    let [compute, weights, activations] = counted;
    Accounting { name, placing: Placing::all(store), compute, weights, activations }
}

/// The accountings, from the narrowest to the widest. State and device pulses always count.
pub const ACCOUNTINGS: [Accounting; 6] = [
    accounting("state in SRAM", Store::Sram, [false, false, false]),
    accounting("state in DRAM", Store::Dram, [false, false, false]),
    accounting("state and weights in SRAM", Store::Sram, [false, true, false]),
    accounting("state and weights in DRAM", Store::Dram, [false, true, false]),
    accounting("whole memory layer in SRAM", Store::Sram, [true, true, true]),
    accounting("whole memory layer in DRAM", Store::Dram, [true, true, true]),
];

/// One ratio: `other_j / ip_j`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The accounting's name.
    pub accounting: &'static str,
    /// Whose pulse energy.
    pub pulses: String,
    /// Energy of the other network's memory \[J\].
    pub other_j: f64,
    /// Energy of the IP network's memory \[J\].
    pub ip_j: f64,
}

impl Ratio {
    /// How many times more the other memory takes.
    pub fn value(&self) -> f64 {
        self.other_j / self.ip_j
    }
}

/// Energy of a network's memory \[J\] under one accounting.
pub fn memory_energy_j(
    counts: &OpCounts,
    accounting: &Accounting,
    technology: &Technology,
    device: &DeviceEnergy,
) -> f64 {
    let memory: Bill =
        bill(&counts.layers, |layer| layer.role == Role::Memory, technology, accounting.placing, device);
    let counted = |counts: bool, energy_j: f64| if counts { energy_j } else { 0.0 };
    memory.state_j
        + memory.pulses_j
        + memory.resets_j
        + counted(accounting.compute, memory.compute_j)
        + counted(accounting.weights, memory.weights_j)
        + counted(accounting.activations, memory.activations_j)
}

/// The ratio of `other`'s memory to `ip`'s under every accounting and for every pulse energy.
pub fn ratios(
    other: &OpCounts,
    ip: &OpCounts,
    technology: &Technology,
    devices: &[DeviceEnergy],
) -> Vec<Ratio> {
    let pairs = ACCOUNTINGS.iter().flat_map(|a| devices.iter().map(move |d| (a, d)));
    pairs
        .map(|(accounting, device)| Ratio {
            accounting: accounting.name,
            pulses: device.name.clone(),
            other_j: memory_energy_j(other, accounting, technology, device),
            ip_j: memory_energy_j(ip, accounting, technology, device),
        })
        .collect()
}
