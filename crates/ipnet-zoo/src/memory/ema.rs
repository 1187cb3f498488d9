//! Exponential moving average, `y[t] = a y[t - 1] + (1 - a) x[t]`, one trained decay `a = 1 / (1 + exp(-w))` per channel:
//! the plain linear control for IP.
//!
//! Design decision: `w` is trained, not `a`. Above 1 it would be a growing sum that weighs the oldest frame most, which
//! training finds and which no average is.

use super::FeatureShape;
use crate::Error;
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use candle_core::Tensor;

#[derive(Debug)]
pub(crate) struct Ema {
    name: String,
    shape: FeatureShape,
    /// `[C]`.
    w: Tensor,
}

impl Ema {
    pub fn new(params: &mut Parameters, name: &str, shape: FeatureShape) -> Result<Self, Error> {
        let initial = super::INITIAL_DECAY;
        let w =
            params.constant(&format!("{name}.w"), &[shape.channels()], (initial / (1.0 - initial)).ln())?;
        Ok(Self { name: name.to_owned(), shape, w })
    }

    pub fn features(&self) -> usize {
        self.shape.len()
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(ipnet_nn::ema_scan(x, &super::sigmoid(&self.w)?)?)
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        let (values, channels) = (self.shape.len(), self.shape.channels());
        let slots = (steps * values) as u64;
        let mut counts = LayerCounts::new(&self.name, Role::Memory);
        counts.parameters = channels as u64;
        // decay y + (1 - decay) x.
        counts.macs = 2 * slots;
        counts.weight_reads = (steps * channels) as u64;
        counts.activation_reads = slots;
        counts.activation_writes = slots;
        counts.state_values = values as u64;
        counts.state_reads = slots;
        counts.state_writes = slots;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn whatever_is_trained_it_stays_an_average() {
        let steps = 30;
        // On from the fifth frame on: an average rises towards 1, a growing sum leaves it or turns negative.
        let x: Vec<f32> = (0..steps * 4).map(|i| f32::from(i / 4 >= 5)).collect();
        let x = Tensor::from_vec(x, (steps, 1, 4, 1, 1), &Device::Cpu).unwrap();
        let w = Tensor::new(&[-30.0_f32, 0.0, 3.0, 30.0], &Device::Cpu).unwrap();
        let shape = FeatureShape::Map { channels: 4, height: 1, width: 1 };
        let y = Ema { name: "ema".into(), shape, w }.forward(&x).unwrap();
        let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(y.iter().all(|y| (0.0..=1.0).contains(y)), "{y:?}");
        assert!((y[4 * (steps - 1) + 1] - 1.0).abs() < 1e-6 && y[4 * (steps - 1) + 2] > 0.6, "{y:?}");
        assert!(y.chunks(4).zip(y.chunks(4).skip(1)).all(|(a, b)| a[2] <= b[2]), "{y:?}");
    }
}
