//! Is a run folder still what its manifest says, and does it show what is expected of its command?
//!
//! Expectations are JSON files (`results/expected/*.json`): cells of the run's tables with a tolerance. The decision: a
//! tolerance stands for other machines and tool chains, whose rounding takes a training run elsewhere; on the same
//! machine a repeated run agrees to the last digit, which the hashes of two runs show.

use super::manifest::read_json;
use super::{Manifest, hash_file};
use crate::table::Table;
use crate::{Error, Result};
use ipnet_device::{DeviceSet, preset_names};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed,
    /// The run has no such part, which is allowed: its data were not there.
    NotRun,
}

impl Verdict {
    fn of(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }

    /// In a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "pass",
            Self::Failed => "FAIL",
            Self::NotRun => "not run",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What.
    pub what: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// A file of expectations.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// The runs it is for: those whose command starts so.
    pub command_starts_with: String,
    /// Where the values come from.
    pub source: String,
    /// The cells.
    pub cells: Vec<ExpectedCell>,
}

/// A cell of a table and what it should hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCell {
    /// `tables/<table>.csv`.
    pub table: String,
    /// The row: columns and their text.
    #[serde(rename = "where")]
    pub row: BTreeMap<String, String>,
    /// The column.
    pub column: String,
    /// The value.
    pub value: f64,
    /// Largest difference that passes.
    pub tolerance: f64,
    /// The data set it takes; a run without it passes over the cell.
    pub data: Option<String>,
}

impl Expectations {
    /// Reads one file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`] with the line.
    pub fn read(path: &Path) -> Result<Self> {
        read_json(path, "expectations of a run")
    }

    /// Reads every `*.json` of a folder, in the order of their names.
    ///
    /// # Errors
    /// As [`Expectations::read`].
    pub fn read_all(folder: &Path) -> Result<Vec<Self>> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "list"))? {
            paths.push(entry.map_err(Error::io(folder, "list"))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }
}

/// Checks the run folder `run` against its manifest, and against those of `expectations` that are for its command.
///
/// # Errors
/// [`Error::Io`] and [`Error::Malformed`] for a folder without a readable manifest. A file that is gone or was altered is a
/// failed check, not an error.
pub fn verify(run: &Path, expectations: &[Expectations]) -> Result<Vec<Check>> {
    let manifest = Manifest::read(&run.join("manifest.json"))?;
    let mut checks = vec![Check {
        what: "the run has ended".into(),
        expected: "an end time".into(),
        found: manifest.ended.clone().unwrap_or_else(|| "none: it was stopped, or still runs".into()),
        verdict: Verdict::of(manifest.ended.is_some()),
    }];
    checks.extend(device(&manifest)?);
    checks.extend(outputs(run, &manifest)?);
    let mut tables = BTreeMap::new();
    for expected in expectations.iter().filter(|e| manifest.command.starts_with(&e.command_starts_with)) {
        for cell in &expected.cells {
            let table = match tables.entry(cell.table.as_str()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(read_table(run, &cell.table)),
            };
            checks.push(compare(table.as_ref(), &manifest, cell));
        }
    }
    Ok(checks)
}

/// A preset of the run must be the preset of this program.
fn device(manifest: &Manifest) -> Result<Option<Check>> {
    let ran = &manifest.device;
    if !preset_names().contains(&ran.name.as_str()) {
        return Ok(None);
    }
    let now = DeviceSet::load(&ran.name)?.hash();
    Ok(Some(Check {
        what: format!("device set {}", ran.name),
        expected: ran.sha256.clone(),
        verdict: Verdict::of(now == ran.sha256),
        found: now,
    }))
}

/// Every output of the manifest is there with its hash, and nothing else is.
fn outputs(run: &Path, manifest: &Manifest) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (name, expected) in &manifest.outputs {
        let path = run.join(name);
        let found = if path.exists() { hash_file(&path)? } else { "no such file".into() };
        let verdict = Verdict::of(found == *expected);
        checks.push(Check { what: name.clone(), expected: expected.clone(), found, verdict });
    }
    for folder in ["tables", "figures", "jobs"] {
        let path = run.join(folder);
        if !path.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(Error::io(&path, "list"))? {
            let entry = entry.map_err(Error::io(&path, "list"))?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if manifest.ended.is_some() && !manifest.outputs.contains_key(&name) {
                let (expected, found) = ("not there".into(), "a file that the run did not write".into());
                checks.push(Check { what: name, expected, found, verdict: Verdict::Failed });
            }
        }
    }
    Ok(checks)
}

/// A table of the run, if it has it and it can be read.
fn read_table(run: &Path, name: &str) -> Option<Table> {
    Table::read_csv(&run.join("tables").join(format!("{name}.csv"))).ok()
}

fn compare(table: Option<&Table>, manifest: &Manifest, cell: &ExpectedCell) -> Check {
    let place: Vec<&str> = cell.row.values().map(String::as_str).collect();
    let check = |found: String, verdict| Check {
        what: format!("{}: {} of {}", cell.table, cell.column, place.join(", ")),
        expected: format!("{} +- {}", cell.value, cell.tolerance),
        found,
        verdict,
    };
    if let Some(data) = &cell.data
        && !manifest.data.iter().any(|source| source.name == *data)
    {
        return check(format!("the run has no {data}"), Verdict::NotRun);
    }
    let Some(table) = table else {
        return check("no such table, or one that cannot be read".into(), Verdict::Failed);
    };
    let matches = |row: &usize| cell.row.iter().all(|(name, text)| table.cell(*row, name) == Some(text));
    let found = (0..table.rows().len()).find(matches).and_then(|row| table.cell(row, &cell.column));
    match found.map(|text| (text, text.parse::<f64>())) {
        None => check("no such row or column".into(), Verdict::Failed),
        Some((text, Err(_))) => check(format!("{text:?}, no number"), Verdict::Failed),
        Some((text, Ok(value))) => {
            check(text.to_owned(), Verdict::of((value - cell.value).abs() <= cell.tolerance))
        }
    }
}

/// The checks as a table.
///
/// # Errors
/// None that input can reach: rows have the table's columns.
pub fn check_table(checks: &[Check]) -> Result<Table> {
    let mut table = Table::new(["check", "expected", "found", "verdict"]);
    for check in checks {
        table.push([&*check.what, &*check.expected, &*check.found, check.verdict.name()])?;
    }
    Ok(table)
}
