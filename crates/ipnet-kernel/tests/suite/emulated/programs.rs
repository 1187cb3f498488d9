//! Programs made of the source of the CUDA kernels, and launches in them.
//!
//! Design decision: a program that reads launches and answers with buffers, and no library loaded into the tests: no dependency,
//! and a kernel that goes astray ends its own process. Without optimisation, since most of the time is the compiler's. Programs are
//! kept in the target folder, by a hash of all that goes into them. `CXX` names another compiler, `CXXFLAGS` adds to its options
//! (`-fsanitize=address,undefined`). The bootstrap promises a C compiler only: without one for C++ the tests say that they are
//! skipped.

use crate::cases::{config, laws};
use ipnet_kernel::cuda_source::{
    Bf16, LIF, LifArgument, LifVariant, ScanArgument, THERMAL, THREADS, Variant, blocks,
};
use ipnet_kernel::{Firing, ScanShape, ThermalScan};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

const HEADER: &str = include_str!("emulated.h");

/// Variant `i` of [`variants`] is in program `i % PROGRAMS`, as number `i / PROGRAMS`: they are compiled at the same time.
const PROGRAMS: usize = 2;

/// The source of a kernel and its constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernels {
    Thermal(Variant),
    Lif(LifVariant),
}

/// All that the tests launch: every law of the suite, both firings and bfloat16, in ones and in fours.
fn variants() -> Vec<Kernels> {
    let mut all = Vec::new();
    for vectors in [false, true] {
        for adaptive in [false, true] {
            all.push(Kernels::Lif(LifVariant { adaptive, vectors }));
        }
        for (_, law) in laws() {
            for (firing, bf16) in
                [(Firing::Expected, false), (Firing::Sampled, false), (Firing::Expected, true)]
            {
                let shape = ScanShape::flat(1, if vectors { 4 } else { 1 });
                let scan = ThermalScan::new(&config(&law, firing), shape).unwrap();
                let kernels = Kernels::Thermal(Variant::of(&scan, bf16));
                if !all.contains(&kernels) {
                    all.push(kernels);
                }
            }
        }
    }
    all
}

/// Program number `index`: each variant in a namespace of its own. The names of the kernels are C's and would be the same
/// function in all of them.
fn source(index: usize) -> String {
    let mut source = String::from("#include \"emulated.h\"\n");
    let mut starts = String::new();
    for (number, kernels) in variants().into_iter().skip(index).step_by(PROGRAMS).enumerate() {
        let (code, mut defines, names) = match kernels {
            Kernels::Thermal(variant) => {
                (THERMAL, variant.defines(), ["thermal_forward", "thermal_backward"])
            }
            Kernels::Lif(variant) => (LIF, variant.defines(), ["lif_forward", "lif_backward"]),
        };
        let names = [names[0], names[1], "sum_channels"];
        let defined: Vec<String> = defines.drain(..).map(|(name, value)| format!("{name} {value}")).collect();
        for line in defined.iter().cloned().chain(names.map(|name| format!("{name} {name}_{number}"))) {
            writeln!(source, "#define {line}").unwrap();
        }
        writeln!(source, "namespace variant_{number} {{\n{code}\n}}").unwrap();
        for name in names {
            let call = format!("launch.start(variant_{number}::{name}_{number})");
            writeln!(starts, "if (variant == {number} && !std::strcmp(name, \"{name}\")) return {call};")
                .unwrap();
        }
        // Those of the host, and those that the source itself defines.
        let of_source = code.lines().filter_map(|line| line.strip_prefix("#define "));
        for line in defined.iter().map(String::as_str).chain(names).chain(of_source) {
            writeln!(source, "#undef {}", line.split([' ', '(']).next().unwrap()).unwrap();
        }
    }
    writeln!(source, "void start(std::uint32_t variant, const char* name, Launch& launch) {{").unwrap();
    writeln!(source, "{starts}fail(\"no such kernel\");\n}}").unwrap();
    source
}

