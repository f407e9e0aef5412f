//! The flows of one class, by virtual time.

use crate::{Claim, Ticket};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

/// Virtual time that one unit of cost takes at weight one: fine enough that no weight rounds a cost to nothing.
const SCALE: u128 = 1 << 20;

/// Flows that wait for nothing are remembered while they are ahead; so many of them are looked through for those that
/// are not ahead any more.
const REMEMBERED: usize = 64;

#[derive(Debug)]
pub(crate) struct Flows<P, T> {
    /// The virtual start of what was served last.
    now: u128,
    flows: HashMap<P, Flow<T>>,
    /// Flows that wait, by the virtual start of their oldest and, where that is the same, by who came first.
    order: BTreeMap<(u128, Ticket), P>,
    len: usize,
}

#[derive(Debug)]
struct Flow<T> {
    /// Virtual start of the oldest that waits; without one, the earliest start of the next.
    start: u128,
    items: VecDeque<Item<T>>,
}

#[derive(Debug)]
struct Item<T> {
    ticket: Ticket,
    /// Virtual time serving it takes.
    takes: u128,
    value: T,
}

impl<P: Clone + Eq + Hash, T> Flows<P, T> {
    pub(crate) fn new() -> Self {
        Self { now: 0, flows: HashMap::new(), order: BTreeMap::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len_of(&self, flow: &P) -> usize {
        self.flows.get(flow).map_or(0, |flow| flow.items.len())
    }

    pub(crate) fn flows_waiting(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn push(&mut self, claim: Claim<P>, ticket: Ticket, value: T) {
        let takes = u128::from(claim.cost.max(1)) * SCALE / u128::from(claim.weight.max(1));
        let now = self.now;
        let flow = self
            .flows
            .entry(claim.flow.clone())
            .or_insert_with(|| Flow { start: now, items: VecDeque::new() });
        if flow.items.is_empty() {
            // What a flow did not use while it was away is not saved up.
            flow.start = flow.start.max(now);
            self.order.insert((flow.start, ticket), claim.flow);
        }
        flow.items.push_back(Item { ticket, takes, value });
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<(Ticket, T)> {
        let ((start, _), name) = self.order.pop_first()?;
        let flow = self.flows.get_mut(&name)?;
        let item = flow.items.pop_front()?;
        self.len -= 1;
        self.now = start;
        flow.start = start + item.takes;
        if let Some(next) = flow.items.front() {
            self.order.insert((flow.start, next.ticket), name);
        }
        self.forget();
        Some((item.ticket, item.value))
    }

    pub(crate) fn remove(&mut self, name: &P, ticket: Ticket) -> Option<T> {
        let flow = self.flows.get_mut(name)?;
        let at = flow.items.iter().position(|item| item.ticket == ticket)?;
        let item = flow.items.remove(at)?;
        self.len -= 1;
        if at == 0 {
            // It was not served, so its flow is not charged: the next takes its place.
            self.order.remove(&(flow.start, ticket));
            if let Some(next) = flow.items.front() {
                self.order.insert((flow.start, next.ticket), name.clone());
            }
        }
        self.forget();
        Some(item.value)
    }

    pub(crate) fn drop_newest(&mut self, name: &P) -> Option<(Ticket, T)> {
        let ticket = self.flows.get(name)?.items.back()?.ticket;
        Some((ticket, self.remove(name, ticket)?))
    }

    /// The flow with the most that wait.
    pub(crate) fn longest(&self) -> Option<(P, usize)> {
        let lengths = self.order.values().map(|name| (name, self.len_of(name)));
        lengths.max_by_key(|(_, length)| *length).map(|(name, length)| (name.clone(), length))
    }

    /// Drops what says nothing any more: everything when nobody waits, else flows that are not ahead.
    fn forget(&mut self) {
        if self.len == 0 {
            self.flows.clear();
            self.now = 0;
        } else if self.flows.len() > 2 * self.order.len() + REMEMBERED {
            let now = self.now;
            self.flows.retain(|_, flow| !flow.items.is_empty() || flow.start > now);
        }
    }
}
