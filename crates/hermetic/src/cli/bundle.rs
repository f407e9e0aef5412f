//! `hermetic bundle`: what crosses the gap, on both sides of it.

mod build;
mod import;
mod inspect;
mod verify;

use super::Context;
use hermetic_diagnostics::Report;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Collect models, assemble and sign a bundle (connected side).
    Build(build::Arguments),
    /// Show what a bundle says it holds, without verifying anything.
    Inspect(inspect::Arguments),
    /// Check everything an import would check; write nothing.
    Verify(verify::Arguments),
    /// Take a bundle into this enclave.
    Import(import::Arguments),
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::Build(arguments) => build::run(arguments, context),
        Command::Inspect(arguments) => inspect::run(arguments, context),
        Command::Verify(arguments) => verify::run(arguments, context),
        Command::Import(arguments) => import::run(arguments, context),
    }
}
