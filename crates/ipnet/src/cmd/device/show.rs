//! `ipnet device show`: a set, its law and how far the law is from the device.

use ipnet_device::set::registry::PARAMETERS;
use ipnet_device::{Behaviour, DeviceSet, Reduction, Switching, reduction_over_widths};
use serde_json::{Value, json};

/// Widths of the write pulse, over the nominal one, at which the error of the reduction is reported.
const WIDTH_RATIOS: [f64; 7] = [0.02, 0.1, 0.3, 0.6, 1.0, 1.5, 1.8];

/// Prints `set`.
pub fn print(set: &DeviceSet, as_json: bool) -> anyhow::Result<()> {
    let reduction = set.reduce()?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&to_json(set, &reduction))?);
        return Ok(());
    }
    println!("{}: {}", set.name, set.description);
    if !set.extends.is_empty() {
        println!("extends {}", set.extends.join(", "));
    }
    println!("hash {}\n", set.hash());
    for spec in PARAMETERS {
        let Some(p) = set.parameters.get(spec.key) else { continue };
        let mut spread = String::new();
        if p.sigma_d2d > 0.0 {
            spread += &format!("  +-{:.1} % between devices", 100.0 * p.sigma_d2d);
        }
        if p.sigma_c2c > 0.0 {
            spread += &format!("  +-{:.1} % between pulses", 100.0 * p.sigma_c2c);
        }
        println!("{:<34} = {:e}{spread}\n    {}", spec.key, p.value, spec.meaning);
        match (&p.assumed_because, &p.source) {
            (Some(reason), _) => println!("    assumed: {reason}"),
            (None, Some(source)) => println!("    source: {source}"),
            (None, None) => {}
        }
    }
    print_law(set, &reduction);
    Ok(())
}

fn print_law(set: &DeviceSet, reduction: &Reduction) {
    let Reduction { law, error } = reduction;
    println!("\nstep law of one slot of {:e} s (one network step)", law.dt_s);
    for (i, pole) in law.poles.iter().enumerate() {
        println!(
            "  pole {}: decay {:.4}, heat {:.3} K/V^2, reset {:.3} K",
            i + 1,
            pole.decay,
            pole.heat_k_per_v2,
            pole.reset_k
        );
    }
    println!("  own heat of a pulse {:.3} K/V^2", law.self_heat_k_per_v2);
    match &law.switching {
        Switching::Arrhenius(formula) => {
            let [d0, d1, d2] = formula.barrier;
            let [c0, c1, _] = formula.v_critical;
            println!("  ln(t_p / tau_0) = {:.4}, b = {}", formula.log_attempts, formula.exponent);
            println!("  Delta = ({d0:.4} {d1:+.4e} rise {d2:+.3e} rise^2) / (1 + rise / {} K)", law.t_amb_k);
            println!("  V_c = {c0:.4} V {c1:+.3e} V/K rise");
        }
        Switching::Table(table) => println!(
            "  p from a measured table of {} x {} points",
            table.p.len() / table.columns,
            table.columns
        ),
    }
    if let Some((_, source)) = &set.table {
        println!("    source: {source}");
    }
    let s = &law.spread;
    println!(
        "  spread: barrier {:.1} %, V_c {:.1} %, heat {:.1} % between devices; V_c {:.1} % between pulses",
        100.0 * s.barrier_d2d,
        100.0 * s.v_critical_d2d,
        100.0 * s.heat_d2d,
        100.0 * s.v_critical_c2c
    );
    println!(
        "\nerror of the reduction against the integrated physics, 0 to {} V, 0 to {:.1} K",
        law.v_max_v, error.max_rise_k
    );
    println!("  p: largest {:.1e}, rms {:.1e}", error.p_max, error.p_rms);
    println!("  heat of the next slot: largest {:.1e} of the highest rise", error.rise_max_ratio);
    println!("  Delta(T): largest {:.1e} (relative)", error.barrier_max_ratio);
    println!("  back-switching before the read, not in the law: up to {:.1e}", error.back_switching_max);
    if matches!(law.switching, Switching::Table(_)) {
        println!(
            "\na measured table says nothing of other pulse widths and of other physics: neither is shown"
        );
        return;
    }
    println!("\nreduced for other pulse widths (same slot)");
    println!("{:>12}{:>14}{:>12}{:>12}", "t_p [s]", "max rise [K]", "p largest", "p rms");
    for (width_s, e) in reduction_over_widths(&set.device(), &WIDTH_RATIOS) {
        println!("{width_s:>12.2e}{:>14.1}{:>12.1e}{:>12.1e}", e.max_rise_k, e.p_max, e.p_rms);
    }
    print_sensitivity(set);
}

fn print_sensitivity(set: &DeviceSet) {
    let Ok((nominal, moved)) = set.sensitivity() else { return };
    let row = |name: &str, b: &Behaviour| {
        println!("{name:<34}{:>10.4}{:>10.4}{:>10.1}{:>10.2}", b.p_cold, b.p_warm, b.rise_k, b.memory_slots);
    };
    println!(
        "\nassumed parameters, each 10 % larger: p cold, p warm, rise [K] after pulses of 0.7 v_max, memory [slots]"
    );
    row("as it is", &nominal);
    for s in &moved {
        match &s.behaviour {
            Some(b) => row(s.key, b),
            None => println!("{:<34}  has no step law", s.key),
        }
    }
}

fn to_json(set: &DeviceSet, reduction: &Reduction) -> Value {
    let parameters: serde_json::Map<String, Value> = set
        .parameters
        .iter()
        .map(|(key, p)| {
            let value = json!({
                "value": p.value,
                "source": p.source,
                "assumed_because": p.assumed_because,
                "sigma_d2d": p.sigma_d2d,
                "sigma_c2c": p.sigma_c2c,
            });
            ((*key).to_owned(), value)
        })
        .collect();
    let Reduction { law, error } = reduction;
    let poles: Vec<_> = law
        .poles
        .iter()
        .map(|p| json!({ "decay": p.decay, "heat_k_per_v2": p.heat_k_per_v2, "reset_k": p.reset_k }))
        .collect();
    let switching = match &law.switching {
        Switching::Arrhenius(f) => json!({
            "log_attempts": f.log_attempts, "barrier": f.barrier, "v_critical": f.v_critical, "exponent": f.exponent,
        }),
        Switching::Table(t) => {
            json!({ "u_range_v": t.u_range_v, "rise_range_k": t.rise_range_k, "columns": t.columns, "p": t.p })
        }
    };
    json!({
        "name": set.name,
        "description": set.description,
        "extends": set.extends,
        "hash": set.hash(),
        "parameters": parameters,
        "table_source": set.table.as_ref().map(|(_, source)| source),
        "step_law": {
            "dt_s": law.dt_s, "t_amb_k": law.t_amb_k, "v_max_v": law.v_max_v, "poles": poles,
            "self_heat_k_per_v2": law.self_heat_k_per_v2, "switching": switching,
            "spread": {
                "barrier_d2d": law.spread.barrier_d2d, "v_critical_d2d": law.spread.v_critical_d2d,
                "heat_d2d": law.spread.heat_d2d, "v_critical_c2c": law.spread.v_critical_c2c,
            },
        },
        "reduction_error": {
            "max_rise_k": error.max_rise_k, "p_max": error.p_max, "p_rms": error.p_rms,
            "rise_max_ratio": error.rise_max_ratio, "barrier_max_ratio": error.barrier_max_ratio,
            "back_switching_max": error.back_switching_max,
        },
    })
}
