//! The scans as a loop of candle operations: slow, and differentiated by candle itself.

use candle_core::Tensor;
use ipnet_device::Switching;
use ipnet_kernel::{AlifConfig, Error, Firing, Reset, Result, ScanConfig};
use ipnet_rng::{philox4x32_10, unit_f32};

/// The shape `[1, C, 1, ...]` that broadcasts a per-channel `[C]` over one step `[B, C, ...]`.
fn per_channel(values: &Tensor, step: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; step.rank()];
    shape[1] = values.elem_count();
    Ok(values.reshape(shape)?.broadcast_as(step.shape())?)
}

/// `[T, B, C, ...]` through the step law, as `ipnet_kernel::thermal_scan`.
pub fn thermal(x: &Tensor, gain: &Tensor, bias: &Tensor, config: &ScanConfig) -> Result<Tensor> {
    let law = &config.law;
    let steps = x.dim(0)?;
    let first = x.get(0)?;
    let (gain, bias) = (per_channel(gain, &first)?, per_channel(bias, &first)?);
    let mut heat = vec![first.zeros_like()?; law.poles.len()];
    let mut out = Vec::with_capacity(steps);
    for t in 0..steps {
        let drive = ((x.get(t)? * &gain)? + &bias)?;
        let u = drive.clamp(0.0, law.v_max_v)?;
        let u2 = u.sqr()?;
        let mut rise = (&u2 * law.self_heat_k_per_v2)?;
        for h in &heat {
            rise = (rise + h)?;
        }
        let Switching::Arrhenius(a) = &law.switching else {
            return Err(Error::Setting { what: "switching", expected: "a formula", found: "a table".into() });
        };
        let quadratic =
            |k: &[f64; 3]| -> Result<Tensor> { Ok(((rise.affine(k[2], k[1])? * &rise)? + k[0])?) };
        let stability = (quadratic(&a.barrier)? / rise.affine(1.0 / law.t_amb_k, 1.0)?)?;
        let fraction = (1.0 - (&u / quadratic(&a.v_critical)?)?)?.maximum(0.0)?;
        let fraction = if a.exponent == 1.0 { fraction } else { fraction.powf(a.exponent)? };
        let q = (a.log_attempts - (stability * fraction)?)?;
        let p = (1.0 - q.exp()?.neg()?.exp()?)?;
        let s = match config.firing {
            Firing::Expected => p.clone(),
            Firing::Sampled => {
                let draws: Vec<f32> = (0..p.elem_count() as u64)
                    .map(|n| uniform(config, config.step_offset + t as u64, config.neuron_offset + n))
                    .collect();
                let draws = Tensor::from_vec(draws, p.shape(), p.device())?.to_dtype(p.dtype())?;
                let spikes = draws.lt(&p.detach())?.to_dtype(p.dtype())?;
                (&p + (spikes - &p)?.detach())?
            }
        };
        for (h, pole) in heat.iter_mut().zip(&law.poles) {
            *h = (((&*h + (&u2 * pole.heat_k_per_v2)?)? + (&s * pole.reset_k)?)? * pole.decay)?;
        }
        out.push(s);
    }
    Ok(Tensor::stack(&out, 0)?)
}

/// The uniform number of one neuron at one absolute step: word `step % 4` of the block of four steps.
fn uniform(config: &ScanConfig, step: u64, neuron: u64) -> f32 {
    let counter = [neuron as u32, (neuron >> 32) as u32, (step / 4) as u32, config.layer];
    let words = philox4x32_10(counter, [config.seed as u32, (config.seed >> 32) as u32]);
    unit_f32(words[(step % 4) as usize])
}

/// `[T, B, C, ...]` through an adaptive LIF; see `ipnet_kernel::alif_scan`.
pub fn adaptive(x: &Tensor, decay: &Tensor, config: &AlifConfig) -> Result<Tensor> {
    let lif = &config.lif;
    let first = x.get(0)?;
    let decay = per_channel(decay, &first)?;
    let mut v = first.zeros_like()?;
    let mut adaptation = first.zeros_like()?;
    let mut out = Vec::new();
    for t in 0..x.dim(0)? {
        v = ((v * &decay)? + x.get(t)?)?;
        let over = ((&v - (&adaptation * config.adaptation_strength)?)? - lif.threshold)?;
        let soft = sigmoid(&(&over * lif.surrogate_alpha)?)?;
        let spikes = over.ge(0.0)?.to_dtype(x.dtype())?;
        let s = (&soft + (spikes - &soft)?.detach())?;
        let r = if lif.detach_reset { s.detach() } else { s.clone() };
        v = match lif.reset {
            Reset::Zero => (v * (1.0 - r)?)?,
            Reset::Subtract => (v - (r * lif.threshold)?)?,
            Reset::None => v,
        };
        adaptation = ((adaptation * config.adaptation_decay)? + &s)?;
        out.push(s);
    }
    Ok(Tensor::stack(&out, 0)?)
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((x.neg()?.exp()? + 1.0)?.recip()?)
}
