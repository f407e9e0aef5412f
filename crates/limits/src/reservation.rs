//! What is held for one request, and how it ends.

use crate::counters::Counter;
use crate::key::Hold;
use crate::quota::Quota;
use crate::rule::Rule;
use crate::unit::{Amounts, Unit};
use std::fmt;
use std::sync::Arc;

/// Proof that what a request may use at most is held on every counter it counts on. Ends exactly once.
#[must_use = "what is held is let go of when this is dropped"]
pub struct Reservation {
    pub(crate) held: Vec<Held>,
    /// The most it may use.
    pub(crate) most: Amounts,
    pub(crate) requests: Option<Quota>,
    pub(crate) tokens: Option<Quota>,
    pub(crate) crossings: Vec<Crossing>,
    consuming: bool,
}

/// One counter's part.
pub(crate) struct Held {
    pub(crate) rule: Arc<Rule>,
    pub(crate) counter: Arc<Counter>,
    pub(crate) slot: u64,
    pub(crate) amount: u64,
    /// A rule in the shadow that would have refused.
    pub(crate) would_refuse: bool,
}

/// A soft threshold that was crossed for the first time in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    pub hold: Hold,
    /// Thousandths of the cap.
    pub threshold: u16,
    /// How many thresholds of the rule are crossed by now.
    pub crossed: u8,
    pub taken: u64,
    pub cap: u64,
}

/// What one counter was charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub rule: Arc<str>,
    pub unit: Unit,
    pub amount: u64,
}

/// A reservation that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "what was charged belongs on record"]
pub struct Settled {
    /// In the order of [`Reservation::holds`].
    pub charges: Vec<Charge>,
    /// More was charged than was held.
    pub overrun: bool,
}

impl Reservation {
    pub(crate) fn new(held: Vec<Held>, most: Amounts) -> Self {
        Self { held, most, requests: None, tokens: None, crossings: Vec::new(), consuming: false }
    }

    /// Says that from here on something may be computed: what is dropped without being settled is charged whole.
    pub fn consuming(&mut self) {
        self.consuming = true;
    }

    /// No rule speaks of the request.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether a rule that refuses counts generated tokens, so that the answer must be cut at the reserved number.
    pub fn bounds_output(&self) -> bool {
        self.held.iter().any(|held| !held.rule.shadow && held.rule.unit.counts_output())
    }

    /// Whether a rule that refuses counts the engine's time.
    pub fn bounds_time(&self) -> bool {
        self.held.iter().any(|held| !held.rule.shadow && held.rule.unit == Unit::GpuSeconds)
    }

    pub fn most(&self) -> &Amounts {
        &self.most
    }

    /// What is held, for the record.
    pub fn holds(&self) -> Vec<Hold> {
        let hold =
            |held: &Held| Hold { counter: held.counter.id.clone(), slot: held.slot, amount: held.amount };
        self.held.iter().map(hold).collect()
    }

    /// Rules in the shadow that would have refused this request.
    pub fn would_refuse(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.held.iter().filter(|held| held.would_refuse).map(|held| &held.rule)
    }

    /// The rules it counts on.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.held.iter().map(|held| &held.rule)
    }

    /// Of the rules that count requests, the one that stops the caller soonest.
    pub fn requests_left(&self) -> Option<Quota> {
        self.requests
    }

    /// Of the rules that count tokens, the one that stops the caller soonest.
    pub fn tokens_left(&self) -> Option<Quota> {
        self.tokens
    }

    /// Soft thresholds this request crossed.
    pub fn take_crossings(&mut self) -> Vec<Crossing> {
        std::mem::take(&mut self.crossings)
    }

    /// Charges what was used and lets go of the rest.
    pub fn settle(mut self, used: &Amounts) -> Settled {
        self.end(used)
    }

    /// Lets go of everything: nothing was computed.
    pub fn refund(self) -> Settled {
        self.settle(&Amounts::default())
    }

    /// Charges all that is held: nobody knows what was used.
    pub fn forfeit(self) -> Settled {
        let most = Amounts { concurrent: 0, ..self.most };
        self.settle(&most)
    }

    fn end(&mut self, used: &Amounts) -> Settled {
        let mut settled = Settled::default();
        for held in self.held.drain(..) {
            let unit = held.rule.unit;
            // The gauge is let go of, whatever was used.
            let amount = if unit == Unit::Concurrent { 0 } else { used.of(unit) };
            settled.overrun |= amount > held.amount;
            held.counter.lock().settle(held.slot, held.amount, amount);
            settled.charges.push(Charge { rule: Arc::clone(&held.rule.name), unit, amount });
        }
        settled
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let used = if self.consuming { Amounts { concurrent: 0, ..self.most } } else { Amounts::default() };
        let _ = self.end(&used);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("holds", &self.holds())
            .field("consuming", &self.consuming)
            .finish()
    }
}
