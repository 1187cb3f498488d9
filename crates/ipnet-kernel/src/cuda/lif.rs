//! LIF neurons on an NVIDIA GPU, with or without an adaptive threshold: the kernels of `lif.cu`.
//!
//! **Not yet run**, as the whole of [`super`].

use super::{CudaBackend, Kernels, LifVariant, fault, launch_config};
use crate::cuda_source::{LifArgument, SEGMENT};
use crate::scan::{check, check_lif, check_lif_gradient};
use crate::{AlifConfig, Result, ScanShape};
use cudarc::driver::{CudaSlice, CudaView, CudaViewMut, PushKernelArg};

/// S: states of a neuron, the membrane and where the threshold adapts the adaptation.
pub(super) fn states(config: &AlifConfig) -> usize {
    1 + usize::from(config.adaptation_strength > 0.0)
}

/// Whether `x` `[T, N]`, `decay` `[C]` and `state` `[S, N]` fit.
fn check_saved(
    shape: ScanShape,
    config: &AlifConfig,
    [x, decay, state]: [&CudaView<'_, f32>; 3],
) -> Result<()> {
    check("x", x.len(), shape.elements())?;
    check("decay", decay.len(), shape.channels)?;
    check("state", state.len(), states(config) * shape.neurons())
}

impl CudaBackend {
    /// LIF neurons on buffers of the GPU, of a scan with at least one step and neuron: `saved` are `x`, `decay` and the state
    /// before, `out` is `[T, N]`, `last` `[S, N]`.
    pub(super) fn enqueue_lif(
        &self,
        shape: ScanShape,
        config: &AlifConfig,
        saved: [&CudaView<'_, f32>; 3],
        out: &mut CudaViewMut<'_, f32>,
        last: &mut CudaViewMut<'_, f32>,
    ) -> Result<()> {
        check_saved(shape, config, saved)?;
        let [x, decay, state] = saved;
        check("out", out.len(), shape.elements())?;
        check("last state", last.len(), states(config) * shape.neurons())?;
        let variant = LifVariant::of(shape, config);
        let function = self.function(Kernels::Lif(variant), "lif_forward")?;
        let argument = LifArgument::new(shape, config);
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&argument).arg(x).arg(decay).arg(state).arg(out).arg(last);
        // SAFETY: the arguments are those of `lif_forward`, and the buffers have the lengths it indexes, checked above.
        unsafe { launch.launch(launch_config(shape, variant.vector())) }.map_err(fault)?;
        Ok(())
    }

    /// Gradients of [`CudaBackend::enqueue_lif`] by `x` `[T, N]` and the decay `[C]`. `grad_state` `[S, N]` holds that of the last
    /// state before and of the first after.
    pub(super) fn enqueue_lif_gradient(
        &self,
        shape: ScanShape,
        config: &AlifConfig,
        saved: [&CudaView<'_, f32>; 3],
        grad_out: &CudaView<'_, f32>,
        grad_state: &mut CudaSlice<f32>,
    ) -> Result<(CudaSlice<f32>, CudaSlice<f64>)> {
        let states = states(config) * shape.neurons();
        check_saved(shape, config, saved)?;
        let [x, decay, state] = saved;
        check("grad_out", grad_out.len(), shape.elements())?;
        check("grad_state", grad_state.len(), states)?;
        let variant = LifVariant::of(shape, config);
        let function = self.function(Kernels::Lif(variant), "lif_backward")?;
        let argument = LifArgument::new(shape, config);
        let mut checkpoints = self.new_slice::<f32>(shape.steps.div_ceil(SEGMENT) * states)?;
        let mut grad_x = self.new_slice::<f32>(shape.elements())?;
        let mut sums = self.new_slice::<f32>(shape.neurons())?;
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&argument).arg(x).arg(decay).arg(state).arg(grad_out);
        launch.arg(&mut checkpoints).arg(&mut grad_x).arg(grad_state).arg(&mut sums);
        // SAFETY: the arguments are those of `lif_backward`, and the buffers have the lengths it indexes, checked above.
        unsafe { launch.launch(launch_config(shape, variant.vector())) }.map_err(fault)?;
        Ok((grad_x, self.sum_channels(Kernels::Lif(variant), shape, &sums)?))
    }

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
        let state = states(config) * shape.neurons();
        let (x, decay, rest) = (self.upload(x)?, self.upload(decay)?, self.state(None, state)?);
        let (x, decay, rest) = (x.as_view(), decay.as_view(), rest.as_view());
        let saved = [&x, &decay, &rest];
        let (mut out_on_gpu, mut last) = (self.new_slice::<f32>(out.len())?, self.new_slice::<f32>(state)?);
        let (written, kept) = (&mut out_on_gpu.as_view_mut(), &mut last.as_view_mut());
        self.enqueue_lif(shape, config, saved, written, kept)?;
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
        let state = states(config) * shape.neurons();
        let (x, decay, rest) = (self.upload(x)?, self.upload(decay)?, self.state(None, state)?);
        let (x, decay, rest) = (x.as_view(), decay.as_view(), rest.as_view());
        let saved = [&x, &decay, &rest];
        let (grad_out, mut grad_state) = (self.upload(grad_out)?, self.state(None, state)?);
        let found = self.enqueue_lif_gradient(shape, config, saved, &grad_out.as_view(), &mut grad_state)?;
        let mut totals = vec![0.0; shape.channels];
        self.download(&found.1, &mut totals)?;
        self.download(&found.0, grad_x)?;
        self.stream.synchronize().map_err(fault)?;
        grad_decay.iter_mut().zip(totals).for_each(|(to, from)| *to = from as f32);
        Ok(())
    }
}
