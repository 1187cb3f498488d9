//! A convolutional stage over time as one operation: `y = avg_pool2d(neurons(conv2d(x, w) + b), k)`.
//!
//! Its adjoint is the chain of the parts': `ds = dy / k^2` over each window, `dz` by the neurons, then [`crate::conv2d`]'s
//! `dx`, `dw`, `db`. Neurons are a rectifier, the fused thermal scan or LIF neurons of `ipnet-kernel`.
//!
//! Design decision: as three operations, the convolution's result, the neurons' and the gradients of both are tensors,
//! each as large as `O / C` inputs, and candle passes over every gradient twice on one thread. Here the rectifier
//! keeps one byte a pixel and works on a sample while it is in the cache; a scan keeps its drive `z` (and what was
//! fired only if a firing heats, see `ipnet-kernel`) in buffers that are used again.

use candle_core::Tensor;
use ipnet_kernel::{
    AlifConfig, CpuBackend, LifConfig, ScanBackend, ScanConfig, ScanShape, ThermalBackward, ThermalForward,
    ThermalScan, lif_scan, thermal_scan,
};
use rayon::prelude::*;

use crate::autograd::{operand, record3, view};
use crate::buffers::Buffer;
use crate::composed;
use crate::conv::{self, Geometry};
use crate::error::{Error, Result};
use crate::parallel::{self, Unwritten, cleared};
use crate::pool::{Planes, windows_of};

const OP: &str = "conv_stage";

/// The neurons of a stage. Parameters are `[O]`, one per output channel of the convolution.
#[derive(Debug, Clone, Copy)]
pub enum Neurons<'a> {
    /// `max(z, 0)`; a NaN passes through.
    Relu,
    /// [`ipnet_kernel::thermal_scan`].
    Thermal {
        /// Volts per unit of drive.
        gain: &'a Tensor,
        /// Probe pulse \[V\].
        bias: &'a Tensor,
        /// Law, firing and draws.
        config: &'a ScanConfig,
    },
    /// [`ipnet_kernel::lif_scan`].
    Lif {
        /// Decay of the membrane per step.
        decay: &'a Tensor,
        /// Threshold, reset and surrogate.
        config: &'a LifConfig,
    },
}

/// `x [T, B, C, H, W]`, `w [O, C, kh, kw]` with `padding` and stride 1, `bias [O]`, pooled over `pool x pool` windows:
/// `[T, B, O, H' / pool, W' / pool]`, rounded down.
///
/// # Errors
/// Shapes that do not fit together, what [`crate::conv2d`], [`crate::avg_pool2d`] and the neurons refuse.
pub fn conv_stage(
    x: &Tensor,
    w: &Tensor,
    bias: &Tensor,
    padding: usize,
    neurons: Neurons<'_>,
    pool: usize,
) -> Result<Tensor> {
    let &[steps, batch, _, _, _] = x.dims() else {
        return Err(Error::shape(OP, "x [T, B, C, H, W]", x.shape()));
    };
    let g = Geometry::new(x, w, Some(bias), 1, padding)?;
    let planes = windows_of(OP, [g.h_out, g.w_out], pool)?;
    let shape = [steps, batch, g.c_out, planes.h_out, planes.w_out].to_vec();
    for parameter in neurons.parameters() {
        if parameter.dims() != [g.c_out] {
            return Err(Error::shape(OP, format!("a neuron parameter [{}]", g.c_out), parameter.shape()));
        }
    }
    if composed::takes(OP, x)? {
        let z = composed::conv2d(&g, x, w, Some(bias))?;
        let fired = match neurons {
            Neurons::Relu => composed::relu(&z)?,
            Neurons::Thermal { gain, bias, config } => thermal_scan(&z, gain, bias, config)?,
            Neurons::Lif { decay, config } => lif_scan(&z, decay, config)?,
        };
        return composed::avg_pool2d(&planes, &fired, pool);
    }
    // One operand for all that is `[O]`: a candle operation has three at most.
    let mut small = vec![bias];
    small.extend(neurons.parameters());
    let small = if small.len() == 1 { bias.clone() } else { Tensor::cat(&small, 0)? };
    let (x, w, small) = (operand(OP, x)?, operand(OP, w)?, operand(OP, &small)?);
    let stage = Stage { g, planes, pool };
    let (xs, ws, parameters) = (view(OP, &x)?, view(OP, &w)?, view(OP, &small)?);
    let scan_shape = ScanShape { steps, batch, channels: g.c_out, inner: g.y_plane() };
    let scan = match neurons {
        Neurons::Relu => {
            let tracked = x.track_op() || w.track_op() || small.track_op();
            let (y, open) = stage.rectified(xs.slice()?, ws.slice()?, parameters.slice()?, tracked);
            return record3(OP, [&x, &w, &small], y, shape, move |args| {
                let ([x, w, _], open) = (args.inputs, &open);
                let gradients = stage.backward_rectified(x, w, args.needs, open, args.grad);
                Ok([gradients.dx, gradients.dw, gradients.db])
            });
        }
        Neurons::Thermal { config, .. } => Scan::Thermal(ThermalScan::new(config, scan_shape)?),
        Neurons::Lif { config, .. } => {
            let lif = AlifConfig { lif: *config, adaptation_decay: 0.0, adaptation_strength: 0.0 };
            Scan::Lif(scan_shape, lif)
        }
    };
    let (y, z, fired) = stage.scanned(&scan, xs.slice()?, ws.slice()?, parameters.slice()?)?;
    record3(OP, [&x, &w, &small], y, shape, move |args| {
        let [x, w, parameters] = args.inputs;
        let mut grad_small = vec![0.0; parameters.len()];
        let grad_z = {
            let mut grad_out = Buffer::new(z.len());
            stage.unpool(args.grad, &mut grad_out);
            let (bias_grad, rest) = (g.c_out, &mut grad_small[g.c_out..]);
            let of_neurons = &parameters[bias_grad..];
            let rest = args.needs[2].then_some(rest);
            scan.backward(of_neurons, &z, fired.as_deref(), &grad_out, rest)?
        };
        let gradients = conv::backward(&g, x, w, args.needs, |n, use_it| {
            use_it(&grad_z[n * g.y_sample()..(n + 1) * g.y_sample()]);
        });
        if let Some(db) = gradients.db {
            grad_small[..g.c_out].copy_from_slice(&db);
        }
        Ok([gradients.dx, gradients.dw, Some(grad_small)])
    })
}

