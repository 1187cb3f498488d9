//! Silicon area of an MTJ neuron, bottom up, beside published areas.
//!
//! ```text
//! I      = max(V_max / R_rest, V_reset / R_fired)                           [A]    what the bridge must carry
//! W      = max(I / drive, W_min)                                            [m]    width of its transistors
//! area   = wiring pitch (n_write (W + isolation) + n_read (W_min + isolation))   [m^2]
//! ```
//! The junction lies between metal layers and takes no silicon. Not counted: whatever makes the write amplitude from the
//! weighted sum, gain and bias (per channel), and the pulse timing, which all neurons share.
//!
//! The decision: like the energy, an area is stated with the layout that gives it. The smallest and largest wiring ratio
//! bracket it, because no layout exists.

use super::Sourced;
use crate::Result;
use crate::table::Table;
use ipnet_device::{Device, DeviceSet};
use serde::{Deserialize, Serialize};
use std::path::Path;

const EMBEDDED: (&str, &str) = ("area-28nm", include_str!("../../technologies/area-28nm.toml"));

/// Wiring ratios between which any layout lies: bare transistors, and twice the ratio that `area-28nm` assumes.
pub const WIRING: [f64; 2] = [1.0, 4.0];

/// Layout rules and the transistors of a neuron.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Contacted gate pitch \[m\].
    pub gate_pitch_m: Sourced,
    /// Spacing between active areas \[m\].
    pub isolation_m: Sourced,
    /// Narrowest transistor \[m\].
    pub minimum_width_m: Sourced,
    /// Current per width of the write transistors \[A/m\].
    pub drive_a_per_m: Sourced,
    /// Area of wells, contacts and wiring over that of the bare transistors.
    pub wiring_ratio: Sourced,
    /// Transistors that carry the write and reset current.
    pub write_transistors: Sourced,
    /// Narrow transistors that read the state.
    pub read_transistors: Sourced,
}

/// A process, as a layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaTechnology {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its rules.
    pub layout: Layout,
}

/// An area of a neuron that was fabricated and published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedArea {
    /// What it is.
    pub name: &'static str,
    /// Area \[m^2\].
    pub area_m2: f64,
    /// Where.
    pub source: &'static str,
}

/// A LIF neuron.
pub const PUBLISHED_LIF_AREA: PublishedArea = PublishedArea {
    name: "analog LIF, 28 nm, fabricated",
    area_m2: 34e-12,
    source: "arXiv 2408.07734, active area",
};
/// What the paper claims of its neuron.
pub const CLAIMED_AREA: PublishedArea =
    PublishedArea { name: "MTJ neuron as claimed", area_m2: 1.5e-12, source: "arXiv 2512.15829, abstract" };
/// Published areas of neurons.
pub const PUBLISHED_AREAS: [PublishedArea; 2] = [PUBLISHED_LIF_AREA, CLAIMED_AREA];

/// An MTJ neuron laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeuronArea {
    /// Largest current through the bridge \[A\].
    pub current_a: f64,
    /// Width of a transistor of the bridge \[m\].
    pub width_m: f64,
    /// Bridge \[m^2\].
    pub write_m2: f64,
    /// Read-out \[m^2\].
    pub read_m2: f64,
}

impl NeuronArea {
    /// Bridge and read-out \[m^2\].
    pub fn total_m2(&self) -> f64 {
        self.write_m2 + self.read_m2
    }
}

