//! Parameter sets: what is known of a device, with the source of every number.
//!
//! Design decision: a set is data (TOML), never code, and a value without a source must say that it is assumed and why. The presets
//! are files like any other, embedded at compile time; `extends` lets a laboratory change three numbers of one.

mod parse;
mod presets;
pub mod registry;

use crate::{Device, Error, SwitchingTable};
use registry::PARAMETERS;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub use presets::preset_names;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The file, or `preset NAME`.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
}

/// One value with its provenance.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The value, SI.
    pub value: f64,
    /// Where the value comes from.
    pub source: Option<String>,
    /// Why this value, when no source gives it.
    pub assumed_because: Option<String>,
    /// Relative standard deviation between devices.
    pub sigma_d2d: f64,
    /// Relative standard deviation from pulse to pulse.
    pub sigma_c2c: f64,
    /// Where it was written.
    pub origin: Origin,
}

/// A device parameter set.
#[derive(Debug, Clone)]
pub struct DeviceSet {
    /// Its name.
    pub name: String,
    /// What it is, in a sentence or two.
    pub description: String,
    /// The sets it extends, nearest first.
    pub extends: Vec<String>,
    /// The parameters by key (see [`registry::PARAMETERS`]).
    pub parameters: BTreeMap<&'static str, Parameter>,
    /// A measured p(V, rise) that stands in for the switching formula, and its source.
    pub table: Option<(SwitchingTable, String)>,
}

impl DeviceSet {
    /// Loads a preset by its name, or a TOML file by its path.
    ///
    /// # Errors
    /// A set that is not there, is not TOML, has an unknown key, a value without physical meaning or without source, and a file
    /// whose set has a preset's name: results go by names.
    pub fn load(name_or_path: &str) -> Result<Self, Error> {
        let set = Self::follow(name_or_path, None, &mut Vec::new())?;
        set.validate_as(name_or_path)?;
        if presets::text(name_or_path).is_none() && presets::text(&set.name).is_some() {
            return Err(Error::Refused {
                file: name_or_path.into(),
                line: 1,
                what: "name".into(),
                expected: "one that no preset has, given by `name = \"...\"` or the file's name".into(),
                found: set.name,
            });
        }
        Ok(set)
    }

    /// Loads a set from TOML text; `file` is how errors call it. A relative `extends` is looked up from the working folder.
    ///
    /// # Errors
    /// As [`DeviceSet::load`].
    pub fn from_toml(file: &str, text: &str) -> Result<Self, Error> {
        let set = Self::assemble(file, text, None, &mut vec![file.to_owned()])?;
        set.validate_as(file)?;
        Ok(set)
    }

