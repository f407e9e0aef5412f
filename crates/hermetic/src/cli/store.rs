//! `hermetic store`: what the enclave keeps, and whether it is still what it was.

mod list;
mod scrub;

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
    /// List the artifacts of the store.
    List(list::Arguments),
    /// Hash every blob again and name those that are damaged.
    Scrub(scrub::Arguments),
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments, context),
        Command::Scrub(arguments) => scrub::run(arguments, context),
    }
}
