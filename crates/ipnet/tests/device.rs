//! `ipnet device` from the outside: exit codes, output, files.

use std::process::Command;

fn ipnet(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ipnet")).arg("device").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn list_and_show_print_every_preset() {
    let (code, names, _) = ipnet(&["list", "--json"]);
    assert_eq!(code, Some(0));
    let names: serde_json::Value = serde_json::from_str(&names).unwrap();
    assert!(names.as_array().unwrap().len() >= 5);
    let (code, text, _) = ipnet(&["show", "default"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("assumed: ") && text.contains("source: ") && text.contains("error of the reduction")
    );
    let (_, json, _) = ipnet(&["show", "sot-40nm", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["reduction_error"]["p_max"].as_f64().unwrap() < 0.02);
}

#[test]
fn a_set_with_a_mistake_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    std::fs::write(&path, "extends = \"default\"\n[magnet]\ncurie_k = { value = 280, source = \"x\" }\n")
        .unwrap();
    let (code, out, message) = ipnet(&["show", path.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(message.contains("bad.toml:3") && message.contains("above the ambient"), "{message}");
    let (code, _, message) = ipnet(&["show", "nothing-like-it"]);
    assert!(code == Some(2) && message.contains("superparamagnetic-50nm"), "{message}");
}

#[test]
fn plot_writes_six_figures_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (code, files, message) = ipnet(&["plot", "default", "-o", dir.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{message}");
    assert_eq!(files.lines().count(), 12);
    for file in files.lines() {
        let bytes = std::fs::read(file).unwrap();
        let start: &[u8] = if file.ends_with(".svg") { b"<svg" } else { b"\x89PNG\r\n" };
        assert!(bytes.starts_with(start) && bytes.len() > 2000, "{file}");
    }
}

/// A measured table has a source, which is cited, and replaces the formula, whose curves are not drawn.
#[test]
fn a_measured_table_is_cited_and_the_formula_is_not_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("mine.toml");
    let text = "extends = \"default\"\n[table]\nu_range_v = [0.0, 1.0]\nrise_range_k = [0.0, 100.0]\n\
                p = [[0.0, 0.5], [0.2, 1.0]]\nsource = \"our bench 7\"\n";
    std::fs::write(&set, text).unwrap();
    let set = set.to_str().unwrap();
    let (code, files, message) = ipnet(&["plot", set, "-o", dir.path().to_str().unwrap()]);
    assert!(code == Some(0) && message.contains("left out"), "{message}");
    assert!(files.contains("heating") && !files.contains("p-voltage") && !files.contains("r-v"), "{files}");
    let (_, shown, _) = ipnet(&["show", set]);
    assert!(shown.contains("source: our bench 7"), "{shown}");
    let (_, json, _) = ipnet(&["show", set, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["table_source"], "our bench 7");
    let cite = Command::new(env!("CARGO_BIN_EXE_ipnet")).args(["cite", "--device", set]).output().unwrap();
    let cited = String::from_utf8(cite.stdout).unwrap();
    assert!(cited.contains("device mine: our bench 7\n"), "{cited}");
}

/// Each file names its parameter, loads, and is another device than the base; a factor that is none is refused.
#[test]
fn vary_writes_sets_that_load() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let (code, files, message) = ipnet(&["vary", "default", "--factor", "1.25", "-o", out]);
    assert_eq!(code, Some(0), "{message}");
    let heat = files.lines().find(|file| file.ends_with("thermal.pole_1.r_k_per_w-x1.25.toml")).unwrap();
    let (code, shown, _) = ipnet(&["show", heat]);
    assert!(code == Some(0) && shown.contains("thermal.pole_1.r_k_per_w x 1.25"), "{shown}");
    let (code, _, message) = ipnet(&["vary", "default", "--factor", "0", "-o", out]);
    assert!(code == Some(2) && message.contains("above 0"), "{message}");
}

/// R(V) of a junction with RA 12 Ohm um^2 gives the RA back; what else was free is said to be held, and the new set loads.
#[test]
fn fit_writes_a_set_that_loads() {
    let dir = tempfile::tempdir().unwrap();
    let (csv, toml) = (dir.path().join("m.csv"), dir.path().join("mine.toml"));
    let ohm = 12e-12 / (std::f64::consts::FRAC_PI_4 * 50e-9 * 50e-9);
    let mut rows =
        String::from("kind,v_v,width_s,bath_k,heat_v,interval_s,trials,switched,state,ohm,sigma_ohm\n");
    for i in 1..6 {
        rows += &format!("resistance,0.{i},,,,,,,p,{ohm},{}\n", ohm / 100.0);
    }
    std::fs::write(&csv, rows).unwrap();
    let (code, table, message) = ipnet(&["fit", csv.to_str().unwrap(), "-o", toml.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{message}");
    assert!(table.contains("not determined") && table.contains("switching.attempt_s"), "{table}");
    let (code, json, message) = ipnet(&["show", toml.to_str().unwrap(), "--json"]);
    assert_eq!(code, Some(0), "{message}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ra = json["parameters"]["junction.ra_ohm_m2"]["value"].as_f64().unwrap();
    assert!((ra / 12e-12 - 1.0).abs() < 1e-3, "{ra}");
    // What determines nothing writes nothing.
    let (nothing, other) = (dir.path().join("n.csv"), dir.path().join("other.toml"));
    std::fs::write(
        &nothing,
        "kind,v_v,width_s,bath_k,heat_v,interval_s,trials,switched,state,ohm,sigma_ohm\n\
                              resistance,0.1,,,,,,,p,6000,60\n",
    )
    .unwrap();
    let (nothing, free) = (nothing.to_str().unwrap(), "thermal.pole_1.c_j_per_k");
    let (code, _, message) = ipnet(&["fit", nothing, "--free", free, "-o", other.to_str().unwrap()]);
    assert!(code == Some(2) && message.contains("determine none") && !other.exists(), "{message}");
    // Nor is a set written that no command would load; keys may have spaces around them.
    let (csv_name, preset) = (csv.to_str().unwrap(), dir.path().join("default.toml"));
    let free = "junction.ra_ohm_m2, switching.attempt_s";
    let (code, _, message) = ipnet(&["fit", csv_name, "--free", free, "-o", preset.to_str().unwrap()]);
    assert!(code == Some(2) && message.contains("default is a preset") && !preset.exists(), "{message}");
    let (code, _, message) = ipnet(&["fit", csv_name, "--free", free, "-o", other.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{message}");
    // Neither the measurements nor the fitted set are written over.
    let before = std::fs::read(&csv).unwrap();
    let (code, _, message) = ipnet(&["fit", csv.to_str().unwrap(), "-o", csv.to_str().unwrap()]);
    assert!(code == Some(2) && message.contains("another file to write"), "{message}");
    assert_eq!(std::fs::read(&csv).unwrap(), before);
    let set = toml.to_str().unwrap();
    let (code, _, message) = ipnet(&["fit", csv_name, "--base", set, "-o", set]);
    assert!(code == Some(2) && message.contains("the set that is fitted"), "{message}");
    std::fs::write(&csv, "kind,v_v\nswitch,x\n").unwrap();
    let (code, _, message) = ipnet(&["fit", csv.to_str().unwrap(), "-o", toml.to_str().unwrap()]);
    assert!(code == Some(2) && message.contains("m.csv"), "{message}");
}
