//! Where counters are: by rule and scope, made when first needed, bounded in number.
//!
//! A counter is dropped only when nothing it says counts any more *and* nobody else has it in hand; otherwise two
//! requests could count on two counters of the same name.

use crate::key::CounterId;
use crate::rule::Rule;
use crate::timeline::Timeline;
use crate::unit::Unit;
use crate::window::Window;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Default of the most counters at once. Callers choose metadata values, so their number must have an end. When it is reached, new scopes are refused until others have emptied.
pub const COUNTERS_MAX: usize = 100_000;

/// How long between two searches for counters that can go: each looks at all of them.
const SWEEP_EVERY_MS: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Counter {
    /// Locks on several counters are taken in this order.
    pub(crate) serial: u64,
    pub(crate) id: CounterId,
    timeline: Mutex<Timeline>,
}

impl Counter {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Timeline> {
        // Nothing that can panic runs under this lock; what is in it is whole.
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counters of one rule, for one unit and window.
#[derive(Debug, Default)]
pub(crate) struct Family {
    by_scope: RwLock<HashMap<Arc<str>, Arc<Counter>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FamilyId {
    rule: Arc<str>,
    unit: Unit,
    window: Window,
}

/// All counters. They outlive the rules that count on them, so that a reload forgets nothing.
#[derive(Debug)]
pub(crate) struct Counters {
    families: Mutex<HashMap<FamilyId, Arc<Family>>>,
    max: usize,
    count: AtomicUsize,
    serial: AtomicU64,
    /// When counters that can go were last looked for.
    swept: AtomicU64,
}

/// One slot of one counter, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterView {
    pub counter: CounterId,
    pub slot: u64,
    pub charged: u64,
    pub held: u64,
    /// Headroom given to this process, for shared rules.
    pub granted: u64,
}

impl Counters {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            families: Mutex::default(),
            max,
            count: AtomicUsize::new(0),
            serial: AtomicU64::new(0),
            swept: AtomicU64::new(0),
        }
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn family(&self, rule: &Rule) -> Arc<Family> {
        self.family_of(FamilyId { rule: Arc::clone(&rule.name), unit: rule.unit, window: rule.window })
    }

    fn family_of(&self, id: FamilyId) -> Arc<Family> {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(families.entry(id).or_default())
    }

    /// The counter of a scope; made when there is none. `None`: there are as many as there may be.
    pub(crate) fn of(&self, family: &Family, rule: &Rule, scope: &str, now: u64) -> Option<Arc<Counter>> {
        if let Some(counter) = family.find(scope) {
            return Some(counter);
        }
        let make = || self.make(family, rule, scope);
        make().or_else(|| self.sweep(now).then(make).flatten())
    }

    fn make(&self, family: &Family, rule: &Rule, scope: &str) -> Option<Arc<Counter>> {
        let mut by_scope = family.by_scope.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = by_scope.get(scope) {
            return Some(Arc::clone(counter));
        }
        let room = |count| (count < self.max).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        let scope: Arc<str> = scope.into();
        let id = CounterId {
            rule: Arc::clone(&rule.name),
            unit: rule.unit,
            window: rule.window,
            scope: Arc::clone(&scope),
        };
        let counter = self.counter(id, Timeline::default());
        by_scope.insert(scope, Arc::clone(&counter));
        Some(counter)
    }

    fn counter(&self, id: CounterId, timeline: Timeline) -> Arc<Counter> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        Arc::new(Counter { serial, id, timeline: Mutex::new(timeline) })
    }

    /// Drops counters nothing counts on. True when there was time to look again.
    fn sweep(&self, now: u64) -> bool {
        let before = self.swept.load(Ordering::Relaxed);
        if now.abs_diff(before) < SWEEP_EVERY_MS {
            return false;
        }
        if self.swept.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        // A clock that is ahead for a moment must not make everything look old: it has to be so twice.
        let believed = now.min(before);
        let families: Vec<_> = {
            let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
            families.iter().map(|(id, family)| (id.window, Arc::clone(family))).collect()
        };
        for (window, family) in families {
            let slot = window.slot(believed);
            let mut by_scope = family.by_scope.write().unwrap_or_else(PoisonError::into_inner);
            let all = by_scope.len();
            // Whoever wants a counter in hand must go through the lock held here.
            by_scope
                .retain(|_, counter| Arc::strong_count(counter) > 1 || !counter.lock().is_idle(window, slot));
            self.count.fetch_sub(all - by_scope.len(), Ordering::Relaxed);
        }
        true
    }

    /// Puts a counter in place as it was found on record, in front of all requests.
    pub(crate) fn restore(&self, id: &CounterId, timeline: &Timeline) {
        let family_id = FamilyId { rule: Arc::clone(&id.rule), unit: id.unit, window: id.window };
        let family = self.family_of(family_id);
        let counter = self.counter(id.clone(), timeline.clone());
        let mut by_scope = family.by_scope.write().unwrap_or_else(PoisonError::into_inner);
        if by_scope.insert(Arc::clone(&id.scope), counter).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn find(&self, id: &CounterId) -> Option<Arc<Counter>> {
        let family_id = FamilyId { rule: Arc::clone(&id.rule), unit: id.unit, window: id.window };
        let family =
            self.families.lock().unwrap_or_else(PoisonError::into_inner).get(&family_id).map(Arc::clone)?;
        family.find(&id.scope)
    }

    /// Every slot of every counter, in no order.
    pub(crate) fn views(&self) -> Vec<CounterView> {
        let families: Vec<Arc<Family>> = {
            let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
            families.values().map(Arc::clone).collect()
        };
        let mut views = Vec::new();
        for family in families {
            let by_scope = family.by_scope.read().unwrap_or_else(PoisonError::into_inner);
            for counter in by_scope.values() {
                views.extend(counter.lock().slots().iter().map(|slot| CounterView {
                    counter: counter.id.clone(),
                    slot: slot.at,
                    charged: slot.charged,
                    held: slot.held,
                    granted: slot.granted,
                }));
            }
        }
        views
    }
}

impl Family {
    fn find(&self, scope: &str) -> Option<Arc<Counter>> {
        self.by_scope.read().unwrap_or_else(PoisonError::into_inner).get(scope).map(Arc::clone)
    }
}
