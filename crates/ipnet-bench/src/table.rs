//! A table of text cells: what a CSV file, a terminal and a report show of the same rows.
//!
//! Cells are text on purpose: a number is rounded once, where its meaning is known, and every place that
//! shows it shows the same digits.

use crate::{Error, Result};
use std::path::Path;

/// Named columns and rows of equal length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::RaggedTable`] where it has not one cell per column.
    pub fn push<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> Result<()> {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        if cells.len() != self.columns.len() {
            let (row, expected, found) = (self.rows.len(), self.columns.len(), cells.len());
            return Err(Error::RaggedTable { row, expected, found });
        }
        self.rows.push(cells);
        Ok(())
    }

    /// The columns' names.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows, each with one cell per column.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// The index of a column by its name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The cell of `row` under the column `name`.
    pub fn cell(&self, row: usize, name: &str) -> Option<&str> {
        let column = self.column(name)?;
        self.rows.get(row).and_then(|cells| cells.get(column)).map(String::as_str)
    }

    /// The table as CSV (RFC 4180 quoting, one header line, `\n` line ends).
    pub fn to_csv(&self) -> String {
        let mut out = String::new();
        for row in std::iter::once(&self.columns).chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(|cell| quote(cell)).collect();
            out.push_str(&cells.join(","));
            out.push('\n');
        }
        out
    }

    /// The table as Markdown, numbers to the right.
    pub fn to_markdown(&self) -> String {
        let numeric = |c: usize| !self.rows.is_empty() && self.rows.iter().all(|row| is_number(&row[c]));
        let rule: Vec<&str> =
            (0..self.columns.len()).map(|c| if numeric(c) { "---:" } else { "---" }).collect();
        let line = |cells: &[String]| {
            let cells: Vec<String> =
                cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let body: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}| {} |\n{body}", line(&self.columns), rule.join(" | "))
    }

    /// The table as a JSON array of one object per row; cells that read as finite numbers are numbers, empty ones null.
    pub fn to_json(&self) -> String {
        let value = |cell: &String| match cell.parse::<f64>() {
            _ if cell.is_empty() => serde_json::Value::Null,
            Ok(number) if number.is_finite() => serde_json::json!(number),
            _ => serde_json::json!(cell),
        };
        let object = |row: &Vec<String>| {
            self.columns.iter().cloned().zip(row.iter().map(value)).collect::<serde_json::Map<_, _>>().into()
        };
        format!("{:#}", serde_json::Value::Array(self.rows.iter().map(object).collect()))
    }

    /// Reads a CSV file with a header line.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Malformed`] with the line of a bad row.
    pub fn read_csv(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let malformed = |error: &csv::Error| Error::Malformed {
            path: path.to_path_buf(),
            line: error.position().map_or(1, |p| p.line() as usize),
            expected: "a CSV row with as many cells as the header",
            found: error.to_string(),
        };
        let mut table = Self::new(reader.headers().map_err(|e| malformed(&e))?.iter());
        for record in reader.records() {
            table.push(record.map_err(|e| malformed(&e))?.iter())?;
        }
        Ok(table)
    }

    /// The table for a terminal: columns padded, cells that read as numbers to the right.
    pub fn to_text(&self) -> String {
        let width = |c: usize| {
            let cells = self.rows.iter().map(|row| row[c].chars().count());
            cells.chain([self.columns[c].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let numeric: Vec<bool> = (0..self.columns.len())
            .map(|c| !self.rows.is_empty() && self.rows.iter().all(|row| is_number(&row[c])))
            .collect();
        let line = |row: &[String]| {
            let mut text = String::new();
            for (c, cell) in row.iter().enumerate() {
                let gap = if c == 0 { "" } else { "  " };
                let w = widths[c];
                text += &if numeric[c] { format!("{gap}{cell:>w$}") } else { format!("{gap}{cell:<w$}") };
            }
            text.trim_end().to_owned() + "\n"
        };
        let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        let body: String = self.rows.iter().map(|row| line(row)).collect();
        line(&self.columns) + &line(&rule) + &body
    }
}

/// True for cells that are set to the right: empty, or a number with an optional unit sign.
pub(crate) fn is_number(cell: &str) -> bool {
    let cell = cell.trim();
    cell.is_empty() || cell == "-" || cell.trim_end_matches(['%', 'x']).trim().parse::<f64>().is_ok()
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_ragged_row_is_refused_with_its_index() {
        let mut table = Table::new(["a", "b"]);
        table.push(["1", "2"]).unwrap();
        let error = table.push(["1"]).unwrap_err().to_string();
        assert_eq!(error, "table row 1: expected 2 cells, found 1");
    }

    #[test]
    fn numbers_stand_to_the_right_in_a_terminal() {
        let mut table = Table::new(["memory", "accuracy"]);
        table.push(["none", "48.0"]).unwrap();
        table.push(["ip", "100.0"]).unwrap();
        assert_eq!(
            table.to_text(),
            "memory  accuracy\n------  --------\nnone        48.0\nip         100.0\n"
        );
    }

    #[test]
    fn markdown_escapes_what_would_end_a_cell() {
        let mut table = Table::new(["name", "n"]);
        table.push(["a|b", "1"]).unwrap();
        assert_eq!(table.to_markdown(), "| name | n |\n| --- | ---: |\n| a\\|b | 1 |\n");
    }

    #[test]
    fn a_csv_row_that_is_cut_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "a,b\n1,2\n3\n").unwrap();
        let error = Table::read_csv(&path).unwrap_err();
        assert!(matches!(error, Error::Malformed { line: 3, .. }), "{error}");
    }

    proptest! {
        #[test]
        fn csv_gives_back_every_cell(rows in prop::collection::vec(prop::collection::vec("[ -~\n]{1,12}", 3), 0..8)) {
            let mut table = Table::new(["x", "y, z", "\"q\""]);
            for row in &rows {
                table.push(row.iter()).unwrap();
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("t.csv");
            std::fs::write(&path, table.to_csv()).unwrap();
            prop_assert_eq!(Table::read_csv(&path).unwrap(), table);
        }
    }
}
