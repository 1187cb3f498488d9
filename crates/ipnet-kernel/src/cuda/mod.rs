//! The step law and LIF neurons on an NVIDIA GPU: source compiled at run time, libraries found at run time.
//!
//! Design decision: NVRTC compiles `thermal.cu` (and `lif.cu`) for the device at hand and for the law at hand (poles,
//! exponent, firing, spread are constants of the kernel), so the crate builds on a machine without CUDA and
//! ships no binary for a GPU it does not know. A kernel is compiled once per variant and kept.
//!
//! **Not yet run**: no GPU could be had when this was written. It type-checks, and every variant compiles to PTX
//! under NVRTC 13.2 (`just test-nvrtc`); `just test-cuda` runs the conformance suite where there is a GPU.

mod lif;
mod variant;

pub use lif::{LifVariant, compile_lif};
pub use variant::{Variant, compile, every_variant};

use crate::scan::{check, check_heat, check_lengths};
use crate::{Error, Result, ScanBackend, ScanShape, ThermalBackward, ThermalForward, ThermalScan};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DeviceRepr, DriverError, LaunchConfig,
    PushKernelArg,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use variant::{SEGMENT, ScanArgument};

const THREADS: u32 = 128;

/// How x, out and their gradients lie in memory; state and parameters are always `f32`.
pub trait Stored: DeviceRepr + Clone + Default + 'static {
    /// Whether it is bfloat16.
    const BF16: bool;
}

impl Stored for f32 {
    const BF16: bool = false;
}

/// The upper half of an `f32`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

// SAFETY: it is a `u16`, which is plain data on both sides.
unsafe impl DeviceRepr for Bf16 {}

impl Stored for Bf16 {
    const BF16: bool = true;
}

/// Which kernels a module holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kernels {
    Thermal(Variant),
    Lif(LifVariant),
}

/// One GPU, its own stream and the kernels compiled so far.
#[derive(Debug)]
pub struct CudaBackend {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    modules: Mutex<HashMap<Kernels, Arc<CudaModule>>>,
}

fn fault(error: DriverError) -> Error {
    Error::Unavailable { backend: "cuda", missing: format!("a working driver call: {error}") }
}

