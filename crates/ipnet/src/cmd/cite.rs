//! `ipnet cite`: what to cite for what was used.

use anyhow::Result;
use clap::Args;
use ipnet_device::DeviceSet;
use std::collections::BTreeSet;
use std::process::ExitCode;

/// What to cite: the paper, the sources of a device's numbers, the recordings
#[derive(Args)]
pub struct Cite {
    /// MTJ parameter set: a preset's name or a TOML file
    #[arg(long, value_name = "SET", default_value = "default")]
    device: String,
}

const PAPER: &str = "J. Liu, H. Zheng, B. Zou, K. Yang: Human-like Working Memory from Artificial Intrinsic Plasticity \
                     Neurons. arXiv 2512.15829 (2025)";

const RECORDINGS: [(&str, &str); 3] = [
    (
        "dvs_gesture",
        "A. Amir et al.: A Low Power, Fully Event-Based Gesture Recognition System. CVPR 2017 (CC BY 4.0)",
    ),
    (
        "nmnist",
        "G. Orchard et al.: Converting Static Image Datasets to Spiking Neuromorphic Datasets Using Saccades. \
         Front. Neurosci. 9:437, 2015 (CC BY-SA 4.0)",
    ),
    ("ddd20", "Y. Hu et al.: DDD20 End-to-End Event Camera Driving Dataset. ITSC 2020, arXiv 2005.08605"),
];

const ENERGIES: &str = "M. Horowitz: Computing's energy problem. ISSCC 2014; S. Han et al., arXiv 1506.02626";

impl Cite {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let set = DeviceSet::load(&self.device)?;
        println!("paper: {PAPER}");
        let of_numbers = set.parameters.values().filter_map(|p| p.source.as_deref());
        let of_table = set.table.as_ref().map(|(_, source)| source.as_str());
        let sources: BTreeSet<&str> = of_numbers.chain(of_table).collect();
        for source in sources {
            println!("device {}: {source}", set.name);
        }
        let assumed = set.parameters.values().filter(|p| p.source.is_none()).count();
        println!(
            "device {}: {assumed} of {} numbers are assumed, without a source",
            set.name,
            set.parameters.len()
        );
        for (name, source) in RECORDINGS {
            println!("data {name}: {source}");
        }
        println!("energies: {ENERGIES}");
        Ok(ExitCode::SUCCESS)
    }
}
