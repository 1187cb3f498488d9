//! What the GPU has beside [`ScanBackend`](ipnet_kernel::ScanBackend), where there is one: LIF neurons, bfloat16, candle's tensors.
//! Without a GPU these tests say that they are skipped, or fail where `IPNET_NEEDS_CUDA` is set.

use crate::bf16::{self, Bf16Backend};
use crate::cases::normal;
use ipnet_kernel::cuda::{Bf16, CudaBackend, StoredBackward};
use ipnet_kernel::{AlifConfig, CpuBackend, LifConfig, Reset, ScanShape, ThermalScan};

/// The GPU; none where tests may go without.
fn gpu() -> Option<CudaBackend> {
    match CudaBackend::new(0) {
        Ok(gpu) => Some(gpu),
        Err(why) => {
            assert!(std::env::var_os("IPNET_NEEDS_CUDA").is_none(), "{why}");
            println!("skipped: {why}");
            None
        }
    }
}

/// The spikes of the CPU, and its gradients to rounding.
#[test]
fn lif_neurons_agree_with_the_processor() {
    let Some(gpu) = gpu() else { return };
    for inner in [4, 11] {
        let shape = ScanShape { steps: 40, batch: 2, channels: 3, inner };
        let (x, g) = (normal("lif", shape.elements()), normal("g", shape.elements()));
        let decay = [0.9, 0.8, 0.5];
        for (reset, adaptation_strength) in [(Reset::Zero, 0.0), (Reset::Subtract, 0.7), (Reset::None, 0.0)] {
            let lif = LifConfig { reset, ..LifConfig::default() };
            let config = AlifConfig { lif, adaptation_decay: 0.9, adaptation_strength };
            let mut outs = [(); 2].map(|()| vec![0.0; shape.elements()]);
            let mut grads = [(); 2].map(|()| (vec![0.0; shape.elements()], [0.0; 3]));
            let cpu = CpuBackend::default();
            cpu.lif(shape, &config, &x, &decay, &mut outs[0]).unwrap();
            gpu.lif(shape, &config, &x, &decay, &mut outs[1]).unwrap();
            assert!(outs[0].contains(&1.0) && outs[0] == outs[1], "{config:?}");
            let [(dx, dd), (gpu_dx, gpu_dd)] = &mut grads;
            cpu.lif_gradient(shape, &config, &x, &decay, &g, dx, dd).unwrap();
            gpu.lif_gradient(shape, &config, &x, &decay, &g, gpu_dx, gpu_dd).unwrap();
            let pairs = dx.iter().zip(&*gpu_dx).chain(dd.iter().zip(&*gpu_dd));
            for (a, b) in pairs {
                assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{config:?}: {a}, on the GPU {b}");
            }
        }
    }
}

impl Bf16Backend for CudaBackend {
    fn forward(&self, scan: &ThermalScan, x: &[Bf16], gains: [&[f32]; 2]) -> Vec<Bf16> {
        let mut out = vec![Bf16::default(); x.len()];
        self.forward(scan, x, gains, None, &mut out).unwrap();
        out
    }

    fn backward(
        &self,
        scan: &ThermalScan,
        x: &[Bf16],
        [gain, bias]: [&[f32]; 2],
        out: &[Bf16],
        grad_out: &[Bf16],
    ) -> (Vec<Bf16>, [Vec<f32>; 2]) {
        let given = StoredBackward { x, gain, bias, heat: None, out, grad_out, grad_final_heat: None };
        let found = self.backward(scan, given).unwrap();
        (found.x, found.gain_bias)
    }
}

#[test]
fn bfloat16_agrees_within_its_rounding() {
    let Some(gpu) = gpu() else { return };
    bf16::agrees_within_its_rounding(&gpu);
}

/// Candle's tensors on the GPU: value and every gradient of the same operation on the CPU, from rest and from a state, with rows
/// that start where four numbers can be read at once and where they cannot.
#[cfg(feature = "candle-cuda")]
mod tensors {
    use crate::cases::{config, law, normal, with_spread};
    use candle_core::{Device, Tensor, Var};
    use ipnet_kernel::{
        AlifConfig, Firing, LifConfig, alif_scan_from, cuda_device, lif_scan, thermal_scan, thermal_scan_from,
    };

    const STEPS: usize = 20;

    fn gpu() -> Option<Device> {
        match cuda_device() {
            Ok(gpu) => Some(gpu),
            Err(why) => {
                assert!(std::env::var_os("IPNET_NEEDS_CUDA").is_none(), "{why}");
                println!("skipped: {why}");
                None
            }
        }
    }

