//! Scans of the step law on an NVIDIA GPU: the kernels of `thermal.cu`.
//!
//! **Not yet run**, as the whole of [`super`].

use super::{CudaBackend, Kernels, Stored, Variant, fault, launch_config};
use crate::cuda_source::{SEGMENT, ScanArgument};
use crate::scan::{check, check_heat, check_lengths};
use crate::{Result, ScanBackend, ThermalBackward, ThermalForward, ThermalScan};
use cudarc::driver::{CudaSlice, CudaView, CudaViewMut, PushKernelArg};

/// What a backward pass reads, on the host: x, out and `grad_out` stored as `E`.
#[derive(Debug, Clone, Copy)]
pub struct StoredBackward<'a, E> {
    /// `[T, N]`: drive.
    pub x: &'a [E],
    /// `[C]`: V per unit of drive.
    pub gain: &'a [f32],
    /// `[C]`: V.
    pub bias: &'a [f32],
    /// `[P, N]`: heat at the first step \[K\], 0 if absent.
    pub heat: Option<&'a [f32]>,
    /// `[T, N]`: what forward sent on.
    pub out: &'a [E],
    /// `[T, N]`: dL/d`out`.
    pub grad_out: &'a [E],
    /// `[P, N]`: dL/d`final_heat`, 0 if absent.
    pub grad_final_heat: Option<&'a [f32]>,
}

/// Gradients on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredGradients<E> {
    /// `[T, N]`: dL/d`x`.
    pub x: Vec<E>,
    /// `[C]` each: dL/d`gain` and dL/d`bias`.
    pub gain_bias: [Vec<f32>; 2],
    /// `[P, N]`: dL/d`heat`.
    pub heat: Vec<f32>,
}

/// What a backward pass reads, on the GPU.
pub(super) struct Saved<'a, E> {
    pub x: CudaView<'a, E>,
    pub gain: CudaView<'a, f32>,
    pub bias: CudaView<'a, f32>,
    pub heat: CudaView<'a, f32>,
    pub out: CudaView<'a, E>,
    pub grad_out: CudaView<'a, E>,
}

/// Gradients on the GPU: of `x` `[T, N]`, and of gain and bias `[2, C]`.
pub(super) struct Gradients<E> {
    pub x: CudaSlice<E>,
    pub gain_bias: CudaSlice<f64>,
}

