//! The command line: one module per noun, each with its arguments and its `run`.

use crate::output::Output;
use clap::{CommandFactory, Parser, Subcommand};
use hermetic_diagnostics::Report;
use std::path::PathBuf;
use std::process::ExitCode;

mod explain;

/// Where the configuration is looked for when `--config` is not given.
pub(crate) const CONFIG_DEFAULT: &str = "/etc/hermetic/hermetic.yaml";

#[derive(Debug, Parser)]
#[command(name = "hermetic", version, about = "An air-gapped LLM platform in one binary", propagate_version = true)]
struct Arguments {
    /// The configuration file of this enclave.
    #[arg(long, short, global = true, env = "HERMETIC_CONFIG", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
    /// Print results, and errors, as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Print results only.
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

/// What every command is handed.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config_path: PathBuf,
    pub(crate) out: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the page behind an error code.
    Explain(explain::Arguments),
    /// Print a completion script for a shell.
    Completions { shell: clap_complete::Shell },
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let out = Output { json: arguments.json, quiet: arguments.quiet };
    let context = Context { config_path: arguments.config, out };
    match run(arguments.command, &context) {
        Ok(code) => code,
        Err(report) => {
            out.error(&report);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, context: &Context) -> Result<ExitCode, Report> {
    match command {
        Command::Explain(arguments) => explain::run(&arguments, context),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "hermetic", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}