/// Compiles program `index`, if that was not done before.
fn program(index: usize) -> std::result::Result<PathBuf, String> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let flags = std::env::var("CXXFLAGS").unwrap_or_default();
    let source = source(index);
    let mut hash = DefaultHasher::new();
    (&compiler, &flags, &source, HEADER).hash(&mut hash);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("emulated-{:016x}", hash.finish()));
    let finished = folder.join("program");
    if finished.exists() {
        return Ok(finished);
    }
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("emulated.h"), HEADER).unwrap();
    std::fs::write(folder.join("program.cc"), source).unwrap();
    // Another run may be at the same: each writes a file of its own and moves it where it is looked for.
    let own = folder.join(format!("program-{}", std::process::id()));
    let mut command = Command::new(&compiler);
    command.args(["-std=c++17", "-O0", "-w", "-pthread"]).args(flags.split_whitespace());
    // NVRTC is told not to contract, and its addresses alias as they like.
    command.args(["-ffp-contract=off", "-fno-fast-math", "-fno-strict-aliasing", "-o"]).arg(&own);
    match command.arg(folder.join("program.cc")).output() {
        Err(why) if why.kind() == ErrorKind::NotFound => Err(format!("no C++ compiler: {compiler}: {why}")),
        Err(why) => panic!("{compiler}: {why}"),
        Ok(done) => {
            assert!(done.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&done.stderr));
            std::fs::rename(&own, &finished).unwrap();
            Ok(finished)
        }
    }
}

/// The programs of this run of the tests.
static BUILT: LazyLock<std::result::Result<Vec<PathBuf>, String>> = LazyLock::new(|| {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..PROGRAMS).map(|index| scope.spawn(move || program(index))).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    })
});

/// Numbers that may be handed over as they lie in memory.
///
/// # Safety
/// No padding, and every bit pattern is a value.
pub unsafe trait Plain: Copy {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
// SAFETY: numbers.
unsafe impl Plain for f64 {}
// SAFETY: numbers.
unsafe impl Plain for u64 {}
// SAFETY: a `u16`.
unsafe impl Plain for Bf16 {}
// SAFETY: numbers in C layout, 192 bytes of them.
unsafe impl Plain for ScanArgument {}
// SAFETY: numbers in C layout, four of 8 bytes and eight of 4.
unsafe impl Plain for LifArgument {}

pub fn bytes<T: Plain>(values: &[T]) -> Vec<u8> {
    // SAFETY: the memory of the slice, all of it written.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) }.to_vec()
}

pub fn numbers<T: Plain>(bytes: &[u8]) -> Vec<T> {
    // SAFETY: every bit pattern is a value, and a chunk has the bytes of one.
    bytes
        .chunks_exact(size_of::<T>())
        .map(|one| unsafe { one.as_ptr().cast::<T>().read_unaligned() })
        .collect()
}

/// Memory that a kernel has to write: NaN where it does not.
pub fn unwritten<T: Plain>(len: usize) -> Vec<u8> {
    vec![0xff; len * size_of::<T>()]
}

struct Program {
    process: Child,
    launches: ChildStdin,
    answers: ChildStdout,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All programs, started.
pub struct Programs {
    programs: Vec<Mutex<Program>>,
    variants: Vec<Kernels>,
}

/// How many threads, and whether they run at the same time.
#[derive(Clone, Copy)]
pub struct Size {
    pub blocks: [u32; 2],
    pub threads: u32,
    pub at_once: bool,
}

impl Size {
    pub fn of(shape: ScanShape, vector: usize) -> Self {
        Self { blocks: [blocks(shape, vector), 1], threads: THREADS, at_once: false }
    }
}

impl Programs {
    /// The programs, started; or why they cannot be had.
    pub fn start() -> std::result::Result<Self, String> {
        let start = |path: &PathBuf| {
            let mut command = Command::new(path);
            let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let (launches, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
            Mutex::new(Program { process, launches, answers })
        };
        Ok(Self { programs: BUILT.as_ref()?.iter().map(start).collect(), variants: variants() })
    }

    /// Launches `name` and gives all its arguments back as it left them. An empty argument is a null pointer.
    pub fn launch(&self, kernels: Kernels, name: &str, size: Size, arguments: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let index = self.variants.iter().position(|one| *one == kernels).expect("a variant of the programs");
        let mut request = ((index / PROGRAMS) as u32).to_ne_bytes().to_vec();
        request.extend(name.bytes().chain([0; 31]).take(31));
        let [x, y] = size.blocks;
        let numbers = [x, y, size.threads, u32::from(size.at_once), arguments.len() as u32];
        request.extend(numbers.into_iter().flat_map(u32::to_ne_bytes));
        for argument in arguments {
            request.extend((argument.len() as u32).to_ne_bytes());
            request.extend(argument);
        }
        let mut program = self.programs[index % PROGRAMS].lock().unwrap();
        program.launches.write_all(&request).unwrap();
        let mut answers = arguments.to_vec();
        for answer in &mut answers {
            let read = program.answers.read_exact(answer);
            read.unwrap_or_else(|why| panic!("{name} of {kernels:?}: {why}"));
        }
        answers
    }
}
