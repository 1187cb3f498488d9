//! What the CUDA kernels are compiled from, and what a launch hands them: source, constants, sizes, arguments.
//!
//! Design decision: nothing here needs CUDA or the feature `cuda`, so that the tests compile the same source with the same constants
//! as C++ and run it with the same arguments on the processor. `crate::cuda` is what compiles and launches it on a GPU.

pub use crate::bf16::Bf16;
use crate::cpu::{LifNeuron, is_plain};
use crate::{AlifConfig, ScanShape, ThermalScan};
use ipnet_device::{Arrhenius, MAX_POLES, Switching};
use std::f64::consts::LOG2_E;

/// Steps between checkpoints of the heat; those between lie in the thread's own memory.
pub const SEGMENT: usize = 16;

/// Threads of a block, but for the sums over channels.
pub const THREADS: u32 = 128;

/// Threads of a block of `sum_channels`, of which there is one for each total.
pub const SUM_THREADS: u32 = 256;

/// The kernels of the step law.
pub const THERMAL: &str = concat!(include_str!("cuda/common.cu"), include_str!("cuda/thermal.cu"));

/// The kernels of LIF neurons.
pub const LIF: &str = concat!(include_str!("cuda/common.cu"), include_str!("cuda/lif.cu"));

/// Blocks of [`THREADS`] threads, one thread for every `vector` neurons.
pub fn blocks(shape: ScanShape, vector: usize) -> u32 {
    (shape.neurons().div_ceil(vector) as u32).div_ceil(THREADS)
}

/// The constants a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    poles: usize,
    kind: u32,
    sampled: bool,
    spread: bool,
    reset: bool,
    vectors: bool,
    bf16: bool,
}

impl Variant {
    /// The kernel for `scan`, with x and out stored in bfloat16 or `f32`.
    pub fn of(scan: &ThermalScan, bf16: bool) -> Self {
        let law = scan.law();
        let spread = &law.spread;
        let kind = match &law.switching {
            Switching::Table(_) => 3,
            Switching::Arrhenius(a) if is_plain(law, a) => 4,
            Switching::Arrhenius(a) if a.exponent == 1.0 => 0,
            Switching::Arrhenius(a) if a.exponent == 2.0 => 1,
            Switching::Arrhenius(_) => 2,
        };
        Self {
            poles: scan.poles(),
            kind,
            sampled: scan.is_sampled(),
            spread: [spread.barrier_d2d, spread.v_critical_d2d, spread.heat_d2d, spread.v_critical_c2c]
                .iter()
                .any(|sigma| *sigma > 0.0),
            reset: law.poles.iter().any(|pole| pole.reset_k > 0.0),
            vectors: scan.shape().neurons().is_multiple_of(4),
            bf16,
        }
    }

    /// Neurons a thread.
    pub fn vector(self) -> usize {
        if self.vectors { 4 } else { 1 }
    }

    /// What the source expects to be defined.
    pub fn defines(self) -> Vec<(&'static str, usize)> {
        vec![
            ("POLES", self.poles),
            ("KIND", self.kind as usize),
            ("SAMPLED", usize::from(self.sampled)),
            ("SPREAD", usize::from(self.spread)),
            ("RESET", usize::from(self.reset)),
            ("VEC", self.vector()),
            ("BF16", usize::from(self.bf16)),
            ("SEGMENT", SEGMENT),
        ]
    }
}

/// Every variant a law and a shape can ask for: what a compile test goes through.
pub fn every_variant() -> Vec<Variant> {
    let mut variants = Vec::new();
    for poles in 1..=MAX_POLES {
        for kind in 0..5 {
            for flags in 0..32_u32 {
                let flag = |bit: u32| flags >> bit & 1 == 1;
                variants.push(Variant {
                    poles,
                    kind,
                    sampled: flag(0),
                    spread: flag(1),
                    reset: flag(2),
                    vectors: flag(3),
                    bf16: flag(4),
                });
            }
        }
    }
    variants
}

/// `struct Scan` of the source, field by field.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct ScanArgument {
    steps: u64,
    neurons: u64,
    channels: u64,
    inner: u64,
    step_offset: u64,
    seed: [u32; 2],
    device_seed: [u32; 2],
    layer: u32,
    neuron_offset: u32,
    v_max: f32,
    self_heat: f32,
    decay: [f32; 3],
    heat: [f32; 3],
    reset: [f32; 3],
    log_attempts: f32,
    barrier: [f32; 3],
    v_critical: [f32; 3],
    inv_t_amb: f32,
    exponent: f32,
    sigma_v: f32,
    sigma_heat: f32,
    sigma_barrier: f32,
    sigma_cycle: f32,
    table_first: [f32; 2],
    table_per_unit: [f32; 2],
    table_last_cell: [u32; 2],
    table_columns: u32,
    padding: u32,
}

