//! `hermetic store scrub`: re-hash everything, say what is damaged and who needs it.

use crate::cli::Context;
use crate::cli::enclave::Enclave;
use hermetic_clock::Clock;
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_ledger::record::{Event, Record};
use hermetic_store::{Damage, DamageKind, ScrubReport, Store};
use indicatif::BinaryBytes;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An image layout to scrub instead of the enclave's store: a bundle, for one. Needs no configuration, and nothing
    /// is recorded.
    folder: Option<PathBuf>,
}

/// Digests of damaged blobs a record may carry: it must fit a ledger leaf of 64 KiB, whatever happened to the disk.
const DAMAGED_RECORDED_MAX: usize = 500;

/// The store is not what it should be. The report with every blob has been printed by then.
#[derive(Debug, thiserror::Error)]
#[error("expected every blob of `{folder}` to be what its name says, found {damaged} damaged", folder = folder.display())]
struct ScrubFoundDamage {
    folder: PathBuf,
    damaged: usize,
}

impl Diagnose for ScrubFoundDamage {
    fn code(&self) -> Code {
        Code::new("E0308")
    }

    fn hint(&self) -> Option<String> {
        Some("import the bundles that hold these blobs again, and have the disk looked at".to_owned())
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let (store, enclave) = match &arguments.folder {
        Some(folder) => (Store::open_existing(folder)?, None),
        None => {
            let enclave = Enclave::open(context)?;
            (enclave.store()?, Some(enclave))
        }
    };
    let bar = context.out.bytes_bar("scrubbing", 0);
    let report = store.scrub(&mut |progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    if let Some(enclave) = &enclave {
        record(enclave, &report)?;
    }
    context.out.result(&report, lines);
    if report.is_clean() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(ScrubFoundDamage { folder: store.root().to_owned(), damaged: report.damaged.len() }.into())
}

/// A scrub is a leaf: an auditor sees when the store was last whole.
fn record(enclave: &Enclave, report: &ScrubReport) -> Result<(), Report> {
    let clock = Clock::system();
    let damaged = report.damaged.iter().take(DAMAGED_RECORDED_MAX).map(|damage| damage.digest).collect();
    let event = Event::StoreScrubbed {
        blobs: report.blobs,
        bytes: report.bytes,
        damaged,
        by: enclave.config.import.engineer.clone().unwrap_or_else(|| "command line".to_owned()),
    };
    let ledger = enclave.ledger(&clock, &enclave.connector())?;
    ledger.append_blocking(&Record { v: 1, at_unix_ms: clock.unix_millis(), event })?;
    Ok(())
}

fn lines(report: &ScrubReport) -> Vec<String> {
    let mut lines: Vec<String> = report.damaged.iter().flat_map(damage_lines).collect();
    lines.extend(report.strays.iter().map(|name| format!("stray    {name} (not a blob; nothing uses it)")));
    lines.push(format!(
        "{} blobs, {}: {}",
        report.blobs,
        BinaryBytes(report.bytes),
        if report.damaged.is_empty() {
            "all whole".to_owned()
        } else {
            format!("{} damaged", report.damaged.len())
        }
    ));
    lines
}

fn damage_lines(damage: &Damage) -> Vec<String> {
    let what = match &damage.kind {
        DamageKind::Altered { found } => format!("altered: its bytes hash to {found}"),
        DamageKind::Unreadable { reason } => format!("unreadable: {reason}"),
        DamageKind::Missing => "missing".to_owned(),
    };
    let mut lines = vec![
        format!("damaged  {}", damage.digest),
        format!("         {what}"),
        format!("         {}", damage.path.display()),
    ];
    if damage.referred_by.is_empty() {
        lines.push("         nothing in the index needs it".to_owned());
    }
    lines.extend(damage.referred_by.iter().map(|user| format!("         needed by {user}")));
    lines
}
