//! A scan as work for threads: blocks of columns, and sums over them that no thread count changes.

use super::Level;
use super::block::{SharedRows, as_new, rows_mut, with_scratch};
use super::lif::{LifBackward, LifForward, Neuron};
use super::portable::{PortableF32, PortableF64};
use super::thermal::{Backward, Forward, Packed};
use super::vector::{Real, Simd};
use crate::scan::{check_lif, check_lif_gradient};
use crate::{
    AlifConfig, Error, Result, ScanBackend, ScanShape, ThermalBackward, ThermalForward, ThermalScan,
};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Neurons in a block of the forward pass.
const FORWARD_WIDTH: usize = 1024;
/// The most neurons in a block of the backward pass.
const BACKWARD_WIDTH: usize = 768;
/// Bytes that a block of the backward pass keeps of a segment: half of a common second-level cache.
const BACKWARD_BYTES: usize = 256 << 10;
/// Steps between checkpoints of the heat.
const SEGMENT: usize = 64;
/// The sums for gain and bias are taken in this many parts, whatever the thread count.
const SUM_PARTS: usize = 64;
/// Below this many neuron-steps a second thread costs more than it brings.
const PARALLEL_FROM: usize = 1 << 15;

/// From this size on a result is written past the caches, which would read each line before it is written.
const PAST_CACHE_BYTES: usize = 8 << 20;

/// Whether a result of `shape` is so large.
pub(crate) fn past_cache<E>(shape: ScanShape) -> bool {
    shape.elements() * size_of::<E>() >= PAST_CACHE_BYTES
}

/// The step law on this processor, in `f32` at one instruction set (or in `f64`, see
/// [`CpuBackend::reference_forward`]).
#[derive(Debug, Clone, Copy)]
pub struct CpuBackend {
    level: Level,
}

impl Default for CpuBackend {
    fn default() -> Self {
        Self { level: Level::best() }
    }
}

/// Where a forward pass writes; memory need not have been written before.
pub(crate) struct ThermalOutput<'a, E> {
    pub out: &'a mut [MaybeUninit<E>],
    pub final_heat: Option<&'a mut [E]>,
}

/// What a forward pass reads.
#[derive(Clone, Copy)]
pub(crate) struct ThermalInput<'a, E> {
    pub x: &'a [E],
    pub gain: &'a [E],
    pub bias: &'a [E],
    pub heat: Option<&'a [E]>,
}

/// What a LIF pass reads: `x` `[T, N]`, `decay` `[C]`, `state` `[1 or 2, N]`.
#[derive(Clone, Copy)]
pub(crate) struct LifInput<'a, E> {
    pub x: &'a [E],
    pub decay: &'a [E],
    pub state: Option<&'a [E]>,
}

/// Gradients of a LIF pass: of `out` and `final_state` given, of the rest wanted.
pub(crate) struct LifGrad<'a, E> {
    pub out: &'a [E],
    pub final_state: Option<&'a [E]>,
    pub x: &'a mut [MaybeUninit<E>],
    pub decay: &'a mut [E],
    pub state: Option<&'a mut [E]>,
}

/// An element type with the levels it is compiled for.
pub(crate) trait Element: Real {
    /// Runs `work` with the token of `level`.
    fn at_level<W: AtLevel<Self>>(level: Level, work: W);
}

/// Work that takes the token of an instruction set.
pub(crate) trait AtLevel<E> {
    fn with<S: Simd<E = E> + Sync>(self, simd: S);
}

impl Element for f64 {
    fn at_level<W: AtLevel<f64>>(_: Level, work: W) {
        work.with(PortableF64);
    }
}

impl Element for f32 {
    fn at_level<W: AtLevel<f32>>(level: Level, work: W) {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => match super::avx512::Avx512::detect() {
                Some(simd) => work.with(simd),
                None => work.with(PortableF32),
            },
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => match super::avx2::Avx2::detect() {
                Some(simd) => work.with(simd),
                None => work.with(PortableF32),
            },
            #[cfg(target_arch = "aarch64")]
            Level::Neon => match super::neon::Neon::detect() {
                Some(simd) => work.with(simd),
                None => work.with(PortableF32),
            },
            _ => work.with(PortableF32),
        }
    }
}

