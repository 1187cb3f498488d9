//! `ipnet doctor`: what this machine can run.

use clap::Args;
use ipnet_kernel::CpuBackend;
use ipnet_kernel::cpu::Level;
use serde_json::json;
use std::process::ExitCode;

/// Show what this machine can run: instruction sets, threads, CUDA, and which backend is used
///
/// Ends with 0 when a backend works, whether or not there is a GPU.
#[derive(Args)]
pub struct Doctor {
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// CUDA as far as this build and this machine have it.
struct Cuda {
    available: bool,
    what: String,
}

#[cfg(feature = "cuda")]
fn cuda() -> Cuda {
    use ipnet_kernel::cuda::CudaBackend;
    match CudaBackend::new(0).and_then(|gpu| gpu.describe()) {
        Ok((name, bytes)) => Cuda { available: true, what: format!("{name}, {} MiB", bytes >> 20) },
        Err(error) => Cuda { available: false, what: error.to_string() },
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Cuda {
    let what = match ipnet_kernel::cuda_device() {
        Ok(_) => "present, but this program does not train on it".into(),
        Err(error) => error.to_string(),
    };
    Cuda { available: false, what }
}

impl Doctor {
    /// Prints the findings.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let best = CpuBackend::default().level();
        let cuda = cuda();
        if self.json {
            let levels: Vec<_> = Level::ALL
                .iter()
                .map(|level| json!({"name": level.name(), "available": level.is_available()}))
                .collect();
            let findings = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "arch": std::env::consts::ARCH,
                "threads": threads,
                "cpu": levels,
                "default": best.name(),
                "cuda": {"compiled_in": cfg!(feature = "cuda"), "available": cuda.available, "what": cuda.what},
            });
            println!("{findings:#}");
            return Ok(ExitCode::SUCCESS);
        }
        println!("ipnet {} on {}, {threads} threads", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
        for level in Level::ALL {
            let state = match (level == best, level.is_available()) {
                (true, _) => "yes, the default",
                (_, true) => "yes",
                _ => "no: not on this processor",
            };
            println!("{:<12} {state}", level.name());
        }
        let state = if cuda.available { "yes" } else { "no" };
        println!("cuda         {state}: {}", cuda.what);
        let compiled = if cfg!(feature = "cuda") { "compiled in" } else { "not compiled in" };
        println!("training     on the CPU; on CUDA (--backend cuda): {compiled}");
        Ok(ExitCode::SUCCESS)
    }
}
