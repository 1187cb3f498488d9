//! Placement, device sets, slots, and trained networks under conditions.

use super::Found;
use crate::Result;
use crate::figure::{BarSeries, Bars, Curve, Curves, svg};
use crate::report::{Block, Section, Source};
use crate::run::RunDir;
use crate::study::{ConditionRow, Row, accuracy_table};
use crate::table::Table;
use ipnet_zoo::{Memory, Placement};

/// Depths of the placement curve.
const DEPTHS: [Placement; 5] =
    [Placement::Sensor, Placement::Stage1, Placement::Stage2, Placement::Stage3, Placement::Head];

/// What a section is made with.
pub(super) struct Maker<'a> {
    pub run: &'a RunDir,
    pub source: &'a dyn Fn(&str) -> Source,
}

impl Maker<'_> {
    fn figure(&self, name: &str, caption: &str, svg: String, file: &str) -> Result<Block> {
        self.run.write_figure(name, &svg)?;
        Ok(Block::Figure { caption: caption.into(), svg, source: (self.source)(file) })
    }

    pub fn table(&self, name: &str, caption: &str, table: Table) -> Result<Block> {
        let file = self.run.write_table(name, &table)?;
        Ok(Block::Table { caption: caption.into(), table, source: (self.source)(&file) })
    }

    /// The sections of the studies that have rows.
    pub fn sections(&self, found: &Found<'_>) -> Result<Vec<Section>> {
        let parts =
            [self.placement(found)?, self.conditions(found)?, self.devices(found)?, self.slots(found)?];
        Ok(parts.into_iter().flatten().collect())
    }

    fn placement(&self, found: &Found<'_>) -> Result<Option<Section>> {
        let mut series = Vec::new();
        for task in found.tasks {
            let at = |placement: Placement| {
                let same = |row: &&Row| {
                    row.task == task.name()
                        && row.spec.memory == Memory::Ip
                        && row.spec.placement == placement
                };
                found.rows.iter().find(same)
            };
            let points = DEPTHS.iter().enumerate().filter_map(|(depth, &placement)| {
                let scores = at(placement)?.accuracies().iter().map(|score| 100.0 * score).collect();
                Some((depth as f64, scores))
            });
            let points: Vec<(f64, Vec<f64>)> = points.collect();
            if points.len() > 2 {
                series.push(Curve::over_seeds(task.name(), points));
            }
        }
        if series.is_empty() {
            return Ok(None);
        }
        let curves = Curves {
            title: "Where the memory stands".into(),
            x_label: "depth: 0 sensor, 1 to 3 after that stage, 4 before the readout".into(),
            y_label: "test samples (%)".into(),
            y_range: Some((0.0, 100.0)),
            markers: true,
            series,
            ..Curves::default()
        };
        let caption = "Memory-at-the-Frontier: the paper says that accuracy is highest at the sensor. One layer of IP \
                       neurons at each depth; bands are one standard deviation over seeds. A layer has one gain and bias \
                       per channel, before the readout one per feature.";
        let figure = self.figure("placement", caption, svg(&curves)?, "tables/accuracy.csv")?;
        Ok(Some(Section { heading: "Placement".into(), blocks: vec![figure] }))
    }

    fn conditions(&self, found: &Found<'_>) -> Result<Option<Section>> {
        if found.conditions.is_empty() {
            return Ok(None);
        }
        let intro = "Networks trained without any of this, tested under it: one evaluation a point, the same noise and the \
                     same orders for every network. A score that stays with the frames shuffled was not made of time.";
        let mut blocks = vec![Block::Text(intro.into())];
        for task in found.tasks {
            let rows: Vec<&ConditionRow> =
                found.conditions.iter().filter(|row| row.task == task.name()).collect();
            if rows.is_empty() {
                continue;
            }
            let name = task.name();
            let trained_with = format!("frames of a clip (trained with {})", task.input().steps);
            blocks.push(self.table(
                &format!("{name}.controls"),
                &format!("{name}: controls, % of the test part, mean over seeds."),
                controls(&rows)?,
            )?);
            for (file, condition, x_label, title) in [
                ("noise", "noise events", "noise events for each recorded event", "noise events"),
                ("frames", "frames", trained_with.as_str(), "length of the clip"),
                (
                    "spread",
                    "device spread",
                    "spread between junctions, times that of the set",
                    "device spread",
                ),
                (
                    "cycle-noise",
                    "cycle noise",
                    "noise from pulse to pulse, times that of the set",
                    "cycle noise",
                ),
            ] {
                let curves = curves(&rows, condition, &format!("{name}: {title}"), x_label);
                if curves.series.iter().any(|curve| curve.points.len() > 1) {
                    let caption = format!("{name}: {title}; bands are one standard deviation over seeds.");
                    blocks.push(self.figure(
                        &format!("{name}.{file}"),
                        &caption,
                        svg(&curves)?,
                        "tables/conditions.csv",
                    )?);
                }
            }
        }
        Ok(Some(Section { heading: "Controls, noise, length and device variation".into(), blocks }))
    }

    fn devices(&self, found: &Found<'_>) -> Result<Option<Section>> {
        let caption =
            "IP neurons at the sensor with the parameter sets of other devices, nothing fitted to the task.";
        self.by_device(found.devices, "devices", "Device sets", caption)
    }

    fn slots(&self, found: &Found<'_>) -> Result<Option<Section>> {
        let caption = "IP neurons at the sensor with slots shorter and longer than the set's: where a slot is long beside \
                       the thermal time constants, nothing is remembered; where it is short, heat piles up. Factors whose \
                       device cannot be are left out and named in the remarks.";
        self.by_device(found.slots, "slots", "Length of a slot against the thermal time constants", caption)
    }

    fn by_device(&self, rows: &[Row], name: &str, heading: &str, caption: &str) -> Result<Option<Section>> {
        let Some(first) = rows.first() else { return Ok(None) };
        let bars = Bars {
            title: format!("{heading}: {} on {}", first.label(), first.task),
            y_label: "test samples (%)".into(),
            y_range: Some((0.0, 100.0)),
            reference: None,
            groups: rows.iter().map(|row| row.device.clone()).collect(),
            series: vec![BarSeries {
                label: "accuracy".into(),
                values: rows
                    .iter()
                    .map(|row| row.accuracies().iter().map(|score| 100.0 * score).collect())
                    .collect(),
            }],
        };
        let accuracy = accuracy_table(rows)?;
        let mut table =
            Table::new(std::iter::once("device".to_owned()).chain(accuracy.columns().iter().cloned()));
        for (row, cells) in rows.iter().zip(accuracy.rows()) {
            table.push(std::iter::once(row.device.clone()).chain(cells.iter().cloned()))?;
        }
        let file = self.run.write_table(name, &table)?;
        let figure = self.figure(name, caption, svg(&bars)?, &file)?;
        Ok(Some(Section { heading: heading.into(), blocks: vec![figure] }))
    }
}

