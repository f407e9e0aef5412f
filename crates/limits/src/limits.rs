//! The rules in force and the counters they count on.

use crate::counters::{Counter, CounterView, Counters, Family};
use crate::exceeded::{Denied, Exceeded};
use crate::facts::Facts;
use crate::fold::Fold;
use crate::headroom::Shortfall;
use crate::key::{CounterId, Hold};
use crate::quota::Quota;
use crate::reservation::{Crossing, Held, Reservation};
use crate::rule::{OnExhausted, Rule};
use crate::rule_set::RuleSet;
use crate::timeline::Timeline;
use crate::unit::{Amounts, Unit};
use arc_swap::{ArcSwap, Guard};
use std::sync::{Arc, MutexGuard};

/// Holds, charges and lets go. Shared by reference between threads.
#[derive(Debug)]
pub struct Limits {
    current: ArcSwap<InForce>,
    counters: Counters,
}

#[derive(Debug)]
struct InForce {
    rules: RuleSet,
    /// By the number of the rule.
    families: Vec<Arc<Family>>,
}

/// The rules a request found in force.
pub struct RulesInForce(Guard<Arc<InForce>>);

impl std::ops::Deref for RulesInForce {
    type Target = RuleSet;

    fn deref(&self) -> &RuleSet {
        &self.0.rules
    }
}

/// One counter a request counts on, before it is held on.
struct Part {
    rule: Arc<Rule>,
    counter: Arc<Counter>,
    amount: u64,
}

impl Limits {
    /// `counters_max`: see [`crate::COUNTERS_MAX`].
    pub fn new(rules: RuleSet, counters_max: usize) -> Self {
        let counters = Counters::new(counters_max);
        let current = ArcSwap::from_pointee(InForce::new(rules, &counters));
        Self { current, counters }
    }

    /// Puts other rules in force. Counters stay as they are: a rule that keeps its name, unit and window goes on where
    /// it was, under its new cap.
    pub fn replace(&self, rules: RuleSet) {
        self.current.store(Arc::new(InForce::new(rules, &self.counters)));
    }

    /// The rules in force.
    pub fn rules(&self) -> RulesInForce {
        RulesInForce(self.current.load())
    }

    /// Begins where the records end. To be called before the first request.
    pub fn restore(&self, fold: &Fold) {
        fold.timelines().for_each(|(id, timeline)| self.counters.restore(id, timeline));
    }

    /// Holds `most` on every counter that the request counts on, or on none. `now` is the wall clock, milliseconds since
    /// 1970; it may stand still or go back.
    pub fn reserve(&self, facts: &Facts<'_>, most: &Amounts, now: u64) -> Result<Reservation, Denied> {
        let current = self.current.load();
        if current.rules.is_empty() {
            return Ok(Reservation::new(Vec::new(), *most));
        }
        let mut parts = self.parts(&current, facts, (most, now))?;
        // One order for all requests, so that no two wait for each other.
        parts.sort_unstable_by_key(|part| part.counter.serial);
        let mut timelines: Vec<MutexGuard<'_, Timeline>> =
            parts.iter().map(|part| part.counter.lock()).collect();
        let looked: Vec<Look> =
            parts.iter().zip(&timelines).map(|(part, timeline)| part.look(timeline, now)).collect();
        if let Some(denied) = denied(&parts, &timelines, (&looked, now)) {
            return Err(denied);
        }
        for ((part, timeline), look) in parts.iter().zip(&mut timelines).zip(&looked) {
            timeline.hold(part.rule.window, look.slot, part.amount);
        }
        let crossings: Vec<Crossing> = parts
            .iter()
            .zip(&mut timelines)
            .zip(&looked)
            .filter_map(|((part, timeline), look)| part.crossing(timeline, look))
            .collect();
        drop(timelines);
        let (requests, tokens) = tightest(&parts, &looked, now);
        let held = parts.into_iter().zip(&looked).map(|(part, look)| Held {
            would_refuse: part.rule.shadow && !look.fits,
            rule: part.rule,
            counter: part.counter,
            slot: look.slot,
            amount: part.amount,
        });
        let mut reservation = Reservation::new(held.collect(), *most);
        (reservation.requests, reservation.tokens, reservation.crossings) = (requests, tokens, crossings);
        Ok(reservation)
    }

    fn parts(
        &self,
        current: &InForce,
        facts: &Facts<'_>,
        (most, now): (&Amounts, u64),
    ) -> Result<Vec<Part>, Denied> {
        let mut parts = Vec::with_capacity(8);
        let mut full = None;
        let mut scope = String::new();
        current.rules.matching(facts, |number, rule| {
            let amount = most.of(rule.unit);
            // Nothing to count, such as the price of a model that has none.
            if amount == 0 || full.is_some() {
                return;
            }
            rule.write_scope(facts, &mut scope);
            let family = current.families.get(number);
            match family.and_then(|family| self.counters.of(family, rule, &scope, now)) {
                Some(counter) => parts.push(Part { rule: Arc::clone(rule), counter, amount }),
                // In the shadow nothing is refused, so nothing is counted either.
                None if rule.shadow => {}
                None => full = Some(Arc::clone(&rule.name)),
            }
        });
        match full {
            Some(rule) => Err(Denied::CountersFull { rule, max: self.counters.max() }),
            None => Ok(parts),
        }
    }

