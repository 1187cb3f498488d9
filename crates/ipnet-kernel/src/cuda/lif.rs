//! LIF neurons on an NVIDIA GPU, with or without an adaptive threshold: the kernels of `lif.cu`.
//!
//! **Not yet run**, as the whole of [`super`].

use super::variant::{SEGMENT, compile_source};
use super::{CudaBackend, Kernels, fault, launch_config};
use crate::cpu::LifNeuron;
use crate::scan::{check_lif, check_lif_gradient};
use crate::{AlifConfig, Result, ScanShape};
use cudarc::driver::{DeviceRepr, PushKernelArg};
use cudarc::nvrtc::Ptx;

const SOURCE: &str = concat!(include_str!("common.cu"), include_str!("lif.cu"));

/// The constants a LIF kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LifVariant {
    /// Whether the threshold adapts.
    pub adaptive: bool,
    /// Whether a thread takes four neurons: their number must be a multiple of four.
    pub vectors: bool,
}

impl LifVariant {
    fn vector(self) -> usize {
        if self.vectors { 4 } else { 1 }
    }
}

/// Compiles `variant` for `architecture` (`compute_90`); needs libnvrtc and no GPU.
///
/// # Errors
/// [`crate::Error::Unavailable`] with the compiler's log.
pub fn compile_lif(variant: LifVariant, architecture: &str) -> Result<Ptx> {
    let constants =
        [("ADAPTIVE", usize::from(variant.adaptive)), ("VEC", variant.vector()), ("SEGMENT", SEGMENT)];
    let options = constants.map(|(name, value)| format!("-D{name}={value}")).to_vec();
    compile_source(SOURCE, options, architecture)
}

/// `struct Lif` of the source, field by field.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct LifArgument {
    steps: u64,
    neurons: u64,
    channels: u64,
    inner: u64,
    neuron: [f32; 8],
}

// SAFETY: plain numbers in C layout, without padding.
unsafe impl DeviceRepr for LifArgument {}

impl LifArgument {
    fn new(shape: ScanShape, config: &AlifConfig) -> Self {
        let neuron = LifNeuron::<f32>::new(config);
        Self {
            steps: shape.steps as u64,
            neurons: shape.neurons() as u64,
            channels: shape.channels as u64,
            inner: shape.inner as u64,
            neuron: [
                neuron.threshold,
                neuron.zeroing,
                neuron.subtracted,
                neuron.rho,
                neuron.strength,
                neuron.alpha,
                neuron.steepness,
                neuron.reset_gradient,
            ],
        }
    }
}

fn variant(shape: ScanShape, config: &AlifConfig) -> LifVariant {
    LifVariant { adaptive: config.adaptation_strength > 0.0, vectors: shape.neurons().is_multiple_of(4) }
}

impl CudaBackend {
    /// LIF neurons from rest, between slices of the host: as [`crate::CpuBackend::lif`].
    ///
    /// # Errors
    /// Buffers that do not fit `shape`, a setting without meaning, the compiler's or the driver's message.
    pub fn lif(
        &self,
        shape: ScanShape,
        config: &AlifConfig,
        x: &[f32],
        decay: &[f32],
        out: &mut [f32],
    ) -> Result<()> {
        check_lif(shape, config, x, decay, out)?;
        if shape.elements() == 0 {
            return Ok(());
        }
        let variant = variant(shape, config);
        let function = self.function(Kernels::Lif(variant), "lif_forward")?;
        let state = (1 + usize::from(variant.adaptive)) * shape.neurons();
        let argument = LifArgument::new(shape, config);
        let (x, decay, rest) = (self.upload(x)?, self.upload(decay)?, self.state(None, state)?);
        let (mut out_on_gpu, mut last) = (self.new_slice::<f32>(out.len())?, self.new_slice::<f32>(state)?);
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&argument).arg(&x).arg(&decay).arg(&rest).arg(&mut out_on_gpu).arg(&mut last);
        // SAFETY: the arguments are those of `lif_forward`, and the buffers have the lengths it indexes.
        unsafe { launch.launch(launch_config(shape, variant.vector())) }.map_err(fault)?;
        self.download(&out_on_gpu, out)?;
        self.stream.synchronize().map_err(fault)
    }

    /// Gradients of [`CudaBackend::lif`], between slices of the host: as [`crate::CpuBackend::lif_gradient`].
    ///
    /// # Errors
    /// Buffers that do not fit `shape`, a setting without meaning, the compiler's or the driver's message.
    #[allow(clippy::too_many_arguments)]
    pub fn lif_gradient(
        &self,
        shape: ScanShape,
        config: &AlifConfig,
        x: &[f32],
        decay: &[f32],
        grad_out: &[f32],
        grad_x: &mut [f32],
        grad_decay: &mut [f32],
    ) -> Result<()> {
        check_lif_gradient(shape, config, [x, grad_out], decay, grad_x, grad_decay)?;
        if shape.elements() == 0 {
            grad_decay.fill(0.0);
            return Ok(());
        }
        let variant = variant(shape, config);
        let function = self.function(Kernels::Lif(variant), "lif_backward")?;
        let state = (1 + usize::from(variant.adaptive)) * shape.neurons();
        let argument = LifArgument::new(shape, config);
        let (x, decay, rest) = (self.upload(x)?, self.upload(decay)?, self.state(None, state)?);
        let (grad_out, mut grad_state) = (self.upload(grad_out)?, self.state(None, state)?);
        let mut checkpoints = self.new_slice::<f32>(shape.steps.div_ceil(SEGMENT) * state)?;
        let mut grad_x_on_gpu = self.new_slice::<f32>(shape.elements())?;
        let mut sums = self.new_slice::<f32>(shape.neurons())?;
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&argument).arg(&x).arg(&decay).arg(&rest).arg(&grad_out);
        launch.arg(&mut checkpoints).arg(&mut grad_x_on_gpu).arg(&mut grad_state).arg(&mut sums);
        // SAFETY: the arguments are those of `lif_backward`, and the buffers have the lengths it indexes.
        unsafe { launch.launch(launch_config(shape, variant.vector())) }.map_err(fault)?;
        let mut totals = vec![0.0; shape.channels];
        self.sum_channels(Kernels::Lif(variant), shape, &sums, &mut totals)?;
        self.download(&grad_x_on_gpu, grad_x)?;
        self.stream.synchronize().map_err(fault)?;
        grad_decay.iter_mut().zip(totals).for_each(|(to, from)| *to = from as f32);
        Ok(())
    }
}
