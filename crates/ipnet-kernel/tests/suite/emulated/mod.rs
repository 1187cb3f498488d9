//! The CUDA kernels without a GPU: the very source, compiled as C++ with the constants it has on a GPU, fed with the arguments of a
//! launch, its blocks and threads in a loop (`emulated.h`).
//!
//! This shows the arithmetic, the indices, the checkpoints and the draws, and that nothing is written outside of a buffer or left
//! unwritten. It shows nothing of a GPU itself: its rounding of division and square root (IEEE by default under NVRTC), its
//! memory model, its limits, the launch. Threads run one after the other, but for the sums over channels, which are the only ones
//! to share memory: there the 256 of a block are threads of the system with a barrier.

mod programs;

use crate::bf16::{self, Bf16Backend};
use crate::cases::{config, laws, normal};
use crate::conformance::{F64, gains};
use crate::lif;
use candle_core::{DType, Device, Tensor, Var};
use ipnet_kernel::cuda_source::{Bf16, LifArgument, LifVariant, SEGMENT, SUM_THREADS, ScanArgument, Variant};
use ipnet_kernel::{
    CpuBackend, Firing, Result, ScanBackend, ScanConfig, ScanShape, ThermalBackward, ThermalForward,
    ThermalScan, alif_scan_from,
};
use programs::{Kernels, Plain, Programs, Size, bytes, numbers, unwritten};

/// The kernels on the processor.
pub struct Emulated {
    programs: Programs,
}

/// What [`Emulated::backward`] reads.
struct Given<'a, E> {
    x: &'a [E],
    gains: [&'a [f32]; 2],
    heat: Option<&'a [f32]>,
    out: &'a [E],
    grad_out: &'a [E],
    grad_final_heat: Option<&'a [f32]>,
}

impl Emulated {
    /// The kernels, or why they cannot be had.
    pub fn new() -> std::result::Result<Self, String> {
        Programs::start().map(|programs| Self { programs })
    }

    fn forward<E: Stored>(
        &self,
        scan: &ThermalScan,
        x: &[E],
        [gain, bias]: [&[f32]; 2],
        heat: Option<&[f32]>,
    ) -> (Vec<E>, Vec<f32>) {
        let variant = Variant::of(scan, E::BF16);
        let (argument, table) = ScanArgument::new(scan);
        let arguments = [
            bytes(&[argument]),
            bytes(x),
            bytes(gain),
            bytes(bias),
            bytes(&table),
            bytes(heat.unwrap_or(&[])),
            unwritten::<E>(x.len()),
            unwritten::<f32>(scan.poles() * scan.shape().neurons()),
        ];
        let size = Size::of(scan.shape(), variant.vector());
        let after = self.programs.launch(Kernels::Thermal(variant), "thermal_forward", size, &arguments);
        (numbers(&after[6]), numbers(&after[7]))
    }

    /// Gradients of x and heat, and what each neuron adds to those of gain and bias, `[2, N]`.
    fn backward<E: Stored>(&self, scan: &ThermalScan, given: &Given<'_, E>) -> (Vec<E>, Vec<f32>, Vec<f32>) {
        let shape = scan.shape();
        let state = scan.poles() * shape.neurons();
        let variant = Variant::of(scan, E::BF16);
        let (argument, table) = ScanArgument::new(scan);
        let arguments = [
            bytes(&[argument]),
            bytes(given.x),
            bytes(given.gains[0]),
            bytes(given.gains[1]),
            bytes(&table),
            bytes(given.heat.unwrap_or(&[])),
            bytes(given.out),
            bytes(given.grad_out),
            unwritten::<f32>(shape.steps.div_ceil(SEGMENT) * state),
            unwritten::<E>(shape.elements()),
            given.grad_final_heat.map_or_else(|| bytes(&vec![0.0_f32; state]), bytes),
            unwritten::<f32>(2 * shape.neurons()),
        ];
        let size = Size::of(shape, variant.vector());
        let after = self.programs.launch(Kernels::Thermal(variant), "thermal_backward", size, &arguments);
        (numbers(&after[9]), numbers(&after[10]), numbers(&after[11]))
    }

