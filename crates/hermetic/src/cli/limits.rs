//! `hermetic limits`: what is used of each limit, as the ledger has it, and what a request would count on.

mod explain;
mod show;

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
    /// Show what is used and held of each limit, as far as it is on record.
    Show(show::Arguments),
    /// Say which limits a request would count on, and with how much.
    Explain(explain::Arguments),
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::Show(arguments) => show::run(arguments, context),
        Command::Explain(arguments) => explain::run(arguments, context),
    }
}
