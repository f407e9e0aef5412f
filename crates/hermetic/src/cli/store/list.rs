//! `hermetic store list`: the index of the store, with what each entry weighs.

use crate::cli::Context;
use crate::cli::enclave::Enclave;
use hermetic_diagnostics::Report;
use hermetic_store::{Entry, Store};
use indicatif::BinaryBytes;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An image layout to list instead of the enclave's store: a bundle, for one. Needs no configuration.
    folder: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let store = match &arguments.folder {
        Some(folder) => Store::open_existing(folder)?,
        None => Store::open(&Enclave::open(context)?.paths.store())?,
    };
    let entries = store.list()?;
    context.out.result(&entries, |entries| lines(entries));
    Ok(ExitCode::SUCCESS)
}

fn lines(entries: &[Entry]) -> Vec<String> {
    if entries.is_empty() {
        return vec!["the store is empty; `hermetic bundle import` fills it".to_owned()];
    }
    entries.iter().flat_map(entry_lines).collect()
}

fn entry_lines(entry: &Entry) -> Vec<String> {
    let name = match (&entry.name, &entry.subject) {
        (Some(name), _) => name.clone(),
        (None, Some(subject)) => format!("refers to {}", subject.short()),
        (None, None) => "(no name)".to_owned(),
    };
    let kind = entry.artifact_type.as_deref().unwrap_or("image");
    let mut lines = vec![format!(
        "{name:<44} {}  {:>12}  {kind}",
        entry.digest.short(),
        BinaryBytes(entry.bytes).to_string()
    )];
    lines.extend(entry.missing.iter().map(|digest| format!("  MISSING {digest}")));
    lines
}
