//! Who is served next.
//!
//! What it is for: [`FairQueue`] orders what waits for an engine so that each flow (a project) gets its share of the
//! work, whatever the others send; [`DrainRate`] estimates how long a wait will be. What it must not know: engines,
//! requests, clocks, locks, tasks. Time is handed in; what waits is the caller's `T`.
//!
//! Within a class it is start-time fair queueing (Goyal, Vin, Cheng 1996): each flow has a virtual time that advances by
//! cost ÷ weight with everything it is served, and the flow that is furthest behind comes next. Between the classes,
//! interactive comes first, and one in [`BATCH_EVERY`] is batch while both wait.
//!
//! Invariants (`tests.rs` states each as a property):
//! - never more than `places` wait;
//! - first in, first out within a flow and class;
//! - between two flows that always wait, cost ÷ weight served differs by at most one item of each;
//! - whoever waits is served: a flow that begins to wait is passed by each other flow of its class at most once;
//! - a flow that floods cannot keep others out: when all places are taken it gives up its newest;
//! - what was cancelled is never served and leaves nothing behind.

mod flows;
mod rate;

pub use rate::DrainRate;

use flows::Flows;
use std::collections::HashMap;
use std::hash::Hash;

/// While both classes wait, one in so many that are served is of the lower: batch work is slowed down, not stopped.
pub const BATCH_EVERY: u32 = 8;

/// Which class of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits for it.
    Interactive,
    /// Nobody looks at it now.
    Batch,
}

/// Names one that waits. Never used twice by the same queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Who wants to wait.
#[derive(Debug, Clone)]
pub struct Claim<P> {
    pub flow: P,
    pub priority: Priority,
    /// What serving it is expected to cost; of the order of the others' costs. Zero counts as one.
    pub cost: u64,
    /// The flow's share in proportion to the others'. Zero counts as one.
    pub weight: u32,
}

/// What became of a claim.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed<T> {
    Waits(Ticket),
    /// It waits, and the newest of the flow that waits most had to go for it.
    Displaced(Ticket, T),
    /// No place is free, and none is held by a flow that holds more than its own.
    Full(T),
}

/// What waits.
#[derive(Debug)]
pub struct FairQueue<P, T> {
    places: usize,
    interactive: Flows<P, T>,
    batch: Flows<P, T>,
    /// Where to look for a ticket.
    tickets: HashMap<Ticket, (Priority, P)>,
    next_ticket: u64,
    /// Interactive items served in a row while batch items waited.
    passed_batch: u32,
}

impl<P: Clone + Eq + Hash, T> FairQueue<P, T> {
    pub fn new(places: usize) -> Self {
        Self {
            places,
            interactive: Flows::new(),
            batch: Flows::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
            passed_batch: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Fewer places than are taken send nobody away; nobody new comes in until there is room.
    pub fn set_places(&mut self, places: usize) {
        self.places = places;
    }

    /// How many would be served before one more of this flow and class, if nobody else came.
    pub fn ahead_of(&self, flow: &P, priority: Priority) -> usize {
        let class = self.class(priority);
        // Fair: for each of its own that wait, and for itself, at most one of each other flow.
        let own = class.len_of(flow) + 1;
        let mine = class.len().min(own.saturating_mul(class.flows_waiting().max(1)));
        match priority {
            Priority::Interactive => mine + self.batch.len().min(mine / (BATCH_EVERY as usize - 1)),
            Priority::Batch => mine + self.interactive.len().min(mine * (BATCH_EVERY as usize - 1)),
        }
    }

    pub fn push(&mut self, claim: Claim<P>, item: T) -> Pushed<T> {
        let displaced = if self.len() < self.places {
            None
        } else {
            match self.displace_for(&claim) {
                Some(displaced) => Some(displaced),
                None => return Pushed::Full(item),
            }
        };
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.insert(ticket, (claim.priority, claim.flow.clone()));
        self.class_mut(claim.priority).push(claim, ticket, item);
        match displaced {
            Some(displaced) => Pushed::Displaced(ticket, displaced),
            None => Pushed::Waits(ticket),
        }
    }

    /// The next to be served.
    pub fn pop(&mut self) -> Option<T> {
        let batch_turn = self.passed_batch + 1 >= BATCH_EVERY || self.interactive.is_empty();
        let (ticket, item) = if batch_turn && !self.batch.is_empty() {
            self.passed_batch = 0;
            self.batch.pop()?
        } else {
            self.passed_batch = if self.batch.is_empty() { 0 } else { self.passed_batch + 1 };
            self.interactive.pop()?
        };
        self.tickets.remove(&ticket);
        Some(item)
    }

    /// Takes back a claim. `None`: it has been served, displaced or cancelled before.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<T> {
        let (priority, flow) = self.tickets.remove(&ticket)?;
        self.class_mut(priority).remove(&flow, ticket)
    }

    /// The newest of the flow that waits most: of the lower class first, and never of a flow that would then wait for
    /// less than the one that comes.
    fn displace_for(&mut self, claim: &Claim<P>) -> Option<T> {
        if claim.priority == Priority::Interactive
            && let Some((flow, _)) = self.batch.longest()
        {
            return self.drop_newest(Priority::Batch, &flow);
        }
        let own = self.class(claim.priority).len_of(&claim.flow);
        let (flow, longest) = self.class(claim.priority).longest()?;
        if longest > own + 1 { self.drop_newest(claim.priority, &flow) } else { None }
    }

    fn drop_newest(&mut self, priority: Priority, flow: &P) -> Option<T> {
        let (ticket, item) = self.class_mut(priority).drop_newest(flow)?;
        self.tickets.remove(&ticket);
        Some(item)
    }

    fn class(&self, priority: Priority) -> &Flows<P, T> {
        match priority {
            Priority::Interactive => &self.interactive,
            Priority::Batch => &self.batch,
        }
    }

    fn class_mut(&mut self, priority: Priority) -> &mut Flows<P, T> {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Batch => &mut self.batch,
        }
    }
}

#[cfg(test)]
mod tests;
