//! The CUDA source compiles for every law, to correctly rounded instructions alone, where the run-time compiler can be loaded; no
//! GPU is needed.

use ipnet_kernel::cuda::{LifVariant, compile, compile_lif, every_variant};

#[cfg(not(feature = "candle-cuda"))]
fn nvrtc_is_present() -> bool {
    // SAFETY: this only tries to load a library by its name.
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

/// Candle links it.
#[cfg(feature = "candle-cuda")]
fn nvrtc_is_present() -> bool {
    true
}

/// The kernels are there, and no instruction is an approximation or takes a small number for zero.
fn check(ptx: &str, what: &str, kernels: [&str; 3]) {
    for name in kernels {
        assert!(ptx.contains(&format!(".entry {name}")), "{what}: no {name}");
    }
    for word in [".approx", ".full.", ".ftz"] {
        assert!(!ptx.contains(word), "{what}: an instruction with {word}");
    }
}

#[test]
fn every_variant_compiles_to_ptx() {
    if !nvrtc_is_present() {
        println!("skipped: no libnvrtc on LD_LIBRARY_PATH");
        return;
    }
    for [adaptive, vectors] in [[false, false], [false, true], [true, false], [true, true]] {
        let variant = LifVariant { adaptive, vectors };
        let ptx = compile_lif(variant, "compute_80").unwrap_or_else(|error| panic!("{variant:?}: {error}"));
        check(&ptx.to_src(), &format!("{variant:?}"), ["lif_forward", "lif_backward", "sum_channels"]);
    }
    let variants = every_variant();
    assert_eq!(variants.len(), 3 * 5 * 32);
    // Neighbours differ in one flag; every 11th still meets each value of each constant (11 is coprime to all).
    let thorough = std::env::var_os("IPNET_NVRTC_ALL").is_some();
    for variant in variants.iter().step_by(if thorough { 1 } else { 11 }) {
        let ptx = compile(*variant, "compute_80").unwrap_or_else(|error| panic!("{variant:?}: {error}"));
        check(
            &ptx.to_src(),
            &format!("{variant:?}"),
            ["thermal_forward", "thermal_backward", "sum_channels"],
        );
    }
}