impl AreaTechnology {
    /// Loads `area-28nm`, or a TOML file by its path.
    ///
    /// # Errors
    /// [`crate::Error::Io`]; [`crate::Error::Malformed`] with the line, for a number without a source or without sense too.
    pub fn load(name_or_path: &str) -> Result<Self> {
        let text = super::technology::text(&[EMBEDDED], name_or_path, "read the layout")?;
        Self::parse(Path::new(name_or_path), &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let technology: Self = super::technology::parse(path, text, "a layout")?;
        let l = &technology.layout;
        super::technology::check(
            path,
            text,
            "a number above 0",
            &[
                ("gate_pitch_m", &l.gate_pitch_m),
                ("isolation_m", &l.isolation_m),
                ("minimum_width_m", &l.minimum_width_m),
                ("drive_a_per_m", &l.drive_a_per_m),
                ("wiring_ratio", &l.wiring_ratio),
                ("write_transistors", &l.write_transistors),
                ("read_transistors", &l.read_transistors),
            ],
        )?;
        Ok(technology)
    }

    /// One neuron of `device` with `wiring` for the wiring ratio.
    pub fn neuron(&self, device: &Device, wiring: f64) -> NeuronArea {
        let (l, pulse) = (&self.layout, &device.pulse);
        // The power of a pulse over its amplitude is the current that the bridge carries, whichever path it takes.
        let current = |v: f64, state| match v == 0.0 {
            true => 0.0,
            false => device.write_power_w(v, 0.0, state) / v.abs(),
        };
        let current_a =
            current(pulse.v_max_v, device.initial_state()).max(current(pulse.reset_v, device.fired_state()));
        let width_m = (current_a / l.drive_a_per_m.value).max(l.minimum_width_m.value);
        let area = |count: f64, width_m: f64| {
            wiring * l.gate_pitch_m.value * count * (width_m + l.isolation_m.value)
        };
        NeuronArea {
            current_a,
            width_m,
            write_m2: area(l.write_transistors.value, width_m),
            read_m2: area(l.read_transistors.value, l.minimum_width_m.value),
        }
    }
}

/// Area of a neuron of each device set, with the layout's wiring ratio and its two ends, and its ratio to each published area \[um^2\].
///
/// # Errors
/// None that input can reach: rows have the table's columns.
pub fn area_table(technology: &AreaTechnology, sets: &[DeviceSet]) -> Result<Table> {
    let mut columns: Vec<String> =
        ["device", "wiring", "current_ua", "width_nm", "write_um2", "read_um2", "total_um2"]
            .map(str::to_owned)
            .into();
    columns.extend(PUBLISHED_AREAS.iter().map(|published| format!("{} over it", published.name)));
    let mut table = Table::new(columns);
    for set in sets {
        for wiring in [WIRING[0], technology.layout.wiring_ratio.value, WIRING[1]] {
            let neuron = technology.neuron(&set.device(), wiring);
            let mut row = vec![
                set.name.clone(),
                wiring.to_string(),
                format!("{:.1}", 1e6 * neuron.current_a),
                format!("{:.0}", 1e9 * neuron.width_m),
                format!("{:.3}", 1e12 * neuron.write_m2),
                format!("{:.3}", 1e12 * neuron.read_m2),
                format!("{:.3}", 1e12 * neuron.total_m2()),
            ];
            row.extend(PUBLISHED_AREAS.iter().map(|p| format!("{:.1}", p.area_m2 / neuron.total_m2())));
            table.push(row)?;
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// By hand: 1.1 V over the parallel 50 nm junction of RA 15 Ohm um^2 (7639 Ohm) is 144 uA, 205.7 nm of gate; four such and ten of
    /// 100 nm, 80 nm apart, at a pitch of 118 nm, are 0.118 (4 x 0.2857 + 10 x 0.18) = 0.347 um^2 bare.
    #[test]
    fn the_default_neuron_by_hand() {
        let technology = AreaTechnology::load("area-28nm").unwrap();
        let mut device = DeviceSet::load("default").unwrap().device();
        device.tmr_ratio = 0.0;
        let neuron = technology.neuron(&device, 1.0);
        assert!((neuron.current_a - 144e-6).abs() < 0.1e-6, "{neuron:?}");
        assert!((neuron.total_m2() - 0.3473e-12).abs() < 0.001e-12, "{neuron:?}");
        assert!((technology.neuron(&device, 2.0).total_m2() / neuron.total_m2() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_layout_without_reason_is_refused_with_its_line() {
        let text = EMBEDDED.1.replace(", reason = \"narrowest logic transistor\"", "");
        let error = AreaTechnology::parse(Path::new("mine.toml"), &text).unwrap_err();
        assert!(matches!(error, Error::Malformed { line: 9, .. }), "{error}");
        let text = EMBEDDED.1.replace("value = 118e-9", "value = -1.0");
        let error = AreaTechnology::parse(Path::new("mine.toml"), &text).unwrap_err().to_string();
        assert!(error.contains("gate_pitch_m = -1"), "{error}");
    }
}
