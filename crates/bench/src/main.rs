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
mod results;

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
    /// Requests per second with the whole pipeline on against nginx as a bare reverse proxy.
    Gateway(gateway::Arguments),
    /// The gateway that `gateway` measures; started by it.
    #[command(hide = true)]
    GatewayServed(gateway::served::Arguments),
    /// Durable records per second against the device's own sync rate.
    Ledger(ledger::Arguments),
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
        Benchmark::GatewayServed(arguments) => gateway::served::run(&arguments),
        Benchmark::Ledger(arguments) => ledger::run(&arguments, &out)?.write(&out),
        Benchmark::Import => import::run(&out)?.write(&out),
        Benchmark::Combine { name, parts } => results::Results::combine(&name, &parts, &out),
    }
}
