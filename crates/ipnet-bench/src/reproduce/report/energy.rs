//! The bill of the run's networks, with what was measured of them.

use super::Found;
use super::studies::Maker;
use crate::Result;
use crate::cost::{
    AreaTechnology, CLAIMED_AREA, DeviceEnergy, PUBLISHED_3D_RATIO, PUBLISHED_LIF_AREA, PUBLISHED_LSTM_RATIO,
    Placing, Ratio, Store, Technology, WIRING, activity, activity_table, area_table, bill, camera_table,
    drive, energy_table, placed, pulse_energies, ratio_table, ratios,
};
use crate::report::{Claim, Section, Verdict};
use crate::study::{JobDevice, job_id};
use crate::table::Table;
use crate::task::Task;
use crate::train::Checkpoint;
use ipnet_device::DeviceSet;
use ipnet_zoo::{Memory, Mode, NetSpec, Network, OpCounts, Placement, TemporalNet};
use std::time::Instant;

/// The networks of whose memory a ratio is published.
const PUBLISHED: [(&str, f64); 2] =
    [("lstm at the head", PUBLISHED_LSTM_RATIO), ("3d convolution", PUBLISHED_3D_RATIO)];
/// Repetitions of a timed inference; the median counts.
const TIMED: usize = 7;

/// A network of the bill: its name, its counts, itself with the weights of the first seed where the run has them.
struct Billed {
    name: &'static str,
    counts: OpCounts,
    net: Network,
    trained: bool,
}

/// The section and what it says of the claims on energy and area; none without a classification.
pub(super) fn section(
    maker: &Maker<'_>,
    set: &DeviceSet,
    found: &Found<'_>,
) -> Result<Option<(Section, Vec<Claim>)>> {
    // The classification that networks were trained on first; their weights give the drive and the densities.
    let trained_on = |task: &&dyn Task| found.rows.iter().any(|row| row.task == task.name());
    let classifications = || found.tasks.iter().copied().filter(|task| task.classification().is_some());
    let Some(task) = classifications().find(trained_on).or_else(|| classifications().next()) else {
        return Ok(None);
    };
    let main = JobDevice::new(&set.name, set)?;
    let billed = [
        ("no memory", Memory::None, Placement::None),
        ("ip at the sensor", Memory::Ip, Placement::Sensor),
        ("lstm at the head", Memory::Lstm, Placement::Head),
        ("(2+1)d convolution", Memory::Conv2plus1d, Placement::All),
        ("3d convolution", Memory::Conv3d, Placement::All),
    ]
    .into_iter()
    .map(|(name, memory, placement)| {
        let spec = NetSpec::plain(memory, placement);
        let net = Network::new(&spec, task.input(), task.outputs(), Some(&main.law), 1)?.read(task.readout());
        let path = maker.run.checkpoint_path(&job_id(task.name(), None, &spec, &main.name, 1))?;
        let trained = path.exists();
        if trained {
            net.parameters().restore(&Checkpoint::load(&path)?.chosen())?;
        }
        Ok(Billed { name, counts: net.op_counts()?, net, trained })
    })
    .collect::<Result<Vec<_>>>()?;

    let technology = Technology::load("horowitz-45nm")?;
    let device = set.device();
    let ip = billed.iter().find(|one| one.name == "ip at the sensor");
    let driven = match ip {
        Some(ip) if ip.trained => drive(&ip.net, task, &main.law)?,
        _ => None,
    };
    let (rms_v, firing) = driven.map_or((device.pulse.v_max_v, 1.0), |found| (found.rms_v, found.firing));
    let own = DeviceEnergy::from_device(&set.name, &device, rms_v, firing);
    let basis = match driven {
        Some(_) => format!(
            "Junctions as measured on test clips of the trained network: write amplitude {rms_v:.3} V root mean square, \
             firing in {:.1} % of the slots.",
            100.0 * firing
        ),
        None => {
            "Junctions at their upper bound: the largest amplitude in every slot, firing in each.".to_owned()
        }
    };

    let networks: Vec<(&str, &OpCounts)> = billed.iter().map(|one| (one.name, &one.counts)).collect();
    let mut blocks = vec![maker.table(
        "energy",
        &format!(
            "Energy of one inference on {} [J], term by term, dense counts times the unit energies of {}; memory and \
             backbone apart, values in SRAM and in DRAM. {basis}",
            task.name(),
            technology.name
        ),
        energy_table(&networks, &technology, &own)?,
    )?];
    let pulses = pulse_energies(own, firing);
    let mut claims = Vec::new();
    if let Some(ip) = ip {
        let rivals = PUBLISHED.iter().filter_map(|&(name, published)| {
            let other = billed.iter().find(|one| one.name == name)?;
            Some((name, published, ratios(&other.counts, &ip.counts, &technology, &pulses)))
        });
        let rivals: Vec<_> = rivals.collect();
        let all: Vec<_> = rivals.iter().map(|(name, _, rows)| (*name, rows.clone())).collect();
        let caption = "Energy of a memory over that of the IP neurons under every accounting and for the pulse energy of this set \
                       and of published junctions (4 to 16 pJ a spike: billed for each firing). None of it is the energy of a \
                       network, whose backbone comes on top. IP is billed for one junction a neuron and one pulse a slot, \
                       which draws 0 or 1; scores of expected firing are of the probability itself, which a chip would have \
                       to count over many junctions or pulses.";
        blocks.push(maker.table("energy-ratios", caption, ratio_table(&all)?)?);
        for (name, published, rows) in &rivals {
            claims.extend(ratio_claim(maker, task, name, *published, rows));
        }
    }
    if let (Some(ip), Some(window_s)) = (ip, task.window_s()) {
        let network_j =
            bill(&ip.counts.layers, |_| true, &technology, Placing::all(Store::Sram), &pulses[0]).total_j();
        let caption = "The camera's side: what published event cameras take while they record one clip in real time, and how many \
                       times the energy of the IP network (all values in SRAM) that is.";
        blocks.push(maker.table("camera", caption, camera_table(window_s, network_j)?)?);
    }
    let measured = billed.iter().filter(|one| one.trained);
    let measured = measured
        .map(|one| Ok((one.name.to_owned(), one.counts.clone(), activity(&one.net, task)?)))
        .collect::<Result<Vec<_>>>()?;
    if !measured.is_empty() {
        let caption = "Effective operations: dense ones times the share of inputs that are not zero, over test clips of the \
                       trained networks.";
        blocks.push(maker.table("activity", caption, activity_table(&measured)?)?);
    }
    let caption = "Time of one inference: of the junctions, from the pulse timing of the set (one slot a step); of this \
                   software, the median of a few runs on one clip on this machine, whatever else it was doing.";
    blocks.push(maker.table("latency", caption, latency(&billed, task, device.pulse.slot_s)?)?);
    let layout = AreaTechnology::load("area-28nm")?;
    let caption = "Silicon area of a neuron, bottom up, for wiring ratios between which any layout lies; the last columns \
                   are published areas over it.";
    blocks.push(maker.table("area", caption, area_table(&layout, std::slice::from_ref(set))?)?);
    claims.push(area_claim(maker, set, &layout));
    Ok(Some((Section { heading: "The bill: energy, latency, area".into(), blocks }, claims)))
}

