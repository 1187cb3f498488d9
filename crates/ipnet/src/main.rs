//! The `ipnet` program. Exit codes: 0 done, 1 a negative result, 2 an error.

mod cmd;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: ipnet_nn::Keeping<mimalloc::MiMalloc> = ipnet_nn::Keeping::new(mimalloc::MiMalloc);

/// Networks whose working memory is the Joule heat of magnetic tunnel junctions.
#[derive(Parser)]
#[command(name = "ipnet", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Device parameter sets: list, show, plot, and fit to measurements
    Device(cmd::device::Device),
    Doctor(cmd::doctor::Doctor),
    Cite(cmd::cite::Cite),
    Cognition(cmd::cognition::Cognition),
    Cost(cmd::cost::Cost),
    Reproduce(cmd::reproduce::Reproduce),
    Eval(cmd::eval::Eval),
    /// Inspect, convert, cut, frame and play recordings of event cameras
    Events(cmd::events::EventsCommand),
    Sweep(cmd::sweep::Sweep),
    /// Make recordings of synthetic scenes in the official file formats
    Synth(cmd::synth::Synth),
    Train(Box<cmd::train::Train>),
    Verify(cmd::verify::Verify),
}

/// Lets a reader that closes the pipe early (`| head`) end the program quietly, as other tools do, instead of by a
/// panic in `println!`.
#[cfg(unix)]
fn end_with_the_reader() {
    // SAFETY: runs before any thread is started; SIG_DFL is a valid disposition for SIGPIPE.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// One thread for candle's own element-wise operations, unless the environment says otherwise. Networks are trained side
/// by side with a thread each, and the pool that candle starts beside them waits for work by spinning.
fn keep_candle_on_its_caller() {
    const THREADS: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(THREADS).is_none() {
        // SAFETY: runs before any thread is started, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(THREADS, "1") };
    }
}

/// Ends the program with a plain message where `println!` cannot write, as to a full disk: it has no other way to say so than a
/// panic.
fn say_what_stdout_says() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match panic.payload_as_str() {
        Some(message) if message.starts_with("failed printing to stdout") => {
            eprintln!("error: {message}");
            std::process::exit(2);
        }
        _ => usual(panic),
    }));
}

fn main() -> ExitCode {
    #[cfg(unix)]
    end_with_the_reader();
    say_what_stdout_says();
    keep_candle_on_its_caller();
    if let Some(revision) = option_env!("IPNET_REVISION") {
        ipnet_bench::run::built_from(revision);
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    match cmd::run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
