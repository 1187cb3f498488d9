//! Operations, accesses and state of a network, counted from its specification.
//!
//! All counts are for one inference of one sample over all its time steps. A MAC is one multiplication and one
//! addition. The counts are dense: what sparsity saves is measured on data, not assumed here.

use serde::Serialize;

/// What a layer is there for: the bill separates the memory from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Part of the shared backbone.
    Backbone,
    /// The temporal memory under test.
    Memory,
}

/// Counts of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerCounts {
    /// The layer's name, as in its parameters.
    pub name: String,
    /// Backbone or memory.
    pub role: Role,
    /// Trained values.
    pub parameters: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Accumulates: products with an input that is 0 or 1, so that a weight is added or not (NeuroBench's ACs). Counted
    /// for the layer behind a spiking memory as if every input were 1.
    pub accumulates: u64,
    /// Additions, comparisons and multiplications outside of MACs.
    pub other_ops: u64,
    /// Weight values read (each once per time step).
    pub weight_reads: u64,
    /// Activation values read.
    pub activation_reads: u64,
    /// Activation values written.
    pub activation_writes: u64,
    /// Values kept from one time step to the next, in digital memory.
    pub state_values: u64,
    /// State values read from digital memory.
    pub state_reads: u64,
    /// State values written to digital memory.
    pub state_writes: u64,
    /// Pulse slots of MTJ neurons (neurons x steps): their state is heat, not memory.
    pub device_slots: u64,
}

impl LayerCounts {
    /// A layer that does nothing yet.
    pub(crate) fn new(name: impl Into<String>, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
            parameters: 0,
            macs: 0,
            accumulates: 0,
            other_ops: 0,
            weight_reads: 0,
            activation_reads: 0,
            activation_writes: 0,
            state_values: 0,
            state_reads: 0,
            state_writes: 0,
            device_slots: 0,
        }
    }
}

/// Counts of a network, layer by layer in the order of computation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpCounts {
    /// Time steps of one inference.
    pub steps: u64,
    /// The layers.
    pub layers: Vec<LayerCounts>,
}

impl OpCounts {
    /// The sum of one count over all layers.
    pub fn total(&self, count: impl Fn(&LayerCounts) -> u64) -> u64 {
        self.layers.iter().map(count).sum()
    }

    /// The sum of one count over the layers of one role.
    pub fn total_of(&self, role: Role, count: impl Fn(&LayerCounts) -> u64) -> u64 {
        self.layers.iter().filter(|layer| layer.role == role).map(count).sum()
    }
}