impl CpuBackend {
    /// The kernels of one instruction set.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the processor does not have it.
    pub fn with_level(level: Level) -> Result<Self> {
        if level.is_available() {
            return Ok(Self { level });
        }
        Err(Error::Unavailable {
            backend: level.name(),
            missing: format!("the instruction set on this {} processor", std::env::consts::ARCH),
        })
    }

    /// The instruction set.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Forward in `f64`: the same kernels, one lane, with the standard library's `exp`.
    ///
    /// # Errors
    /// Buffers that do not fit `scan`.
    pub fn reference_forward(scan: &ThermalScan, io: ThermalForward<'_, f64>) -> Result<()> {
        io.check(scan)?;
        let input = ThermalInput { x: io.x, gain: io.gain, bias: io.bias, heat: io.heat };
        let output = ThermalOutput { out: as_new(io.out), final_heat: io.final_heat };
        Self::default().forward(scan, input, output);
        Ok(())
    }

    /// Backward in `f64`: the same kernels, one lane, with the standard library's `exp`.
    ///
    /// # Errors
    /// Buffers that do not fit `scan`.
    pub fn reference_backward(scan: &ThermalScan, io: ThermalBackward<'_, f64>) -> Result<()> {
        io.check(scan)?;
        let grad_x = io.grad_x.map(as_new);
        let io = ThermalBackward { grad_x: None, ..io };
        Self::default().backward(scan, io, grad_x);
        Ok(())
    }

    /// LIF neurons from rest: `x` and `out` are `[T, N]`, `decay` `[C]`. What [`crate::alif_scan`] computes,
    /// into a buffer of the caller.
    ///
    /// # Errors
    /// Buffers that do not fit `shape`, or a setting without meaning.
    pub fn lif(
        &self,
        shape: ScanShape,
        config: &AlifConfig,
        x: &[f32],
        decay: &[f32],
        out: &mut [f32],
    ) -> Result<()> {
        check_lif(shape, config, x, decay, out)?;
        self.lif_forward(shape, config, LifInput { x, decay, state: None }, as_new(out), None);
        Ok(())
    }

