//! What each tier trains: comparisons of networks on a task, in the order of the work.
//!
//! Design decision: a comparison that is asked first is trained first, and seeds vary slowest within it, so that a run that is
//! stopped early is a comparison of all networks on fewer seeds.

use crate::study::JobDevice;
use crate::task::{DataFolder, ENVIRONMENT, TaskName};
use crate::{Error, Result};
use ipnet_device::{DeviceSet, preset_names};
use ipnet_zoo::{Backbone, Firing, Memory, NetSpec, Placement};

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// At most 15 minutes on two cores.
    Quick,
    /// At most three hours on two cores.
    Standard,
    /// Everything on the official recordings: days of a large machine.
    Full,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quick, Self::Standard, Self::Full];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Full => "full",
        }
    }

    /// How many seeds it trains unless told otherwise.
    pub fn seeds(self) -> usize {
        match self {
            Self::Quick => 2,
            Self::Standard => 3,
            Self::Full => 5,
        }
    }
}

/// What a comparison asks, which says where its rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Which memory is best.
    Memories,
    /// Which device.
    Devices,
    /// How long a slot should be beside the thermal time constants.
    Slots,
}

/// Networks on one task.
#[derive(Debug)]
pub(super) struct Comparison {
    pub question: Question,
    pub task: TaskName,
    pub networks: Vec<NetSpec>,
    pub devices: Vec<JobDevice>,
    /// What was wanted and cannot be, in words.
    pub left_out: Vec<String>,
}

/// The ResNet-LSTM that the paper steers against: the published ResNet-32 with an LSTM before its readout.
const RESNET_LSTM: NetSpec = NetSpec {
    backbone: Backbone::Resnet32,
    width: None,
    memory: Memory::Lstm,
    placement: Placement::Head,
    firing: Firing::Expected,
};
/// The same, half as wide, to train on a processor.
const NARROW_RESNET_LSTM: NetSpec = NetSpec { width: Some(8), ..RESNET_LSTM };

/// What the length of a slot is multiplied with.
pub(super) const SLOT_FACTORS: [f64; 4] = [0.25, 0.5, 2.0, 4.0];

/// The comparisons of `tier` that the recordings in `data` allow, with `set` as the device of the neurons.
///
/// # Errors
/// A device that cannot be reduced; for the full tier, official recordings that are not there.
pub(super) fn comparisons(tier: Tier, data: Option<&DataFolder>, set: &DeviceSet) -> Result<Vec<Comparison>> {
    use Memory::*;
    let main = JobDevice::new(&set.name, set)?;
    let plain = |of: &[(Memory, Placement)]| -> Vec<NetSpec> {
        of.iter().map(|&(memory, placement)| NetSpec::plain(memory, placement)).collect()
    };
    let memories = |task, networks| Comparison {
        question: Question::Memories,
        task,
        networks,
        devices: vec![main.clone()],
        left_out: Vec::new(),
    };
    let few = plain(&[
        (None, Placement::None),
        (Lstm, Placement::Head),
        (Ip, Placement::Stage3),
        (Ip, Placement::Sensor),
    ]);
    let digits = data
        .is_some_and(|data| data.nmnist.is_some())
        .then(|| memories(TaskName::DigitsInTime20, few.clone()));
    Ok(match tier {
        Tier::Quick => std::iter::once(memories(TaskName::Gestures11, few)).chain(digits).collect(),
        Tier::Standard | Tier::Full => {
            let full = tier == Tier::Full;
            if full {
                require_official(data)?;
            }
            let ip = NetSpec::plain(Ip, Placement::Sensor);
            let mut rivals = few.clone();
            rivals.extend(plain(&[
                (Rnn, Placement::Head),
                (Conv2plus1d, Placement::All),
                (Conv3d, Placement::All),
                (ConvLstm, Placement::Stage3),
                (Lif, Placement::Sensor),
                (Ema, Placement::Sensor),
            ]));
            let elsewhere = [Placement::Stage1, Placement::Stage2, Placement::Head, Placement::All];
            let elsewhere = plain(&elsewhere.map(|placement| (Ip, placement)));
            let resnet = if full { RESNET_LSTM } else { NARROW_RESNET_LSTM };
            let first = [
                memories(TaskName::Gestures22Merge, few.clone()),
                memories(TaskName::Gestures22Flip, few.clone()),
                memories(TaskName::Steering, [few.clone(), vec![resnet]].concat()),
                memories(TaskName::Gestures22Flip, rivals.clone()),
                memories(TaskName::Gestures22Flip, elsewhere),
                memories(TaskName::GestureChains, few.clone()),
            ];
            let more = if full { vec![TaskName::Gestures22Keep, TaskName::Digits10] } else { Vec::new() };
            let more = more.into_iter().map(|task| memories(task, few.clone()));
            let last = [
                memories(TaskName::Gestures11, rivals),
                slots(set, vec![ip])?,
                Comparison {
                    question: Question::Devices,
                    task: TaskName::Gestures22Flip,
                    networks: vec![ip],
                    devices: presets(&main)?,
                    left_out: Vec::new(),
                },
            ];
            first.into_iter().chain(digits).chain(more).chain(last).collect()
        }
    })
}

