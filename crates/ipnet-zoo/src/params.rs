//! Parameters and running statistics by name.
//!
//! Design decision: the initial value of a parameter is a function of the run's seed and its own name, so equal
//! backbones start equal whatever memory stands beside them, and adding a layer moves nobody else's draw. Values are drawn on
//! the host and moved, and a snapshot lies on the host: weights and checkpoints are the same wherever a network computes.

use crate::Error;
use candle_core::{Device, Tensor, Var};
use ipnet_rng::Stream;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Running statistics of a normalisation, shared between the layer and the checkpoint.
pub(crate) type Buffer = Arc<Mutex<Vec<f32>>>;

/// All trained parameters and running statistics of one network.
#[derive(Debug)]
pub struct Parameters {
    seed: u64,
    device: Device,
    vars: BTreeMap<String, Var>,
    buffers: BTreeMap<String, Buffer>,
}

impl Parameters {
    /// An empty set on the CPU whose initial values will come from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::on(&Device::Cpu, seed)
    }

    /// As [`Parameters::new`], on `device`.
    pub fn on(device: &Device, seed: u64) -> Self {
        Self { seed, device: device.clone(), vars: BTreeMap::new(), buffers: BTreeMap::new() }
    }

    /// Where the parameters lie, and the network computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The seed that initial values come from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The trained parameters, in name order.
    pub fn vars(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.vars.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// Number of trained values.
    pub fn count(&self) -> usize {
        self.vars.values().map(|var| var.elem_count()).sum()
    }

    /// A parameter drawn uniformly from `[-bound, bound)`.
    pub fn uniform(&mut self, name: &str, shape: &[usize], bound: f64) -> Result<Tensor, Error> {
        let mut stream = Stream::named(self.seed, name);
        let values = (0..shape.iter().product()).map(|_| stream.uniform_in(-bound, bound) as f32).collect();
        self.insert(name, values, shape)
    }

    /// A parameter that starts at `value` everywhere.
    pub(crate) fn constant(&mut self, name: &str, shape: &[usize], value: f64) -> Result<Tensor, Error> {
        self.insert(name, vec![value as f32; shape.iter().product()], shape)
    }

    fn insert(&mut self, name: &str, values: Vec<f32>, shape: &[usize]) -> Result<Tensor, Error> {
        let var = Var::from_vec(values, shape, &self.device)?;
        let tensor = var.as_tensor().clone();
        if self.vars.insert(name.to_owned(), var).is_some() {
            return Err(Error::Spec {
                what: format!("parameter `{name}`"),
                expected: "a name of its own".into(),
                found: "two layers of that name".into(),
            });
        }
        Ok(tensor)
    }

    /// Running statistics that start at `value`.
    pub(crate) fn buffer(&mut self, name: &str, len: usize, value: f32) -> Buffer {
        let buffer = Arc::new(Mutex::new(vec![value; len]));
        self.buffers.insert(name.to_owned(), buffer.clone());
        buffer
    }

    /// Sets all values of a parameter.
    ///
    /// # Errors
    /// No parameter of that name.
    pub(crate) fn fill(&self, name: &str, value: f64) -> Result<(), Error> {
        let missing = || Error::MissingParameter { name: name.to_owned() };
        let var = self.vars.get(name).ok_or_else(missing)?;
        Ok(var.set(&Tensor::full(value as f32, var.shape(), &self.device)?)?)
    }

    /// A copy of all parameters and statistics on the CPU, by name: what a checkpoint stores.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut all = BTreeMap::new();
        for (name, var) in &self.vars {
            // On the CPU a tensor moved there is the tensor itself, which the next update writes over.
            let values =
                if self.device.is_cpu() { var.copy()? } else { var.detach().to_device(&Device::Cpu)? };
            all.insert(name.clone(), values);
        }
        for (name, buffer) in &self.buffers {
            let values = read_buffer(buffer);
            let len = values.len();
            all.insert(name.clone(), Tensor::from_vec(values, len, &Device::Cpu)?);
        }
        Ok(all)
    }

    /// Puts a snapshot back, wherever its tensors lie.
    ///
    /// # Errors
    /// A missing name or another shape; nothing is changed then.
    pub fn restore(&self, snapshot: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        let find = |name: &str, shape: &[usize]| {
            let tensor =
                snapshot.get(name).ok_or_else(|| Error::MissingParameter { name: name.to_owned() })?;
            if tensor.dims() != shape {
                return Err(Error::Shape {
                    what: name.to_owned(),
                    expected: shape.into(),
                    found: tensor.dims().into(),
                });
            }
            Ok(tensor)
        };
        let vars: Vec<_> = self
            .vars
            .iter()
            .map(|(name, var)| Ok((var, find(name, var.dims())?)))
            .collect::<Result<_, Error>>()?;
        let buffers: Vec<_> = self
            .buffers
            .iter()
            .map(|(name, buffer)| Ok((buffer, find(name, &[read_buffer(buffer).len()])?.to_vec1::<f32>()?)))
            .collect::<Result<_, Error>>()?;
        for (var, tensor) in vars {
            var.set(&tensor.to_device(&self.device)?)?;
        }
        for (buffer, values) in buffers {
            write_buffer(buffer, values);
        }
        Ok(())
    }
}

/// The values of a buffer (a poisoned lock still holds whole values: they are written in one assignment).
pub(crate) fn read_buffer(buffer: &Buffer) -> Vec<f32> {
    buffer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// Replaces the values of a buffer.
pub(crate) fn write_buffer(buffer: &Buffer, values: Vec<f32>) {
    *buffer.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = values;
}
