//! Intrinsic-plasticity neurons: one MTJ per value, heat as the state.
//!
//! `u = clamp(gain x + bias, 0, v_max)` with gain and bias per channel, both trained: they are the synapse. The positive
//! bias is the probe pulse that lets a warm junction fire without input; without it the output says nothing of the
//! past. All other numbers are the device's and stay as they are.

use super::FeatureShape;
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use crate::spec::Firing;
use crate::{Error, Mode};
use candle_core::Tensor;
use ipnet_device::StepLaw;
use ipnet_kernel::{ScanConfig, thermal_scan};
use std::sync::Arc;

/// Initial gain over `v_max` [1 / unit drive] and initial bias over `v_max`: the working point of the default device
/// (0.35 V per unit drive, 0.45 V at `v_max` = 1.1 V) carried over to any device. Assumed.
pub const INITIAL_GAIN: f64 = 0.35 / 1.1;
/// See [`INITIAL_GAIN`].
pub const INITIAL_BIAS: f64 = 0.45 / 1.1;

/// The initial gain of IP neurons at the sensor of inputs whose busy cells have the value `busy` \[V / unit drive\]:
///
/// ```text
/// gain = v_max min(INITIAL_GAIN, (1 - INITIAL_BIAS) / busy)
/// ```
/// A larger gain would hold busy junctions at the top of the driver's range, where they fire whatever their heat and the
/// clamp lets no gradient through.
pub fn sensor_gain_v(law: &StepLaw, busy: f64) -> f64 {
    let within_range = if busy > 0.0 { (1.0 - INITIAL_BIAS) / busy } else { INITIAL_GAIN };
    law.v_max_v * within_range.min(INITIAL_GAIN)
}

#[derive(Debug)]
pub(crate) struct IpNeurons {
    name: String,
    shape: FeatureShape,
    gain: Tensor,
    bias: Tensor,
    config: ScanConfig,
}

impl IpNeurons {
    pub fn new(
        params: &mut Parameters,
        name: &str,
        shape: FeatureShape,
        law: &Arc<StepLaw>,
        firing: Firing,
        layer: u32,
    ) -> Result<Self, Error> {
        let channels = shape.channels();
        let gain = params.constant(&format!("{name}.gain"), &[channels], INITIAL_GAIN * law.v_max_v)?;
        let bias = params.constant(&format!("{name}.bias"), &[channels], INITIAL_BIAS * law.v_max_v)?;
        let firing = match firing {
            Firing::Expected => ipnet_kernel::Firing::Expected,
            Firing::Sampled => ipnet_kernel::Firing::Sampled,
        };
        let config =
            ScanConfig { firing, layer, device_seed: params.seed(), ..ScanConfig::expected(law.clone()) };
        Ok(Self { name: name.to_owned(), shape, gain, bias, config })
    }

    pub fn features(&self) -> usize {
        self.shape.len()
    }

    /// Sampled firing: 0 or 1.
    pub fn is_binary(&self) -> bool {
        self.config.firing == ipnet_kernel::Firing::Sampled
    }

    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, Error> {
        let neuron_offset = mode.first_sample * self.shape.len() as u64;
        let config = ScanConfig { seed: mode.seed, neuron_offset, ..self.config.clone() };
        Ok(thermal_scan(x, &self.gain, &self.bias, &config)?)
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        let values = (steps * self.shape.len()) as u64;
        let mut counts = LayerCounts::new(&self.name, Role::Memory);
        counts.parameters = 2 * self.shape.channels() as u64;
        // gain x + bias: one MAC per value; the clamp is the pulse driver's.
        counts.macs = values;
        counts.weight_reads = (steps * 2 * self.shape.channels()) as u64;
        counts.activation_reads = values;
        counts.activation_writes = values;
        counts.device_slots = values;
        counts
    }
}