/// That `data` holds the official recordings.
fn require_official(data: Option<&DataFolder>) -> Result<()> {
    let folder = data.ok_or_else(|| Error::Argument {
        what: format!("tier {}", Tier::Full.name()),
        expected: format!("official recordings in --data or {ENVIRONMENT}"),
        found: "no folder".into(),
    })?;
    folder.require_official()
}

/// `networks` with slots as they are, shorter and longer. A slot too short for its pulses, or so short that they heat the junction
/// beyond its Curie temperature, is left out.
fn slots(set: &DeviceSet, networks: Vec<NetSpec>) -> Result<Comparison> {
    let mut devices = vec![JobDevice::new(&set.name, set)?];
    let mut left_out = Vec::new();
    for factor in SLOT_FACTORS {
        let mut moved = set.clone();
        if let Some(slot) = moved.parameters.get_mut("pulse.slot_s") {
            slot.value *= factor;
        }
        let name = format!("{}-slot-x{factor}", set.name);
        match moved.validate().map_err(Error::from).and_then(|()| JobDevice::new(&name, &moved)) {
            Ok(device) => devices.push(device),
            Err(error) => left_out.push(format!("slots of {factor} times the length: {error}")),
        }
    }
    Ok(Comparison { question: Question::Slots, task: TaskName::Gestures22Flip, networks, devices, left_out })
}

/// The device of the neurons and every preset.
fn presets(main: &JobDevice) -> Result<Vec<JobDevice>> {
    let mut devices = vec![main.clone()];
    for name in preset_names().into_iter().filter(|name| *name != main.name) {
        devices.push(JobDevice::new(name, &DeviceSet::load(name)?)?);
    }
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_every_tier_makes_sense() {
        let set = DeviceSet::load("default").unwrap();
        for tier in [Tier::Quick, Tier::Standard] {
            let all = comparisons(tier, Option::None, &set).unwrap();
            assert!(!all.is_empty());
            assert!(all.iter().flat_map(|one| &one.networks).all(|spec| spec.validate().is_ok()));
            assert!(all.iter().all(|one| one.task != TaskName::DigitsInTime20), "there are no digits");
        }
    }

    /// The full tier is made of official recordings: it starts with nothing less.
    #[test]
    fn the_full_tier_is_refused_without_recordings() {
        let set = DeviceSet::load("default").unwrap();
        let message = comparisons(Tier::Full, Option::None, &set).unwrap_err().to_string();
        assert!(message.contains("tier full") && message.contains(ENVIRONMENT), "{message}");
    }

    /// A longer slot forgets more: the decay of every pole falls.
    #[test]
    fn slots_change_what_is_left_of_the_heat() {
        let set = DeviceSet::load("default").unwrap();
        let devices = slots(&set, Vec::new()).unwrap().devices;
        let decay = |name: &str| {
            let found = devices.iter().find(|device| device.name == name).unwrap();
            found.law.poles.iter().map(|pole| pole.decay).fold(0.0, f64::max)
        };
        assert!(
            decay("default-slot-x2") < decay("default")
                && decay("default-slot-x4") < decay("default-slot-x2")
        );
        assert_eq!(devices[0].sha256, set.hash());
    }
}
