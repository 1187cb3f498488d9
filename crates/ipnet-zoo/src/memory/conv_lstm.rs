//! ConvLSTM (Shi et al., NeurIPS 2015, without peepholes): an LSTM whose products are 3x3 convolutions, as many hidden
//! channels as the map has. `[T, B, C, H, W]` to the same shape, state zero at the start.

use crate::Error;
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use candle_core::Tensor;

const AREA: usize = 9;

#[derive(Debug)]
pub(crate) struct ConvLstm {
    name: String,
    channels: usize,
    pixels: usize,
    w_input: Tensor,
    b_input: Tensor,
    w_hidden: Tensor,
}

impl ConvLstm {
    pub fn new(
        params: &mut Parameters,
        name: &str,
        channels: usize,
        [height, width]: [usize; 2],
    ) -> Result<Self, Error> {
        let bound = 1.0 / ((channels * AREA) as f64).sqrt();
        let mut draw = |part: &str, shape: &[usize]| params.uniform(&format!("{name}.{part}"), shape, bound);
        Ok(Self {
            name: name.to_owned(),
            channels,
            pixels: height * width,
            w_input: draw("w_input", &[4 * channels, channels, 3, 3])?,
            b_input: draw("b_input", &[4 * channels])?,
            w_hidden: draw("w_hidden", &[4 * channels, channels, 3, 3])?,
        })
    }

    pub fn features(&self) -> usize {
        self.channels * self.pixels
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let (steps, batch, _, height, width) = x.dims5()?;
        let gates = ipnet_nn::conv2d(&x.flatten(0, 1)?, &self.w_input, Some(&self.b_input), 1, 1)?;
        let gates = gates.reshape((steps, batch, 4 * self.channels, height, width))?;
        Ok(ipnet_nn::conv_lstm_scan(&gates, &self.w_hidden)?)
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        let values = self.channels * self.pixels;
        let weights = 2 * 4 * self.channels * self.channels * AREA;
        let biases = 4 * self.channels;
        let mut counts = LayerCounts::new(&self.name, Role::Memory);
        counts.parameters = (weights + biases) as u64;
        counts.macs = (steps * self.pixels * weights) as u64;
        // Per hidden value: four biases, four nonlinearities, f c + i g and o tanh(c).
        counts.other_ops = (steps * values * (4 + 4 + 5)) as u64;
        counts.weight_reads = (steps * (weights + biases)) as u64;
        counts.activation_reads = (steps * values) as u64;
        counts.activation_writes = (steps * values) as u64;
        counts.state_values = 2 * values as u64;
        counts.state_reads = (steps * 2 * values) as u64;
        counts.state_writes = counts.state_reads;
        counts
    }
}
