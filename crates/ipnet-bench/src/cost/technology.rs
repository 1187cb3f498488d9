//! Unit energies of a process, as TOML with a source for every number.

use crate::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use std::path::Path;

const EMBEDDED: [(&str, &str); 2] = [
    ("horowitz-45nm", include_str!("../../technologies/horowitz-45nm.toml")),
    ("scaled-28nm", include_str!("../../technologies/scaled-28nm.toml")),
];

/// Names of the technologies that come with the program.
pub fn technology_names() -> Vec<&'static str> {
    EMBEDDED.iter().map(|(name, _)| *name).collect()
}

/// A number with where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced {
    /// The value, SI.
    pub value: f64,
    /// Where it was published.
    pub source: Option<String>,
    /// True where no source gives it.
    #[serde(default)]
    pub assumed: bool,
    /// Why this value, where it is assumed.
    pub reason: Option<String>,
}

/// Energies of 32-bit operations and accesses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Energies {
    /// One multiply-accumulate \[J\].
    pub mac_j: Sourced,
    /// One addition or comparison \[J\].
    pub op_j: Sourced,
    /// One word in or out of a register file \[J\].
    pub register_j: Sourced,
    /// One word in or out of a small SRAM \[J\].
    pub sram_j: Sourced,
    /// One word in or out of DRAM \[J\].
    pub dram_j: Sourced,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Technology {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Unit energies.
    pub energy: Energies,
}

impl Technology {
    /// Loads one that comes with the program by its name, or a TOML file by its path.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] with the line, for a number without a source or without sense too.
    pub fn load(name_or_path: &str) -> Result<Self> {
        let text = text(&EMBEDDED, name_or_path, "read the technology")?;
        Self::parse(Path::new(name_or_path), &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let technology: Self = parse(path, text, "a technology")?;
        let e = &technology.energy;
        let numbers = [
            ("mac_j", &e.mac_j),
            ("op_j", &e.op_j),
            ("register_j", &e.register_j),
            ("sram_j", &e.sram_j),
            ("dram_j", &e.dram_j),
        ];
        check(path, text, "an energy above 0 J", &numbers)?;
        Ok(technology)
    }
}

/// The text of one of `embedded` by its name, or of a file by its path; `action` names the reading in errors.
pub(super) fn text(
    embedded: &[(&str, &'static str)],
    name_or_path: &str,
    action: &'static str,
) -> Result<Cow<'static, str>> {
    match embedded.iter().find(|(name, _)| *name == name_or_path) {
        Some((_, text)) => Ok(Cow::Borrowed(text)),
        None => {
            let path = Path::new(name_or_path);
            Ok(Cow::Owned(std::fs::read_to_string(path).map_err(Error::io(path, action))?))
        }
    }
}

/// Reads a table of sourced numbers; `expected` names it in errors.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str, expected: &'static str) -> Result<T> {
    toml::from_str(text).map_err(|error| Error::Malformed {
        path: path.to_path_buf(),
        line: error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count()),
        expected,
        found: error.message().to_owned(),
    })
}

/// Refuses a number that is not above 0 (`expected` says so), and one with neither a source nor a reason.
pub(super) fn check(
    path: &Path,
    text: &str,
    expected: &'static str,
    numbers: &[(&str, &Sourced)],
) -> Result<()> {
    for (key, number) in numbers {
        let line = 1 + text.lines().position(|line| line.trim_start().starts_with(key)).unwrap_or(0);
        let malformed =
            |expected, found| Err(Error::Malformed { path: path.to_path_buf(), line, expected, found });
        if !(number.value.is_finite() && number.value > 0.0) {
            return malformed(expected, format!("{key} = {}", number.value));
        }
        let explained = if number.assumed { &number.reason } else { &number.source };
        if explained.as_ref().is_none_or(|text| text.trim().is_empty()) {
            return malformed("a source, or assumed = true and a reason", format!("{key} with neither"));
        }
    }
    Ok(())
}
