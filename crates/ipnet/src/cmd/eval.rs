//! `ipnet eval`: trained networks on a part of their task.

use anyhow::Result;
use clap::{Args, ValueEnum};
use ipnet_bench::study::{EvalReport, EvalRequest, Split, Weights, checkpoints_of, eval_checkpoints};
use ipnet_bench::table::Table;
use ipnet_bench::task::DataFolder;
use std::path::PathBuf;
use std::process::ExitCode;

/// Evaluate a checkpoint, or all of a run: accuracy, each class, confusion
///
/// A checkpoint names its task, network, seed and device set; recordings other than those it was trained with are refused.
/// On the test part with the chosen weights this gives the accuracy that training reported.
#[derive(Args)]
pub struct Eval {
    /// A run's folder, or one of its checkpoints/*.safetensors
    #[arg(value_name = "RUN_OR_CHECKPOINT")]
    path: PathBuf,
    /// The part of the data
    #[arg(long, value_enum, default_value_t = SplitName::Test)]
    split: SplitName,
    /// The weights of which epoch
    #[arg(long, value_enum, default_value_t = WeightsName::Chosen)]
    weights: WeightsName,
    /// Put another device set in the place of the one trained with: a preset's name or a TOML file
    #[arg(long, value_name = "SET")]
    device: Option<String>,
    /// What computes the networks; one that this program or machine does not have is an error, never replaced
    #[arg(long, value_enum, default_value_t = super::BackendName::Cpu)]
    backend: super::BackendName,
    /// Folder of real recordings: nmnist/Train/<digit>/*.bin, dvs_gesture/*.aedat, ddd20/<day>/*.hdf5
    /// [default: $IPNET_DATA, else none]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print everything as JSON on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitName {
    /// What was fitted
    Train,
    /// What the epoch was chosen on
    Validation,
    /// What nothing was chosen on
    Test,
}

#[derive(Clone, Copy, ValueEnum)]
enum WeightsName {
    /// The epoch chosen on the validation part
    Chosen,
    /// The last epoch
    Last,
}

impl Eval {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let data = DataFolder::from_argument(self.data.as_deref())?;
        let request = EvalRequest {
            data: data.as_ref(),
            backend: self.backend.into(),
            device: self.device.as_deref(),
            split: match self.split {
                SplitName::Train => Split::Train,
                SplitName::Validation => Split::Validation,
                SplitName::Test => Split::Test,
            },
            weights: match self.weights {
                WeightsName::Chosen => Weights::Chosen,
                WeightsName::Last => Weights::Last,
            },
        };
        let reports = eval_checkpoints(&checkpoints_of(&self.path)?, &request)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&reports)?);
            return Ok(ExitCode::SUCCESS);
        }
        print!("{}", overview(&reports)?.to_text());
        if let [report] = reports.as_slice()
            && !report.classes.is_empty()
        {
            println!();
            print!("{}", classes(report)?.to_text());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn overview(reports: &[EvalReport]) -> Result<Table> {
    let mut table = Table::new(["checkpoint", "epoch", "samples", "loss", "score", "direction"]);
    for report in reports {
        table.push([
            report.job.clone(),
            report.epoch.to_string(),
            report.samples.to_string(),
            format!("{:.4}", report.loss),
            format!("{:.4}", report.score),
            report.direction.map_or(String::new(), |share| format!("{share:.4}")),
        ])?;
    }
    Ok(table)
}

/// Each class with its row of the confusion: true class down, class told across.
fn classes(report: &EvalReport) -> Result<Table> {
    let numbers = (0..report.classes.len()).map(|class| class.to_string());
    let head = ["", "class", "samples", "recall", "precision"].map(str::to_owned);
    let mut table = Table::new(head.into_iter().chain(numbers));
    let share = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
    for (number, (class, row)) in report.classes.iter().zip(&report.confusion).enumerate() {
        let cells = [
            number.to_string(),
            class.class.clone(),
            class.samples.to_string(),
            share(class.recall),
            share(class.precision),
        ];
        let counts = row.iter().map(|&count| if count == 0 { ".".to_owned() } else { count.to_string() });
        table.push(cells.into_iter().chain(counts))?;
    }
    Ok(table)
}
