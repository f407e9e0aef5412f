//! `hermetic worker`: the process that runs one model. Started by the supervisor, not by people.

use super::Context;
use hermetic_clock::Clock;
use hermetic_diagnostics::Report;
use hermetic_engine_llama::LlamaOptions;
use hermetic_telemetry::{LogFormat, start_logging};
use hermetic_worker::{ModelKind, WorkerOptions, run_worker};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The Unix socket to listen on.
    #[arg(long)]
    socket: PathBuf,
    /// The GGUF file.
    #[arg(long)]
    weights: PathBuf,
    /// The name answers carry.
    #[arg(long)]
    model: String,
    /// Digest of the weights.
    #[arg(long)]
    digest: String,
    /// `chat` or `embedding`.
    #[arg(long)]
    kind: ModelKind,
    /// End when this process does.
    #[arg(long)]
    parent: Option<i32>,
    #[arg(long)]
    threads: Option<u32>,
    /// Tokens one request may use.
    #[arg(long)]
    context: Option<u32>,
    /// Requests computed at the same time.
    #[arg(long)]
    slots: Option<u32>,
    /// Requests that may wait.
    #[arg(long)]
    queue: Option<usize>,
}

pub(crate) fn run(arguments: &Arguments, _: &Context) -> Result<ExitCode, Report> {
    // The supervisor reads these lines and marks them with the model's name. A worker that cannot log still works.
    let _ = start_logging(LogFormat::Text, "warn,hermetic_worker=info,hermetic_engine_llama=info");
    let defaults = LlamaOptions::new(arguments.weights.clone());
    let engine = LlamaOptions {
        threads: arguments.threads.unwrap_or(defaults.threads),
        context: arguments.context.unwrap_or(defaults.context),
        slots: arguments.slots.unwrap_or(defaults.slots),
        queue: arguments.queue.unwrap_or(defaults.queue),
        ..defaults
    };
    let options = WorkerOptions {
        socket: arguments.socket.clone(),
        model: arguments.model.clone(),
        digest: arguments.digest.clone(),
        kind: arguments.kind,
        engine,
        parent: arguments.parent,
    };
    run_worker(&options, &Clock::system())?;
    Ok(ExitCode::SUCCESS)
}
