//! The bill: energy of one inference from what a network does and what each thing costs.
//!
//! ```text
//! compute      n_mac e_mac + n_op e_op                         [J]
//! weights      n_weight_reads e(where weights lie)
//! activations  (n_reads + n_writes) e(where activations lie)
//! state        (n_state_reads + n_state_writes) e(where state lies)     digital memory between time steps
//! pulses       n_slots (P_write t_write + P_read t_read)                MTJ neurons: their state is heat
//! resets       n_slots p_fire P_reset t_reset
//! ```
//! Counts come from the network ([`ipnet_zoo::OpCounts`], dense), unit energies from a [`Technology`] (TOML, each with
//! its source), pulse energies from the device set ([`DeviceEnergy`]).
//!
//! The decision: there is no one energy ratio between two memories. [`ACCOUNTINGS`] names what is counted and where it
//! lies, [`ratios`] bills both sides under each of them, and the report shows all, so that a published ratio can be
//! placed among them instead of being reproduced by a choice nobody sees. What a memory costs is shown beside what
//! its whole network costs: beside IP's memory the backbone is everything, beside a convolution over time it is not.

mod area;
mod bill;
mod camera;
mod counter;
mod device;
mod measured;
mod ratio;
mod tables;
mod technology;

pub use area::{
    AreaTechnology, CLAIMED_AREA, Layout, NeuronArea, PUBLISHED_AREAS, PUBLISHED_LIF_AREA, PublishedArea,
    WIRING, area_table,
};
pub use bill::{Bill, Placing, Store, bill};
pub use camera::{PUBLISHED_CAMERAS, PublishedCamera, camera_table};
pub use counter::{EnergyCounter, POWERCAP, Reading};
pub use device::{DeviceEnergy, PublishedPulse, published_pulses, pulse_energies};
pub use measured::{Drive, LayerActivity, activity, activity_table, drive};
pub use ratio::{
    ACCOUNTINGS, Accounting, PUBLISHED_3D_RATIO, PUBLISHED_LSTM_RATIO, Ratio, memory_energy_j, ratios,
};
pub use tables::{energy_table, placed, ratio_table};
pub use technology::{Sourced, Technology, technology_names};

#[cfg(test)]
mod tests;
