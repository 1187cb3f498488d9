//! The HTML of a report.

use super::{Block, Claim, Report, Section, Source};
use crate::table::{Table, is_number};

const STYLE: &str = include_str!("report.css");

pub(super) fn page(report: &Report) -> String {
    let title = escape(&report.title);
    let mut out = String::with_capacity(1 << 16);
    out += "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    out += &format!(
        "<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for paragraph in &report.summary {
        out += &format!("<p class=\"summary\">{}</p>\n", escape(paragraph));
    }
    if !report.claims.is_empty() {
        claims(&mut out, &report.claims);
    }
    if report.sections.len() > 2 {
        out += "<nav><ul>\n";
        for (index, section) in report.sections.iter().enumerate() {
            out += &format!("<li><a href=\"#s{index}\">{}</a></li>\n", escape(&section.heading));
        }
        out += "</ul></nav>\n";
    }
    for (index, part) in report.sections.iter().enumerate() {
        section(&mut out, index, part);
    }
    if !report.provenance.is_empty() {
        out += "<section>\n<h2>This run</h2>\n<dl>\n";
        for (name, value) in &report.provenance {
            out += &format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value));
        }
        out += "</dl>\n</section>\n";
    }
    out += "</main>\n</body>\n</html>\n";
    out
}

fn claims(out: &mut String, claims: &[Claim]) {
    *out += "<section class=\"claims\">\n<h2>Claims</h2>\n<div class=\"wide\">\n<table>\n<thead><tr>";
    for heading in ["Claim", "Paper", "Here", "Verdict", "Measured on", "Source"] {
        *out += &format!("<th scope=\"col\">{heading}</th>");
    }
    *out += "</tr></thead>\n<tbody>\n";
    for claim in claims {
        let words = claim.verdict.words();
        *out += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"verdict {}\">{words}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&claim.claim),
            escape(&claim.paper),
            escape(&claim.here),
            words.replace(' ', "-"),
            escape(&claim.data),
            origin(&claim.source),
        );
    }
    *out += "</tbody>\n</table>\n</div>\n</section>\n";
}

fn section(out: &mut String, index: usize, section: &Section) {
    *out += &format!("<section id=\"s{index}\">\n<h2>{}</h2>\n", escape(&section.heading));
    for block in &section.blocks {
        match block {
            Block::Text(text) => *out += &format!("<p>{}</p>\n", escape(text)),
            Block::Table { caption, table, source } => {
                // Beside the table and not in it: a caption is as wide as its table, and a wide table scrolls.
                *out += &format!("<p class=\"caption\">{}</p>\n", escape(caption));
                *out += "<div class=\"wide\">\n<table>\n";
                rows(out, table);
                *out += &format!("</table>\n</div>\n<p class=\"source\">{}</p>\n", origin(source));
            }
            Block::Figure { caption, svg, source } => {
                let label = escape(caption);
                *out += &format!(
                    "<figure>\n<div role=\"img\" aria-label=\"{label}\">\n{}</div>\n",
                    responsive(svg)
                );
                *out += &format!(
                    "<figcaption>{label} <span class=\"source\">{}</span></figcaption>\n</figure>\n",
                    origin(source)
                );
            }
        }
    }
    *out += "</section>\n";
}

fn rows(out: &mut String, table: &Table) {
    *out += "<thead><tr>";
    let numeric =
        |column: usize| !table.rows().is_empty() && table.rows().iter().all(|row| is_number(&row[column]));
    let class = |column: usize| if numeric(column) { " class=\"number\"" } else { "" };
    for (index, name) in table.columns().iter().enumerate() {
        *out += &format!("<th scope=\"col\"{}>{}</th>", class(index), escape(&name.replace('_', " ")));
    }
    *out += "</tr></thead>\n<tbody>\n";
    for row in table.rows() {
        *out += "<tr>";
        for (index, cell) in row.iter().enumerate() {
            *out += &format!("<td{}>{}</td>", class(index), escape(cell));
        }
        *out += "</tr>\n";
    }
    *out += "</tbody>\n";
}

fn origin(source: &Source) -> String {
    let part = |text: &str| format!("<code>{}</code>", escape(text));
    match (source.file.is_empty(), source.command.is_empty()) {
        (true, true) => String::new(),
        (false, true) => part(&source.file),
        (true, false) => part(&source.command),
        (false, false) => format!("{} from {}", part(&source.file), part(&source.command)),
    }
}

/// An SVG that shrinks with a narrow window instead of being cut.
fn responsive(svg: &str) -> String {
    let start = svg.find("<svg").unwrap_or(0);
    svg[start..].replacen("<svg ", "<svg class=\"figure\" ", 1)
}

/// The five characters that mean something to HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}
