//! The moment, comparable between processes.
//!
//! `hermetic_clock::Clock` counts from its own start, so two processes cannot compare what it says. Here the engine
//! writes into an event when it sent it and the load generator, another process, tells how long it was under way.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const NANOS_PER_S: u64 = 1_000_000_000;

/// Nanoseconds of the wall clock, which all processes of a machine share. Should somebody set it during a run, that
/// run's latencies show it.
#[expect(
    clippy::disallowed_methods,
    reason = "milliseconds, which a Clock gives, are too coarse for what is measured"
)]
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
