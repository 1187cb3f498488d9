//! The report: one HTML file that opens anywhere, reads in five minutes and prints.
//!
//! The decision: the file needs nothing beside it (no script, no font, no request; style and figures are
//! inside), and its shape forces honesty: every table and figure carries its [`Source`], the file its
//! numbers lie in and the command that makes them again, and a claim without a verdict cannot be written.
//! All text is escaped here, once; figures come from [`crate::figure`], which escapes its own.

mod html;

use crate::table::Table;

/// A whole report.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Title.
    pub title: String,
    /// The summary: one paragraph each.
    pub summary: Vec<String>,
    /// What the paper claims and what was found here.
    pub claims: Vec<Claim>,
    /// The sections, in order.
    pub sections: Vec<Section>,
    /// The run: name and value (revision, command, device set, data, host, ...), at the end.
    pub provenance: Vec<(String, String)>,
}

/// One line of the table "claim - paper - here - verdict".
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is claimed.
    pub claim: String,
    /// The paper's value.
    pub paper: String,
    /// The value measured here, with its spread over seeds.
    pub here: String,
    /// What it was measured on.
    pub data: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Where the value lies and how to measure it again.
    pub source: Source,
}

/// What a measurement says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Found here too.
    Holds,
    /// Found in part, or only under a stated condition.
    Partly,
    /// The difference lies within what chance makes of it: nothing is said either way.
    Undecided,
    /// The measurement says otherwise.
    DoesNotHold,
    /// Not measured in this run.
    NotTested,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Partly => "partly",
            Self::Undecided => "undecided",
            Self::DoesNotHold => "does not hold",
            Self::NotTested => "not tested here",
        }
    }
}

/// Where numbers lie and the command that makes them again.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file, relative to the run folder: `tables/accuracy.csv`.
    pub file: String,
    /// The command line.
    pub command: String,
}

/// A section of the report.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Heading.
    pub heading: String,
    /// Text, tables and figures in order.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Clone, Debug)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A table.
    Table {
        /// Caption, above.
        caption: String,
        /// The rows.
        table: Table,
        /// Where the numbers lie.
        source: Source,
    },
    /// A figure.
    Figure {
        /// Caption, below; also what a screen reader says.
        caption: String,
        /// The SVG from [`crate::figure::svg`].
        svg: String,
        /// Where the numbers lie.
        source: Source,
    },
}

impl Report {
    /// The report as one self-contained HTML document.
    pub fn to_html(&self) -> String {
        html::page(self)
    }
}

#[cfg(test)]
mod tests;