impl CudaBackend {
    /// Forward on buffers of the GPU, enqueued on the backend's stream: `x` and `out` `[T, N]`, `heat` `[P, N]`. `x` and `out` lie
    /// at multiples of four elements where the neurons are such a multiple.
    ///
    /// # Errors
    /// Buffers that do not fit `scan`, the compiler's or the driver's message.
    #[allow(clippy::too_many_arguments)]
    pub fn enqueue_forward<E: Stored>(
        &self,
        scan: &ThermalScan,
        x: &CudaView<'_, E>,
        [gain, bias]: [&CudaView<'_, f32>; 2],
        heat: &CudaView<'_, f32>,
        out: &mut CudaViewMut<'_, E>,
        final_heat: &mut CudaViewMut<'_, f32>,
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

    /// Backward on buffers of the GPU, of a scan with at least one step and neuron. `grad_heat` `[P, N]` holds dL/d`final_heat`
    /// before and dL/d`heat` after.
    pub(super) fn enqueue_backward<E: Stored>(
        &self,
        scan: &ThermalScan,
        saved: &Saved<'_, E>,
        grad_heat: &mut CudaSlice<f32>,
    ) -> Result<Gradients<E>> {
        let shape = scan.shape();
        let state = scan.poles() * shape.neurons();
        let Saved { x, gain, bias, heat, out, grad_out } = saved;
        check_lengths(scan, [x.len(), gain.len(), bias.len(), out.len()])?;
        check("grad_out", grad_out.len(), shape.elements())?;
        check("heat", heat.len(), state)?;
        check("grad_heat", grad_heat.len(), state)?;
        let variant = Variant::of(scan, E::BF16);
        let function = self.function(Kernels::Thermal(variant), "thermal_backward")?;
        let (argument, table) = ScanArgument::new(scan);
        let table = self.upload(&table)?;
        let mut checkpoints = self.new_slice::<f32>(shape.steps.div_ceil(SEGMENT) * state)?;
        let mut grad_x = self.new_slice::<E>(shape.elements())?;
        let mut sums = self.new_slice::<f32>(2 * shape.neurons())?;
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&argument).arg(x).arg(gain).arg(bias).arg(&table).arg(heat).arg(out).arg(grad_out);
        launch.arg(&mut checkpoints).arg(&mut grad_x).arg(grad_heat).arg(&mut sums);
        // SAFETY: the arguments are those of `thermal_backward`, and the buffers have the lengths it indexes, checked above.
        unsafe { launch.launch(launch_config(shape, variant.vector())) }.map_err(fault)?;
        let gain_bias = self.sum_channels(Kernels::Thermal(variant), shape, &sums)?;
        Ok(Gradients { x: grad_x, gain_bias })
    }

    /// Forward between slices of the host; gives the heat after the last step.
    ///
    /// # Errors
    /// Buffers that do not fit `scan`, the compiler's or the driver's message.
    pub fn forward<E: Stored>(
        &self,
        scan: &ThermalScan,
        x: &[E],
        [gain, bias]: [&[f32]; 2],
        heat: Option<&[f32]>,
        out: &mut [E],
    ) -> Result<Vec<f32>> {
        let state = scan.poles() * scan.shape().neurons();
        check_lengths(scan, [x.len(), gain.len(), bias.len(), out.len()])?;
        check_heat(heat, state)?;
        let mut final_heat = heat.map_or_else(|| vec![0.0; state], <[f32]>::to_vec);
        if scan.shape().elements() == 0 {
            return Ok(final_heat);
        }
        let heat = self.state(heat, state)?;
        let (x, gain, bias) = (self.upload(x)?, self.upload(gain)?, self.upload(bias)?);
        let (mut out_on_gpu, mut last) = (self.new_slice::<E>(out.len())?, self.new_slice::<f32>(state)?);
        self.enqueue_forward(
            scan,
            &x.as_view(),
            [&gain.as_view(), &bias.as_view()],
            &heat.as_view(),
            &mut out_on_gpu.as_view_mut(),
            &mut last.as_view_mut(),
        )?;
        self.download(&out_on_gpu, out)?;
        self.download(&last, &mut final_heat)?;
        self.stream.synchronize().map_err(fault)?;
        Ok(final_heat)
    }

    /// Backward between slices of the host.
    ///
    /// # Errors
    /// Buffers that do not fit `scan`, the compiler's or the driver's message.
    pub fn backward<E: Stored>(
        &self,
        scan: &ThermalScan,
        io: StoredBackward<'_, E>,
    ) -> Result<StoredGradients<E>> {
        let shape = scan.shape();
        let state = scan.poles() * shape.neurons();
        check_lengths(scan, [io.x.len(), io.gain.len(), io.bias.len(), io.out.len()])?;
        check("grad_out", io.grad_out.len(), shape.elements())?;
        check_heat(io.heat, state)?;
        if let Some(grad) = io.grad_final_heat {
            check("grad_final_heat", grad.len(), state)?;
        }
        let mut gradients = StoredGradients {
            x: vec![E::default(); shape.elements()],
            gain_bias: [vec![0.0; shape.channels], vec![0.0; shape.channels]],
            heat: io.grad_final_heat.map_or_else(|| vec![0.0; state], <[f32]>::to_vec),
        };
        if shape.elements() == 0 {
            return Ok(gradients);
        }
        let (x, gain, bias) = (self.upload(io.x)?, self.upload(io.gain)?, self.upload(io.bias)?);
        let (out, grad_out) = (self.upload(io.out)?, self.upload(io.grad_out)?);
        let (heat, mut grad_heat) = (self.state(io.heat, state)?, self.upload(&gradients.heat)?);
        let saved = Saved {
            x: x.as_view(),
            gain: gain.as_view(),
            bias: bias.as_view(),
            heat: heat.as_view(),
            out: out.as_view(),
            grad_out: grad_out.as_view(),
        };
        let found = self.enqueue_backward(scan, &saved, &mut grad_heat)?;
        let mut totals = vec![0.0; 2 * shape.channels];
        self.download(&found.gain_bias, &mut totals)?;
        self.download(&found.x, &mut gradients.x)?;
        self.download(&grad_heat, &mut gradients.heat)?;
        self.stream.synchronize().map_err(fault)?;
        for (to, from) in gradients.gain_bias.iter_mut().zip(totals.chunks_exact(shape.channels)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from as f32);
        }
        Ok(gradients)
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
        let ThermalBackward { x, gain, bias, heat, out, grad_out, grad_final_heat, .. } = io;
        let given = StoredBackward { x, gain, bias, heat, out, grad_out, grad_final_heat };
        let found = self.backward(scan, given)?;
        if let Some(to) = io.grad_x {
            to.copy_from_slice(&found.x);
        }
        if let Some(to) = io.grad_heat {
            to.copy_from_slice(&found.heat);
        }
        for (to, from) in io.grad_gain_bias.into_iter().flatten().zip(&found.gain_bias) {
            to.copy_from_slice(from);
        }
        Ok(())
    }
}
