//! The step law and LIF neurons on an NVIDIA GPU: source compiled at run time.
//!
//! Design decision: NVRTC compiles `thermal.cu` (and `lif.cu`) for the device at hand and for the law at hand (poles,
//! exponent, firing, spread are constants of the kernel), so the crate builds on a machine without CUDA and
//! ships no binary for a GPU it does not know. A kernel is compiled once per variant and GPU in a process, and kept. The libraries
//! are found at run time, but for the feature `candle-cuda`: candle links them.
//!
//! A launch works on views of the GPU's memory (`enqueue_..`). Around it are slices of the host (`thermal`, `lif`), for tests and
//! for instruments beside a GPU, and candle's tensors (`tensors`), which stay where they are.
//!
//! **Not yet run**: no GPU could be had when this was written. It type-checks, every variant compiles to PTX
//! under NVRTC 13.2 (`just test-nvrtc`), and compiled as C++ the kernels give the bits of the CPU (`tests/suite/emulated`);
//! `just test-cuda` runs the conformance suite where there is a GPU.

mod compile;
mod lif;
#[cfg(feature = "candle-cuda")]
pub(crate) mod tensors;
mod thermal;

pub use crate::cuda_source::{Bf16, LifVariant, Variant, every_variant};
pub use compile::{compile, compile_lif};
pub use thermal::{StoredBackward, StoredGradients};

use crate::cuda_source::{SUM_THREADS, THREADS, blocks};
use crate::{Error, Result, ScanShape};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DeviceRepr, DriverError, LaunchConfig,
    PushKernelArg,
};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// How x, out and their gradients lie in memory; state and parameters are always `f32`.
pub trait Stored: DeviceRepr + Clone + Default + 'static {
    /// Whether it is bfloat16.
    const BF16: bool;
}

impl Stored for f32 {
    const BF16: bool = false;
}

impl Stored for Bf16 {
    const BF16: bool = true;
}

/// Which kernels a module holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kernels {
    Thermal(Variant),
    Lif(LifVariant),
}

/// Compiled kernels by the GPU's number and what they are for.
type Modules = HashMap<(usize, Kernels), Arc<CudaModule>>;

/// What was compiled so far: a module belongs to the context that all streams of a GPU share.
static MODULES: LazyLock<Mutex<Modules>> = LazyLock::new(Mutex::default);

/// One GPU and a stream of it.
#[derive(Debug)]
pub struct CudaBackend {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
}

fn fault(error: DriverError) -> Error {
    Error::Unavailable { backend: "cuda", missing: format!("a working driver call: {error}") }
}

/// One thread for every `vector` neurons.
fn launch_config(shape: ScanShape, vector: usize) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks(shape, vector), 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// What of CUDA is missing on this machine, `None` if the libraries can be loaded.
#[cfg(not(feature = "candle-cuda"))]
fn missing_library() -> Option<&'static str> {
    // SAFETY: both only try to load a library by its name.
    let (driver, nvrtc) =
        unsafe { (cudarc::driver::sys::is_culib_present(), cudarc::nvrtc::sys::is_culib_present()) };
    match (driver, nvrtc) {
        (false, _) => Some("the driver library (libcuda.so)"),
        (_, false) => Some("the run-time compiler (libnvrtc.so)"),
        _ => None,
    }
}

/// Nothing: candle links the libraries, and without them the program does not start.
#[cfg(feature = "candle-cuda")]
fn missing_library() -> Option<&'static str> {
    None
}

impl CudaBackend {
    /// GPU number `ordinal`, with a stream of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] that names the library, or the driver's own message.
    pub fn new(ordinal: usize) -> Result<Self> {
        if let Some(missing) = missing_library() {
            return Err(Error::Unavailable { backend: "cuda", missing: missing.into() });
        }
        let context = CudaContext::new(ordinal).map_err(fault)?;
        let stream = context.new_stream().map_err(fault)?;
        Ok(Self { context, stream })
    }

    /// Name and memory [bytes] of the GPU.
    ///
    /// # Errors
    /// The driver's message.
    pub fn describe(&self) -> Result<(String, usize)> {
        Ok((self.context.name().map_err(fault)?, self.context.total_mem().map_err(fault)?))
    }

    /// The stream that every launch and copy of this backend is enqueued on.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    fn function(&self, kernels: Kernels, name: &str) -> Result<CudaFunction> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.context.ordinal(), kernels);
        let module = match modules.get(&key) {
            Some(module) => module.clone(),
            None => {
                let (major, minor) = self.context.compute_capability().map_err(fault)?;
                let architecture = format!("compute_{major}{minor}");
                let ptx = match kernels {
                    Kernels::Thermal(variant) => compile(variant, &architecture)?,
                    Kernels::Lif(variant) => compile_lif(variant, &architecture)?,
                };
                let module = self.context.load_module(ptx).map_err(fault)?;
                modules.insert(key, module.clone());
                module
            }
        };
        module.load_function(name).map_err(fault)
    }

    fn upload<T: DeviceRepr>(&self, values: &[T]) -> Result<CudaSlice<T>> {
        self.stream.clone_htod(values).map_err(fault)
    }

    fn new_slice<T: DeviceRepr>(&self, len: usize) -> Result<CudaSlice<T>> {
        // SAFETY: a kernel writes every element before one is read.
        unsafe { self.stream.alloc::<T>(len) }.map_err(fault)
    }

    fn state(&self, values: Option<&[f32]>, len: usize) -> Result<CudaSlice<f32>> {
        match values {
            Some(values) => self.upload(values),
            None => self.stream.alloc_zeros(len).map_err(fault),
        }
    }

    fn download<T: DeviceRepr>(&self, from: &CudaSlice<T>, to: &mut [T]) -> Result<()> {
        self.stream.memcpy_dtoh(from, to).map_err(fault)
    }

    /// Sums over the neurons of each channel: `sums` `[K, N]` to `[K, C]`.
    fn sum_channels(
        &self,
        kernels: Kernels,
        shape: ScanShape,
        sums: &CudaSlice<f32>,
    ) -> Result<CudaSlice<f64>> {
        let function = self.function(kernels, "sum_channels")?;
        let [neurons, channels, inner] = [shape.neurons(), shape.channels, shape.inner].map(|n| n as u64);
        let rows = sums.len() / shape.neurons();
        let mut totals = self.new_slice::<f64>(rows * shape.channels)?;
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&neurons).arg(&channels).arg(&inner).arg(sums).arg(&mut totals);
        let config = LaunchConfig {
            grid_dim: (shape.channels as u32, rows as u32, 1),
            block_dim: (SUM_THREADS, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the arguments are those of `sum_channels`: one block for each total.
        unsafe { launch.launch(config) }.map_err(fault)?;
        Ok(totals)
    }
}
