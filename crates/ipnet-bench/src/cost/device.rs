//! Energy of an MTJ neuron in one slot: from the device set, and as published for other junctions.

use ipnet_device::Device;
use serde::Serialize;

/// Mean energy of one neuron in one slot \[J\].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceEnergy {
    /// Whose energy this is.
    pub name: String,
    /// Write and read pulse \[J\].
    pub pulse_j: f64,
    /// Reset pulse times the probability that it comes \[J\].
    pub reset_j: f64,
}

impl DeviceEnergy {
    /// From the physics of `device`: write pulses of `write_rms_v` (root mean square over neurons and slots), the read
    /// pulse, and a reset after each firing, at ambient resistance:
    /// `pulse = u^2 / R t_p + V_read^2 / R t_read`, `reset = p V_reset^2 / R' t_reset`.
    pub fn from_device(name: &str, device: &Device, write_rms_v: f64, firing_rate: f64) -> Self {
        let (pulse, rest, fired) = (&device.pulse, device.initial_state(), device.fired_state());
        let write_j = device.write_power_w(write_rms_v, 0.0, rest) * pulse.width_s;
        let read_j = device.read_power_w(pulse.read_v, 0.0, rest) * pulse.read_s;
        let reset_j = firing_rate * device.write_power_w(pulse.reset_v, 0.0, fired) * pulse.reset_s;
        Self { name: name.to_owned(), pulse_j: write_j + read_j, reset_j }
    }
}

/// A published energy of a junction, of a pulse in every slot or of a firing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PublishedPulse {
    /// Short name.
    pub name: &'static str,
    /// Energy \[J\].
    pub energy_j: f64,
    /// What it is the energy of: one firing, not one slot.
    pub per_spike: bool,
    /// Where.
    pub source: &'static str,
}

impl PublishedPulse {
    /// As the mean energy of a slot of a junction that fires in `firing_rate` of them: one pulse in each, the reset part of it, or what
    /// its spikes take.
    pub fn per_slot(&self, firing_rate: f64) -> DeviceEnergy {
        let share = if self.per_spike { firing_rate } else { 1.0 };
        DeviceEnergy { name: self.name.to_owned(), pulse_j: share * self.energy_j, reset_j: 0.0 }
    }
}

/// The pulses that ratios are formed with: `own` and the published ones, at the rate `firing_rate`.
pub fn pulse_energies(own: DeviceEnergy, firing_rate: f64) -> Vec<DeviceEnergy> {
    std::iter::once(own).chain(published_pulses().map(|pulse| pulse.per_slot(firing_rate))).collect()
}

/// Published energies, from the highest to the lowest.
pub fn published_pulses() -> [PublishedPulse; 4] {
    [
        PublishedPulse {
            name: "spiking p-MTJ, high",
            energy_j: 16e-12,
            per_spike: true,
            source: "arXiv 2309.07535, 4-16 pJ per spike",
        },
        PublishedPulse {
            name: "spiking p-MTJ, low",
            energy_j: 4e-12,
            per_spike: true,
            source: "arXiv 2309.07535, 4-16 pJ per spike",
        },
        PublishedPulse {
            name: "p-MTJ write",
            energy_j: 50e-15,
            per_spike: false,
            source: "VLSI 2015: 100 fC at 0.5 V",
        },
        PublishedPulse {
            name: "voltage driven",
            energy_j: 3.5e-15,
            per_spike: false,
            source: "arXiv 2511.18143, 3.5 fJ per bit",
        },
    ]
}
