//! Real gestures told by the networks that were trained on synthetic ones.

use crate::Result;
use crate::run::RunDir;
use crate::study::{Job, RealGestures, label, sim_to_real};
use crate::table::Table;
use crate::task::{DataFolder, SYNTHETIC, TaskName};

/// What networks tell of real clips.
pub(super) struct RealClips {
    /// One row per network, seed and clip.
    pub told: Table,
    /// One row per network and seed: how many are right.
    pub right: Table,
}

/// The real gesture clips in `data`, told by each of the finished `jobs` that were trained on synthetic gestures; none without
/// either.
pub(super) fn told(run: &RunDir, jobs: &[Job<'_>], data: Option<&DataFolder>) -> Result<Option<RealClips>> {
    let Some(folder) = data.and_then(|data| data.dvs_gesture.as_deref()) else { return Ok(None) };
    let synthetic =
        |job: &&Job<'_>| job.task.name() == TaskName::Gestures11.name() && job.task.data() == SYNTHETIC;
    let jobs: Vec<&Job<'_>> = jobs.iter().filter(synthetic).collect();
    if jobs.is_empty() {
        return Ok(None);
    }
    let real = RealGestures::open(folder)?;
    let mut found: Option<RealClips> = None;
    for job in jobs {
        let clips = sim_to_real(&run.checkpoint_path(&job.id())?, &real)?;
        let right = (0..clips.rows().len()).filter(|&row| clips.cell(row, "right") == Some("1")).count();
        let all = found.get_or_insert_with(|| RealClips {
            told: Table::new(clips.columns().to_vec()),
            right: Table::new(["network", "seed", "clips", "right"]),
        });
        for row in clips.rows() {
            all.told.push(row.clone())?;
        }
        let clips = clips.rows().len();
        all.right.push([label(&job.spec), job.seed.to_string(), clips.to_string(), right.to_string()])?;
    }
    Ok(found)
}