    /// `sums` `[K, N]` to `[K, C]` by the kernel, 256 threads at the same time.
    fn sum_channels(&self, kernels: Kernels, shape: ScanShape, sums: &[f32]) -> Vec<f64> {
        let rows = sums.len() / shape.neurons();
        let [neurons, channels, inner] = [shape.neurons(), shape.channels, shape.inner].map(|n| n as u64);
        let arguments = [
            bytes(&[neurons]),
            bytes(&[channels]),
            bytes(&[inner]),
            bytes(sums),
            unwritten::<f64>(rows * shape.channels),
        ];
        let blocks = [shape.channels as u32, rows as u32];
        let size = Size { blocks, threads: SUM_THREADS, at_once: true };
        numbers(&self.programs.launch(kernels, "sum_channels", size, &arguments)[4])
    }
}

/// How x, out and their gradients are stored.
trait Stored: Plain {
    const BF16: bool;
}
impl Stored for f32 {
    const BF16: bool = false;
}
impl Stored for Bf16 {
    const BF16: bool = true;
}

/// [`Emulated::sum_channels`] without its threads: a quick sum in `f64`.
fn totals(shape: ScanShape, sums: &[f32]) -> Vec<f32> {
    let mut totals = vec![0.0; sums.len() / shape.neurons() * shape.channels];
    for (i, sum) in sums.iter().enumerate() {
        let (row, n) = (i / shape.neurons(), i % shape.neurons());
        totals[row * shape.channels + n / shape.inner % shape.channels] += f64::from(*sum);
    }
    totals.into_iter().map(|sum| sum as f32).collect()
}

impl ScanBackend for Emulated {
    fn name(&self) -> &'static str {
        "cuda-emulated"
    }

    fn thermal_forward(&self, scan: &ThermalScan, io: ThermalForward<'_>) -> Result<()> {
        io.check(scan)?;
        let (out, heat) = self.forward(scan, io.x, [io.gain, io.bias], io.heat);
        io.out.copy_from_slice(&out);
        if let Some(final_heat) = io.final_heat {
            final_heat.copy_from_slice(&heat);
        }
        Ok(())
    }

    fn thermal_backward(&self, scan: &ThermalScan, io: ThermalBackward<'_>) -> Result<()> {
        io.check(scan)?;
        let ThermalBackward { x, gain, bias, heat, out, grad_out, grad_final_heat, .. } = io;
        let given = Given { x, gains: [gain, bias], heat, out, grad_out, grad_final_heat };
        let (grad_x, grad_heat, sums) = self.backward(scan, &given);
        if let Some(to) = io.grad_x {
            to.copy_from_slice(&grad_x);
        }
        if let Some(to) = io.grad_heat {
            to.copy_from_slice(&grad_heat);
        }
        let totals = totals(scan.shape(), &sums);
        for (to, from) in io.grad_gain_bias.into_iter().flatten().zip(totals.chunks_exact(gain.len())) {
            to.copy_from_slice(from);
        }
        Ok(())
    }
}

impl Bf16Backend for Emulated {
    fn forward(&self, scan: &ThermalScan, x: &[Bf16], gains: [&[f32]; 2]) -> Vec<Bf16> {
        self.forward(scan, x, gains, None).0
    }

    fn backward(
        &self,
        scan: &ThermalScan,
        x: &[Bf16],
        gains: [&[f32]; 2],
        out: &[Bf16],
        grad_out: &[Bf16],
    ) -> (Vec<Bf16>, [Vec<f32>; 2]) {
        let given = Given { x, gains, heat: None, out, grad_out, grad_final_heat: None };
        let (grad_x, _, sums) = self.backward(scan, &given);
        let totals = totals(scan.shape(), &sums);
        let (gain, bias) = totals.split_at(gains[0].len());
        (grad_x, [gain.to_vec(), bias.to_vec()])
    }
}

fn emulated() -> Option<Emulated> {
    Emulated::new().map_err(|why| println!("skipped: {why}")).ok()
}

/// Several blocks of threads that own one neuron each, and of threads that own four, which lie in two channels now and then; the
/// last block is not full. Two full segments of steps and a part.
fn two_shapes() -> [ScanShape; 2] {
    let steps = 2 * SEGMENT + 5;
    [
        ScanShape { steps, batch: 2, channels: 3, inner: 47 },
        ScanShape { steps, batch: 2, channels: 3, inner: 90 },
    ]
}

/// All NaN are one number: which of them an operation gives is the processor's own affair.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| if v.is_nan() { f32::NAN } else { *v }.to_bits()).collect()
}

/// The largest difference, as a share of the largest number.
fn off(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
    found.iter().zip(expected).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / scale
}