    fn follow(name_or_path: &str, beside: Option<&Path>, chain: &mut Vec<String>) -> Result<Self, Error> {
        let (file, text, path) = match presets::text(name_or_path) {
            Some(text) => (format!("preset {name_or_path}"), text.to_owned(), None),
            None => {
                let path: PathBuf = beside.unwrap_or(Path::new("")).join(name_or_path);
                if !path.exists() {
                    return Err(Error::UnknownSet {
                        name: path.display().to_string(),
                        presets: preset_names().join(", "),
                    });
                }
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| Error::Io { path: path.clone(), source })?;
                (path.display().to_string(), text, Some(path))
            }
        };
        if chain.contains(&file) {
            chain.push(file.clone());
            return Err(Error::ExtendsCycle { file, chain: chain.join(" -> ") });
        }
        chain.push(file.clone());
        Self::assemble(&file, &text, path.as_deref().and_then(Path::parent), chain)
    }

    fn assemble(
        file: &str,
        text: &str,
        beside: Option<&Path>,
        chain: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let document = parse::parse(file, text)?;
        let name = document.name.unwrap_or_else(|| {
            Path::new(file).file_stem().map_or_else(|| file.to_owned(), |stem| stem.to_string_lossy().into())
        });
        let mut set = match &document.extends {
            None => Self {
                name: String::new(),
                description: String::new(),
                extends: Vec::new(),
                parameters: BTreeMap::new(),
                table: None,
            },
            Some(base) => {
                let mut base = Self::follow(base, beside, chain)?;
                base.extends.insert(0, std::mem::take(&mut base.name));
                base
            }
        };
        set.name = name;
        set.description = document.description.unwrap_or(set.description);
        set.parameters.extend(document.parameters);
        set.table = document.table.or(set.table);
        Ok(set)
    }

    /// Refuses what no single line can show: missing keys, and values that contradict each other. A set that was read passed; one
    /// whose values were changed since may not.
    ///
    /// # Errors
    /// [`Error::Refused`] with the place of the value.
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_as(&self.name)
    }

    /// [`DeviceSet::validate`]; `file` is how errors call the set as a whole.
    fn validate_as(&self, file: &str) -> Result<(), Error> {
        let whole = |what: &str, expected: &str| Error::Refused {
            file: file.to_owned(),
            line: 1,
            what: what.into(),
            expected: expected.into(),
            found: "none".into(),
        };
        for spec in PARAMETERS.iter().filter(|spec| spec.required) {
            if !self.parameters.contains_key(spec.key) {
                let expected = format!("{}, here or in a set that this one `extends`", spec.meaning);
                return Err(whole(spec.key, &expected));
            }
        }
        for pole in ["thermal.pole_2", "thermal.pole_3"] {
            let (r, c) = (format!("{pole}.r_k_per_w"), format!("{pole}.c_j_per_k"));
            if self.parameters.contains_key(r.as_str()) != self.parameters.contains_key(c.as_str()) {
                return Err(whole(pole, "both r_k_per_w and c_j_per_k"));
            }
        }
        let (value, at) = (|key: &str| self.parameters[key].value, |key: &str| &self.parameters[key].origin);
        // Where the values came from that `key` contradicts: another file than its own, as a rule.
        let refuse = |key: &str, others: &[&str], expected: String| {
            let origin = at(key);
            let of = |key: &&str| format!("{key} at {}:{}", at(key).file, at(key).line);
            let others: Vec<String> = others.iter().map(of).collect();
            let expected =
                if others.is_empty() { expected } else { format!("{expected} ({})", others.join(", ")) };
            Err(Error::Refused {
                file: origin.file.clone(),
                line: origin.line,
                what: key.into(),
                expected,
                found: value(key).to_string(),
            })
        };
        let ambient_k = value("thermal.ambient_k");
        if value("magnet.curie_k") <= ambient_k {
            return refuse(
                "magnet.curie_k",
                &["thermal.ambient_k"],
                format!("a Curie temperature above the ambient {ambient_k} K"),
            );
        }
        if 1.0 <= value("junction.polarisation_per_k1p5") * ambient_k.powf(1.5) {
            return refuse(
                "junction.polarisation_per_k1p5",
                &["thermal.ambient_k"],
                format!("a polarisation that is not gone at {ambient_k} K"),
            );
        }
        let busy_s = value("pulse.width_s") + value("pulse.read_s") + value("pulse.reset_s");
        if value("pulse.slot_s") < busy_s {
            let parts = ["pulse.width_s", "pulse.read_s", "pulse.reset_s"];
            return refuse("pulse.slot_s", &parts, format!("at least write + read + reset = {busy_s:e} s"));
        }
        if let Some(flag) = self.parameters.get("junction.starts_antiparallel")
            && flag.value != 0.0
            && flag.value != 1.0
        {
            return refuse("junction.starts_antiparallel", &[], "0 or 1".into());
        }
        Ok(())
    }

    /// The value at `key`, if the set has it.
    pub fn value(&self, key: &str) -> Option<f64> {
        self.parameters.get(key).map(|parameter| parameter.value)
    }

    /// The nominal device of this set.
    pub fn device(&self) -> Device {
        Device::from_values(&|key| self.value(key))
    }

    /// SHA-256 (hex) of what the physics depends on: every key, value and spread, and the table. Names and sources do not count.
    pub fn hash(&self) -> String {
        let mut content = String::new();
        // Writing to a String cannot fail.
        for (key, p) in &self.parameters {
            let _ = writeln!(content, "{key} {:e} {:e} {:e}", p.value, p.sigma_d2d, p.sigma_c2c);
        }
        if let Some((table, _)) = &self.table {
            let _ =
                writeln!(content, "table {:?} {:?} {}", table.u_range_v, table.rise_range_k, table.columns);
            table.p.iter().for_each(|p| {
                let _ = writeln!(content, "{p:e}");
            });
        }
        Sha256::digest(content.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
