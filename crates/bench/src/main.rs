//! Benchmarks as ratios against a floor or a peer in the same run.
//!
//! What it is for: `hermetic-bench NAME --out DIR` writes `DIR/NAME.json`. What it must not know: how to make a figure
//! look better. Every benchmark measures its floor or peer itself, in the same run, on the same device, and reports
//! what came out.

use clap::{Parser, Subcommand};
use hermetic_bounded_io::{Mode, create_folders};
use std::path::PathBuf;

mod engine;
mod gateway;
mod import;
mod ledger;
mod load;
mod mock;
mod moment;
mod results;
mod soak;
mod surfaces;

#[derive(Debug, Parser)]
#[command(
    name = "hermetic-bench",
    version,
    about = "Measure Hermetic against a floor or a peer in the same run"
)]
struct Arguments {
    /// Where the result is written, and near where the work is done: the device that is measured.
    #[arg(long, global = true, default_value = "bench/results")]
    out: PathBuf,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Tokens per second of the embedded engine against llama.cpp's own server.
    Engine(engine::Arguments),
    /// The gateway, plain and governed, against nginx as a bare reverse proxy and against other gateways.
    Gateway(gateway::Arguments),
    /// Puts a load on a server and prints what came of it as JSON.
    Load(load::Arguments),
    /// An engine that answers at once, or as badly as it is told to.
    MockEngine(mock::Arguments),
    /// Durable records per second against the device's own sync rate.
    Ledger(ledger::Arguments),
    /// Millions of mixed requests, and then every book compared with every other.
    Soak(soak::Arguments),
    /// What a surface costs, and its translation, beside forwarding byte for byte.
    Surfaces(surfaces::Arguments),
    /// Import against `sha256sum` of the same files.
    Import,
    /// Put results that are there into one file.
    Combine {
        /// The name of the combined result.
        name: String,
        /// The results to combine.
        parts: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let Arguments { out, benchmark } = Arguments::parse();
    create_folders(&out, Mode::Shared)?;
    match benchmark {
        Benchmark::Engine(arguments) => engine::run(&arguments, &out)?.write(&out),
        Benchmark::Gateway(arguments) => gateway::run(&arguments, &out)?.write(&out),
        Benchmark::Load(arguments) => load::run(&arguments),
        Benchmark::MockEngine(arguments) => mock::run(&arguments),
        Benchmark::Ledger(arguments) => ledger::run(&arguments, &out)?.write(&out),
        Benchmark::Soak(arguments) => soak::run(&arguments, &out)?.write(&out),
        Benchmark::Surfaces(arguments) => surfaces::run(&arguments).write(&out),
        Benchmark::Import => import::run(&out)?.write(&out),
        Benchmark::Combine { name, parts } => results::Results::combine(&name, &parts, &out),
    }
}