    /// Gradients of [`CpuBackend::lif`] for a given dL/d`out`: dL/d`x` `[T, N]` and dL/d`decay` `[C]`.
    ///
    /// # Errors
    /// Buffers that do not fit `shape`, or a setting without meaning.
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
        let grad =
            LifGrad { out: grad_out, final_state: None, x: as_new(grad_x), decay: grad_decay, state: None };
        self.lif_backward(shape, config, LifInput { x, decay, state: None }, grad);
        Ok(())
    }

    /// LIF forward over buffers that were checked: `state` and `final_state` are `[1 or 2, N]`.
    pub(crate) fn lif_forward<E: Element>(
        &self,
        shape: ScanShape,
        config: &AlifConfig,
        input: LifInput<'_, E>,
        out: &mut [MaybeUninit<E>],
        final_state: Option<&mut [E]>,
    ) {
        let neurons = shape.neurons();
        let pass = LifForward {
            shape,
            neuron: Neuron::new(config),
            x: input.x,
            decay: input.decay,
            state: input.state,
            out: SharedRows::new(out, neurons),
            final_state: final_state.map(|state| SharedRows::new(state, neurons)),
        };
        E::at_level(self.level, pass);
    }

    /// LIF backward over buffers that were checked.
    pub(crate) fn lif_backward<E: Element>(
        &self,
        shape: ScanShape,
        config: &AlifConfig,
        input: LifInput<'_, E>,
        grad: LifGrad<'_, E>,
    ) {
        let neurons = shape.neurons();
        let pass = LifBackward {
            shape,
            neuron: Neuron::new(config),
            segment: SEGMENT.min(shape.steps.max(1)),
            x: input.x,
            decay: input.decay,
            state: input.state,
            grad_out: grad.out,
            grad_final_state: grad.final_state,
            grad_x: SharedRows::new(grad.x, neurons),
            grad_state: grad.state.map(|state| SharedRows::new(state, neurons)),
            grad_decay: grad.decay,
        };
        E::at_level(self.level, pass);
    }

    /// Forward over buffers that were checked.
    pub(crate) fn forward<E: Element>(
        &self,
        scan: &ThermalScan,
        input: ThermalInput<'_, E>,
        output: ThermalOutput<'_, E>,
    ) {
        let neurons = scan.shape().neurons();
        if scan.shape().steps == 0 {
            if let Some(final_heat) = output.final_heat {
                match input.heat {
                    Some(heat) => final_heat.copy_from_slice(heat),
                    None => final_heat.fill(E::default()),
                }
            }
            return;
        }
        let law = Packed::new(scan.law());
        let pass = Forward {
            scan,
            x: input.x,
            gain: input.gain,
            bias: input.bias,
            heat: input.heat,
            out: SharedRows::new(output.out, neurons),
            final_heat: output.final_heat.map(|heat| SharedRows::new(heat, neurons)),
            past_cache: !law.has_reset() && past_cache::<E>(scan.shape()),
            law,
        };
        E::at_level(self.level, ForwardWork { pass: &pass });
    }

    /// Backward over buffers that were checked; `io.grad_x` is not read, `grad_x` takes its place.
    pub(crate) fn backward<E: Element>(
        &self,
        scan: &ThermalScan,
        io: ThermalBackward<'_, E>,
        grad_x: Option<&mut [MaybeUninit<E>]>,
    ) {
        let shape = scan.shape();
        let neurons = shape.neurons();
        if shape.steps == 0 {
            if let Some(grad) = io.grad_heat {
                match io.grad_final_heat {
                    Some(given) => grad.copy_from_slice(given),
                    None => grad.fill(E::default()),
                }
            }
            if let Some([gain, bias]) = io.grad_gain_bias {
                gain.fill(E::default());
                bias.fill(E::default());
            }
            return;
        }
        let pass = Backward {
            scan,
            law: Packed::new(scan.law()),
            segment: SEGMENT.min(shape.steps),
            x: io.x,
            gain: io.gain,
            bias: io.bias,
            heat: io.heat,
            out: io.out,
            grad_out: io.grad_out,
            grad_final_heat: io.grad_final_heat,
            grad_x: grad_x.map(|grad| SharedRows::new(grad, neurons)),
            grad_heat: io.grad_heat.map(|grad| SharedRows::new(grad, neurons)),
            past_cache: past_cache::<E>(shape),
            params: io.grad_gain_bias.is_some(),
        };
        E::at_level(self.level, BackwardWork { pass: &pass, grad_gain_bias: io.grad_gain_bias });
    }
}

impl ScanBackend for CpuBackend {
    fn name(&self) -> &'static str {
        self.level.name()
    }

    fn thermal_forward(&self, scan: &ThermalScan, io: ThermalForward<'_>) -> Result<()> {
        io.check(scan)?;
        let input = ThermalInput { x: io.x, gain: io.gain, bias: io.bias, heat: io.heat };
        self.forward(scan, input, ThermalOutput { out: as_new(io.out), final_heat: io.final_heat });
        Ok(())
    }

    fn thermal_backward(&self, scan: &ThermalScan, mut io: ThermalBackward<'_>) -> Result<()> {
        io.check(scan)?;
        let grad_x = io.grad_x.take().map(as_new);
        self.backward(scan, io, grad_x);
        Ok(())
    }
}

