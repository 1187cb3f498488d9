//! Recurrent layers on the flattened features: `[T, B, ...]` to `[T, B, hidden]`, state zero at the start.
//!
//! The input's share of all gates is one matrix product over all time steps; only the recurrent share is a scan.

use crate::Error;
use crate::counts::{LayerCounts, Role};
use crate::params::Parameters;
use candle_core::Tensor;

/// Which cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Rnn,
    Gru,
    Lstm,
}

impl Cell {
    /// Matrix products per hidden unit and step: the gates and the candidate.
    fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// Additions, multiplications and nonlinearities per hidden unit and step beside the products: one nonlinearity per
    /// gate, then `f c + i g`, `o tanh(c)` (LSTM, 5) or `r n`, `(1 - z) n + z h` (GRU, 5).
    fn other_ops(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3 + 5,
            Self::Lstm => 4 + 5,
        }
    }

    /// State values per hidden unit.
    fn states(self) -> usize {
        match self {
            Self::Rnn | Self::Gru => 1,
            Self::Lstm => 2,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Recurrent {
    name: String,
    cell: Cell,
    inputs: usize,
    hidden: usize,
    w_input: Tensor,
    b_input: Tensor,
    w_hidden: Tensor,
    /// Only the GRU needs a second bias: its reset gate multiplies it.
    b_hidden: Option<Tensor>,
}

impl Recurrent {
    pub fn new(
        params: &mut Parameters,
        name: &str,
        cell: Cell,
        inputs: usize,
        hidden: usize,
    ) -> Result<Self, Error> {
        let bound = 1.0 / (hidden as f64).sqrt();
        let rows = cell.gates() * hidden;
        let mut draw = |part: &str, shape: &[usize]| params.uniform(&format!("{name}.{part}"), shape, bound);
        Ok(Self {
            name: name.to_owned(),
            cell,
            inputs,
            hidden,
            w_input: draw("w_input", &[rows, inputs])?,
            b_input: draw("b_input", &[rows])?,
            w_hidden: draw("w_hidden", &[rows, hidden])?,
            b_hidden: if cell == Cell::Gru { Some(draw("b_hidden", &[rows])?) } else { None },
        })
    }

    pub fn features(&self) -> usize {
        self.hidden
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let (steps, batch) = (x.dim(0)?, x.dim(1)?);
        let flat = x.reshape((steps * batch, self.inputs))?;
        let gates = ipnet_nn::linear(&flat, &self.w_input, Some(&self.b_input))?;
        let gates = gates.reshape((steps, batch, self.cell.gates() * self.hidden))?;
        let scan = match self.cell {
            Cell::Rnn => ipnet_nn::rnn_scan,
            Cell::Gru => ipnet_nn::gru_scan,
            Cell::Lstm => ipnet_nn::lstm_scan,
        };
        Ok(scan(&gates, &self.w_hidden, self.b_hidden.as_ref())?)
    }

    pub fn counts(&self, steps: usize) -> LayerCounts {
        let (inputs, hidden, gates) = (self.inputs, self.hidden, self.cell.gates());
        let products = gates * hidden * (inputs + hidden);
        let biases = gates * hidden * if self.b_hidden.is_some() { 2 } else { 1 };
        let states = self.cell.states() * hidden;
        let mut counts = LayerCounts::new(&self.name, Role::Memory);
        counts.parameters = (products + biases) as u64;
        counts.macs = (steps * products) as u64;
        counts.other_ops = (steps * (biases + hidden * self.cell.other_ops())) as u64;
        counts.weight_reads = (steps * (products + biases)) as u64;
        counts.activation_reads = (steps * inputs) as u64;
        counts.activation_writes = (steps * hidden) as u64;
        counts.state_values = states as u64;
        counts.state_reads = (steps * states) as u64;
        counts.state_writes = (steps * states) as u64;
        counts
    }
}
