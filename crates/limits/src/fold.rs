//! The counters as the records tell them.
//!
//! A fold takes what admitting and settling records say of reservations, in the order of the ledger, and nothing else:
//! no clock, no configuration. It can be written down at any record and continued from there; what comes out is the
//! same as if it had begun at the first. Requests that were admitted and not settled are kept open with what they
//! hold: after a crash they are charged that much.

use crate::key::{CounterId, Hold};
use crate::timeline::Timeline;
use hermetic_ids::RequestId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of all counters after some records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// The index of the first record that is not in it.
    next: u64,
    #[serde(with = "pairs")]
    counters: BTreeMap<CounterId, Timeline>,
    open: BTreeMap<RequestId, OpenRequest>,
    /// Latest time a record carried when counters were last dropped.
    #[serde(default)]
    pruned_at: u64,
}

/// A request that was admitted and, so far, not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRequest {
    /// The index of its admitting record.
    pub admitted: u64,
    pub holds: Vec<Hold>,
}

impl Fold {
    /// The index of the first record that is not in it.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The record at `next` was looked at.
    pub fn advance(&mut self) {
        self.next += 1;
    }

    /// An admitting record, with what it holds.
    pub fn admitted(&mut self, request: RequestId, holds: Vec<Hold>) {
        for hold in &holds {
            let timeline = self.counters.entry(hold.counter.clone()).or_default();
            timeline.hold(hold.counter.window, hold.slot, hold.amount);
        }
        self.open.insert(request, OpenRequest { admitted: self.next, holds });
    }

    /// A settling record, with its charges in the order of the holds. A hold without a charge is charged whole: by
    /// somebody who did not know.
    pub fn settled(&mut self, request: RequestId, charges: &[u64]) {
        let Some(open) = self.open.remove(&request) else { return };
        let charges = charges.iter().copied().map(Some).chain(std::iter::repeat(None));
        for (hold, charge) in open.holds.iter().zip(charges) {
            if let Some(timeline) = self.counters.get_mut(&hold.counter) {
                timeline.settle(hold.slot, hold.amount, charge.unwrap_or(hold.amount));
            }
        }
    }

    /// A record that says that a soft threshold was crossed.
    pub fn crossed(&mut self, counter: &CounterId, slot: u64, crossed: u8) {
        let timeline = self.counters.entry(counter.clone()).or_default();
        timeline.cross(counter.window, slot, crossed);
    }

    /// The requests that are open, oldest first by id.
    pub fn open(&self) -> impl Iterator<Item = (RequestId, &OpenRequest)> {
        self.open.iter().map(|(request, open)| (*request, open))
    }

    /// Every slot something was charged or held in: counter, slot, charged, held.
    pub fn amounts(&self) -> impl Iterator<Item = (&CounterId, u64, u64, u64)> {
        self.counters.iter().flat_map(|(id, timeline)| {
            timeline.slots().iter().map(move |slot| (id, slot.at, slot.charged, slot.held))
        })
    }

    pub(crate) fn timelines(&self) -> impl Iterator<Item = (&CounterId, &Timeline)> {
        self.counters.iter()
    }

    /// Drops counters of which nothing counts any more at the time a record carried. A record of a clock that was ahead
    /// for a moment drops nothing: the time must have been reached at the call before as well.
    pub fn prune(&mut self, at_unix_ms: u64) {
        let believed = at_unix_ms.min(self.pruned_at);
        self.pruned_at = at_unix_ms;
        self.counters.retain(|id, timeline| !timeline.is_idle(id.window, id.window.slot(believed)));
    }
}

/// JSON has no maps with structured keys.
mod pairs {
    use super::{CounterId, Timeline};
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<CounterId, Timeline>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<CounterId, Timeline>, D::Error> {
        Ok(Vec::<(CounterId, Timeline)>::deserialize(deserializer)?.into_iter().collect())
    }
}
