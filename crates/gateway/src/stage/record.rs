//! Putting a record where it must be before something is answered: on the disk or, where the operator allows that, in
//! line for it.

use crate::context::Shared;
use crate::options::Durability;
use hermetic_ledger::record::Record;
use hermetic_ledger_store::PendingAppend;

/// What is returned resolves to the record's index once an answer may rest on it.
pub(crate) fn put_on_record(shared: &Shared, record: &Record) -> PendingAppend {
    match &shared.options().durability {
        Durability::Strict => shared.ledger.submit(record),
        Durability::Relaxed(window) => shared.ledger.submit_within(record, window),
    }
}
