//! Every row of the README's table of results is computed from a committed file; a number edited by hand, or results
//! renewed without the README, fail here.

use ipnet_bench::table::Table;
use std::path::Path;

/// A row of the README for row `index` of `accuracy.csv`.
fn markdown(table: &Table, index: usize) -> String {
    let cell = |name: &str| table.cell(index, name).unwrap_or_else(|| panic!("no column {name}"));
    let percent = |name: &str| match cell(name) {
        "" => "-".to_owned(),
        share => format!("{:.1}", 100.0 * share.parse::<f64>().unwrap()),
    };
    let network = match cell("memory") {
        "none" => "no memory".to_owned(),
        memory => format!("{memory} at {}", cell("placement")),
    };
    format!(
        "| {} ({}) | {network} | {} | {} | {} ± {} | {} |",
        cell("task"),
        cell("data"),
        cell("parameters"),
        cell("state_values"),
        percent("accuracy_mean"),
        percent("accuracy_sd"),
        percent("direction_mean"),
    )
}

#[test]
fn the_readme_shows_the_committed_results() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = Table::read_csv(&root.join("results/2026-11-22-quick/tables/accuracy.csv")).unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    assert!(!table.rows().is_empty());
    for index in 0..table.rows().len() {
        let row = markdown(&table, index);
        assert!(readme.contains(&row), "the README lacks the row\n{row}");
    }
}