    /// Adds headroom on a shared counter; what was given in the slot so far. Makes the counter's slot when it is new.
    pub fn grant(&self, counter: &CounterId, slot: u64, amount: u64) -> u64 {
        let Some(found) = self.counters.find(counter) else { return 0 };
        found.lock().grant(counter.window, slot, amount)
    }

    /// Takes back headroom that nothing holds, but `keep` of it; how much it was.
    pub fn reclaim(&self, counter: &CounterId, slot: u64, keep: u64) -> u64 {
        self.counters.find(counter).map_or(0, |found| found.lock().reclaim(slot, keep))
    }

    /// One slot of one counter as it stands.
    pub fn view(&self, counter: &CounterId, slot: u64) -> Option<CounterView> {
        let found = self.counters.find(counter)?;
        let at = found.lock().at(slot);
        let counter = counter.clone();
        Some(CounterView { counter, slot, charged: at.charged, held: at.held, granted: at.granted })
    }

    /// Every slot of every counter as it stands, in no order. Not for the hot path.
    pub fn views(&self) -> Vec<CounterView> {
        self.counters.views()
    }
}

impl InForce {
    fn new(rules: RuleSet, counters: &Counters) -> Self {
        let families = rules.rules().iter().map(|rule| counters.family(rule)).collect();
        Self { rules, families }
    }
}

/// What a counter looks like to a request.
struct Look {
    slot: u64,
    taken: u64,
    fits: bool,
    /// Missing of what was given of a shared cap.
    short: u64,
}

impl Part {
    fn look(&self, timeline: &Timeline, now: u64) -> Look {
        let window = self.rule.window;
        let slot = timeline.attributed(window, window.slot(now));
        let taken = timeline.taken_around(window, slot);
        let fits = taken.saturating_add(self.amount) <= self.rule.cap;
        let short = if self.rule.shared {
            let at = timeline.at(slot);
            at.charged.saturating_add(at.held).saturating_add(self.amount).saturating_sub(at.granted)
        } else {
            0
        };
        Look { slot, taken, fits, short }
    }

    fn exceeded(&self, timeline: &Timeline, look: &Look, now: u64) -> Exceeded {
        let Rule { window, cap, .. } = *self.rule;
        Exceeded {
            rule: Arc::clone(&self.rule),
            counter: self.counter.id.clone(),
            taken: look.taken,
            asked: self.amount,
            fits_at_unix_ms: timeline.fits_at(window, look.slot, self.amount, cap),
            quota: self.quota(look, 0, now),
        }
    }

    fn quota(&self, look: &Look, added: u64, now: u64) -> Quota {
        Quota {
            unit: self.rule.unit,
            limit: self.rule.cap,
            remaining: self.rule.cap.saturating_sub(look.taken.saturating_add(added)),
            resets_in_ms: self.rule.window.leaves_at(look.slot).saturating_sub(now),
        }
    }

    fn crossing(&self, timeline: &mut Timeline, look: &Look) -> Option<Crossing> {
        let taken = look.taken.saturating_add(self.amount);
        let crossed = self.rule.thresholds_at(taken);
        if crossed == 0 || crossed <= timeline.crossed(self.rule.window, look.slot) {
            return None;
        }
        timeline.cross(self.rule.window, look.slot, crossed);
        Some(Crossing {
            hold: Hold { counter: self.counter.id.clone(), slot: look.slot, amount: self.amount },
            threshold: self.rule.threshold(crossed)?,
            crossed,
            taken,
            cap: self.rule.cap,
        })
    }
}

/// The rule that leaves no room: of several one that refuses before one that knows another model, and of those the one
/// that leaves none for longest.
fn denied(
    parts: &[Part],
    timelines: &[MutexGuard<'_, Timeline>],
    (looked, now): (&[Look], u64),
) -> Option<Denied> {
    let all = || parts.iter().zip(timelines).zip(looked).filter(|((part, _), _)| !part.rule.shadow);
    let exceeded = all()
        .filter(|(_, look)| !look.fits)
        .map(|((part, timeline), look)| part.exceeded(timeline, look, now))
        .max_by_key(|exceeded| {
            let refuses = exceeded.rule.on_exhausted == OnExhausted::Refuse;
            (refuses, exceeded.fits_at_unix_ms.unwrap_or(u64::MAX))
        });
    if let Some(exceeded) = exceeded {
        return Some(Denied::Exceeded(Box::new(exceeded)));
    }
    let short: Vec<Shortfall> = all()
        .filter(|(_, look)| look.short > 0)
        .map(|((part, _), look)| Shortfall {
            counter: part.counter.id.clone(),
            slot: look.slot,
            cap: part.rule.cap,
            by: look.short,
        })
        .collect();
    (!short.is_empty()).then_some(Denied::Short(short))
}

/// Of the rules that count requests, and of those that count tokens, the one that stops the caller soonest.
fn tightest(parts: &[Part], looked: &[Look], now: u64) -> (Option<Quota>, Option<Quota>) {
    let of = |wanted: fn(Unit) -> bool| {
        parts
            .iter()
            .zip(looked)
            .filter(|(part, _)| wanted(part.rule.unit) && !part.rule.shadow)
            .map(|(part, look)| part.quota(look, part.amount, now))
            .reduce(|a, b| if b.is_tighter_than(&a) { b } else { a })
    };
    let tokens = |unit| matches!(unit, Unit::Tokens | Unit::InputTokens | Unit::OutputTokens);
    (of(|unit| unit == Unit::Requests), of(tokens))
}

impl std::fmt::Debug for RulesInForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.rules.fmt(f)
    }
}