/// Every law, both firings, from rest with drives that are no numbers and from a heat: firing, last heat and the gradients of the
/// drive and the heat have the bits of the processor; every gradient is within 1e-5 of the largest of its kind in `f64`.
#[test]
fn the_step_law_has_the_bits_of_the_processor() {
    let Some(emulated) = emulated() else { return };
    let cpu = CpuBackend::default();
    for (name, law) in laws() {
        for (firing, shape) in
            [Firing::Expected, Firing::Sampled].into_iter().flat_map(|f| two_shapes().map(|s| (f, s)))
        {
            let what = format!("{name}, {firing:?}, {shape:?}");
            // Inside a block of draws, and beyond what 32 bits hold.
            let config = ScanConfig {
                step_offset: (1 << 33) + 6,
                neuron_offset: (1 << 31) + 5,
                ..config(&law, firing)
            };
            let scan = ThermalScan::new(&config, shape).unwrap();
            let [gain, bias] = gains(shape);
            let state = scan.poles() * shape.neurons();
            let heat: Vec<f32> = normal("heat", state).iter().map(|z| 10.0 * z.abs()).collect();
            let clean = normal("emulated", shape.elements());
            let mut odd = clean.clone();
            (odd[3], odd[700], odd[1401], odd[2805]) = (f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e30);
            for (x, heat) in [(&odd, None), (&clean, Some(&heat[..]))] {
                let (mut out, mut last) = (vec![0.0; x.len()], vec![0.0; state]);
                let io = ThermalForward {
                    x,
                    gain: &gain,
                    bias: &bias,
                    heat,
                    out: &mut out,
                    final_heat: Some(&mut last),
                };
                cpu.thermal_forward(&scan, io).unwrap();
                let (found, found_last) = emulated.forward(&scan, x, [&gain, &bias], heat);
                let differ = bits(&found).iter().zip(bits(&out)).filter(|(a, b)| **a != *b).count();
                assert!(differ == 0, "{what}: {differ} outputs");
                assert!(bits(&found_last) == bits(&last), "{what}: final heat");
            }
            let (out, _) = emulated.forward(&scan, &clean, [&gain, &bias], Some(&heat));
            let rate = out.iter().sum::<f32>() / out.len() as f32;
            assert!((0.02..0.9).contains(&rate), "{what}: rate {rate} shows nothing");

            let (weights, state_weights) = (normal("weights", out.len()), normal("state weights", state));
            let gradients = |backend: &dyn ScanBackend| {
                let mut grads =
                    [clean.len(), state, shape.channels, shape.channels].map(|len| vec![f32::NAN; len]);
                let [grad_x, grad_heat, grad_gain, grad_bias] = &mut grads;
                let io = ThermalBackward {
                    x: &clean,
                    gain: &gain,
                    bias: &bias,
                    heat: Some(&heat),
                    out: &out,
                    grad_out: &weights,
                    grad_final_heat: Some(&state_weights),
                    grad_x: Some(grad_x),
                    grad_gain_bias: Some([grad_gain, grad_bias]),
                    grad_heat: Some(grad_heat),
                };
                backend.thermal_backward(&scan, io).unwrap();
                grads
            };
            let [found, of_cpu, expected] = [gradients(&emulated), gradients(&cpu), gradients(&F64)];
            for (i, kind) in ["x", "heat", "gain", "bias"].into_iter().enumerate() {
                let off = off(&found[i], &expected[i]);
                assert!(off < 1e-5, "{what}: d{kind} is off by {off} of the largest");
                if i < 2 {
                    assert!(bits(&found[i]) == bits(&of_cpu[i]), "{what}: d{kind}");
                }
            }
        }
    }
}

#[test]
fn bfloat16_agrees_within_its_rounding() {
    let Some(emulated) = emulated() else { return };
    bf16::agrees_within_its_rounding(&emulated);
}

