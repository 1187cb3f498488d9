//! `ipnet train`: networks of one's choice on one task.

use anyhow::{Context, Result};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use ipnet_bench::Backend;
use ipnet_bench::run::hash_bytes;
use ipnet_bench::study::{Effort, JobDevice, Training, train_networks};
use ipnet_bench::task::{DataFolder, TaskName};
use ipnet_bench::train::{Rule, TrainConfig};
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
    #[arg(value_parser = task_parser())]
    task: TaskName,
    /// A network as TOML text, its keys on lines of their own or after commas, e.g. 'memory = "ip", placement = "sensor"'; give it
    /// several times to compare
    #[arg(long = "net", value_name = "TOML", required = true)]
    networks: Vec<String>,
    /// Folder of real recordings: nmnist/Train/<digit>/*.bin, dvs_gesture/*.aedat, ddd20/<day>/*.hdf5
    /// [default: $IPNET_DATA, else none]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// MTJ parameter set of IP neurons: a preset's name (see `ipnet device list`) or a TOML file
    #[arg(long, value_name = "SET", default_value = "default")]
    device: String,
    /// Number of seeds each network is trained from
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::whole(1..=super::MOST))]
    seeds: usize,
    /// What computes the networks; one that this program or machine does not have is an error, never replaced
    #[arg(long, value_enum, default_value_t = super::BackendName::Cpu)]
    backend: super::BackendName,
    /// Networks trained side by side, one thread each; no result on the CPU depends on it [default: number of cores]
    #[arg(long, value_name = "N", value_parser = super::whole(1..=super::MOST))]
    threads: Option<usize>,
    /// Folder of the run [default: results/train-<task>-<hash of the command's networks, device set, seeds and training>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write TensorBoard event files below this folder, one run per network and seed
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// Print the table as JSON on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

/// What differs from the task's own training.
#[derive(Args)]
#[command(next_help_heading = "Training (defaults: the task's)")]
struct Config {
    /// Passes over the training part
    #[arg(long, value_name = "N", value_parser = super::whole(1..=super::MOST))]
    epochs: Option<usize>,
    /// Samples per update
    #[arg(long, value_name = "N", value_parser = super::whole(1..=super::MOST))]
    batch: Option<usize>,
    /// The rule that updates weights
    #[arg(long, value_enum)]
    optimiser: Option<RuleName>,
    /// Peak learning rate: linear warm-up, then a cosine to zero
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// SGD's momentum
    #[arg(long, value_name = "SHARE")]
    momentum: Option<f64>,
    /// Epochs of warm-up
    #[arg(long, value_name = "N", value_parser = super::whole(0..=super::MOST))]
    warm_up_epochs: Option<usize>,
    /// Decoupled weight decay
    #[arg(long, value_name = "RATE")]
    weight_decay: Option<f64>,
    /// Largest global norm of the gradient
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Share of the target that goes to all classes alike
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f64>,
    /// Largest random shift of a training clip, in pixels of the network's input
    #[arg(long, value_name = "PX", value_parser = super::whole(0..=super::MOST))]
    max_shift_px: Option<usize>,
    /// Largest entry of a random linear map of a training clip, less the identity: turns, shears and stretches it
    #[arg(long, value_name = "SHARE")]
    max_warp: Option<f64>,
    /// Chance that a cell of a training clip is emptied
    #[arg(long, value_name = "SHARE")]
    drop_share: Option<f64>,
    /// End after this many epochs without a better validation score; 0: never
    #[arg(long, value_name = "N", value_parser = super::whole(0..=super::MOST))]
    patience: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RuleName {
    /// AdamW
    Adamw,
    /// Stochastic gradient descent with momentum
    Sgd,
}

impl Config {
    /// `config` with what was given put in.
    fn over(&self, config: TrainConfig) -> TrainConfig {
        let rule = self.optimiser.map(|rule| match rule {
            RuleName::Adamw => Rule::Adamw,
            RuleName::Sgd => Rule::Sgd,
        });
        TrainConfig {
            epochs: self.epochs.unwrap_or(config.epochs),
            batch: self.batch.unwrap_or(config.batch),
            optimiser: rule.unwrap_or(config.optimiser),
            learning_rate: self.learning_rate.unwrap_or(config.learning_rate),
            momentum: self.momentum.unwrap_or(config.momentum),
            warm_up_epochs: self.warm_up_epochs.unwrap_or(config.warm_up_epochs),
            weight_decay: self.weight_decay.unwrap_or(config.weight_decay),
            clip_norm: self.clip_norm.unwrap_or(config.clip_norm),
            label_smoothing: self.label_smoothing.unwrap_or(config.label_smoothing),
            max_shift_px: self.max_shift_px.unwrap_or(config.max_shift_px),
            max_warp: self.max_warp.unwrap_or(config.max_warp),
            drop_share: self.drop_share.unwrap_or(config.drop_share),
            patience: self.patience.unwrap_or(config.patience),
        }
    }

