//! `ipnet cost`: the energy of one inference, the ratios between memories under every accounting, and the area of a neuron.

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ipnet_bench::cost::{
    AreaTechnology, DeviceEnergy, PUBLISHED_3D_RATIO, PUBLISHED_AREAS, PUBLISHED_LSTM_RATIO, Technology,
    area_table, energy_table, placed, pulse_energies, ratio_table, ratios,
};
use ipnet_device::{DeviceSet, preset_names};
use ipnet_zoo::{InputShape, Memory, NetSpec, Network, OpCounts, Placement, TemporalNet};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;

/// Sides of a frame, in pixels: from the least that leaves a pixel after the last stage to that of the largest event cameras.
/// The networks are built to be counted; at 1280 the LSTM's weights take 0.8 GB.
const SIDES: RangeInclusive<usize> = 8..=1280;

/// Energy of one inference, term by term, what one memory costs over another, and the area of a neuron
///
/// Counts operations and accesses of the same backbone with no memory, with IP neurons at the sensor, with an LSTM,
/// and as a parallel 3D convolution, and bills them with a technology's unit energies and a device's pulses. Counts are dense:
/// nothing is saved for zeros. Pulse energies are an upper bound unless --drive and --firing give measured values.
#[derive(Args)]
pub struct Cost {
    /// What to print
    #[arg(value_enum, default_value_t = What::Energy)]
    what: What,
    /// Unit energies: horowitz-45nm, scaled-28nm or a TOML file
    #[arg(long, value_name = "NAME", default_value = "horowitz-45nm")]
    technology: String,
    /// Layout rules for the area: area-28nm or a TOML file
    #[arg(long, value_name = "NAME", default_value = "area-28nm")]
    layout: String,
    /// MTJ parameter set: a preset's name or a TOML file
    #[arg(long, value_name = "SET", default_value = "default")]
    device: String,
    /// Time steps of one inference
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = super::whole(1..=1_000_000))]
    steps: usize,
    /// Channels of a frame: 1 with merged polarities, 2 without
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::whole(1..=1024))]
    channels: usize,
    /// Side of a frame in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 34, value_parser = super::whole(SIDES))]
    side: usize,
    /// Classes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = super::whole(1..=super::MOST))]
    classes: usize,
    /// Root mean square of the write amplitude over neurons and slots, in volts [default: the largest of the device]
    #[arg(long, value_name = "V")]
    drive: Option<f64>,
    /// Share of slots in which a neuron fires
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    firing: f64,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Energy of each network, term by term
    Energy,
    /// Memory against memory under every accounting and pulse energy
    Ratios,
    /// Silicon area of a neuron of every preset, bottom up, beside published ones
    Area,
}

/// What `energy` and `ratios` are made of.
struct Billed {
    technology: Technology,
    own: DeviceEnergy,
    drive_v: f64,
    slot_s: f64,
    plain: OpCounts,
    ip: OpCounts,
    lstm: OpCounts,
    parallel: OpCounts,
}

impl Cost {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        match self.what {
            What::Energy => self.energy()?,
            What::Ratios => self.ratios()?,
            What::Area => self.area()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The networks, unit energies and pulse energy that are billed.
    fn bill(&self) -> Result<Billed> {
        let technology = Technology::load(&self.technology)?;
        let set = DeviceSet::load(&self.device)?;
        let device = set.device();
        let drive_v = self.drive.unwrap_or(device.pulse.v_max_v);
        ensure!(drive_v.is_finite() && drive_v >= 0.0, "--drive: expected volts, 0 or more, found {drive_v}");
        ensure!(
            (0.0..=1.0).contains(&self.firing),
            "--firing: expected a share between 0 and 1, found {}",
            self.firing
        );
        let law = Arc::new(set.reduce()?.law);
        let count = |memory, placement| -> Result<OpCounts> {
            let (steps, channels) = (self.steps, self.channels);
            let input = InputShape { steps, channels, height: self.side, width: self.side };
            let spec = NetSpec::plain(memory, placement);
            Ok(Network::new(&spec, input, self.classes, Some(&law), 1)?.op_counts()?)
        };
        Ok(Billed {
            technology,
            own: DeviceEnergy::from_device(&set.name, &device, drive_v, self.firing),
            drive_v,
            slot_s: device.pulse.slot_s,
            ip: count(Memory::Ip, Placement::Sensor)?,
            lstm: count(Memory::Lstm, Placement::Head)?,
            parallel: count(Memory::Conv3d, Placement::All)?,
            plain: count(Memory::None, Placement::None)?,
        })
    }

    fn energy(&self) -> Result<()> {
        let Billed { technology, own, drive_v, slot_s, plain, ip, lstm, parallel } = self.bill()?;
        let networks =
            [("none", &plain), ("ip at the sensor", &ip), ("lstm at the head", &lstm), ("3d", &parallel)];
        super::print_table(&energy_table(&networks, &technology, &own)?, self.json);
        eprintln!(
            "pulses of {}: {:.3e} J a slot and {:.3e} J of resets, at {drive_v} V and firing {}; latency of the neurons: \
             {slot_s:.3e} s a step, {:.3e} s an inference",
            own.name,
            own.pulse_j,
            own.reset_j,
            self.firing,
            slot_s * self.steps as f64,
        );
        Ok(())
    }

    fn ratios(&self) -> Result<()> {
        let Billed { technology, own, ip, lstm, parallel, .. } = self.bill()?;
        let pulses = pulse_energies(own, self.firing);
        let all = [("lstm", &lstm), ("3d", &parallel)]
            .map(|(name, other)| (name, ratios(other, &ip, &technology, &pulses)));
        super::print_table(&ratio_table(&all)?, self.json);
        for ((name, rows), published) in all.iter().zip([PUBLISHED_LSTM_RATIO, PUBLISHED_3D_RATIO]) {
            let (low, high, nearest) = placed(rows, published).context("no ratio could be formed")?;
            eprintln!(
                "{name} over ip: {low:.3} to {high:.0}; published {published}; nearest {:.0}: {}, pulses of {}",
                nearest.value(),
                nearest.accounting,
                nearest.pulses
            );
        }
        Ok(())
    }

    /// The set asked for first, then the presets.
    fn area(&self) -> Result<()> {
        let asked = DeviceSet::load(&self.device)?;
        let others = preset_names().into_iter().filter(|name| *name != asked.name);
        let sets = std::iter::once(Ok(asked.clone()))
            .chain(others.map(DeviceSet::load))
            .collect::<Result<Vec<_>, _>>()?;
        let layout = AreaTechnology::load(&self.layout)?;
        super::print_table(&area_table(&layout, &sets)?, self.json);
        eprintln!(
            "layout {}: {}; every number of it is in the file with its source or reason",
            layout.name, layout.description
        );
        for published in PUBLISHED_AREAS {
            eprintln!("{}: {:.1} um2, {}", published.name, 1e12 * published.area_m2, published.source);
        }
        Ok(())
    }
}