/// Each item once, in order of appearance.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut known, item| {
        if !known.contains(&item) {
            known.push(item);
        }
        known
    })
}

/// One row per network, one column per condition without a level.
fn controls(rows: &[&ConditionRow]) -> Result<Table> {
    let plain = || rows.iter().filter(|row| row.condition.level().is_none());
    let names = distinct(plain().map(|row| row.condition.name()));
    let networks = distinct(plain().map(|row| row.label()));
    let head = std::iter::once("network").chain(names.iter().copied());
    let mut table = Table::new(head);
    for network in &networks {
        let cell = |name: &&str| {
            let found = rows.iter().find(|row| row.label() == *network && row.condition.name() == *name);
            found.map_or(String::new(), |row| row.percent())
        };
        table.push(std::iter::once(network.clone()).chain(names.iter().map(cell)))?;
    }
    Ok(table)
}

/// One curve per network over the levels of a condition.
fn curves(rows: &[&ConditionRow], condition: &str, title: &str, x_label: &str) -> Curves {
    let networks =
        distinct(rows.iter().filter(|row| row.condition.name() == condition).map(|row| row.label()));
    let curve = |network: &String| {
        let of_network = rows.iter().filter(|row| row.label() == *network);
        // A network as it was trained is the point without noise.
        let points = of_network.filter_map(|row| {
            let clean = condition == "noise events" && row.condition.name() == "as trained";
            let level = if clean { Some(0.0) } else { row.condition.level() };
            (clean || row.condition.name() == condition)
                .then(|| Some((level?, row.scores.iter().map(|score| 100.0 * score).collect())))?
        });
        Curve::over_seeds(network.clone(), points)
    };
    // Explained variance may be negative.
    let y_range = rows.iter().all(|row| row.scores.iter().all(|score| *score >= 0.0)).then_some((0.0, 100.0));
    Curves {
        title: title.into(),
        x_label: x_label.into(),
        y_label: "score on the test part (%)".into(),
        y_range,
        markers: true,
        series: networks.iter().map(curve).collect(),
        ..Curves::default()
    }
}
