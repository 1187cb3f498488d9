//! `neuron_scan`: one layer over `[T, N]`, forward, or forward and dL/dx for a given dL/dout.
//!
//! `law` and `law-bern` are the step law with the constants of the kit's `ip_ops.py`, `lif` its LIF (hard reset,
//! sigmoid surrogate); `law-fresh` is the law into buffers that each call allocates, without candle. `copy` is the floor: it moves the bytes that no scan can do without, 8 a neuron-step forward
//! and 12 more backward, as copies between buffers that are kept. `engine` is what candle's autograd does around an operation
//! that has nothing to compute. `law-general` is the law by the kernel of any barrier and critical voltage. Before READY, the first 4096 neurons are compared with a reference in `f64`.

use crate::{Prepared, Refused};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor, Var};
use ipnet_device::{Arrhenius, HeatPole, Spread, StepLaw, Switching};
use ipnet_kernel::{
    AlifConfig, CpuBackend, Firing, LifConfig, ReferenceBackend, ScanBackend, ScanConfig, ScanShape,
    ThermalBackward, ThermalForward, ThermalScan, lif_scan, thermal_scan,
};
use ipnet_rng::Stream;
use serde_json::{Value, json};
use std::hint::black_box;
use std::sync::Arc;

/// Volts per unit of drive in the kit's step law.
pub const GAIN: f32 = 0.35;
/// Volts of the probe pulse in the kit's step law.
pub const BIAS: f32 = 0.45;
const CHECKED: usize = 4096;

/// The step law with the constants of the kit's `ip_ops.py`.
pub fn law() -> StepLaw {
    StepLaw {
        dt_s: 1.0,
        t_amb_k: 2.0,
        v_max_v: 1.1,
        poles: vec![HeatPole { decay: 0.8, heat_k_per_v2: 0.35, reset_k: 0.0 }],
        self_heat_k_per_v2: 0.0,
        switching: Switching::Arrhenius(Arrhenius {
            log_attempts: 3.912_023,
            barrier: [20.0, 0.0, 0.0],
            v_critical: [1.0, -0.1, 0.0],
            exponent: 1.0,
        }),
        spread: Spread::default(),
    }
}

struct Setting {
    steps: usize,
    neurons: usize,
    backward: bool,
    warm: bool,
    x: Vec<f32>,
    g: Vec<f32>,
}

/// The work of `peer` for the kit's `params`.
///
/// # Errors
/// Parameters that are not understood, or a result that is not the reference's.
pub fn prepare(peer: &str, params: &Value) -> Result<Prepared, Refused> {
    let number = |name: &str| params[name].as_u64().ok_or(format!("no parameter {name}"));
    let word = |name: &str| params[name].as_str().ok_or(format!("no parameter {name}"));
    let (steps, neurons) = (number("T")? as usize, number("N")? as usize);
    let normal = |name: &str| {
        let mut stream = Stream::named(0, name);
        (0..steps * neurons).map(|_| stream.normal() as f32).collect()
    };
    let setting = Setting {
        steps,
        neurons,
        backward: word("mode")? == "fwdbwd",
        warm: word("malloc")? == "warm",
        x: normal("x"),
        g: normal("g"),
    };
    let bytes = steps * neurons * if setting.backward { 20 } else { 8 };
    let (check, call) = match peer {
        "law" => thermal(setting, law(), Firing::Expected, false)?,
        "law-general" => thermal(setting, curved_law(), Firing::Expected, false)?,
        "law-fresh" => thermal(setting, law(), Firing::Expected, true)?,
        "law-bern" => thermal(setting, law(), Firing::Sampled, false)?,
        "lif" => lif(setting)?,
        "copy" => copy(setting),
        "engine" => engine(setting)?,
        other => return Err(format!("no peer called {other}").into()),
    };
    let info = json!({"bytes": bytes, "check": check, "note": CpuBackend::default().name()});
    Ok(Prepared { info, call })
}

type Work = (Value, Box<dyn FnMut()>);

