//! A scan that was checked: its shape, its law, and the buffers it reads and writes.

use crate::{AlifConfig, Error, Firing, Result, ScanConfig};
use ipnet_device::{StepLaw, Switching};
use std::sync::Arc;

/// How neurons are numbered in `[T, B, C, ...]`: `N = batch * channels * inner`, neuron `n` is of channel
/// `n / inner % channels` and of device `n % (channels * inner)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanShape {
    /// T: time steps.
    pub steps: usize,
    /// B: samples, each with the same devices.
    pub batch: usize,
    /// C: channels, each with its own gain and bias.
    pub channels: usize,
    /// Neurons a channel: the product of what follows C.
    pub inner: usize,
}

impl ScanShape {
    /// `[T, N]` with one gain and one bias, every neuron a device of its own.
    pub fn flat(steps: usize, neurons: usize) -> Self {
        Self { steps, batch: 1, channels: 1, inner: neurons }
    }

    /// The shape of a tensor `[T, N]` or `[T, B, C, ...]`.
    ///
    /// # Errors
    /// Fewer than two dimensions.
    pub fn of(dims: &[usize]) -> Result<Self> {
        match dims {
            [steps, neurons] => Ok(Self::flat(*steps, *neurons)),
            [steps, batch, channels, inner @ ..] => {
                Ok(Self { steps: *steps, batch: *batch, channels: *channels, inner: inner.iter().product() })
            }
            _ => Err(Error::Shape {
                what: "x",
                expected: "[T, N] or [T, B, C, ...]".into(),
                found: format!("{dims:?}"),
            }),
        }
    }

    /// N: neurons of the whole batch.
    pub fn neurons(&self) -> usize {
        self.batch * self.channels * self.inner
    }

    /// `T * N`.
    pub fn elements(&self) -> usize {
        self.steps * self.neurons()
    }
}

/// Draws for the spread are cut at this many standard deviations.
pub const SPREAD_LIMIT: f64 = 3.0;
/// No relative barrier, critical voltage or heating falls below this.
pub const SPREAD_FLOOR: f64 = 0.1;

/// A step law over a shape, checked once: what every backend may rely on.
#[derive(Debug, Clone)]
pub struct ThermalScan {
    config: ScanConfig,
    shape: ScanShape,
}

impl ThermalScan {
    /// Checks `config` for `shape`.
    ///
    /// # Errors
    /// A law without meaning (also at the hottest device of its spread), a barrier spread for a measured
    /// table, which has none, or, where firing or noise is drawn, neurons and steps beyond what a draw can be addressed by
    /// (2^32 and 2^34).
    pub fn new(config: &ScanConfig, shape: ScanShape) -> Result<Self> {
        let law = &config.law;
        law.validate()?;
        if law.spread.heat_d2d > 0.0 {
            hottest(law).validate()?;
        }
        if law.spread.barrier_d2d > 0.0 && matches!(law.switching, Switching::Table(_)) {
            return Err(Error::Setting {
                what: "spread.barrier_d2d",
                expected: "0 with a measured table, which has no barrier",
                found: law.spread.barrier_d2d.to_string(),
            });
        }
        let draws = config.firing == Firing::Sampled || law.spread.v_critical_c2c > 0.0;
        let last_neuron = config.neuron_offset.checked_add(shape.neurons() as u64);
        if draws && last_neuron.is_none_or(|last| last > 1 << 32) {
            return Err(Error::Setting {
                what: "neuron_offset",
                expected: "neurons numbered below 2^32",
                found: config.neuron_offset.to_string(),
            });
        }
        let last_step = config.step_offset.checked_add(shape.steps as u64);
        if draws && last_step.is_none_or(|last| last > 1 << 34) {
            return Err(Error::Setting {
                what: "step_offset",
                expected: "steps numbered below 2^34",
                found: config.step_offset.to_string(),
            });
        }
        Ok(Self { config: config.clone(), shape })
    }

    /// What was asked for.
    pub fn config(&self) -> &ScanConfig {
        &self.config
    }

    /// The law.
    pub fn law(&self) -> &StepLaw {
        &self.config.law
    }

    /// The shape.
    pub fn shape(&self) -> ScanShape {
        self.shape
    }

    /// P: heat poles.
    pub fn poles(&self) -> usize {
        self.config.law.poles.len()
    }

    /// Whether 0 and 1 are drawn.
    pub fn is_sampled(&self) -> bool {
        self.config.firing == Firing::Sampled
    }
}

/// The law of the device that heats most.
fn hottest(law: &Arc<StepLaw>) -> StepLaw {
    let mut hot = StepLaw::clone(law);
    let factor = 1.0 + SPREAD_LIMIT * law.spread.heat_d2d;
    hot.self_heat_k_per_v2 *= factor;
    for pole in &mut hot.poles {
        pole.heat_k_per_v2 *= factor;
        pole.reset_k *= factor;
    }
    hot
}

/// Buffers of a forward pass.
#[derive(Debug)]
pub struct ThermalForward<'a, E = f32> {
    /// `[T, N]`: drive.
    pub x: &'a [E],
    /// `[C]`: V per unit of drive.
    pub gain: &'a [E],
    /// `[C]`: V.
    pub bias: &'a [E],
    /// `[P, N]`: heat at the first step \[K\], 0 if absent.
    pub heat: Option<&'a [E]>,
    /// `[T, N]`: what the neurons send on.
    pub out: &'a mut [E],
    /// `[P, N]`: heat after the last step \[K\].
    pub final_heat: Option<&'a mut [E]>,
}

