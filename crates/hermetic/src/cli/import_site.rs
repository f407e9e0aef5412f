//! The enclave as an import sees it.

use super::enclave::Enclave;
use hermetic_clock::{Clock, UnixMillis};
use hermetic_diagnostics::Report;
use hermetic_ledger::record::Record;
use hermetic_ledger_store::Snapshot;
use hermetic_transfer::import::Site;
use hermetic_trust::TrustStore;

/// When the sources of this version were released. A binary that runs was built later: a moment that has provably
/// passed, on a machine whose clock proves nothing. Raised with every version.
const RELEASED_UNIX_MS: UnixMillis = 1_795_305_600_000;

/// The latest moment known from the binary itself: a build may state its own (reproducible builds' `SOURCE_DATE_EPOCH`,
/// in seconds), which counts only when it is later.
pub(crate) fn built_unix_ms() -> UnixMillis {
    let stated = option_env!("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse::<u64>().ok());
    RELEASED_UNIX_MS.max(stated.map_or(0, |seconds| seconds.saturating_mul(1_000)))
}

/// Opens everything an import works on.
pub(crate) fn open(enclave: &Enclave) -> Result<Site, Report> {
    let clock = Clock::system();
    // Read before this process appends anything.
    let last_entry = last_entry_unix_ms(enclave);
    Ok(Site {
        store: enclave.store()?,
        metadata: enclave.metadata()?,
        ledger: enclave.ledger(&clock, &enclave.connector())?,
        trust: TrustStore::at(&enclave.paths.trust()),
        clock,
        proven_unix_ms: vec![built_unix_ms(), last_entry],
    })
}

/// When the last signed record was written. Zero when there is none, or when it cannot be read: opening the ledger
/// reports that, with its own code.
fn last_entry_unix_ms(enclave: &Enclave) -> UnixMillis {
    let newest = || -> Option<Record> {
        let snapshot = Snapshot::latest(&enclave.paths.ledger()).ok()?;
        let bytes = snapshot.read(snapshot.size().checked_sub(1)?).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    newest().map_or(0, |record| record.at_unix_ms)
}