/// The first columns of a `[T, N]` matrix.
fn columns(values: &[f32], neurons: usize, kept: usize) -> Vec<f64> {
    values.chunks_exact(neurons).flat_map(|row| row[..kept].iter().map(|v| f64::from(*v))).collect()
}

fn largest_error(found: &[f64], expected: &[f64]) -> f64 {
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// [`law`] with a barrier that is curved by less than a rounding: the same numbers, by the kernel that the default device
/// needs, too.
fn curved_law() -> StepLaw {
    let mut law = law();
    if let Switching::Arrhenius(arrhenius) = &mut law.switching {
        arrhenius.barrier[2] = 1e-12;
    }
    law
}

fn thermal(setting: Setting, law: StepLaw, firing: Firing, fresh: bool) -> Result<Work, Refused> {
    let Setting { steps, neurons, backward, warm, x, g } = setting;
    let config = ScanConfig { firing, seed: 1, ..ScanConfig::expected(Arc::new(law)) };
    let scan = ThermalScan::new(&config, ScanShape::flat(steps, neurons))?;
    let backend = CpuBackend::default();
    let (mut out, mut dx) = (vec![0.0; x.len()], vec![0.0; if backward { x.len() } else { 0 }]);
    let run = {
        let (x, g) = (x.clone(), g.clone());
        move |out: &mut [f32], dx: &mut [f32]| -> ipnet_kernel::Result<()> {
            let io =
                ThermalForward { x: &x, gain: &[GAIN], bias: &[BIAS], heat: None, out, final_heat: None };
            backend.thermal_forward(&scan, io)?;
            if !backward {
                return Ok(());
            }
            let io = ThermalBackward {
                x: &x,
                gain: &[GAIN],
                bias: &[BIAS],
                heat: None,
                out,
                grad_out: &g,
                grad_final_heat: None,
                grad_x: Some(dx),
                grad_gain_bias: None,
                grad_heat: None,
            };
            backend.thermal_backward(&scan, io)
        }
    };
    run(&mut out, &mut dx)?;
    let check = check_thermal(&config, steps, neurons, [&x, &g, &out], backward.then_some(&dx[..]))?;
    if fresh {
        let lens = [out.len(), dx.len()];
        return Ok((check, into_fresh(run, lens)));
    }
    if warm {
        return Ok((check, into_kept(run, out, dx)));
    }
    drop((out, dx, run));
    let parameter = |value: f32| Tensor::new(&[value], &Device::Cpu);
    let (gain, bias) = (parameter(GAIN)?, parameter(BIAS)?);
    Ok((
        check,
        through_candle(x, [steps, neurons], backward, move |x| thermal_scan(x, &gain, &bias, &config))?,
    ))
}

/// Calls of `run` into the same two buffers.
fn into_kept(
    mut run: impl FnMut(&mut [f32], &mut [f32]) -> ipnet_kernel::Result<()> + 'static,
    mut out: Vec<f32>,
    mut dx: Vec<f32>,
) -> Box<dyn FnMut()> {
    Box::new(move || {
        if let Err(error) = run(&mut out, &mut dx) {
            unreachable!("the same call succeeded before: {error}");
        }
        black_box((&out, &dx));
    })
}

/// Calls of `run` into two buffers that each call allocates.
fn into_fresh(
    mut run: impl FnMut(&mut [f32], &mut [f32]) -> ipnet_kernel::Result<()> + 'static,
    lens: [usize; 2],
) -> Box<dyn FnMut()> {
    Box::new(move || {
        // Not `vec![0.0; len]`: the allocator's zeroed blocks are for those who only read them.
        let [mut out, mut dx] = lens.map(|len| {
            let mut fresh = Vec::new();
            fresh.resize(len, 0.0);
            fresh
        });
        if let Err(error) = run(&mut out, &mut dx) {
            unreachable!("the same call succeeded before: {error}");
        }
        black_box((&out, &dx));
    })
}

fn check_thermal(
    config: &ScanConfig,
    steps: usize,
    neurons: usize,
    [x, g, out]: [&[f32]; 3],
    dx: Option<&[f32]>,
) -> Result<Value, Refused> {
    let kept = CHECKED.min(neurons);
    let scan = ThermalScan::new(config, ScanShape::flat(steps, kept))?;
    let (x, out) = (columns(x, neurons, kept), columns(out, neurons, kept));
    let (gain, bias) = ([f64::from(GAIN)], [f64::from(BIAS)]);
    let mut expected = vec![0.0; x.len()];
    let io =
        ThermalForward { x: &x, gain: &gain, bias: &bias, heat: None, out: &mut expected, final_heat: None };
    ReferenceBackend::forward(&scan, io)?;
    if config.firing == Firing::Sampled {
        let differ = out.iter().zip(&expected).filter(|(a, b)| a != b).count();
        if differ > 1 + x.len() / 100_000 {
            return Err(format!("{differ} of {} spikes are not the reference's", x.len()).into());
        }
        return Ok(json!({"spikes_unlike_reference": differ, "of": x.len()}));
    }
    let error = largest_error(&out, &expected);
    if error > 2e-6 {
        return Err(format!("off the reference by {error}").into());
    }
    let Some(dx) = dx else { return Ok(json!({"max_abs_err": error})) };
    let (g, mut grad) = (columns(g, neurons, kept), vec![0.0; x.len()]);
    let io = ThermalBackward {
        x: &x,
        gain: &gain,
        bias: &bias,
        heat: None,
        out: &expected,
        grad_out: &g,
        grad_final_heat: None,
        grad_x: Some(&mut grad),
        grad_gain_bias: None,
        grad_heat: None,
    };
    CpuBackend::reference_backward(&scan, io)?;
    let grad_error = largest_error(&columns(dx, neurons, kept), &grad);
    if grad_error > 1e-4 {
        return Err(format!("dL/dx off the reference by {grad_error}").into());
    }
    Ok(json!({"max_abs_err": error, "max_abs_err_dx": grad_error}))
}

/// x to out (8 bytes a neuron-step); with backward x to dx (8) and half of g (4) too.
fn copy(setting: Setting) -> Work {
    let Setting { backward, x, g, .. } = setting;
    let (mut out, mut dx) = (vec![0.0; x.len()], vec![0.0; if backward { x.len() } else { 0 }]);
    let call = move || {
        out.copy_from_slice(black_box(&x));
        if backward {
            let half = g.len() / 2;
            dx.copy_from_slice(black_box(&x));
            out[..half].copy_from_slice(black_box(&g[..half]));
        }
        black_box((&out, &dx));
    };
    (json!(null), Box::new(call))
}

/// Decay of the membrane in the kit's LIF.
pub const LIF_DECAY: f32 = 0.9;

fn lif(setting: Setting) -> Result<Work, Refused> {
    let Setting { steps, neurons, backward, warm, x, g } = setting;
    let config = AlifConfig { lif: LifConfig::default(), adaptation_decay: 0.0, adaptation_strength: 0.0 };
    let shape = ScanShape::flat(steps, neurons);
    let backend = CpuBackend::default();
    let (mut out, mut dx) = (vec![0.0; x.len()], vec![0.0; if backward { x.len() } else { 0 }]);
    let mut run = {
        let (x, g) = (x.clone(), g.clone());
        let mut grad_decay = [0.0];
        move |out: &mut [f32], dx: &mut [f32]| -> ipnet_kernel::Result<()> {
            backend.lif(shape, &config, &x, &[LIF_DECAY], out)?;
            if backward {
                backend.lif_gradient(shape, &config, &x, &[LIF_DECAY], &g, dx, &mut grad_decay)?;
            }
            Ok(())
        }
    };
    run(&mut out, &mut dx)?;
    let check = check_lif(&config.lif, neurons, [&x, &g, &out], backward.then_some(&dx[..]))?;
    if warm {
        return Ok((check, into_kept(run, out, dx)));
    }
    drop((out, dx, run));
    let decay = Tensor::new(&[LIF_DECAY], &Device::Cpu)?;
    Ok((check, through_candle(x, [steps, neurons], backward, move |x| lif_scan(x, &decay, &config.lif))?))
}

/// The kit's LIF neuron by neuron in `f64`, with its gradient.
fn check_lif(
    config: &LifConfig,
    neurons: usize,
    [x, g, out]: [&[f32]; 3],
    dx: Option<&[f32]>,
) -> Result<Value, Refused> {
    let (steps, mut spikes_unlike, mut grad_error) = (x.len() / neurons, 0, 0.0_f64);
    for n in 0..CHECKED.min(neurons) {
        let at = |t: usize| t * neurons + n;
        let (mut v, mut membranes, mut spikes) = (0.0, Vec::new(), Vec::new());
        for t in 0..steps {
            let m = f64::from(LIF_DECAY) * v + f64::from(x[at(t)]);
            let s = f64::from(m >= config.threshold);
            v = m * (1.0 - s);
            membranes.push(m);
            spikes.push(s);
        }
        let unlike = (0..steps).any(|t| f64::from(out[at(t)]) != spikes[t]);
        spikes_unlike += usize::from(unlike);
        let Some(dx) = dx.filter(|_| !unlike) else { continue };
        let mut grad_v = 0.0;
        for t in (0..steps).rev() {
            let (m, s) = (membranes[t], spikes[t]);
            let soft = 1.0 / (1.0 + (-config.surrogate_alpha * (m - config.threshold)).exp());
            let slope = config.surrogate_alpha * soft * (1.0 - soft);
            let grad_m = (f64::from(g[at(t)]) - m * grad_v) * slope + (1.0 - s) * grad_v;
            grad_error = grad_error.max((f64::from(dx[at(t)]) - grad_m).abs() / grad_m.abs().max(1.0));
            grad_v = f64::from(LIF_DECAY) * grad_m;
        }
    }
    if spikes_unlike > 4 || grad_error > 1e-3 {
        return Err(
            format!("{spikes_unlike} neurons spike unlike the reference, dL/dx off by {grad_error}").into()
        );
    }
    Ok(json!({"neurons_unlike_reference": spikes_unlike, "max_rel_err_dx": grad_error}))
}

/// Hands out a result and a gradient that are there already: through it, candle's autograd does its own work and no other.
struct HandOver {
    gradient: Tensor,
}

impl CustomOp1 for HandOver {
    fn name(&self) -> &'static str {
        "hand-over"
    }
    fn cpu_fwd(&self, _: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        // Nobody reads them: pages of zeros, which cost nothing.
        let result = vec![0.0_f32; layout.shape().elem_count()];
        Ok((CpuStorage::F32(result), layout.shape().clone()))
    }
    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(self.gradient.clone()))
    }
}