    /// The flags that were given, as one could type them again.
    fn flags(&self, config: &TrainConfig) -> String {
        let given = [
            ("batch", self.batch.is_some(), config.batch.to_string()),
            ("optimiser", self.optimiser.is_some(), config.optimiser.to_string()),
            ("learning-rate", self.learning_rate.is_some(), config.learning_rate.to_string()),
            ("momentum", self.momentum.is_some(), config.momentum.to_string()),
            ("warm-up-epochs", self.warm_up_epochs.is_some(), config.warm_up_epochs.to_string()),
            ("weight-decay", self.weight_decay.is_some(), config.weight_decay.to_string()),
            ("clip-norm", self.clip_norm.is_some(), config.clip_norm.to_string()),
            ("label-smoothing", self.label_smoothing.is_some(), config.label_smoothing.to_string()),
            ("max-shift-px", self.max_shift_px.is_some(), config.max_shift_px.to_string()),
            ("max-warp", self.max_warp.is_some(), config.max_warp.to_string()),
            ("drop-share", self.drop_share.is_some(), config.drop_share.to_string()),
            ("patience", self.patience.is_some(), config.patience.to_string()),
        ];
        given
            .iter()
            .filter(|(_, given, _)| *given)
            .map(|(name, _, value)| format!(" --{name} {value}"))
            .collect()
    }
}

/// The tasks by name, each with its description in `--help`.
fn task_parser() -> impl TypedValueParser<Value = TaskName> {
    let value = |task: TaskName| PossibleValue::new(task.name()).help(task.description());
    PossibleValuesParser::new(TaskName::ALL.map(value))
        .try_map(|name| TaskName::parse(&name).map_err(Box::new))
}

/// A network from TOML text, or from its keys after commas on one line.
fn network(text: &str) -> Result<NetSpec> {
    let spec = NetSpec::from_toml(text);
    if spec.is_ok() || text.contains('\n') {
        return spec.with_context(|| format!("--net {text:?}: expected the TOML text of a network"));
    }
    NetSpec::from_toml(&text.replace(',', "\n")).with_context(|| {
        format!("--net {text:?}: expected TOML text, e.g. 'memory = \"ip\", placement = \"sensor\"'")
    })
}

impl Train {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let task = self.task;
        let networks = self.networks.iter().map(|text| network(text)).collect::<Result<Vec<_>>>()?;
        let nets: String = self.networks.iter().map(|net| format!(" --net '{net}'")).collect();
        let default = task.training();
        let config = self.config.over(default);
        config.validate()?;
        let command = format!(
            "ipnet train {}{nets} --device {} --seeds {} --epochs {}{}",
            task.name(),
            self.device,
            self.seeds,
            config.epochs,
            self.config.flags(&config)
        );
        let backend = Backend::from(self.backend);
        let command = backend.behind(&command, " --backend ");
        let of_its_own =
            || format!("results/train-{}-{}", task.name(), &hash_bytes(command.as_bytes())[..8]).into();
        let training = Training {
            task,
            data: DataFolder::from_argument(self.data.as_deref())?,
            networks,
            device: JobDevice::new(&self.device, &DeviceSet::load(&self.device)?)?,
            seeds: self.seeds,
            config,
            out: self.out.unwrap_or_else(of_its_own),
            effort: Effort { threads: super::threads(self.threads), backend, tensorboard: self.tensorboard },
            command,
        };
        let table = train_networks(&training)?;
        super::print_table(&table, self.json);
        ipnet_bench::notice(format_args!("run: {}", training.out.display()));
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn a_network_is_toml_text_or_its_keys_after_commas() {
        let one_line = network(r#"memory = "ip", placement = "sensor""#).unwrap();
        let lines = "memory = \"ip\" # heat, as in the paper\nplacement = \"sensor\"";
        assert_eq!(network(lines).unwrap(), one_line);
        let path = network("net.toml").unwrap_err();
        assert!(format!("{path:#}").contains("expected TOML text"), "{path:#}");
    }
}
