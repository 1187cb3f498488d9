//! What a run will do and how long that takes, said before it starts.

use crate::study::Job;
use crate::{Backend, Result};
use ipnet_zoo::{NetSpec, Network, TemporalNet};
use std::collections::BTreeMap;

/// Multiply-accumulates a thread gets through in a second of training: measured over IP at the sensor on digits in time
/// on one core of an AMD EPYC of 2021 without AVX-512. The bars say what it turns out to be.
const MACS_PER_S: f64 = 1.7e10;

/// Passes that one pass of training is worth: forward, and backward to the weights and to the input.
const PASSES: f64 = 3.0;

/// The networks by task and, on the CPU, an estimate of the time.
pub(super) fn words(jobs: &[Job<'_>], threads: usize, backend: Backend) -> Result<String> {
    let mut tasks: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    // What a network computes hangs on its task and shape, not on its seed or device.
    let mut counted: Vec<((&str, NetSpec), f64)> = Vec::new();
    for job in jobs {
        let network = (job.task.name(), job.spec);
        let macs = match counted.iter().find(|(known, _)| *known == network) {
            Some((_, macs)) => *macs,
            None => {
                let law = Some(&job.device.law);
                let net = Network::new(&job.spec, job.task.input(), job.task.outputs(), law, job.seed)?
                    .read(job.task.readout());
                let macs = net.op_counts()?.total(|layer| layer.macs + layer.accumulates) as f64;
                counted.push((network, macs));
                macs
            }
        };
        let splits = job.task.splits();
        let clips = PASSES * splits.train.len() as f64 + splits.validation.len() as f64;
        let entry = tasks.entry(format!("{} ({})", job.task.name(), job.task.data())).or_default();
        entry.0 += 1;
        entry.1 += macs * clips * job.config.epochs as f64 / MACS_PER_S;
    }
    let total_s: f64 = tasks.values().map(|(_, seconds)| seconds).sum();
    let parts: Vec<String> =
        tasks.iter().map(|(task, (networks, _))| format!("{networks} on {task}")).collect();
    let side_by_side = threads.clamp(1, jobs.len().max(1));
    let threads = if side_by_side == 1 { "thread" } else { "threads" };
    let time = match backend {
        Backend::Cpu => {
            let minutes = (total_s / side_by_side as f64 / 60.0).ceil();
            format!("about {minutes:.0} minutes on {side_by_side} {threads}")
        }
        Backend::Cuda => format!("on the GPU, from {side_by_side} {threads}"),
    };
    Ok(format!("{} networks to train, {}; {time}, less what is done already", jobs.len(), parts.join(", ")))
}