    /// Value of `op` on `inputs` and the gradients of `sum_i c_i y_i`, all on the host.
    fn run(
        device: &Device,
        inputs: &[(Vec<f32>, Vec<usize>)],
        op: &dyn Fn(&[Tensor]) -> Tensor,
    ) -> Vec<Vec<f32>> {
        let var = |(values, dims): &(Vec<f32>, Vec<usize>)| {
            Var::from_vec(values.clone(), dims.as_slice(), device).unwrap()
        };
        let vars: Vec<Var> = inputs.iter().map(var).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let y = op(&tensors);
        let c = Tensor::from_vec(normal("weights", y.elem_count()), y.dims(), device).unwrap();
        let grads = (&y * c).unwrap().sum_all().unwrap().backward().unwrap();
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        [values(&y)].into_iter().chain(vars.iter().map(|var| values(grads.get(var).unwrap()))).collect()
    }

    fn same(what: &str, inputs: &[(Vec<f32>, Vec<usize>)], op: &dyn Fn(&[Tensor]) -> Tensor) {
        let Some(gpu) = gpu() else { return };
        let results = [&Device::Cpu, &gpu].map(|device| run(device, inputs, op));
        for (index, (a, b)) in results[1].iter().zip(&results[0]).enumerate() {
            let scale = b.iter().fold(1e-3_f32, |m, b| m.max(b.abs()));
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                let off = (a - b).abs() / scale;
                assert!(off < 2e-4, "{what}: result {index}, element {at}: {a} expected {b}");
            }
        }
    }

    fn inputs(inner: usize, states: usize) -> Vec<(Vec<f32>, Vec<usize>)> {
        let (batch, channels) = (2, 3);
        let map = |first: usize| vec![first, batch, channels, inner];
        let len = |dims: &[usize]| dims.iter().product::<usize>();
        vec![
            (normal("x", len(&map(STEPS + 1))), map(STEPS + 1)),
            (vec![0.3, 0.4, 0.5], vec![channels]),
            (vec![0.45, 0.4, 0.35], vec![channels]),
            (normal("state", len(&map(states))).iter().map(|z| 0.3 * z.abs()).collect(), map(states)),
        ]
    }

    /// All steps but the first: for 11 neurons, rows that start at no multiple of four.
    fn later(x: &Tensor) -> Tensor {
        x.narrow(0, 1, STEPS).unwrap()
    }

    #[test]
    fn thermal_scans() {
        for (inner, law) in [(4, law(2, 1.0)), (11, law(1, 2.0)), (11, with_spread(law(3, 1.0)))] {
            for firing in [Firing::Expected, Firing::Sampled] {
                let config = config(&law, firing);
                let all = inputs(inner, law.poles.len());
                same("thermal_scan", &all[..3], &|t| {
                    thermal_scan(&later(&t[0]), &t[1], &t[2], &config).unwrap()
                });
                same("thermal_scan_from", &all, &|t| {
                    let (y, heat) = thermal_scan_from(&later(&t[0]), &t[1], &t[2], &t[3], &config).unwrap();
                    Tensor::cat(&[y, heat], 0).unwrap()
                });
            }
        }
    }

    #[test]
    fn lif_scans() {
        for inner in [4, 11] {
            for strength in [0.0, 0.5] {
                let config = AlifConfig {
                    lif: LifConfig::default(),
                    adaptation_decay: 0.9,
                    adaptation_strength: strength,
                };
                let [x, decay, _, state] = inputs(inner, 1 + usize::from(strength > 0.0)).try_into().unwrap();
                same("lif_scan", &[x.clone(), decay.clone()], &|t| {
                    lif_scan(&later(&t[0]), &t[1], &config.lif).unwrap()
                });
                same("alif_scan_from", &[x, decay, state], &|t| {
                    let (y, last) = alif_scan_from(&later(&t[0]), &t[1], &t[2], &config).unwrap();
                    Tensor::cat(&[y, last], 0).unwrap()
                });
            }
        }
    }

    /// What the CPU refuses is refused.
    #[test]
    fn a_heat_that_is_no_heat_is_refused() {
        let Some(gpu) = gpu() else { return };
        let law = law(1, 1.0);
        let tensor = |values: Vec<f32>, dims: &[usize]| Tensor::from_vec(values, dims, &gpu).unwrap();
        let (x, gain) = (tensor(vec![0.1; 6], &[2, 3]), tensor(vec![0.3], &[1]));
        let heat = tensor(vec![1.0, -1.0, 0.0], &[1, 3]);
        let refused = thermal_scan_from(&x, &gain, &gain, &heat, &config(&law, Firing::Expected));
        assert!(refused.unwrap_err().to_string().contains("heat"));
    }
}
