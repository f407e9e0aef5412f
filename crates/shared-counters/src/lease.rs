//! What this replica holds, as far as it has asked for it since it started.

use crate::key::Place;
use std::collections::HashMap;
use std::time::Duration;

/// One lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) cap: u64,
    /// What the last question brought: a quarter of it left is when to ask again.
    pub(crate) slice: u64,
    /// When a request last ran into its end, on the monotonic clock.
    pub(crate) needed: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Leases(HashMap<Place, Lease>);

impl Leases {
    pub(crate) fn note(&mut self, place: Place, lease: Lease) {
        self.0.insert(place, lease);
    }

    /// Places in use where a look ahead is worth it.
    pub(crate) fn in_use(&self, since: Duration, now: u64) -> impl Iterator<Item = (&Place, &Lease)> {
        self.0.iter().filter(move |(place, lease)| lease.needed >= since && !place.is_past(now))
    }

    /// Places of which nothing may be kept that nobody holds: those of slots that have passed, those nobody needed since
    /// `since`, and those that `wanted` names.
    pub(crate) fn idle(&self, since: Duration, now: u64, wanted: impl Fn(&Place) -> bool) -> Vec<Place> {
        let idle =
            |(place, lease): &(&Place, &Lease)| place.is_past(now) || lease.needed < since || wanted(place);
        self.0.iter().filter(idle).map(|(place, _)| place.clone()).collect()
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.keys()
    }

    pub(crate) fn forget(&mut self, place: &Place) {
        self.0.remove(place);
    }

    /// Forgets what no window counts any more.
    pub(crate) fn forget_over(&mut self, now: u64) {
        self.0.retain(|place, _| !place.is_over(now));
    }
}
