//! `hermetic key`: the keys of the connected side.

mod ceremony;

pub(crate) use ceremony::now;

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
    /// Make the keys and the root that releases are signed under.
    Ceremony(ceremony::Arguments),
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::Ceremony(arguments) => ceremony::run(arguments, context),
    }
}
