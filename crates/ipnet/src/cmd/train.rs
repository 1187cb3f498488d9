//! `ipnet train`: networks of one's choice on one task.

use anyhow::Result;
use clap::{Args, ValueEnum};
use ipnet_bench::study::{Training, train_networks};
use ipnet_bench::task::{DataFolder, TaskName};
use ipnet_bench::train::TrainConfig;
use ipnet_device::DeviceSet;
use ipnet_zoo::NetSpec;
use std::path::PathBuf;
use std::process::ExitCode;

/// Train networks of your choice on one task, each from several seeds, and compare them in one table
///
/// A run that was stopped goes on where it was when the same command is given again.
#[derive(Args)]
pub struct Train {
    /// What to learn
    #[arg(value_enum)]
    task: TaskArgument,
    /// A network as TOML text, e.g. 'memory = "ip", placement = "sensor"'; give it several times to compare
    #[arg(long = "net", value_name = "TOML", required = true)]
    networks: Vec<String>,
    /// Folder of real recordings: nmnist/Train/<digit>/*.bin [default: $IPNET_DATA, else none]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// MTJ parameter set of IP neurons: a preset's name (see `ipnet device list`) or a TOML file
    #[arg(long, value_name = "SET", default_value = "default")]
    device: String,
    /// Number of seeds each network is trained from
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::at_least_one)]
    seeds: usize,
    /// Passes over the training part [default: the task's]
    #[arg(long, value_name = "N", value_parser = super::at_least_one)]
    epochs: Option<usize>,
    /// Networks trained side by side, one thread each; no result depends on it [default: number of cores]
    #[arg(long, value_name = "N", value_parser = super::at_least_one)]
    threads: Option<usize>,
    /// Folder of the run
    #[arg(long, value_name = "DIR", default_value = "results/train")]
    out: PathBuf,
    /// Print the table as JSON on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum TaskArgument {
    /// Eleven gestures, synthetic recordings
    #[value(name = "gestures-11")]
    Gestures11,
    /// N-MNIST digits and their time reversals, 20 classes, polarities merged (needs --data)
    #[value(name = "digits-in-time-20")]
    DigitsInTime20,
}

impl Train {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let task = match self.task {
            TaskArgument::Gestures11 => TaskName::Gestures11,
            TaskArgument::DigitsInTime20 => TaskName::DigitsInTime20,
        };
        let networks = self
            .networks
            .iter()
            .map(|text| NetSpec::from_toml(&text.replace(',', "\n")))
            .collect::<Result<Vec<_>, _>>()?;
        let nets: String = self.networks.iter().map(|net| format!(" --net '{net}'")).collect();
        let default = task.training();
        let config = TrainConfig { epochs: self.epochs.unwrap_or(default.epochs), ..default };
        let training = Training {
            task,
            data: DataFolder::from_argument(self.data.as_deref())?,
            networks,
            device: DeviceSet::load(&self.device)?,
            seeds: self.seeds,
            config,
            out: self.out,
            threads: super::threads(self.threads),
            command: format!(
                "ipnet train {}{nets} --device {} --seeds {} --epochs {}",
                task.name(),
                self.device,
                self.seeds,
                config.epochs
            ),
        };
        let table = train_networks(&training)?;
        super::print_table(&table, self.json);
        eprintln!("run: {}", training.out.display());
        Ok(ExitCode::SUCCESS)
    }
}