/// One thread for every `vector` neurons.
fn launch_config(shape: ScanShape, vector: usize) -> LaunchConfig {
    let threads = shape.neurons().div_ceil(vector) as u32;
    LaunchConfig {
        grid_dim: (threads.div_ceil(THREADS), 1, 1),
        block_dim: (THREADS, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// What of CUDA is missing on this machine, `None` if the libraries can be loaded.
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

impl CudaBackend {
    /// GPU number `ordinal`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] that names the library, or the driver's own message.
    pub fn new(ordinal: usize) -> Result<Self> {
        if let Some(missing) = missing_library() {
            return Err(Error::Unavailable { backend: "cuda", missing: missing.into() });
        }
        let context = CudaContext::new(ordinal).map_err(fault)?;
        let stream = context.new_stream().map_err(fault)?;
        Ok(Self { context, stream, modules: Mutex::default() })
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
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = match modules.get(&kernels) {
            Some(module) => module.clone(),
            None => {
                let (major, minor) = self.context.compute_capability().map_err(fault)?;
                let architecture = format!("compute_{major}{minor}");
                let ptx = match kernels {
                    Kernels::Thermal(variant) => compile(variant, &architecture)?,
                    Kernels::Lif(variant) => compile_lif(variant, &architecture)?,
                };
                let module = self.context.load_module(ptx).map_err(fault)?;
                modules.insert(kernels, module.clone());
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

    /// Sums over the neurons of each channel: `sums` `[K, N]` to `totals` `[K, C]`.
    fn sum_channels(
        &self,
        kernels: Kernels,
        shape: ScanShape,
        sums: &CudaSlice<f32>,
        totals: &mut [f64],
    ) -> Result<()> {
        let function = self.function(kernels, "sum_channels")?;
        let [neurons, channels, inner] = [shape.neurons(), shape.channels, shape.inner].map(|n| n as u64);
        let mut totals_on_gpu = self.new_slice::<f64>(totals.len())?;
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&neurons).arg(&channels).arg(&inner).arg(sums).arg(&mut totals_on_gpu);
        let config = LaunchConfig {
            grid_dim: (shape.channels as u32, (totals.len() / shape.channels) as u32, 1),
            block_dim: (256, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the arguments are those of `sum_channels`: one block of 256 for each total.
        unsafe { launch.launch(config) }.map_err(fault)?;
        self.download(&totals_on_gpu, totals)
    }

    /// Forward on buffers of the GPU, enqueued on the backend's stream: `x` and `out` `[T, N]`, `heat` `[P, N]`.
    ///
    /// # Errors
    /// The compiler's or the driver's message.
    #[allow(clippy::too_many_arguments)]
    pub fn enqueue_forward<E: Stored>(
        &self,
        scan: &ThermalScan,
        x: &CudaSlice<E>,
        gain: &CudaSlice<f32>,
        bias: &CudaSlice<f32>,
        heat: &CudaSlice<f32>,
        out: &mut CudaSlice<E>,
        final_heat: &mut CudaSlice<f32>,
    ) -> Result<()> {
        let state = scan.poles() * scan.shape().neurons();
        check_lengths(scan, [x.len(), gain.len(), bias.len(), out.len()])?;
        check("heat", heat.len(), state)?;
        check("final_heat", final_heat.len(), state)?;
        if scan.shape().neurons() == 0 {
            return Ok(());
        }
        let variant = Variant::of(scan, E::BF16);
        let function = self.function(Kernels::Thermal(variant), "thermal_forward")?;
        let (argument, table) = ScanArgument::new(scan);
        let table = self.upload(&table)?;
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&argument).arg(x).arg(gain).arg(bias).arg(&table).arg(heat).arg(out).arg(final_heat);
        // SAFETY: the arguments are those of `thermal_forward`, and the buffers have the lengths it indexes, checked above.
        unsafe { launch.launch(launch_config(scan.shape(), variant.vector())) }.map_err(fault)?;
        Ok(())
    }

    /// Forward between slices of the host.
    ///
    /// # Errors
    /// The compiler's or the driver's message.
    pub fn forward<E: Stored>(
        &self,
        scan: &ThermalScan,
        x: &[E],
        [gain, bias]: [&[f32]; 2],
        heat: Option<&[f32]>,
        out: &mut [E],
    ) -> Result<Vec<f32>> {
        let state = scan.poles() * scan.shape().neurons();
        check_heat(heat, state)?;
        let mut final_heat = heat.map_or_else(|| vec![0.0; state], <[f32]>::to_vec);
        if scan.shape().elements() == 0 {
            return Ok(final_heat);
        }
        let heat = self.state(heat, state)?;
        let (x, gain, bias) = (self.upload(x)?, self.upload(gain)?, self.upload(bias)?);
        let (mut out_on_gpu, mut last) = (self.new_slice::<E>(out.len())?, self.new_slice::<f32>(state)?);
        self.enqueue_forward(scan, &x, &gain, &bias, &heat, &mut out_on_gpu, &mut last)?;
        self.download(&out_on_gpu, out)?;
        self.download(&last, &mut final_heat)?;
        self.stream.synchronize().map_err(fault)?;
        Ok(final_heat)
    }

    fn backward(&self, scan: &ThermalScan, io: ThermalBackward<'_>) -> Result<()> {
        let shape = scan.shape();
        let state = scan.poles() * shape.neurons();
        let variant = Variant::of(scan, false);
        let function = self.function(Kernels::Thermal(variant), "thermal_backward")?;
        let (argument, table) = ScanArgument::new(scan);
        let table = self.upload(&table)?;
        let (x, gain, bias) = (self.upload(io.x)?, self.upload(io.gain)?, self.upload(io.bias)?);
        let (out, grad_out) = (self.upload(io.out)?, self.upload(io.grad_out)?);
        let (heat, mut grad_heat) = (self.state(io.heat, state)?, self.state(io.grad_final_heat, state)?);
        let mut checkpoints = self.new_slice::<f32>(shape.steps.div_ceil(SEGMENT) * state)?;
        let mut grad_x = self.new_slice::<f32>(shape.elements())?;
        let mut sums = self.new_slice::<f32>(2 * shape.neurons())?;
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&argument).arg(&x).arg(&gain).arg(&bias).arg(&table).arg(&heat).arg(&out).arg(&grad_out);
        launch.arg(&mut checkpoints).arg(&mut grad_x).arg(&mut grad_heat).arg(&mut sums);
        // SAFETY: the arguments are those of `thermal_backward`, and the buffers have the lengths it indexes.
        unsafe { launch.launch(launch_config(scan.shape(), variant.vector())) }.map_err(fault)?;
        let mut totals = vec![0.0; 2 * shape.channels];
        self.sum_channels(Kernels::Thermal(variant), shape, &sums, &mut totals)?;
        if let Some(to) = io.grad_x {
            self.download(&grad_x, to)?;
        }
        if let Some(to) = io.grad_heat {
            self.download(&grad_heat, to)?;
        }
        self.stream.synchronize().map_err(fault)?;
        if let Some(to) = io.grad_gain_bias {
            for (to, from) in to.into_iter().zip(totals.chunks_exact(shape.channels)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from as f32);
            }
        }
        Ok(())
    }
}

impl ScanBackend for CudaBackend {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn thermal_forward(&self, scan: &ThermalScan, io: ThermalForward<'_>) -> Result<()> {
        io.check(scan)?;
        let last = self.forward(scan, io.x, [io.gain, io.bias], io.heat, io.out)?;
        if let Some(final_heat) = io.final_heat {
            final_heat.copy_from_slice(&last);
        }
        Ok(())
    }

    fn thermal_backward(&self, scan: &ThermalScan, io: ThermalBackward<'_>) -> Result<()> {
        io.check(scan)?;
        if scan.shape().elements() == 0 {
            if let Some(grad) = io.grad_heat {
                match io.grad_final_heat {
                    Some(given) => grad.copy_from_slice(given),
                    None => grad.fill(0.0),
                }
            }
            for grad in io.grad_gain_bias.into_iter().flatten() {
                grad.fill(0.0);
            }
            return Ok(());
        }
        self.backward(scan, io)
    }
}