/// Calls `work` for every block of `width` of `0..neurons`, on all threads if there is enough to do.
pub(crate) fn for_blocks(neurons: usize, width: usize, steps: usize, work: impl Fn(Range<usize>) + Sync) {
    let blocks = neurons.div_ceil(width);
    let block = |i: usize| work(i * width..neurons.min((i + 1) * width));
    if blocks > 1 && neurons * steps >= PARALLEL_FROM && rayon::current_num_threads() > 1 {
        (0..blocks).into_par_iter().for_each(block);
    } else {
        (0..blocks).for_each(block);
    }
}

struct ForwardWork<'a, 'b, E> {
    pass: &'b Forward<'a, E>,
}

impl<E: Real> AtLevel<E> for ForwardWork<'_, '_, E> {
    fn with<S: Simd<E = E> + Sync>(self, simd: S) {
        let shape = self.pass.scan.shape();
        for_blocks(shape.neurons(), FORWARD_WIDTH, shape.steps, |columns| {
            with_scratch(self.pass.scratch(columns.len()), |scratch| {
                // SAFETY: blocks are disjoint ranges of columns.
                unsafe { self.pass.block(simd, columns, scratch) };
            });
        });
    }
}

struct BackwardWork<'a, 'b, 'c, E> {
    pass: &'b Backward<'a, E>,
    grad_gain_bias: Option<[&'c mut [E]; 2]>,
}

/// Block width of a backward pass that holds `bytes` a neuron: a multiple of 64 for which they stay in cache, at most `most`.
fn backward_width(bytes: usize, most: usize) -> usize {
    (BACKWARD_BYTES / bytes.max(1)).clamp(64, most) / 64 * 64
}

/// Calls `block` for every block of neurons with the sums of its part, a `[C]` row for each of `totals`, and
/// adds the parts up in order: no thread count changes which numbers are added to which.
pub(crate) fn in_parts<E: Real, const K: usize>(
    shape: ScanShape,
    bytes: usize,
    most: usize,
    totals: [&mut [E]; K],
    block: impl Fn(Range<usize>, [&mut [f64]; K]) + Sync,
) {
    let (neurons, channels, width) = (shape.neurons(), shape.channels, backward_width(bytes, most));
    let blocks = neurons.div_ceil(width);
    let part_blocks = blocks.div_ceil(SUM_PARTS).max(1);
    let parts = blocks.div_ceil(part_blocks);
    with_scratch(parts * K * channels, |sums: &mut [f64]| {
        sums.fill(0.0);
        let shared = SharedRows::new(sums, K * channels);
        for_blocks(parts, 1, shape.elements() / parts.max(1), |part| {
            for i in part.start * part_blocks..blocks.min((part.start + 1) * part_blocks) {
                // SAFETY: every part has a row of its own.
                let row = unsafe { shared.row(part.start, &(0..K * channels)) };
                block(i * width..neurons.min((i + 1) * width), rows_mut(row, channels));
            }
        });
        for (which, total) in totals.into_iter().enumerate() {
            for (channel, total) in total.iter_mut().enumerate() {
                let sum = (0..parts).map(|part| sums[(K * part + which) * channels + channel]).sum::<f64>();
                *total = E::from_f64(sum);
            }
        }
    });
}

impl<E: Real> AtLevel<E> for BackwardWork<'_, '_, '_, E> {
    fn with<S: Simd<E = E> + Sync>(self, simd: S) {
        let pass = self.pass;
        let shape = pass.scan.shape();
        let bytes = pass.kept_values() * size_of::<E>();
        let block = |columns: Range<usize>, sums: [&mut [f64]; 2]| {
            with_scratch(pass.scratch(columns.len()), |scratch| {
                // SAFETY: blocks are disjoint ranges of columns.
                unsafe { pass.block(simd, columns, scratch, sums) };
            });
        };
        match self.grad_gain_bias {
            Some(totals) => in_parts(shape, bytes, BACKWARD_WIDTH, totals, block),
            None => {
                for_blocks(shape.neurons(), backward_width(bytes, BACKWARD_WIDTH), shape.steps, |columns| {
                    block(columns, [&mut [], &mut []]);
                })
            }
        }
    }
}
