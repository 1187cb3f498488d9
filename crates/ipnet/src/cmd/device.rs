//! `ipnet device`: parameter sets, their curves, and sets fitted to measurements.

mod figures;
mod show;

use super::{keep, save};
use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use ipnet_device::fit::{self, DEFAULT_FREE};
use ipnet_device::{DeviceSet, preset_names};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `ipnet device ...`.
#[derive(Args)]
pub struct Device {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    List(List),
    Show(Show),
    Plot(Plot),
    Vary(Vary),
    Fit(Fit),
}

/// The presets: what each is, and the step law it reduces to.
#[derive(Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One set: every parameter with its source, the step law, and the error of the reduction.
#[derive(Args)]
struct Show {
    /// Name of a preset, or a TOML file
    #[arg(value_name = "SET")]
    set: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The curves of a device paper: heating, p against V, interval and width, the R-V loop. SVG and PNG.
#[derive(Args)]
struct Plot {
    /// Name of a preset, or a TOML file
    #[arg(value_name = "SET")]
    set: String,
    /// Folder for the figures; made if it is not there
    #[arg(short, long, value_name = "DIR", default_value = "figures")]
    out: PathBuf,
}

/// Sets in which one assumed parameter is moved, one file each: what a study of their weight trains with.
#[derive(Args)]
struct Vary {
    /// Name of a preset, or a TOML file
    #[arg(value_name = "SET")]
    set: String,
    /// What the value is multiplied with; several, separated by commas, make several files per parameter
    #[arg(long, value_name = "FACTORS", value_delimiter = ',', default_value = "0.8,1.25")]
    factor: Vec<f64>,
    /// Folder for the sets; made if it is not there
    #[arg(short, long, value_name = "DIR", default_value = "variants")]
    out: PathBuf,
}

/// A set fitted to measured switching probabilities and resistances.
///
/// The CSV has the columns kind, v_v, width_s, bath_k, heat_v, interval_s, trials, switched, state, ohm, sigma_ohm, where kind is switch
/// (one pulse), pair (the second of two pulses) or resistance; docs/device.md shows one. Parameters that the data cannot determine are named and
/// keep the value of the base set.
#[derive(Args)]
struct Fit {
    /// The measurements
    #[arg(value_name = "MEASUREMENTS.CSV")]
    data: PathBuf,
    /// The TOML file to write
    #[arg(short, long, value_name = "SET.TOML")]
    out: PathBuf,
    /// The set to start from, and to extend
    #[arg(long, value_name = "SET", default_value = "default")]
    base: String,
    /// Parameters to fit, by key, separated by commas
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    free: Vec<String>,
    /// Folder for the residuals: residuals.csv, residuals.svg, residuals.png
    #[arg(long, value_name = "DIR")]
    residuals: Option<PathBuf>,
}

/// Runs the command.
pub fn run(command: Device) -> anyhow::Result<ExitCode> {
    match command.what {
        What::List(args) => list(&args)?,
        What::Show(args) => show::print(&DeviceSet::load(&args.set)?, args.json)?,
        What::Plot(args) => {
            let set = DeviceSet::load(&args.set)?;
            if set.table.is_some() {
                eprintln!(
                    "note: figures of p and R-V are left out: they are of the formula, which a measured table replaces"
                );
            }
            for path in figures::write(&set, &args.out)? {
                println!("{}", path.display());
            }
        }
        What::Vary(args) => vary(&args)?,
        What::Fit(args) => fit_set(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &List) -> anyhow::Result<()> {
    let sets = preset_names().into_iter().map(DeviceSet::load).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        let rows: Vec<_> = sets
            .iter()
            .map(|set| serde_json::json!({ "name": set.name, "description": set.description, "hash": set.hash() }))
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    for set in sets {
        let law = set.reduce()?.law;
        println!("{:<24}{}", set.name, set.description);
        println!(
            "{:<24}slot {:.3e} s, keeps {:.2} of its heat per slot, up to +{:.0} K",
            "",
            law.dt_s,
            law.poles.iter().map(|pole| pole.decay).fold(0.0, f64::max),
            law.max_rise_k()
        );
    }
    Ok(())
}

fn vary(args: &Vary) -> anyhow::Result<()> {
    let set = DeviceSet::load(&args.set)?;
    let base = extended_as(&args.set)?;
    if let Some(odd) = args.factor.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
        anyhow::bail!("--factor: expected numbers above 0, found {odd}");
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    for &factor in &args.factor {
        let variants = set.variants(&base, factor).map_err(anyhow::Error::msg)?;
        for (key, reason) in variants.left_out {
            eprintln!("left out: {key} x {factor}: {reason}");
        }
        for variant in variants.sets {
            let path = args.out.join(format!("{}-x{factor}.toml", variant.key));
            keep(Path::new(&args.set), &path, "the set that is varied")?;
            save(&path, variant.toml)?;
            println!("{}", path.display());
        }
    }
    Ok(())
}

/// How a new set names the set it extends: a file by its full path, since the new one may lie in another folder.
fn extended_as(set: &str) -> anyhow::Result<String> {
    match preset_names().contains(&set) {
        true => Ok(set.to_owned()),
        false => Ok(std::fs::canonicalize(set)?.display().to_string()),
    }
}

fn fit_set(args: &Fit) -> anyhow::Result<()> {
    let name = args.data.display().to_string();
    let stem = args.out.file_stem().map_or("fitted".into(), |stem| stem.to_string_lossy());
    ensure!(
        !preset_names().contains(&stem.as_ref()),
        "{}: expected another file to write: the set is called as its file, and {stem} is a preset",
        args.out.display()
    );
    keep(&args.data, &args.out, "the measurements")?;
    keep(Path::new(&args.base), &args.out, "the set that is fitted")?;
    if let Some(dir) = &args.residuals {
        keep(&args.data, &dir.join("residuals.csv"), "the measurements")?;
    }
    let base = DeviceSet::load(&args.base)?;
    let source = File::open(&args.data).with_context(|| format!("cannot open {name}"))?;
    let data = fit::read_csv(&name, source)?;
    let free: Vec<&str> = match args.free.is_empty() {
        true => DEFAULT_FREE.to_vec(),
        false => args.free.iter().map(|key| key.trim()).collect(),
    };
    let result = fit::fit(&base, &data, &free)?;
    print!("{}", result.table());
    ensure!(
        result.parameters.iter().any(|parameter| parameter.determined),
        "{name}: the measurements determine none of the free parameters: {} is not written",
        args.out.display()
    );
    let extends = extended_as(&args.base)?;
    let file = args.data.file_name().map_or(name.clone(), |file| file.to_string_lossy().into());
    save(&args.out, result.to_toml(&stem, &extends, &file))?;
    eprintln!("wrote {}", args.out.display());
    if let Some(dir) = &args.residuals {
        for path in figures::write_residuals(&result, &data, dir)? {
            eprintln!("wrote {}", path.display());
        }
    }
    Ok(())
}