fn latency(billed: &[Billed], task: &dyn Task, slot_s: f64) -> Result<Table> {
    let mut table = Table::new(["network", "junctions_per_step_s", "junctions_s", "software_s"]);
    let steps = task.input().steps as f64;
    let one = task.batch(&task.splits().test[..1], None)?.x;
    for network in billed {
        let mut times_s = Vec::new();
        for _ in 0..TIMED {
            let start = Instant::now();
            network.net.forward(&one, Mode::eval(1, 0))?;
            times_s.push(start.elapsed().as_secs_f64());
        }
        times_s.sort_by(f64::total_cmp);
        let has_junctions = network.counts.total(|layer| layer.device_slots) > 0;
        let of_junctions = |time_s: f64| if has_junctions { format!("{time_s:.3e}") } else { String::new() };
        table.push([
            network.name.to_owned(),
            of_junctions(slot_s),
            of_junctions(slot_s * steps),
            format!("{:.3e}", times_s[TIMED / 2]),
        ])?;
    }
    Ok(table)
}

/// A published ratio among those that can be formed; none where there is none.
fn ratio_claim(
    maker: &Maker<'_>,
    task: &dyn Task,
    name: &str,
    published: f64,
    rows: &[Ratio],
) -> Option<Claim> {
    let (low, high, nearest) = placed(rows, published)?;
    Some(Claim {
        claim: format!("memory energy over that of IP neurons: {name}"),
        paper: format!("{published:.0}x"),
        here: format!(
            "{low:.2}x to {high:.0}x; nearest {:.0}x: {}, pulses of {}",
            nearest.value(),
            nearest.accounting,
            nearest.pulses
        ),
        data: format!("counts of the networks of {}; 45 nm unit energies", task.name()),
        verdict: if (low..=high).contains(&published) { Verdict::Partly } else { Verdict::DoesNotHold },
        source: (maker.source)("tables/energy-ratios.csv"),
    })
}

fn area_claim(maker: &Maker<'_>, set: &DeviceSet, layout: &AreaTechnology) -> Claim {
    let um2 = |wiring: f64| 1e12 * layout.neuron(&set.device(), wiring).total_m2();
    let [least, assumed, most] = [WIRING[0], layout.layout.wiring_ratio.value, WIRING[1]].map(um2);
    let [lif_um2, claimed_um2] = [PUBLISHED_LIF_AREA, CLAIMED_AREA].map(|published| 1e12 * published.area_m2);
    // Never more than partly: the drive current is assumed at a logic voltage below that of the largest pulse.
    let verdict = if least <= claimed_um2 { Verdict::Partly } else { Verdict::DoesNotHold };
    Claim {
        claim: "neuron area, and beside a LIF neuron".into(),
        paper: "1.5 um2, > 20x smaller".into(),
        here: format!(
            "{assumed:.2} um2 ({least:.2} to {most:.2} by wiring), {:.0}x smaller ({:.0}x to {:.0}x)",
            lif_um2 / assumed,
            lif_um2 / most,
            lif_um2 / least
        ),
        data: format!("bottom up from {} and the currents of {}; no layout exists", layout.name, set.name),
        verdict,
        source: (maker.source)("tables/area.csv"),
    }
}
