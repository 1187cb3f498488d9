//! One network's energy, term by term.

use super::{DeviceEnergy, Technology};
use ipnet_zoo::LayerCounts;
use serde::Serialize;

/// Where values lie between their uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// A register file.
    Register,
    /// A small SRAM on the chip.
    Sram,
    /// DRAM beside the chip.
    Dram,
}

impl Store {
    fn access_j(self, technology: &Technology) -> f64 {
        match self {
            Self::Register => technology.energy.register_j.value,
            Self::Sram => technology.energy.sram_j.value,
            Self::Dram => technology.energy.dram_j.value,
        }
    }
}

/// Where each kind of value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Placing {
    /// Weights.
    pub weights: Store,
    /// Activations.
    pub activations: Store,
    /// State between time steps.
    pub state: Store,
}

impl Placing {
    /// All in the same place.
    pub const fn all(store: Store) -> Self {
        Self { weights: store, activations: store, state: store }
    }
}

/// Energy of one inference, term by term \[J\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bill {
    /// Operations.
    pub compute_j: f64,
    /// Reading weights.
    pub weights_j: f64,
    /// Reading and writing activations.
    pub activations_j: f64,
    /// Reading and writing state in digital memory.
    pub state_j: f64,
    /// Write and read pulses of the devices.
    pub pulses_j: f64,
    /// Reset pulses after firings.
    pub resets_j: f64,
}

impl Bill {
    /// The sum.
    pub fn total_j(&self) -> f64 {
        self.compute_j + self.weights_j + self.activations_j + self.state_j + self.pulses_j + self.resets_j
    }
}

/// The energy of some layers: of a whole network, or of those that `keep` names.
pub fn bill(
    layers: &[LayerCounts],
    keep: impl Fn(&LayerCounts) -> bool,
    technology: &Technology,
    placing: Placing,
    device: &DeviceEnergy,
) -> Bill {
    let sum = |count: fn(&LayerCounts) -> u64| {
        layers.iter().filter(|layer| keep(layer)).map(count).sum::<u64>() as f64
    };
    let slots = sum(|l| l.device_slots);
    Bill {
        compute_j: sum(|l| l.macs) * technology.energy.mac_j.value
            + sum(|l| l.accumulates + l.other_ops) * technology.energy.op_j.value,
        weights_j: sum(|l| l.weight_reads) * placing.weights.access_j(technology),
        activations_j: sum(|l| l.activation_reads + l.activation_writes)
            * placing.activations.access_j(technology),
        state_j: sum(|l| l.state_reads + l.state_writes) * placing.state.access_j(technology),
        pulses_j: slots * device.pulse_j,
        resets_j: slots * device.reset_j,
    }
}