impl<'a> Neurons<'a> {
    fn parameters(&self) -> impl Iterator<Item = &'a Tensor> + use<'a> {
        let all = match *self {
            Self::Relu => [None, None],
            Self::Thermal { gain, bias, .. } => [Some(gain), Some(bias)],
            Self::Lif { decay, .. } => [Some(decay), None],
        };
        all.into_iter().flatten()
    }
}

/// Neurons over time, checked.
enum Scan {
    Thermal(ThermalScan),
    Lif(ScanShape, AlifConfig),
}

impl Scan {
    fn forward(&self, parameters: &[f32], z: &[f32], out: &mut [f32]) -> Result<()> {
        match self {
            Self::Thermal(scan) => {
                let (gain, bias) = parameters.split_at(parameters.len() / 2);
                let io = ThermalForward { x: z, gain, bias, heat: None, out, final_heat: None };
                CpuBackend::default().thermal_forward(scan, io)?;
            }
            Self::Lif(shape, config) => CpuBackend::default().lif(*shape, config, z, parameters, out)?,
        }
        Ok(())
    }

    /// Whether backward reads what was fired: where a firing heats.
    fn reads_fired(&self) -> bool {
        match self {
            Self::Thermal(scan) => scan.law().poles.iter().any(|pole| pole.reset_k != 0.0),
            Self::Lif(..) => false,
        }
    }

    /// dL/dz; those of the parameters go to `grad_parameters`, if they are wanted.
    fn backward(
        &self,
        parameters: &[f32],
        z: &[f32],
        fired: Option<&[f32]>,
        grad_out: &[f32],
        grad_parameters: Option<&mut [f32]>,
    ) -> Result<Buffer> {
        let mut grad_z = Buffer::new(z.len());
        match self {
            Self::Thermal(scan) => {
                let (gain, bias) = parameters.split_at(parameters.len() / 2);
                let io = ThermalBackward {
                    x: z,
                    gain,
                    bias,
                    heat: None,
                    // Without reset heat its content is not read.
                    out: fired.unwrap_or(z),
                    grad_out,
                    grad_final_heat: None,
                    grad_x: Some(&mut grad_z),
                    grad_gain_bias: grad_parameters.map(|grad| {
                        let (gain, bias) = grad.split_at_mut(grad.len() / 2);
                        [gain, bias]
                    }),
                    grad_heat: None,
                };
                CpuBackend::default().thermal_backward(scan, io)?;
            }
            Self::Lif(shape, config) => {
                let mut unwanted = vec![0.0; parameters.len()];
                let grad_decay = grad_parameters.unwrap_or(&mut unwanted);
                let backend = CpuBackend::default();
                backend.lif_gradient(*shape, config, z, parameters, grad_out, &mut grad_z, grad_decay)?;
            }
        }
        Ok(grad_z)
    }
}

