//! How far answers may run ahead of the disk where that is allowed.

use crate::error::AppendError;
use std::time::Duration;

/// What a crash may lose of records that nobody waited for. See [`crate::Ledger::submit_within`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Records that may be in line and not durable.
    pub records: u64,
    /// How long the oldest of them may have been in line.
    pub age: Duration,
}

impl Window {
    pub(crate) fn behind(&self, records: u64, age: Duration) -> AppendError {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        AppendError::Behind { records, records_max: self.records, age_ms: ms(age), age_max_ms: ms(self.age) }
    }
}
