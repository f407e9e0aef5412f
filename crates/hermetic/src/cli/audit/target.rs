//! Which records are meant: an index or a request.

use hermetic_ids::RequestId;
use hermetic_ledger::Event;
use hermetic_ledger::{Record, RecordView};
use hermetic_ledger_store::{ReadError, Snapshot};
use std::str::FromStr;

#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Index(u64),
    Request(RequestId),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(index) = text.trim_start_matches('#').parse() {
            return Ok(Self::Index(index));
        }
        text.parse()
            .map(Self::Request)
            .map_err(|_| "expected an index, or a request id `req_<32 hex>`".to_owned())
    }
}

impl Target {
    /// The indices meant, in order; empty when the snapshot does not hold them.
    pub(super) fn in_snapshot(self, snapshot: &Snapshot) -> Result<Vec<u64>, ReadError> {
        match self {
            Self::Index(index) => {
                Ok(Some(index).filter(|index| *index < snapshot.size()).into_iter().collect())
            }
            Self::Request(request) => snapshot.find_request(request),
        }
    }

    /// Whether nothing more of the same is to be expected: a request that was admitted will be settled.
    pub(super) fn is_complete(self, snapshot: &Snapshot, found: &[u64]) -> Result<bool, ReadError> {
        let Some(last) = found.last() else { return Ok(false) };
        let last: Option<Record> = RecordView::of(*last, &snapshot.read(*last)?).known();
        Ok(!matches!(last.map(|record| record.event), Some(Event::RequestAdmitted(_))))
    }
}

/// The record that ended the request. What names the request later, such as that its content was read, is not of it.
pub(super) fn last_of_request(snapshot: &Snapshot, found: &[u64]) -> Result<u64, ReadError> {
    for index in found.iter().rev() {
        let record: Option<Record> = RecordView::of(*index, &snapshot.read(*index)?).known();
        if !matches!(record.map(|record| record.event), Some(Event::ContentRead { .. })) {
            return Ok(*index);
        }
    }
    Ok(found.last().copied().unwrap_or_default())
}
