//! `ipnet cognition`: human working-memory tasks on the heat of the device.

use super::{print_table, save};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use ipnet_bench::cognition::{CognitionConfig, Task, fit, run};
use ipnet_device::DeviceSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Human working-memory tasks, against human data
///
/// Simulated subjects keep items as heat in an array of neurons of the device, recall them with weak pulses, and rehearse. No
/// result depends on the number of threads ($RAYON_NUM_THREADS).
#[derive(Args)]
pub struct Cognition {
    #[command(subcommand)]
    task: Which,
}

#[derive(Subcommand)]
enum Which {
    /// n-back in columns, n = 1..5, with lures, against Oberauer 2006
    Nback(Run),
    /// Free recall of 16 and 20 words and recall after a filled delay, against PEERS, Murdock 1962 and Floden et al.
    Recall(Run),
    /// Proactive and retroactive interference against similarity and number of lists
    Interference(Run),
    /// All tasks
    All(Run),
    /// Fit the three free numbers to the training half of the human curves
    Fit(Fit),
}

#[derive(Args)]
struct Run {
    /// Simulated subjects per study
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..))]
    subjects: u32,
    /// Lists, or trials per condition, of a subject
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    trials: u32,
    /// Subjects for each row of the sensitivity table; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 16)]
    sensitivity: u32,
    /// Updates in the training of the LSTM control; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 2000)]
    lstm_updates: u32,
    /// Seed of every draw
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// MTJ parameter set: a preset's name (see `ipnet device list`) or a TOML file
    #[arg(long, value_name = "SET", default_value = "default")]
    device: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Also write the tables (CSV) and figures (SVG) into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct Fit {
    /// Protocols to try
    #[arg(long, value_name = "N", default_value_t = 28)]
    tries: usize,
    /// Simulated subjects per study
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = clap::value_parser!(u32).range(2..))]
    subjects: u32,
    /// Seed of every draw
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// MTJ parameter set: a preset's name or a TOML file
    #[arg(long, value_name = "SET", default_value = "default")]
    device: String,
}

impl Cognition {
    pub fn run(self) -> Result<ExitCode> {
        match self.task {
            Which::Nback(args) => args.run(vec![Task::NBack]),
            Which::Recall(args) => args.run(vec![Task::Recall]),
            Which::Interference(args) => args.run(vec![Task::Interference]),
            Which::All(args) => args.run(vec![Task::NBack, Task::Recall, Task::Interference]),
            Which::Fit(args) => args.run(),
        }
    }
}

impl Run {
    fn run(self, tasks: Vec<Task>) -> Result<ExitCode> {
        let config = CognitionConfig {
            subjects: self.subjects as usize,
            trials: self.trials as usize,
            seed: self.seed,
            tasks,
            sensitivity_subjects: self.sensitivity as usize,
            lstm_updates: self.lstm_updates as usize,
            ..CognitionConfig::new(DeviceSet::load(&self.device)?)
        };
        let report = run(&config)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!(
                "device {}, {} subjects; one slot of {:.3e} s stands for {:.2} s of a human task; {:.2} item pulses per slot; \
                 an item answers when {:.0} % of its polled neurons fire",
                report.device,
                report.subjects,
                report.slot_s,
                report.human_s_per_slot,
                report.protocol.pulses_per_slot,
                100.0 * report.protocol.read_ratio
            );
            for (name, table) in &report.tables {
                println!("\n{name}");
                print_table(table, false);
            }
        }
        if let Some(folder) = &self.out {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("{}: cannot create", folder.display()))?;
            let csv = report.tables.iter().map(|(name, table)| (format!("{name}.csv"), table.to_csv()));
            let svg = report.figures.iter().map(|(name, svg)| (format!("{name}.svg"), svg.clone()));
            for (name, text) in csv.chain(svg) {
                let path = folder.join(name);
                save(&path, text)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Fit {
    fn run(self) -> Result<ExitCode> {
        let law = DeviceSet::load(&self.device)?.reduce()?.law;
        let mut tell = |attempt: usize, tried: fit::Fit| {
            eprintln!("try {}: loss {:.4} {:?}", attempt + 1, tried.loss, tried.protocol);
        };
        let found = fit::fit(&law, self.tries, self.subjects as usize, self.seed, &mut tell);
        println!("{}", serde_json::to_string_pretty(&found)?);
        Ok(ExitCode::SUCCESS)
    }
}
