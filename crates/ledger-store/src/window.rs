//! How far answers may run ahead of the disk where that is allowed.

use std::time::Duration;

/// What a crash may lose of records that nobody waited for. See [`crate::Ledger::submit_within`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Records that may be in line and not durable.
    pub records: u64,
    /// How long the oldest of them may have been in line.
    pub age: Duration,
}