/// What candle's autograd does around an operation: it makes a dL/dy of ones, and of the dL/dx that the operation hands over, a
/// tensor of zeros to which it adds it.
fn engine(setting: Setting) -> Result<Work, Refused> {
    let Setting { steps, neurons, backward, x, g, .. } = setting;
    if !backward {
        return Err("engine is what candle does for gradients: mode fwdbwd".into());
    }
    let gradient = Tensor::from_vec(g, (steps, neurons), &Device::Cpu)?;
    let op = move |x: &Tensor| Ok(x.apply_op1(HandOver { gradient: gradient.clone() })?);
    Ok((json!(null), through_candle(x, [steps, neurons], backward, op)?))
}

/// A user's call: fresh tensors, candle's autograd, from a dL/dy of ones.
fn through_candle(
    x: Vec<f32>,
    dims: [usize; 2],
    backward: bool,
    op: impl Fn(&Tensor) -> ipnet_kernel::Result<Tensor> + 'static,
) -> Result<Box<dyn FnMut()>, Refused> {
    let x = Tensor::from_vec(x, &dims[..], &Device::Cpu)?;
    let x = if backward { Var::from_tensor(&x)?.as_tensor().clone() } else { x };
    let once = move || -> Result<(), Refused> {
        let y = op(&x)?;
        if backward {
            black_box(y.backward()?);
        }
        black_box(y);
        Ok(())
    };
    once()?;
    Ok(Box::new(move || {
        if let Err(error) = once() {
            unreachable!("the same call succeeded before: {error}");
        }
    }))
}