#[derive(Clone, Copy)]
struct Stage {
    g: Geometry,
    planes: Planes,
    pool: usize,
}

impl Stage {
    /// Elements of a pooled sample.
    fn pooled(&self) -> usize {
        self.g.c_out * self.planes.y_len()
    }

    /// `y`, and for each element of `z` whether it was above 0 (nothing, if no gradient will be asked for).
    fn rectified(&self, x: &[f32], w: &[f32], bias: &[f32], tracked: bool) -> (Vec<f32>, Vec<u8>) {
        let g = &self.g;
        let forward = conv::Forward::new(g, w, Some(bias));
        let open_len = if tracked { g.batch * g.y_sample() } else { 0 };
        let mut open = Unwritten::<u8>::new(open_len);
        let mut masks: Vec<&mut [_]> = open.slice().chunks_mut(g.y_sample()).collect();
        masks.resize_with(g.batch, Default::default);
        let samples = x.par_chunks(g.x_sample()).zip(masks);
        let y = parallel::written(g.batch * self.pooled(), self.pooled(), samples, |y, (x, open)| {
            let open = cleared(open);
            if self.pool == 1 {
                forward.sample(x, y);
                return rectify(y, open);
            }
            conv::with_scratch(g.y_sample(), |z| {
                forward.sample(x, z);
                rectify(z, open);
                self.planes.average_sample(self.pool, z, y);
            });
        });
        // SAFETY: each sample's part was cleared above.
        (y, unsafe { open.written() })
    }

    fn backward_rectified(
        &self,
        x: &[f32],
        w: &[f32],
        needs: [bool; 3],
        open: &[u8],
        dy: &[f32],
    ) -> conv::Gradients {
        let g = &self.g;
        conv::backward(g, x, w, needs, |n, use_it| {
            let dy = &dy[n * self.pooled()..(n + 1) * self.pooled()];
            let open = &open[n * g.y_sample()..(n + 1) * g.y_sample()];
            conv::with_scratch(g.y_sample(), |dz| {
                gradient_through(&self.planes, self.pool, dy, open, dz);
                use_it(dz);
            });
        })
    }

    /// `y`, `z`, and what was fired where backward reads it.
    fn scanned(
        &self,
        scan: &Scan,
        x: &[f32],
        w: &[f32],
        parameters: &[f32],
    ) -> Result<(Vec<f32>, Buffer, Option<Buffer>)> {
        let g = &self.g;
        let (bias, of_neurons) = parameters.split_at(g.c_out);
        let forward = conv::Forward::new(g, w, Some(bias));
        let mut z = Buffer::new(g.batch * g.y_sample());
        z.par_chunks_mut(g.y_sample())
            .zip(x.par_chunks(g.x_sample()))
            .for_each(|(z, x)| forward.sample(x, z));
        let mut fired = Buffer::new(z.len());
        scan.forward(of_neurons, &z, &mut fired)?;
        let samples = fired.par_chunks(g.y_sample());
        let y = parallel::written(g.batch * self.pooled(), self.pooled(), samples, |y, fired| {
            self.planes.average_sample(self.pool, fired, y);
        });
        Ok((y, z, scan.reads_fired().then_some(fired)))
    }

    /// The gradient of what the neurons sent on.
    fn unpool(&self, dy: &[f32], grad_out: &mut [f32]) {
        let g = &self.g;
        grad_out.par_chunks_mut(g.y_sample()).zip(dy.par_chunks(self.pooled())).for_each(|(grad, dy)| {
            self.planes.spread_sample(self.pool, dy, grad);
        });
    }
}

/// Rectifies `z`; in `open`, if it is not empty, whether an element was above 0.
pub(crate) fn rectify(z: &mut [f32], open: &mut [u8]) {
    for (open, z) in open.iter_mut().zip(&*z) {
        *open = u8::from(*z > 0.0);
    }
    // Not z.max(0.0), which would turn the NaN of a diverged layer into 0.
    z.iter_mut().for_each(|z| *z = if *z < 0.0 { 0.0 } else { *z });
}

/// The gradient of a sample before rectifier and pool: `dz = dy / k^2` over each window where `open` is not 0, else 0.
pub(crate) fn gradient_through(planes: &Planes, pool: usize, dy: &[f32], open: &[u8], dz: &mut [f32]) {
    let through = |open: u8, dy: f32| if open == 0 { 0.0 } else { dy };
    if pool == 1 {
        for ((dz, dy), open) in dz.iter_mut().zip(dy).zip(open) {
            *dz = through(*open, *dy);
        }
        return;
    }
    planes.spread_sample(pool, dy, dz);
    for (dz, open) in dz.iter_mut().zip(open) {
        *dz = through(*open, *dz);
    }
}
