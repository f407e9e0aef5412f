//! `hermetic bundle import`: from the disk into the enclave.

use crate::cli::Context;
use crate::cli::enclave::Enclave;
use crate::cli::import_site;
use crate::output::Output;
use hermetic_diagnostics::Report;
use hermetic_transfer::import::{Imported, Order, Plan, Progress, Stage, import};
use indicatif::{BinaryBytes, ProgressBar};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bundle's folder.
    bundle: PathBuf,
    /// Who answers for the import; `import.engineer` of the configuration by default.
    #[arg(long)]
    engineer: Option<String>,
    /// Threads that read and hash; one per core by default.
    #[arg(long)]
    threads: Option<usize>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    let engineer =
        arguments.engineer.clone().or_else(|| enclave.config.import.engineer.clone()).unwrap_or_default();
    let mut order = Order::by(&engineer);
    order.threads = arguments.threads.unwrap_or(order.threads);
    let site = import_site::open(&enclave)?;
    let bar = Bar::new(context.out);
    let imported = import(&site, &arguments.bundle, &order, &bar)?;
    bar.finish();
    context.out.result(&imported, lines);
    Ok(ExitCode::SUCCESS)
}

fn lines(imported: &Imported) -> Vec<String> {
    let Imported { release, counter, signers, root_version, leaf, .. } = imported;
    let mut lines: Vec<String> =
        imported.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    if !imported.imported_now {
        lines.push(format!("release {release} is here already (leaf {leaf}); nothing was changed"));
        return lines;
    }
    lines.push(format!("imported release {release} (counter {counter}), recorded as leaf {leaf}"));
    lines.push(format!("signed by {} (root version {root_version})", signers.join(", ")));
    lines.push(format!("next: hermetic release stage {release}"));
    lines
}

/// A progress bar over the bytes of an import or a check. The time left comes from the bytes that remain and the rate
/// so far; bytes that need not be read are not counted.
#[derive(Debug)]
pub(crate) struct Bar {
    out: Output,
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn new(out: Output) -> Self {
        Self { out, bar: out.bytes_bar("copying", 0) }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn stage(&self, stage: Stage) {
        self.bar.suspend(|| self.out.note(format!("{} …", stage.title())));
    }

    fn planned(&self, plan: &Plan) {
        self.bar.suspend(|| {
            self.out.note(format!(
                "  {} blobs, {}: {} here already, {} kept from an earlier run, {} to copy; {} of {} free needed",
                plan.blobs,
                BinaryBytes(plan.bytes),
                BinaryBytes(plan.bytes_present),
                BinaryBytes(plan.bytes_journaled),
                BinaryBytes(plan.bytes_to_copy),
                BinaryBytes(plan.bytes_needed),
                BinaryBytes(plan.bytes_free)
            ));
        });
        self.bar.set_length(plan.bytes_to_copy);
        self.bar.reset_eta();
    }

    fn total(&self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.reset_eta();
    }

    fn copied(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}