/// LIF neurons, from a state: spikes, last state and the gradients of the drive and the first state have the bits of the processor;
/// in `f64` the spikes are the same and every gradient is within 1e-5 of the largest.
#[test]
fn lif_neurons_have_the_bits_of_the_processor() {
    let Some(emulated) = emulated() else { return };
    for (config, shape) in lif::configs().into_iter().flat_map(|c| two_shapes().map(|s| (c, s))) {
        let what = format!("{config:?}, {shape:?}");
        let (states, neurons) = (if config.adaptation_strength > 0.0 { 2 } else { 1 }, shape.neurons());
        let x = normal("emulated lif", shape.elements());
        let state: Vec<f32> = normal("lif state", states * neurons).iter().map(|z| 0.5 * z.abs()).collect();
        let decay = [0.9_f32, 0.8, 0.5];
        let (weights, state_weights) = (normal("weights", x.len()), normal("state weights", state.len()));

        let dims = |first: usize| vec![first, shape.batch, shape.channels, shape.inner];
        let on_cpu = |dtype: DType| {
            let tensor = |values: &[f32], dims: Vec<usize>| {
                Tensor::from_slice(values, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
            };
            let inputs =
                [tensor(&x, dims(shape.steps)), tensor(&decay, vec![3]), tensor(&state, dims(states))];
            let vars = inputs.map(|tensor| Var::from_tensor(&tensor).unwrap());
            let (out, last) = alif_scan_from(&vars[0], &vars[1], &vars[2], &config).unwrap();
            let loss = (&out * tensor(&weights, dims(shape.steps))).unwrap().sum_all().unwrap();
            let of_state = (&last * tensor(&state_weights, dims(states))).unwrap().sum_all().unwrap();
            let grads = (loss + of_state).unwrap().backward().unwrap();
            let narrow =
                |t: &Tensor| t.flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1().unwrap();
            let [dx, dd, ds] = vars.each_ref().map(|var| narrow(grads.get(var).unwrap()));
            [narrow(&out), narrow(&last), dx, ds, dd]
        };
        let (of_cpu, expected) = (on_cpu(DType::F32), on_cpu(DType::F64));

        let variant = LifVariant::of(shape, &config);
        let size = Size::of(shape, variant.vector());
        let argument = bytes(&[LifArgument::new(shape, &config)]);
        let given = [argument, bytes(&x), bytes(&decay), bytes(&state)];
        let forward = [unwritten::<f32>(x.len()), unwritten::<f32>(state.len())];
        let after = emulated.programs.launch(
            Kernels::Lif(variant),
            "lif_forward",
            size,
            &[&given[..], &forward].concat(),
        );
        let (out, last) = (numbers::<f32>(&after[4]), numbers::<f32>(&after[5]));
        let backward = [
            bytes(&weights),
            unwritten::<f32>(shape.steps.div_ceil(SEGMENT) * state.len()),
            unwritten::<f32>(x.len()),
            bytes(&state_weights),
            unwritten::<f32>(neurons),
        ];
        let after = emulated.programs.launch(
            Kernels::Lif(variant),
            "lif_backward",
            size,
            &[&given[..], &backward].concat(),
        );
        let grad_decay = totals(shape, &numbers::<f32>(&after[8]));
        let found = [out, last, numbers(&after[6]), numbers(&after[7]), grad_decay];

        let rate = found[0].iter().sum::<f32>() / x.len() as f32;
        assert!((0.02..0.9).contains(&rate), "{what}: rate {rate} shows nothing");
        for (i, kind) in ["spikes", "last state", "dx", "dstate"].into_iter().enumerate() {
            assert!(bits(&found[i]) == bits(&of_cpu[i]), "{what}: {kind}");
        }
        assert!(found[0] == expected[0], "{what}: spikes of f64");
        for (i, kind) in [(2, "dx"), (3, "dstate"), (4, "ddecay")] {
            let off = off(&found[i], &expected[i]);
            assert!(off < 1e-5, "{what}: {kind} is off by {off} of the largest");
        }
    }
}

/// Integers, whose sums are exact in any order; and numbers that are not, within the rounding of an `f64`. Channels of fewer
/// neurons than threads and of more.
#[test]
fn sums_over_channels_are_complete() {
    let Some(emulated) = emulated() else { return };
    let kernels = Kernels::Lif(LifVariant { adaptive: false, vectors: false });
    for (batch, channels, inner) in [(1, 1, 1), (2, 3, 47), (3, 2, 85), (1, 2, 256), (2, 5, 129), (7, 1, 301)]
    {
        let shape = ScanShape { steps: 1, batch, channels, inner };
        let values = normal("sums", 2 * shape.neurons());
        let whole: Vec<f32> = values.iter().map(|z| (1e3 * z).round()).collect();
        let expected: Vec<f64> = totals(shape, &whole).into_iter().map(f64::from).collect();
        assert_eq!(emulated.sum_channels(kernels, shape, &whole), expected, "{shape:?}");
        let found: Vec<f32> =
            emulated.sum_channels(kernels, shape, &values).iter().map(|sum| *sum as f32).collect();
        assert!(off(&found, &totals(shape, &values)) < 1e-7, "{shape:?}");
    }
}
