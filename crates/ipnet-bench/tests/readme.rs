//! Every row of the README's tables of results is computed from committed files; a number edited by hand, or results renewed
//! without the README, fail here.

use ipnet_bench::table::Table;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table(run: &str, name: &str) -> Table {
    let table = Table::read_csv(&root().join(format!("results/{run}/tables/{name}.csv"))).unwrap();
    assert!(!table.rows().is_empty());
    table
}

fn assert_in_readme(rows: impl IntoIterator<Item = String>) {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for row in rows {
        assert!(readme.lines().any(|line| line == row), "the README lacks the row\n{row}");
    }
}

fn cell<'a>(table: &'a Table, row: usize, column: &str) -> &'a str {
    table.cell(row, column).unwrap_or_else(|| panic!("no column {column}"))
}

/// A share in percent; `-` where there is none.
fn percent(share: &str) -> String {
    match share {
        "" => "-".to_owned(),
        share => format!("{:.1}", 100.0 * share.parse::<f64>().unwrap()),
    }
}

fn network(table: &Table, row: usize) -> String {
    match cell(table, row, "memory") {
        "none" => "no memory".to_owned(),
        memory => format!("{memory} at {}", cell(table, row, "placement")),
    }
}

#[test]
fn the_readme_shows_the_committed_quick_run() {
    let table = table("2026-11-30-quick", "accuracy");
    assert_in_readme((0..table.rows().len()).map(|row| {
        let of = |column| cell(&table, row, column);
        format!(
            "| {} ({}) | {} | {} | {} | {} ± {} | {} |",
            of("task"),
            of("data"),
            network(&table, row),
            of("parameters"),
            of("state_values"),
            percent(of("accuracy_mean")),
            percent(of("accuracy_sd")),
            percent(of("direction_mean")),
        )
    }));
}

/// Tasks of the standard run in the order of the README's columns.
const TASKS: [&str; 5] =
    ["gestures-11", "gestures-22-flip", "gestures-22-merge", "gesture-chains", "digits-in-time-20"];

/// One row per network, one column per task; parameters and state are those of the first task that has the network.
#[test]
fn the_readme_shows_the_committed_standard_run() {
    let table = table("2026-11-22-standard", "accuracy");
    let rows = 0..table.rows().len();
    let tasks: BTreeSet<&str> = rows.clone().map(|row| cell(&table, row, "task")).collect();
    assert_eq!(tasks, TASKS.into_iter().collect(), "the tasks of the run");
    let networks: BTreeSet<String> = rows.clone().map(|row| network(&table, row)).collect();
    assert_in_readme(networks.iter().map(|name| {
        let on = |task: &str| {
            rows.clone().find(|&row| cell(&table, row, "task") == task && network(&table, row) == *name)
        };
        let first = TASKS.iter().find_map(|task| on(task)).unwrap();
        let of = |column| cell(&table, first, column);
        let scores = TASKS.map(|task| {
            on(task).map_or("-".to_owned(), |row| {
                let score = |column| percent(cell(&table, row, column));
                format!("{} ± {}", score("accuracy_mean"), score("accuracy_sd"))
            })
        });
        format!("| {name} | {} | {} | {} |", of("parameters"), of("state_values"), scores.join(" | "))
    }));

    let steering = self::table("2026-11-22-standard", "measures");
    assert_in_readme((0..steering.rows().len()).map(|row| {
        let of = |column| cell(&steering, row, column);
        let value = |name: &str, digits: usize| {
            let of = |what: &str| -> f64 { cell(&steering, row, &format!("{name}_{what}")).parse().unwrap() };
            format!("{:.digits$} ± {:.digits$}", of("mean"), of("sd"))
        };
        let backbone =
            if of("backbone") == "plain" { String::new() } else { format!("{}, ", of("backbone")) };
        format!(
            "| {backbone}{} | {} | {} | {} | {} | {} |",
            network(&steering, row),
            of("parameters"),
            value("explained_variance", 3),
            value("day_explained_variance", 3),
            value("night_explained_variance", 3),
            value("rmse_deg", 2),
        )
    }));
}
