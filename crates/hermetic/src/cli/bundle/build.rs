//! `hermetic bundle build`: collect, assemble, sign.

use crate::cli::Context;
use crate::cli::key::now;
use crate::output::Output;
use hermetic_bundle::UtcTime;
use hermetic_bundle::limits::PART_BYTES_DEFAULT;
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_transfer::export::{Exported, Order, Progress, Stage, export};
use indicatif::{BinaryBytes, ProgressBar};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The release file: what goes in, from where, who answers for it.
    #[arg(long)]
    release: PathBuf,
    /// The key folder of a ceremony.
    #[arg(long)]
    keys: PathBuf,
    /// The bundle's folder; it must not exist yet.
    #[arg(long)]
    out: PathBuf,
    /// Look for source files here by name, instead of where the release file says.
    #[arg(long)]
    sources: Option<PathBuf>,
    /// The bundle this release follows.
    #[arg(long)]
    previous: Option<PathBuf>,
    /// The time the release states (RFC 3339); with it, the same inputs give the same bytes.
    #[arg(long, value_name = "TIME")]
    created: Option<UtcTime>,
    /// Bytes of a part: what an import can resume at.
    #[arg(long, default_value_t = PART_BYTES_DEFAULT, hide = true)]
    part_bytes: u64,
}

/// The build could not even begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the build's thread")]
struct BuildThread(#[source] std::io::Error);

impl Diagnose for BuildThread {
    fn code(&self) -> Code {
        Code::new("E0324")
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let mut order = Order::new(&arguments.release, &arguments.keys, &arguments.out, now());
    order.sources.clone_from(&arguments.sources);
    order.previous.clone_from(&arguments.previous);
    order.created = arguments.created;
    order.part_bytes = arguments.part_bytes;
    let exported = run_until_interrupted(order, context.out)?;
    context.out.result(&exported, lines);
    Ok(ExitCode::SUCCESS)
}

/// Runs the build on a thread of its own and tells it to stop at the first Ctrl-C, so that it takes away what it wrote.
fn run_until_interrupted(order: Order, out: Output) -> Result<Exported, Report> {
    let bar = Arc::new(Bar { out, bar: out.bytes_bar("collecting", 0), stopped: AtomicBool::new(false) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(BuildThread)?;
    let watcher = Arc::clone(&bar);
    runtime.block_on(async move {
        let mut build = tokio::task::spawn_blocking(move || {
            let result = export(&order, &*bar);
            bar.bar.finish_and_clear();
            result
        });
        loop {
            tokio::select! {
                done = &mut build => {
                    return match done {
                        Ok(result) => result.map_err(Report::from),
                        Err(error) => Err(BuildThread(std::io::Error::other(error)).into()),
                    };
                }
                signal = tokio::signal::ctrl_c(), if !watcher.stopped() => {
                    // Without a signal handler the default one would end the process and leave its files.
                    signal.map_err(BuildThread)?;
                    watcher.stopped.store(true, Ordering::SeqCst);
                }
            }
        }
    })
}

/// A bar over the bytes that are read and hashed. The time left is the bytes left at the rate so far.
struct Bar {
    out: Output,
    bar: ProgressBar,
    stopped: AtomicBool,
}

impl Progress for Bar {
    fn stage(&self, stage: Stage) {
        self.bar.suspend(|| self.out.note(format!("{} …", stage.title())));
    }

    fn total(&self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.reset_eta();
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

fn lines(exported: &Exported) -> Vec<String> {
    let mut lines = vec![
        format!(
            "release    {} (counter {}), created {}",
            exported.release, exported.counter, exported.created
        ),
        format!("bundle     {}", exported.bundle.display()),
        format!("statement  {}", exported.statement),
        format!("signed by  {} (root version {})", exported.signers.join(", "), exported.root_version),
        format!("holds till {}", exported.expires),
        format!("blobs      {}, {}", exported.blobs, BinaryBytes(exported.bytes)),
    ];
    for model in &exported.models {
        let size = BinaryBytes(model.weights_bytes);
        lines.push(format!("model      {} ({}), {size}, weights {}", model.name, model.kind, model.weights));
        lines.extend(model.derived_by.iter().map(|tool| format!("           converted here by {tool}")));
    }
    lines
}
