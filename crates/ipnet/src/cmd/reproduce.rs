//! `ipnet reproduce`: the main job.

use anyhow::Result;
use clap::{Args, ValueEnum};
use ipnet_bench::Backend;
use ipnet_bench::reproduce::{Plan, Tier, default_out, reproduce};
use ipnet_bench::task::DataFolder;
use ipnet_device::DeviceSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Train the networks of the comparison and write tables, figures and a report
///
/// Runs on recordings that the program makes itself (gestures, written and read in the official file layout, and drives),
/// and on real ones where it finds them: N-MNIST in part or whole, DVS128 Gesture and DDD-20. A run that was stopped goes on where it was when the same command is given
/// again.
#[derive(Args)]
pub struct Reproduce {
    /// How much to run
    #[arg(long, value_enum, default_value_t = TierName::Quick)]
    tier: TierName,
    /// Folder of real recordings: nmnist/Train/<digit>/*.bin, dvs_gesture/*.aedat, ddd20/<day>/*.hdf5
    /// [default: $IPNET_DATA, else none]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// MTJ parameter set of the neurons: a preset's name (see `ipnet device list`) or a TOML file
    #[arg(long, value_name = "SET", default_value = "default")]
    device: String,
    /// Number of seeds each network is trained from [default: 2 in the quick tier, 3 in the standard one, 5 in the full one]
    #[arg(long, value_name = "N", value_parser = super::whole(1..=super::MOST))]
    seeds: Option<usize>,
    /// What trains the networks; one that this program or machine does not have is an error, never replaced
    #[arg(long, value_enum, default_value_t = super::BackendName::Cpu)]
    backend: super::BackendName,
    /// Networks trained side by side, one thread each; no result on the CPU depends on it [default: number of cores]
    #[arg(long, value_name = "N", value_parser = super::whole(1..=super::MOST))]
    threads: Option<usize>,
    /// Folder of the run [default: results/reproduce-<tier>-<device>-<N>seeds, with -cuda behind it on that backend]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Train nothing: make tables, figures and report of the networks that are finished so far
    #[arg(long)]
    so_far: bool,
    /// Print the table as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// The tiers on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum TierName {
    /// At most 15 minutes on two cores
    Quick,
    /// At most three hours on two cores: nine of the memories, IP at every placement, more tasks and seeds, the studies
    Standard,
    /// The same and more on the official recordings, with the published ResNet-32, from five seeds: days of a large machine
    Full,
}

impl Reproduce {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let tier = match self.tier {
            TierName::Quick => Tier::Quick,
            TierName::Standard => Tier::Standard,
            TierName::Full => Tier::Full,
        };
        let seeds = self.seeds.unwrap_or(tier.seeds());
        let data = DataFolder::from_argument(self.data.as_deref())?;
        let device = DeviceSet::load(&self.device)?;
        let backend = Backend::from(self.backend);
        let of_its_own = || default_out(Path::new("results"), tier, &device, seeds, backend);
        let out = self.out.unwrap_or_else(of_its_own);
        let command =
            format!("ipnet reproduce --tier {} --device {} --seeds {}", tier.name(), self.device, seeds);
        let mut command = backend.behind(&command, " --backend ");
        if data.is_some() {
            // Where the recordings lie is this machine's own affair.
            command += " --data DIR";
        }
        let plan = Plan {
            tier,
            data,
            device,
            seeds,
            out,
            threads: super::threads(self.threads),
            backend,
            so_far: self.so_far,
            command,
        };
        let summary = reproduce(&plan)?;
        super::print_table(&summary.accuracy, self.json);
        for remark in &summary.remarks {
            ipnet_bench::notice(format_args!("note: {remark}"));
        }
        ipnet_bench::notice(format_args!("report: {}", summary.report.display()));
        Ok(ExitCode::SUCCESS)
    }
}
