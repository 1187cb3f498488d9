//! What networks take on this machine: latency of an inference and of one step, the time a bill takes to make, and the energy
//! of an inference where the processor counts it.
//!
//! The networks of the report's bill on frames of N-MNIST (16 steps of 1 x 34 x 34, 20 classes), one clip at a time, one rayon
//! thread unless `RAYON_NUM_THREADS` says otherwise. Latency hangs on shapes, not on values: weights are those of seed 1, untrained.
//! The energy is the whole package's, idle power included.

use candle_core::{Device, Tensor};
use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, Throughput, criterion_group};
use ipnet_bench::cost::{
    DeviceEnergy, EnergyCounter, POWERCAP, Placing, Reading, Store, Technology, bill, published_pulses,
    ratios,
};
use ipnet_device::DeviceSet;
use ipnet_zoo::{InputShape, Memory, Mode, NetSpec, Network, Placement, TemporalNet};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STEPS: usize = 16;
const CLASSES: usize = 20;
const NETWORKS: [(&str, Memory, Placement); 5] = [
    ("none", Memory::None, Placement::None),
    ("ip_sensor", Memory::Ip, Placement::Sensor),
    ("lstm_head", Memory::Lstm, Placement::Head),
    ("conv2plus1d_all", Memory::Conv2plus1d, Placement::All),
    ("conv3d_all", Memory::Conv3d, Placement::All),
];

fn network(memory: Memory, placement: Placement, steps: usize) -> Network {
    let law = DeviceSet::load("default").and_then(|set| set.reduce()).expect("the default set").law;
    let input = InputShape { steps, channels: 1, height: 34, width: 34 };
    Network::new(&NetSpec::plain(memory, placement), input, CLASSES, Some(&Arc::new(law)), 1)
        .expect("a network")
}

/// A clip of Poisson-like counts: a tenth of the cells have an event.
fn clip(steps: usize) -> Tensor {
    let mut stream = ipnet_rng::Stream::named(1, "bench/bill");
    let values: Vec<f32> =
        (0..steps * 34 * 34).map(|_| if stream.uniform() < 0.1 { 2f32.ln() } else { 0.0 }).collect();
    Tensor::from_vec(values, (steps, 1, 1, 34, 34), &Device::Cpu).expect("a clip")
}

fn infer(net: &Network, clip: &Tensor) {
    black_box(net.forward(clip, Mode::eval(1, 0)).expect("an inference"));
}

/// Seconds of one inference, and of a clip of one frame: what the software needs before it can take the next frame.
fn latency(c: &mut Criterion) {
    let mut group = c.benchmark_group("latency");
    for (name, memory, placement) in NETWORKS {
        for (what, steps) in [("inference", STEPS), ("step", 1)] {
            let (net, clip) = (network(memory, placement, steps), clip(steps));
            group.throughput(Throughput::Elements(steps as u64));
            group.bench_function(format!("{what}/{name}"), |b| b.iter(|| infer(&net, &clip)));
        }
    }
    group.finish();
}

/// Seconds that counting a network, billing it and forming all ratios of its memory take.
fn accounting(c: &mut Criterion) {
    let technology = Technology::load("horowitz-45nm").expect("unit energies");
    let pulses: Vec<DeviceEnergy> = published_pulses().iter().map(|pulse| pulse.per_slot(1.0)).collect();
    let nets = [network(Memory::Lstm, Placement::Head, STEPS), network(Memory::Ip, Placement::Sensor, STEPS)];
    let counted = || nets.each_ref().map(|net| net.op_counts().expect("counts"));
    let [lstm, ip] = counted();
    c.bench_function("energy/count", |b| b.iter(|| black_box(counted())));
    c.bench_function("energy/bill", |b| {
        b.iter(|| black_box(bill(&ip.layers, |_| true, &technology, Placing::all(Store::Sram), &pulses[0])))
    });
    c.bench_function("energy/ratios", |b| b.iter(|| black_box(ratios(&lstm, &ip, &technology, &pulses))));
}

/// Joules instead of seconds.
struct Joules(EnergyCounter);

impl Joules {
    fn read(&self) -> Reading {
        self.0.read().expect("a counter that was read a moment ago")
    }
}

impl Measurement for Joules {
    type Intermediate = Reading;
    type Value = f64;

    fn start(&self) -> Reading {
        self.read()
    }

    fn end(&self, start: Reading) -> f64 {
        self.0.joules(&start, &self.read())
    }

    fn add(&self, a: &f64, b: &f64) -> f64 {
        a + b
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &InMillijoules
    }
}

struct InMillijoules;

impl ValueFormatter for InMillijoules {
    fn scale_values(&self, _: f64, values: &mut [f64]) -> &'static str {
        values.iter_mut().for_each(|value| *value *= 1e3);
        "mJ"
    }

    fn scale_throughputs(&self, _: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        if let Throughput::Elements(count) = throughput {
            values.iter_mut().for_each(|value| *value *= 1e3 / *count as f64);
        }
        "mJ/step"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "J"
    }
}

/// Joules of one inference; without a counter it says so and measures nothing.
fn energy() {
    let counter = match EnergyCounter::open(Path::new(POWERCAP)) {
        Ok(counter) => counter,
        Err(error) => {
            eprintln!("energy/inference: not run: {error}");
            return;
        }
    };
    let mut c = Criterion::default().with_measurement(Joules(counter)).sample_size(10).configure_from_args();
    let mut group = c.benchmark_group("energy/inference");
    for (name, memory, placement) in NETWORKS {
        let (net, clip) = (network(memory, placement, STEPS), clip(STEPS));
        group.throughput(Throughput::Elements(STEPS as u64));
        group.bench_function(name, |b| b.iter(|| infer(&net, &clip)));
    }
    group.finish();
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = latency, accounting
}

fn main() {
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        // The only threads so far are this one's.
        rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("a thread pool");
    }
    group();
    energy();
    Criterion::default().configure_from_args().final_summary();
}
