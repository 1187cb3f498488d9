//! The camera's side of the bill: what an event camera takes while it records one clip.
//!
//! ```text
//! energy = power x real time of the clip         [J]
//! ```
//! Published powers are of whole sensor chips, at rest and at high event rates, without the host interface. The decision: it is
//! stated beside the network's energy and not added to it, because it is the same for every network, and because the network
//! replays the clip in compressed time while the camera cannot.

use crate::Result;
use crate::table::Table;

/// A published power of an event camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedCamera {
    /// The sensor.
    pub name: &'static str,
    /// Power at rest and at its highest event rates \[W\].
    pub power_w: [f64; 2],
    /// Where.
    pub source: &'static str,
}

const SURVEY: &str = "Gallego et al. 2020, arXiv 1904.08405, Table 1";

/// The cameras behind the data sets of this project.
pub const PUBLISHED_CAMERAS: [PublishedCamera; 3] = [
    PublishedCamera { name: "DVS128 (DVS Gesture)", power_w: [23e-3, 23e-3], source: SURVEY },
    PublishedCamera { name: "ATIS (N-MNIST)", power_w: [50e-3, 175e-3], source: SURVEY },
    PublishedCamera { name: "DAVIS346 (DDD-20)", power_w: [10e-3, 170e-3], source: SURVEY },
];

/// One row per camera: its energy over a clip of `window_s`, and how many times that of a network of `network_j` it is.
///
/// # Errors
/// None that input can reach: rows have the table's columns.
pub fn camera_table(window_s: f64, network_j: f64) -> Result<Table> {
    let mut table = Table::new([
        "camera",
        "clip_s",
        "least_j",
        "most_j",
        "least_over_network",
        "most_over_network",
        "source",
    ]);
    for camera in PUBLISHED_CAMERAS {
        let [least_j, most_j] = camera.power_w.map(|power_w| power_w * window_s);
        table.push([
            camera.name.to_owned(),
            format!("{window_s:.3}"),
            format!("{least_j:.3e}"),
            format!("{most_j:.3e}"),
            format!("{:.2}", least_j / network_j),
            format!("{:.2}", most_j / network_j),
            camera.source.to_owned(),
        ])?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 23 mW over 2 s is 46 mJ, a hundred times a network of 0.46 mJ.
    #[test]
    fn a_camera_takes_power_times_time() {
        let table = camera_table(2.0, 0.46e-3).unwrap();
        assert_eq!(table.cell(0, "least_j"), Some("4.600e-2"));
        assert_eq!(table.cell(0, "most_over_network"), Some("100.00"));
    }
}
