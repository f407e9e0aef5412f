//! Everything that ever happened on every counter, kept for ever and added up the slow way: what the counters, which
//! forget, are held against.

use hermetic_limits::{CounterId, Hold};
use std::collections::BTreeMap;

/// By counter and slot, what is charged and what is held.
#[derive(Debug, Default)]
pub(crate) struct History {
    taken: BTreeMap<CounterId, BTreeMap<u64, (u64, u64)>>,
}

impl History {
    pub(crate) fn hold(&mut self, holds: &[Hold]) {
        for hold in holds {
            self.entry(hold).1 += hold.amount;
        }
    }

    pub(crate) fn settle(&mut self, holds: &[Hold], charges: &[u64]) {
        assert_eq!(holds.len(), charges.len());
        for (hold, charge) in holds.iter().zip(charges) {
            let (charged, held) = self.entry(hold);
            *charged += charge;
            *held -= hold.amount;
        }
    }

    fn entry(&mut self, hold: &Hold) -> &mut (u64, u64) {
        self.taken.entry(hold.counter.clone()).or_default().entry(hold.slot).or_default()
    }

    /// No window of any counter, wherever it ends, has taken more than its cap.
    pub(crate) fn assert_no_overshoot(&self, cap_of: impl Fn(&str) -> u64) {
        for (counter, slots) in &self.taken {
            let (span, cap) = (counter.window.span(), cap_of(&counter.rule));
            for &end in slots.keys() {
                let first = (end + 1).saturating_sub(span);
                let taken: u64 = slots.range(first..=end).map(|(_, (charged, held))| charged + held).sum();
                assert!(taken <= cap, "{counter:?}: {taken} of {cap} in the window that ends in slot {end}");
            }
        }
    }

    pub(crate) fn charged(&self, counter: &CounterId, slot: u64) -> u64 {
        self.taken.get(counter).and_then(|slots| slots.get(&slot)).map_or(0, |(charged, _)| *charged)
    }

    pub(crate) fn held(&self, counter: &CounterId, slot: u64) -> u64 {
        self.taken.get(counter).and_then(|slots| slots.get(&slot)).map_or(0, |(_, held)| *held)
    }
}
