//! `hermetic bundle verify`: everything an import checks, nothing written.

use super::import::Bar;
use crate::cli::Context;
use crate::cli::enclave::Enclave;
use crate::cli::import_site::built_unix_ms;
use hermetic_clock::{Clock, rfc3339};
use hermetic_diagnostics::Report;
use hermetic_transfer::import::{Examination, ImportError, examine};
use hermetic_trust::{Anchor, Floor, TrustStore};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bundle's folder.
    bundle: PathBuf,
    /// Verify from this root instead of the one pinned in the enclave; needs no enclave.
    #[arg(long)]
    root: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let wall = Clock::system().unix_millis();
    let (anchor, floor) = match &arguments.root {
        Some(root) => {
            (Anchor::explicit(crate::cli::trust::read_root(root)?), Floor::new([built_unix_ms()], wall))
        }
        None => {
            let enclave = Enclave::open(context)?;
            let stored = enclave.metadata()?.floor_unix_ms()?;
            let anchor =
                Anchor::pinned(&TrustStore::at(&enclave.paths.trust())).map_err(ImportError::Trust)?;
            (anchor, Floor::new([built_unix_ms(), stored], wall))
        }
    };
    let bar = Bar::new(context.out);
    let found = examine(&arguments.bundle, &anchor, floor, &bar)?;
    bar.finish();
    context.out.result(&found, lines);
    match found.damage() {
        None => Ok(ExitCode::SUCCESS),
        Some(damage) => Err(damage.into()),
    }
}

fn lines(found: &Examination) -> Vec<String> {
    let mut lines = vec![
        format!(
            "release   {} (counter {}), created {}",
            found.release,
            found.counter,
            rfc3339(found.created_unix_ms)
        ),
        format!("statement {}", found.release_digest),
        format!("signed by {} (root version {})", found.signers.join(", "), found.root_version),
        format!("artifacts {}", found.artifacts.join(", ")),
    ];
    lines.extend(
        found.expiries.iter().map(|(role, at)| format!("expires   {:<9} {}", role.to_string(), rfc3339(*at))),
    );
    lines.extend(found.warnings.iter().map(|warning| format!("warning   {warning}")));
    for blob in &found.blobs {
        let state = if blob.damaged.is_empty() { "good" } else { "DAMAGED" };
        lines.push(format!("{state:<9} {} {}", blob.digest, indicatif::BinaryBytes(blob.bytes)));
        lines.extend(
            blob.damaged
                .iter()
                .map(|(first, last)| format!("          between byte {first} and byte {last}")),
        );
    }
    let bad = found.blobs.iter().filter(|blob| !blob.damaged.is_empty()).count();
    let total = indicatif::BinaryBytes(found.bytes);
    lines.push(if bad == 0 {
        format!("all {} blobs ({total}) are what was signed", found.blobs.len())
    } else {
        format!("{bad} of {} blobs are damaged", found.blobs.len())
    });
    lines
}
