//! The command line: one module per noun, each with its arguments and its `run`.

use crate::output::Output;
use clap::{CommandFactory, Parser, Subcommand};
use hermetic_diagnostics::Report;
use std::path::PathBuf;
use std::process::ExitCode;

mod api_key;
mod audit;
mod batch;
mod bundle;
mod config;
pub(crate) mod enclave;
mod explain;
mod guard;
mod import_site;
mod key;
mod limits;
pub(crate) mod manual;
mod opened;
mod policy;
mod release;
mod reload;
mod serve;
mod store;
mod token;
mod trust;
mod worker;

/// Where the configuration is looked for when `--config` is not given.
pub(crate) const CONFIG_DEFAULT: &str = "/etc/hermetic/hermetic.yaml";

#[derive(Debug, Parser)]
#[command(
    name = "hermetic",
    version,
    about = "An air-gapped LLM platform in one binary",
    propagate_version = true
)]
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
    /// Serve the models in production until a signal ends it.
    Serve(serve::Arguments),
    /// Let the serving process read its configuration again, and say what came of it.
    Reload(reload::Arguments),
    /// Make, list, rotate and revoke the keys of callers.
    ApiKey(api_key::Arguments),
    /// Read, prove, verify and check the ledger.
    Audit(audit::Arguments),
    /// List, show and cancel batches.
    Batch(batch::Arguments),
    /// Build, inspect, verify and import bundles.
    Bundle(bundle::Arguments),
    /// Check, describe and explain the configuration.
    Config(config::Arguments),
    /// List what guardrails look for, and look for it in a text.
    Guard(guard::Arguments),
    /// Make the keys that releases are signed with.
    Key(key::Arguments),
    /// Show what is used of limits and budgets, and what a request would count on.
    Limits(limits::Arguments),
    /// Read the manual.
    Manual(manual::Arguments),
    /// Check, test, explain and replay the policies.
    Policy(policy::Arguments),
    /// Read the page behind an error code.
    Explain(explain::Arguments),
    /// List, stage, promote and roll back releases.
    Release(release::Arguments),
    /// Say whose signatures count in this enclave.
    Trust(trust::Arguments),
    /// List and re-hash what the enclave keeps.
    Store(store::Arguments),
    /// Revoke tokens of issuers.
    Token(token::Arguments),
    /// Run one model. Started by `serve`.
    #[command(hide = true)]
    Worker(worker::Arguments),
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
        Command::Serve(arguments) => serve::run(&arguments, context),
        Command::Reload(arguments) => reload::run(&arguments, context),
        Command::ApiKey(arguments) => api_key::run(&arguments, context),
        Command::Audit(arguments) => audit::run(&arguments, context),
        Command::Batch(arguments) => batch::run(&arguments, context),
        Command::Bundle(arguments) => bundle::run(&arguments, context),
        Command::Config(arguments) => config::run(&arguments, context),
        Command::Guard(arguments) => guard::run(&arguments, context),
        Command::Key(arguments) => key::run(&arguments, context),
        Command::Limits(arguments) => limits::run(&arguments, context),
        Command::Manual(arguments) => manual::run(&arguments, context),
        Command::Policy(arguments) => policy::run(&arguments, context),
        Command::Explain(arguments) => explain::run(&arguments, context),
        Command::Release(arguments) => release::run(&arguments, context),
        Command::Trust(arguments) => trust::run(&arguments, context),
        Command::Store(arguments) => store::run(&arguments, context),
        Command::Token(arguments) => token::run(&arguments, context),
        Command::Worker(arguments) => worker::run(&arguments, context),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "hermetic", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}
