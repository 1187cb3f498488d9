//! The judge: the step law neuron by neuron in `f64`, as `ipnet-device` states it.
//!
//! Nothing here is shared with the kernels but the coordinates of the draws. It is slow and it is meant to be
//! read beside `ipnet_device::StepLaw`.

use crate::scan::{SPREAD_FLOOR, SPREAD_LIMIT};
use crate::{Result, ScanBackend, ScanConfig, ThermalForward, ThermalScan};
use ipnet_device::{StepLaw, Switching};
use ipnet_rng::{philox4x32_10, unit_f32};

/// The step law in `f64`, one neuron at a time; it has no backward.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReferenceBackend;

impl ReferenceBackend {
    /// Forward in `f64`: `out` is `[T, N]`, the result is the heat after the last step, `[P, N]`.
    ///
    /// # Errors
    /// Buffers that do not fit `scan`.
    pub fn forward(scan: &ThermalScan, mut io: ThermalForward<'_, f64>) -> Result<Vec<f64>> {
        io.check(scan)?;
        let (config, shape, poles) = (scan.config(), scan.shape(), scan.poles());
        let neurons = shape.neurons();
        let mut final_heat = vec![0.0; poles * neurons];
        for n in 0..neurons {
            let channel = n / shape.inner % shape.channels;
            let device = Device::draw(config, (n % (shape.channels * shape.inner)) as u32);
            let mut heat: Vec<f64> =
                (0..poles).map(|i| io.heat.map_or(0.0, |heat| heat[i * neurons + n])).collect();
            for t in 0..shape.steps {
                let at = t * neurons + n;
                let (step, neuron) = (config.step_offset + t as u64, config.neuron_offset + n as u64);
                let law = device.law_of_step(config, step, neuron as u32);
                let u = law.pulse_v(io.x[at] * io.gain[channel] + io.bias[channel]);
                // The table knows no critical voltage: its amplitude is divided instead.
                let felt = match law.switching {
                    Switching::Table(_) => u / device.v_critical_of_step(config, step, neuron as u32),
                    Switching::Arrhenius(_) => u,
                };
                let p = match &law.switching {
                    Switching::Table(table) => {
                        let rise = heat.iter().sum::<f64>() + law.self_heat_k_per_v2 * u * u;
                        table.probability(felt, rise)
                    }
                    Switching::Arrhenius(_) => law.probability(&heat, u),
                };
                let s = if scan.is_sampled() {
                    let words = draw(config.seed, config.layer, 0, (step / 4) as u32, neuron as u32);
                    f64::from(f64::from(unit_f32(words[(step % 4) as usize])) < p)
                } else {
                    p
                };
                law.relax(&mut heat, u, s);
                io.out[at] = s;
            }
            for (i, heat) in heat.into_iter().enumerate() {
                final_heat[i * neurons + n] = heat;
            }
        }
        if let Some(wanted) = io.final_heat.take() {
            wanted.copy_from_slice(&final_heat);
        }
        Ok(final_heat)
    }
}

impl ScanBackend for ReferenceBackend {
    fn name(&self) -> &'static str {
        "reference-f64"
    }

    fn thermal_forward(&self, scan: &ThermalScan, io: ThermalForward<'_>) -> Result<()> {
        io.check(scan)?;
        let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let (x, gain, bias, heat) = (wide(io.x), wide(io.gain), wide(io.bias), io.heat.map(wide));
        let mut out = vec![0.0; x.len()];
        let heat = Self::forward(
            scan,
            ThermalForward {
                x: &x,
                gain: &gain,
                bias: &bias,
                heat: heat.as_deref(),
                out: &mut out,
                final_heat: None,
            },
        )?;
        let narrow = |to: &mut [f32], from: &[f64]| to.iter_mut().zip(from).for_each(|(a, b)| *a = *b as f32);
        narrow(io.out, &out);
        if let Some(final_heat) = io.final_heat {
            narrow(final_heat, &heat);
        }
        Ok(())
    }
}

fn draw(seed: u64, layer: u32, purpose: u32, step_block: u32, neuron: u32) -> [u32; 4] {
    philox4x32_10([neuron, purpose, step_block, layer], [seed as u32, (seed >> 32) as u32])
}

/// Four standard normal numbers of a block (Box-Muller on its two word pairs).
fn normals(words: [u32; 4]) -> [f64; 4] {
    let pair = |a: u32, b: u32| {
        let radius = (-2.0 * (1.0 - f64::from(unit_f32(a))).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * f64::from(unit_f32(b))).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([a, b], [c, d]) = (pair(words[0], words[1]), pair(words[2], words[3]));
    [a, b, c, d]
}

fn relative(sigma: f64, z: f64) -> f64 {
    (1.0 + sigma * z.clamp(-SPREAD_LIMIT, SPREAD_LIMIT)).max(SPREAD_FLOOR)
}

/// One device of the chip.
struct Device {
    law: StepLaw,
    v_critical: f64,
}

impl Device {
    fn draw(config: &ScanConfig, device: u32) -> Self {
        let mut law = StepLaw::clone(&config.law);
        let spread = law.spread;
        let [z_voltage, z_heat, z_barrier, _] = normals(draw(config.device_seed, config.layer, 2, 0, device));
        let heating = relative(spread.heat_d2d, z_heat);
        law.self_heat_k_per_v2 *= heating;
        for pole in &mut law.poles {
            pole.heat_k_per_v2 *= heating;
            pole.reset_k *= heating;
        }
        if let Switching::Arrhenius(formula) = &mut law.switching {
            formula.barrier = formula.barrier.map(|d| d * relative(spread.barrier_d2d, z_barrier));
        }
        Self { law, v_critical: relative(spread.v_critical_d2d, z_voltage) }
    }

    fn v_critical_of_step(&self, config: &ScanConfig, step: u64, neuron: u32) -> f64 {
        let words = draw(config.seed, config.layer, 1, (step / 4) as u32, neuron);
        self.v_critical * relative(config.law.spread.v_critical_c2c, normals(words)[(step % 4) as usize])
    }

    fn law_of_step(&self, config: &ScanConfig, step: u64, neuron: u32) -> StepLaw {
        let mut law = self.law.clone();
        if let Switching::Arrhenius(formula) = &mut law.switching {
            let relative = self.v_critical_of_step(config, step, neuron);
            formula.v_critical = formula.v_critical.map(|c| c * relative);
        }
        law
    }
}
