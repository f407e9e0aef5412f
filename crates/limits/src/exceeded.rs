//! Why a reservation was not made.

use crate::headroom::Shortfall;
use crate::key::CounterId;
use crate::quota::Quota;
use crate::rule::Rule;
use std::sync::Arc;

/// No reservation: nothing is held anywhere.
#[derive(Debug)]
pub enum Denied {
    /// The cap of a rule leaves no room.
    Exceeded(Box<Exceeded>),
    /// The scope is new, and as many counters as there may be are in use: nothing can be counted, so nothing is
    /// permitted.
    CountersFull { rule: Arc<str>, max: usize },
    /// The cap is shared with other replicas, and this one has no headroom left: [`crate::Headroom::ask`] for more and
    /// try again.
    Short(Vec<Shortfall>),
}

/// The rule that left no room, and by how much.
#[derive(Debug, Clone)]
pub struct Exceeded {
    pub rule: Arc<Rule>,
    pub counter: CounterId,
    /// Charged and held in the window.
    pub taken: u64,
    pub asked: u64,
    /// When as much as was asked for would fit, if nothing else is asked meanwhile; `None`: never, it is more than the
    /// cap.
    pub fits_at_unix_ms: Option<u64>,
    pub quota: Quota,
}

impl Exceeded {
    /// Milliseconds to wait from `now` on; `None` when waiting is useless.
    pub fn retry_after_ms(&self, now: u64) -> Option<u64> {
        // What is held at this moment is let go of at any moment.
        const GAUGE_MS: u64 = 1_000;
        match self.fits_at_unix_ms {
            Some(u64::MAX) => Some(GAUGE_MS),
            Some(at) => Some(at.saturating_sub(now)),
            None => None,
        }
    }
}
