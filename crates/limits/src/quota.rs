//! What is left, for the headers a caller steers by.

use crate::unit::Unit;

/// The state of one rule after a reservation was made, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub unit: Unit,
    pub limit: u64,
    pub remaining: u64,
    /// Until what counts now has all stopped counting.
    pub resets_in_ms: u64,
}

impl Quota {
    /// Whether this one stops a caller sooner than `other`: the smaller share left, and then the smaller number.
    pub fn is_tighter_than(&self, other: &Self) -> bool {
        let share = |quota: &Self, of: &Self| u128::from(quota.remaining) * u128::from(of.limit);
        let (own, others) = (share(self, other), share(other, self));
        own < others || own == others && self.remaining < other.remaining
    }
}
