//! One TOML file to parameters with their origin: every refusal names file, line and reason.
//!
//! ```toml
//! name = "mine"
//! extends = "default"
//! description = "what it is"
//! [junction]
//! diameter_m = { value = 50e-9, source = "where it comes from", sigma_d2d = 0.02 }
//! tmr_ratio = { value = 1.0, assumed = true, reason = "why this value" }
//! ```
//! Design decision: the file is read as a tree with spans, not through `serde`, because only so an unknown key or
//! a wrong value can be refused with its line.

use super::registry::{self, PARAMETERS};
use super::{Origin, Parameter};
use crate::{Error, SwitchingTable};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What one file says, before `extends` is followed.
pub(super) struct Document {
    pub name: Option<String>,
    pub description: Option<String>,
    pub extends: Option<String>,
    pub parameters: BTreeMap<&'static str, Parameter>,
    pub table: Option<(SwitchingTable, String)>,
}

type Entry<'a, 'i> = (&'a str, &'a Spanned<DeValue<'i>>);

/// A file being read: knows how to turn a place into a line and a refusal.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

pub(super) fn parse(file: &str, text: &str) -> Result<Document, Error> {
    let reader = Reader { file, text };
    let root = DeTable::parse(text).map_err(|error| Error::Syntax {
        file: file.into(),
        line: reader.line(error.span().map_or(0, |span| span.start)),
        message: error.message().into(),
    })?;
    let mut document =
        Document { name: None, description: None, extends: None, parameters: BTreeMap::new(), table: None };
    for (key, value) in entries(root.get_ref()) {
        match key {
            "name" => document.name = Some(reader.string(key, value)?),
            "description" => document.description = Some(reader.string(key, value)?),
            "extends" => document.extends = Some(reader.string(key, value)?),
            "table" => document.table = Some(reader.table(value)?),
            _ => reader.section(key, value, &mut document.parameters)?,
        }
    }
    Ok(document)
}

fn entries<'a, 'i>(table: &'a DeTable<'i>) -> impl Iterator<Item = Entry<'a, 'i>> {
    table.iter().map(|(key, value)| (key.get_ref().as_ref(), value))
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        1 + self.text.as_bytes()[..end].iter().filter(|&&byte| byte == b'\n').count()
    }

    fn refuse<T>(
        &self,
        at: &Spanned<DeValue<'_>>,
        what: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Result<T, Error> {
        Err(Error::Refused {
            file: self.file.into(),
            line: self.line(at.span().start),
            what: what.into(),
            expected: expected.into(),
            found: found.into(),
        })
    }

    fn string(&self, what: &str, value: &Spanned<DeValue<'_>>) -> Result<String, Error> {
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text.into()),
            Some(_) => self.refuse(value, what, "a text", "an empty one"),
            None => self.refuse(value, what, "a text", value.get_ref().type_str()),
        }
    }

    fn number(&self, what: &str, value: &Spanned<DeValue<'_>>) -> Result<f64, Error> {
        let text = match value.get_ref() {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            other => return self.refuse(value, what, "a number", other.type_str()),
        };
        match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => self.refuse(value, what, "a number", text),
        }
    }

    /// A table of parameters, or (for `thermal`) of poles.
    fn section(
        &self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        into: &mut BTreeMap<&'static str, Parameter>,
    ) -> Result<(), Error> {
        if let Some(spec) = registry::spec(path) {
            into.insert(spec.key, self.parameter(spec, value)?);
            return Ok(());
        }
        let prefix = format!("{path}.");
        let known: Vec<_> = PARAMETERS.iter().filter(|spec| spec.key.starts_with(&prefix)).collect();
        let Some(table) = value.get_ref().as_table().filter(|_| !known.is_empty()) else {
            return self.refuse(value, path, self.nearest(path), "an unknown key");
        };
        entries(table).try_for_each(|(key, value)| self.section(&format!("{path}.{key}"), value, into))
    }

    /// The keys one may have meant: those of the same section, else the sections.
    fn nearest(&self, path: &str) -> String {
        let section = path.rsplit_once('.').map_or("", |(section, _)| section);
        let keys: Vec<&str> = PARAMETERS
            .iter()
            .filter_map(|spec| spec.key.rsplit_once('.'))
            .filter(|(of, _)| *of == section)
            .map(|(_, key)| key)
            .collect();
        if keys.is_empty() {
            return "name, description, extends, table, junction, magnet, switching, thermal or pulse".into();
        }
        format!("one of {}", keys.join(", "))
    }

    fn parameter(&self, spec: &registry::Spec, at: &Spanned<DeValue<'_>>) -> Result<Parameter, Error> {
        let Some(table) = at.get_ref().as_table() else {
            return self.refuse(
                at,
                spec.key,
                "a table { value, source } or { value, assumed = true, reason }",
                at.get_ref().type_str(),
            );
        };
        let mut parameter = Parameter {
            value: f64::NAN,
            source: None,
            assumed_because: None,
            sigma_d2d: 0.0,
            sigma_c2c: 0.0,
            origin: Origin { file: self.file.into(), line: self.line(at.span().start) },
        };
        let mut assumed = false;
        for (key, value) in entries(table) {
            let what = format!("{}.{key}", spec.key);
            match key {
                "value" => {
                    parameter.value = self.number(&what, value)?;
                    if !spec.domain.holds(parameter.value) {
                        return self.refuse(
                            value,
                            spec.key,
                            spec.domain.words(),
                            parameter.value.to_string(),
                        );
                    }
                }
                "source" => parameter.source = Some(self.string(&what, value)?),
                "reason" => parameter.assumed_because = Some(self.string(&what, value)?),
                "assumed" => match value.get_ref().as_bool() {
                    Some(flag) => assumed = flag,
                    None => {
                        return self.refuse(value, &what, "true or false", value.get_ref().type_str());
                    }
                },
                "sigma_d2d" => parameter.sigma_d2d = self.sigma(&what, value)?,
                "sigma_c2c" => {
                    parameter.sigma_c2c = self.sigma(&what, value)?;
                    if spec.key != "switching.v_critical_v" {
                        return self.refuse(
                            value,
                            &what,
                            "cycle-to-cycle noise at switching.v_critical_v only",
                            "it here",
                        );
                    }
                }
                _ => {
                    return self.refuse(
                        value,
                        &what,
                        "one of value, source, assumed, reason, sigma_d2d, sigma_c2c",
                        "an unknown key",
                    );
                }
            }
        }
        if parameter.value.is_nan() {
            return self.refuse(at, spec.key, "a value", "none");
        }
        match (assumed, &parameter.source, &parameter.assumed_because) {
            (false, Some(_), None) | (true, None, Some(_)) | (true, Some(_), Some(_)) => Ok(parameter),
            (false, None, _) => {
                self.refuse(at, spec.key, "a source, or assumed = true with a reason", "neither")
            }
            (true, _, None) => self.refuse(at, spec.key, "a reason beside assumed = true", "none"),
            (false, Some(_), Some(_)) => {
                self.refuse(at, spec.key, "a reason only beside assumed = true", "one")
            }
        }
    }

    fn sigma(&self, what: &str, value: &Spanned<DeValue<'_>>) -> Result<f64, Error> {
        let sigma = self.number(what, value)?;
        if (0.0..=1.0).contains(&sigma) {
            return Ok(sigma);
        }
        self.refuse(value, what, "a relative standard deviation from 0 to 1", sigma.to_string())
    }

    /// `[table]`: a measured p(V, rise) that replaces the formula.
    fn table(&self, at: &Spanned<DeValue<'_>>) -> Result<(SwitchingTable, String), Error> {
        let Some(fields) = at.get_ref().as_table() else {
            return self.refuse(at, "table", "a table", at.get_ref().type_str());
        };
        let (mut u_range_v, mut rise_range_k, mut rows, mut source) = (None, None, None, None);
        for (key, value) in entries(fields) {
            let what = format!("table.{key}");
            match key {
                "u_range_v" => u_range_v = Some(self.range(&what, value)?),
                "rise_range_k" => rise_range_k = Some(self.range(&what, value)?),
                "source" => source = Some(self.string(&what, value)?),
                "p" => rows = Some(self.rows(&what, value)?),
                _ => {
                    return self.refuse(
                        value,
                        &what,
                        "one of u_range_v, rise_range_k, p, source",
                        "an unknown key",
                    );
                }
            }
        }
        match (u_range_v, rise_range_k, rows, source) {
            (Some(u_range_v), Some(rise_range_k), Some((columns, p)), Some(source)) => {
                Ok((SwitchingTable { u_range_v, rise_range_k, columns, p }, source))
            }
            _ => self.refuse(at, "table", "u_range_v, rise_range_k, p and source", "one of them missing"),
        }
    }

    fn numbers(&self, what: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<f64>, Error> {
        match value.get_ref().as_array() {
            Some(items) => items.iter().map(|item| self.number(what, item)).collect(),
            None => self.refuse(value, what, "an array of numbers", value.get_ref().type_str()),
        }
    }

    fn range(&self, what: &str, value: &Spanned<DeValue<'_>>) -> Result<[f64; 2], Error> {
        match self.numbers(what, value)?[..] {
            [first, last] if first >= 0.0 && first < last && last.is_finite() => Ok([first, last]),
            ref other => {
                self.refuse(value, what, "[first, last] with 0 <= first < last", format!("{other:?}"))
            }
        }
    }

    fn rows(&self, what: &str, value: &Spanned<DeValue<'_>>) -> Result<(usize, Vec<f64>), Error> {
        let Some(items) = value.get_ref().as_array() else {
            return self.refuse(value, what, "an array of rows, one per rise", value.get_ref().type_str());
        };
        let (mut columns, mut p) = (0, Vec::new());
        for item in items.iter() {
            let row = self.numbers(what, item)?;
            if columns != 0 && row.len() != columns {
                return self.refuse(item, what, format!("a row of {columns}"), format!("{}", row.len()));
            }
            if let Some(bad) = row.iter().find(|p| !(0.0..=1.0).contains(*p)) {
                return self.refuse(item, what, "probabilities from 0 to 1", bad.to_string());
            }
            columns = row.len();
            p.extend(row);
        }
        if columns < 2 || p.len() < 2 * columns {
            return self.refuse(
                value,
                what,
                "at least 2 rows of 2 probabilities",
                format!("{} numbers", p.len()),
            );
        }
        Ok((columns, p))
    }
}