// Without hidden padding.
const _: () = assert!(size_of::<ScanArgument>() == 192);

impl ScanArgument {
    /// The argument and the nodes of the table (one unused number without a table).
    pub fn new(scan: &ThermalScan) -> (Self, Vec<f32>) {
        let (config, shape, law) = (scan.config(), scan.shape(), scan.law());
        let halves = |seed: u64| [seed as u32, (seed >> 32) as u32];
        let pole = |value: fn(&ipnet_device::HeatPole) -> f64| {
            std::array::from_fn(|i| law.poles.get(i).map_or(0.0, |pole| value(pole) as f32))
        };
        let mut argument = Self {
            steps: shape.steps as u64,
            neurons: shape.neurons() as u64,
            channels: shape.channels as u64,
            inner: shape.inner as u64,
            step_offset: config.step_offset,
            seed: halves(config.seed),
            device_seed: halves(config.device_seed),
            layer: config.layer,
            neuron_offset: config.neuron_offset as u32,
            v_max: law.v_max_v as f32,
            self_heat: law.self_heat_k_per_v2 as f32,
            decay: pole(|p| p.decay),
            heat: pole(|p| p.heat_k_per_v2),
            reset: pole(|p| p.reset_k),
            inv_t_amb: (1.0 / law.t_amb_k) as f32,
            sigma_v: law.spread.v_critical_d2d as f32,
            sigma_heat: law.spread.heat_d2d as f32,
            sigma_barrier: law.spread.barrier_d2d as f32,
            sigma_cycle: law.spread.v_critical_c2c as f32,
            ..Self::default()
        };
        match &law.switching {
            Switching::Arrhenius(Arrhenius { log_attempts, barrier, v_critical, exponent }) => {
                // The kernels work to base 2: see the CPU's packed law.
                argument.log_attempts = (log_attempts * LOG2_E + LOG2_E.log2()) as f32;
                argument.barrier = barrier.map(|d| (d * LOG2_E) as f32);
                argument.v_critical = v_critical.map(|c| c as f32);
                argument.exponent = *exponent as f32;
                (argument, vec![0.0])
            }
            Switching::Table(table) => {
                let rows = table.p.len() / table.columns;
                let per_unit = |[a, b]: [f64; 2], nodes: usize| ((nodes - 1) as f64 / (b - a)) as f32;
                argument.table_first = [table.u_range_v[0] as f32, table.rise_range_k[0] as f32];
                argument.table_per_unit =
                    [per_unit(table.u_range_v, table.columns), per_unit(table.rise_range_k, rows)];
                argument.table_last_cell = [table.columns as u32 - 2, rows as u32 - 2];
                argument.table_columns = table.columns as u32;
                (argument, table.p.iter().map(|p| *p as f32).collect())
            }
        }
    }
}

/// The constants a LIF kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LifVariant {
    /// Whether the threshold adapts.
    pub adaptive: bool,
    /// Whether a thread takes four neurons: their number must be a multiple of four.
    pub vectors: bool,
}

impl LifVariant {
    /// The kernel for neurons of `shape`.
    pub fn of(shape: ScanShape, config: &AlifConfig) -> Self {
        Self { adaptive: config.adaptation_strength > 0.0, vectors: shape.neurons().is_multiple_of(4) }
    }

    /// Neurons a thread.
    pub fn vector(self) -> usize {
        if self.vectors { 4 } else { 1 }
    }

    /// What the source expects to be defined.
    pub fn defines(self) -> Vec<(&'static str, usize)> {
        vec![("ADAPTIVE", usize::from(self.adaptive)), ("VEC", self.vector()), ("SEGMENT", SEGMENT)]
    }
}

/// `struct Lif` of the source, field by field.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct LifArgument {
    steps: u64,
    neurons: u64,
    channels: u64,
    inner: u64,
    neuron: [f32; 8],
}

impl LifArgument {
    /// The argument for neurons of `shape`.
    pub fn new(shape: ScanShape, config: &AlifConfig) -> Self {
        let neuron = LifNeuron::<f32>::new(config);
        Self {
            steps: shape.steps as u64,
            neurons: shape.neurons() as u64,
            channels: shape.channels as u64,
            inner: shape.inner as u64,
            neuron: [
                neuron.threshold,
                neuron.zeroing,
                neuron.subtracted,
                neuron.rho,
                neuron.strength,
                neuron.alpha,
                neuron.steepness,
                neuron.reset_gradient,
            ],
        }
    }
}
