//! The bill as tables: what `ipnet cost` prints and a report shows.

use super::{Bill, DeviceEnergy, Placing, Ratio, Store, Technology, bill};
use crate::Result;
use crate::table::Table;
use ipnet_zoo::{OpCounts, Role};

/// Energy of one inference of each network, its memory and its backbone apart, with all values in SRAM and in DRAM \[J\].
///
/// # Errors
/// None that input can reach: rows have the table's columns.
pub fn energy_table(
    networks: &[(&str, &OpCounts)],
    technology: &Technology,
    device: &DeviceEnergy,
) -> Result<Table> {
    let mut table = Table::new([
        "network",
        "values_in",
        "part",
        "compute_j",
        "weights_j",
        "activations_j",
        "state_j",
        "pulses_j",
        "resets_j",
        "total_j",
    ]);
    for (name, counts) in networks {
        for (store_name, store) in [("sram", Store::Sram), ("dram", Store::Dram)] {
            for (part, role) in [("memory", Role::Memory), ("backbone", Role::Backbone)] {
                let placing = Placing::all(store);
                let found: Bill =
                    bill(&counts.layers, |layer| layer.role == role, technology, placing, device);
                let terms = [
                    found.compute_j,
                    found.weights_j,
                    found.activations_j,
                    found.state_j,
                    found.pulses_j,
                    found.resets_j,
                    found.total_j(),
                ];
                let names = [*name, store_name, part].map(str::to_owned);
                table.push(names.into_iter().chain(terms.map(|energy_j| format!("{energy_j:.3e}"))))?;
            }
        }
    }
    Ok(table)
}

/// The ratios of one or more networks' memories to the IP network's.
///
/// # Errors
/// As [`energy_table`].
pub fn ratio_table(ratios: &[(&str, Vec<Ratio>)]) -> Result<Table> {
    let mut table = Table::new(["against", "accounting", "pulse_energy", "other_j", "ip_j", "ratio"]);
    for (against, rows) in ratios {
        for ratio in rows {
            table.push([
                (*against).to_owned(),
                ratio.accounting.to_owned(),
                ratio.pulses.clone(),
                format!("{:.3e}", ratio.other_j),
                format!("{:.3e}", ratio.ip_j),
                format!("{:.3}", ratio.value()),
            ])?;
        }
    }
    Ok(table)
}

/// Lowest and highest ratio, and the one nearest to `published` on a logarithmic scale; `None` without any.
pub fn placed(ratios: &[Ratio], published: f64) -> Option<(f64, f64, &Ratio)> {
    let finite = || ratios.iter().filter(|ratio| ratio.value().is_finite() && ratio.value() > 0.0);
    let distance = |ratio: &Ratio| (ratio.value() / published).ln().abs();
    let nearest = finite().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let low = finite().map(Ratio::value).fold(f64::INFINITY, f64::min);
    Some((low, finite().map(Ratio::value).fold(0.0, f64::max), nearest))
}
