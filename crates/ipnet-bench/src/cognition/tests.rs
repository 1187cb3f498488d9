//! What the tasks must do whatever the protocol: no result depends on threads, and the memory is the heat.

use super::array::Forgetting;
use super::human::Study;
use super::protocol::Protocol;
use super::study::Cohort;
use super::{CognitionConfig, Task, marks, run, run_at};
use ipnet_device::{DeviceSet, StepLaw};

fn law() -> StepLaw {
    DeviceSet::load("default").unwrap().reduce().unwrap().law
}

fn cohort<'a>(law: &'a StepLaw, protocol: &'a Protocol) -> Cohort<'a> {
    Cohort { law, protocol, forgetting: Forgetting::Heat, rehearse: true, subjects: 12, trials: 4, seed: 3 }
}

#[test]
fn curves_are_the_same_on_one_thread_and_on_four() {
    let (law, protocol) = (law(), Protocol::fitted());
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Study::ALL.map(|study| cohort(&law, &protocol).curves(study, 0.64)))
    };
    assert_eq!(on(1), on(4));
}

/// A device whose heat is gone by the next slot: recall falls to what strangers get, and the marks that stand on memory
/// turn false.
#[test]
fn without_heat_there_is_no_memory_and_the_marks_say_so() {
    let mut cold = law();
    for pole in &mut cold.poles {
        pole.decay = 0.0;
    }
    let (warm, protocol) = (law(), Protocol::fitted());
    let judged = |law: &StepLaw| {
        let cohort = Cohort { subjects: 24, ..cohort(law, &protocol) };
        let result = run_at(&cohort, Study::DelayedYoung, 0.64);
        let curve = &result.model.curve;
        (curve.iter().map(|m| m.mean).sum::<f64>() / curve.len() as f64, marks::of_result(&result))
    };
    let ((with, passed), (without, failed)) = (judged(&warm), judged(&cold));
    assert!(with > 0.5 && without < 0.1, "{with} {without}");
    assert!(passed.iter().any(|m| m.name.starts_with("forgetting is monotone") && m.passed), "{passed:?}");
    assert!(failed.iter().any(|m| m.name.starts_with("forgetting is monotone") && !m.passed), "{failed:?}");
}

#[test]
fn a_small_run_has_its_tables_figures_and_marks() {
    let mut config = CognitionConfig::new(DeviceSet::load("default").unwrap());
    (config.subjects, config.trials) = (3, 1);
    (config.sensitivity_subjects, config.lstm_updates) = (0, 5);
    let report = run(&config).unwrap();
    assert_eq!(report.studies.len(), 6);
    assert!(report.marks.len() >= 20, "{}", report.marks.len());
    assert_eq!(report.summary.iter().map(|t| t.marks.len()).sum::<usize>(), report.marks.len());
    assert!(report.figures.len() == 2 && report.figures.iter().all(|(_, svg)| svg.starts_with("<svg")));
    assert_eq!(super::claims(&report, "c").len(), 4);
    // A text, two figures, and every table but that of the curves.
    assert_eq!(super::section(&report, "c").blocks.len(), 3 + report.tables.len() - 1);
    config.tasks = vec![Task::Interference];
    let report = run(&config).unwrap();
    assert!(report.studies.is_empty() && report.interference.len() == 8);
}
