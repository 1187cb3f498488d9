//! Runs one macrospin from numbers on the command line; the counterpart of `benches/cmtj_compare.py`.
//!
//! `macrospin_run ALPHA B_X_T B_Y_T B_Z_T K_Z_T A_T MOMENT_A_M2 TEMPERATURE_K DT_S STEPS TRAJECTORIES RECORDS` prints a CSV of m for the first
//! trajectory at RECORDS equally spaced times. Start: (0.6, 0, 0.8); polariser -z.

use ipnet_device::macrospin::{Macrospin, Segment, ensemble};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Result<Vec<f64>, _> = std::env::args().skip(1).map(|text| text.parse()).collect();
    let Ok([alpha, bx, by, bz, kz, torque, moment, temperature, dt_s, steps, spins, records]) =
        arguments.unwrap_or_default().try_into() as Result<[f64; 12], _>
    else {
        eprintln!("expected 12 numbers: see the head of this example");
        return ExitCode::from(2);
    };
    let spin = Macrospin {
        damping: alpha,
        field_t: [bx, by, bz],
        stiffness_t: [0.0, 0.0, kz],
        damping_like_t: torque,
        field_like_t: 0.0,
        polariser: [0.0, 0.0, -1.0],
        moment_a_m2: moment,
        temperature_k: temperature,
    };
    let steps_per_record = (steps / records) as usize;
    let mut m = vec![[0.6, 0.0, 0.8]; spins as usize];
    println!("t_s,mx,my,mz");
    for record in 0..records as u64 {
        m = ensemble::run(&m, &[Segment { spin, dt_s, steps: steps_per_record }], record);
        let [x, y, z] = m[0];
        println!("{:e},{x:.15},{y:.15},{z:.15}", (record + 1) as f64 * steps_per_record as f64 * dt_s);
    }
    ExitCode::SUCCESS
}
