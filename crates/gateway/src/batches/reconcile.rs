//! What the ledger says of answers that the journal alone does not decide. See "Exactly once" in [`super`].

use crate::batches::journal::Doubtful;
use hermetic_ids::RequestId;
use hermetic_ledger::record::{Event, Outcome, Record};
use hermetic_ledger_store::{Ledger, ReadError};
use std::collections::HashSet;

/// Records in one bundle of the ledger (C2SP tlog-tiles).
const BUNDLE: u64 = 256;

/// Of these, the requests that are on record as answered. Blocks: it reads the ledger from the first of them on.
pub(crate) fn answered(ledger: &Ledger, doubtful: &[Doubtful]) -> Result<HashSet<RequestId>, ReadError> {
    let Some(first) = doubtful.iter().map(|answer| answer.admitted).min() else {
        return Ok(HashSet::new());
    };
    let wanted: HashSet<RequestId> = doubtful.iter().map(|answer| answer.kept.request).collect();
    let snapshot = match ledger.snapshot() {
        Ok(snapshot) => snapshot,
        Err(ReadError::Empty { .. }) => return Ok(HashSet::new()),
        Err(error) => return Err(error),
    };
    let mut found = HashSet::new();
    for bundle in first / BUNDLE..snapshot.size().div_ceil(BUNDLE) {
        for leaf in &snapshot.bundle(bundle)? {
            found.extend(answered_in(leaf).filter(|request| wanted.contains(request)));
        }
    }
    Ok(found)
}

fn answered_in(leaf: &[u8]) -> Option<RequestId> {
    memchr::memmem::find(leaf, b"\"request.settled\"")?;
    match Record::decode(leaf).ok()?.event {
        Event::RequestSettled(settled) => {
            matches!(settled.outcome, Outcome::Completed | Outcome::Rejected).then_some(settled.request)
        }
        _ => None,
    }
}