/// Buffers of a backward pass; what is absent is not computed.
#[derive(Debug)]
pub struct ThermalBackward<'a, E = f32> {
    /// `[T, N]`: drive.
    pub x: &'a [E],
    /// `[C]`: V per unit of drive.
    pub gain: &'a [E],
    /// `[C]`: V.
    pub bias: &'a [E],
    /// `[P, N]`: heat at the first step \[K\], 0 if absent.
    pub heat: Option<&'a [E]>,
    /// `[T, N]`: what forward sent on.
    pub out: &'a [E],
    /// `[T, N]`: dL/d`out`.
    pub grad_out: &'a [E],
    /// `[P, N]`: dL/d`final_heat`, 0 if absent.
    pub grad_final_heat: Option<&'a [E]>,
    /// `[T, N]`: dL/d`x`.
    pub grad_x: Option<&'a mut [E]>,
    /// `[C]` each: dL/d`gain` and dL/d`bias`.
    pub grad_gain_bias: Option<[&'a mut [E]; 2]>,
    /// `[P, N]`: dL/d`heat`.
    pub grad_heat: Option<&'a mut [E]>,
}

pub(crate) fn check(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape { what, expected: format!("{expected} elements"), found: found.to_string() })
}

/// The lengths of `x`, `gain`, `bias` and `out` of a thermal pass.
pub(crate) fn check_lengths(scan: &ThermalScan, [x, gain, bias, out]: [usize; 4]) -> Result<()> {
    let shape = scan.shape();
    check("x", x, shape.elements())?;
    check("gain", gain, shape.channels)?;
    check("bias", bias, shape.channels)?;
    check("out", out, shape.elements())
}

/// What both backends hold of a LIF pass from rest: the setting, and the lengths of the buffers.
pub(crate) fn check_lif(
    shape: ScanShape,
    config: &AlifConfig,
    x: &[f32],
    decay: &[f32],
    out: &[f32],
) -> Result<()> {
    config.validate()?;
    check("x", x.len(), shape.elements())?;
    check("decay", decay.len(), shape.channels)?;
    check("out", out.len(), shape.elements())
}

/// As [`check_lif`], of the pass back: `inputs` are `x` and `grad_out`.
pub(crate) fn check_lif_gradient(
    shape: ScanShape,
    config: &AlifConfig,
    [x, grad_out]: [&[f32]; 2],
    decay: &[f32],
    grad_x: &[f32],
    grad_decay: &[f32],
) -> Result<()> {
    config.validate()?;
    check("x", x.len(), shape.elements())?;
    check("decay", decay.len(), shape.channels)?;
    check("grad_out", grad_out.len(), shape.elements())?;
    check("grad_x", grad_x.len(), shape.elements())?;
    check("grad_decay", grad_decay.len(), shape.channels)
}

/// A state must be finite and not below ambient. What it says beyond the law's largest rise is computed as the law says there: the
/// critical voltage may be gone.
pub(crate) fn check_heat<E: Copy + PartialOrd + Into<f64>>(
    heat: Option<&[E]>,
    expected: usize,
) -> Result<()> {
    let Some(heat) = heat else { return Ok(()) };
    check("heat", heat.len(), expected)?;
    match heat.iter().find(|h| !((**h).into() >= 0.0 && (**h).into().is_finite())) {
        None => Ok(()),
        Some(h) => Err(Error::Setting {
            what: "heat",
            expected: "finite temperature rises >= 0 K",
            found: (*h).into().to_string(),
        }),
    }
}

impl<E: Copy + PartialOrd + Into<f64>> ThermalForward<'_, E> {
    /// Refuses buffers that do not fit `scan`, and a state that no law leaves behind.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Setting`].
    pub fn check(&self, scan: &ThermalScan) -> Result<()> {
        let shape = scan.shape();
        let state = scan.poles() * shape.neurons();
        check_lengths(scan, [self.x.len(), self.gain.len(), self.bias.len(), self.out.len()])?;
        check_heat(self.heat, state)?;
        self.final_heat.as_ref().map_or(Ok(()), |heat| check("final_heat", heat.len(), state))
    }
}

impl<E: Copy + PartialOrd + Into<f64>> ThermalBackward<'_, E> {
    /// Refuses buffers that do not fit `scan`, and a state that no law leaves behind.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Setting`].
    pub fn check(&self, scan: &ThermalScan) -> Result<()> {
        let shape = scan.shape();
        let state = scan.poles() * shape.neurons();
        check_lengths(scan, [self.x.len(), self.gain.len(), self.bias.len(), self.out.len()])?;
        check("grad_out", self.grad_out.len(), shape.elements())?;
        check_heat(self.heat, state)?;
        if let Some(grad) = self.grad_final_heat {
            check("grad_final_heat", grad.len(), state)?;
        }
        if let Some(grad) = &self.grad_x {
            check("grad_x", grad.len(), shape.elements())?;
        }
        if let Some([gain, bias]) = &self.grad_gain_bias {
            check("grad_gain", gain.len(), shape.channels)?;
            check("grad_bias", bias.len(), shape.channels)?;
        }
        self.grad_heat.as_ref().map_or(Ok(()), |grad| check("grad_heat", grad.len(), state))
    }
}
