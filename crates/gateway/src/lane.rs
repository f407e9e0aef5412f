//! The way to one model's engine: so many requests at a time, and a fair queue before it.
//!
//! Threads share a lane. While nobody waits, entering and leaving is one compare-and-swap; the lock around the queue is
//! taken only by who waits, and by who leaves while somebody does.
//!
//! Invariants: the slots that are out never exceed the capacity, but for those that were out when it was lowered; a slot
//! is given back by its drop, which hands it to whoever is next; a [`Waiter`] that is dropped leaves the queue.

use hermetic_clock::Clock;
use hermetic_fair_queue::{Claim, DrainRate, FairQueue, Pushed, Ticket};
use hermetic_ids::ProjectName;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// One model's slots and who waits for them.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Slots that are out in the upper half, who waits in the lower: both are judged together.
    state: AtomicU64,
    capacity: AtomicU32,
    waiting: Mutex<Waiting>,
    clock: Clock,
}

#[derive(Debug)]
struct Waiting {
    queue: FairQueue<ProjectName, oneshot::Sender<Slot>>,
    rate: DrainRate,
}

/// The right to have one request at the engine.
#[derive(Debug)]
pub(crate) struct Slot {
    lane: Option<Arc<Lane>>,
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Waiter {
    lane: Arc<Lane>,
    ticket: Ticket,
    slot: oneshot::Receiver<Slot>,
}

#[derive(Debug)]
pub(crate) enum Entered {
    Now(Slot),
    Waits(Waiter),
    /// All places are taken. `wait`: how long until one of them is likely to be served.
    Full {
        wait: Option<Duration>,
    },
    /// It would wait longer than it may.
    TooLong {
        wait: Duration,
    },
}

/// Another one took the place: its project holds fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Displaced;

const OUT: u64 = 1 << 32;

fn split(state: u64) -> (u64, u64) {
    (state >> 32, state & (OUT - 1))
}

impl Lane {
    pub(crate) fn new(capacity: u32, places: usize, clock: Clock) -> Arc<Self> {
        let waiting = Waiting { queue: FairQueue::new(places), rate: DrainRate::default() };
        Arc::new(Self {
            state: AtomicU64::new(0),
            capacity: AtomicU32::new(capacity),
            waiting: Mutex::new(waiting),
            clock,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Whoever panicked did so between two calls of the queue, which keeps its own order.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot if one is free and nobody waits for it.
    fn try_take(self: &Arc<Self>) -> Option<Slot> {
        let capacity = u64::from(self.capacity.load(Ordering::Relaxed));
        let free = |state: u64| {
            let (out, waiting) = split(state);
            (waiting == 0 && out < capacity).then(|| state + OUT)
        };
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok()?;
        Some(Slot { lane: Some(Arc::clone(self)) })
    }

    /// Enters, or waits for up to `patience`.
    pub(crate) fn enter(self: &Arc<Self>, claim: Claim<ProjectName>, patience: Duration) -> Entered {
        if let Some(slot) = self.try_take() {
            return Entered::Now(slot);
        }
        let mut waiting = self.lock();
        let ahead = waiting.queue.ahead_of(&claim.flow, claim.priority);
        let wait = waiting.rate.time_for(ahead + 1);
        if let Some(wait) = wait.filter(|wait| *wait > patience) {
            return Entered::TooLong { wait };
        }
        // Counted before it is in the queue: whoever leaves from here on takes the lock, and finds it there.
        loop {
            let state = self.state.load(Ordering::Acquire);
            let (out, others) = split(state);
            let must_wait = others > 0 || out >= u64::from(self.capacity.load(Ordering::Relaxed));
            let next = if must_wait { state + 1 } else { state + OUT };
            if self.state.compare_exchange(state, next, Ordering::AcqRel, Ordering::Acquire).is_err() {
                continue;
            }
            if must_wait {
                break;
            }
            return Entered::Now(Slot { lane: Some(Arc::clone(self)) });
        }
        let (sender, slot) = oneshot::channel();
        let (ticket, gone) = match waiting.queue.push(claim, sender) {
            Pushed::Waits(ticket) => (Some(ticket), None),
            Pushed::Displaced(ticket, gone) => (Some(ticket), Some(gone)),
            Pushed::Full(back) => (None, Some(back)),
        };
        if gone.is_some() {
            self.state.fetch_sub(1, Ordering::AcqRel);
        }
        drop(waiting);
        // Dropped outside the lock: it wakes the one that was displaced.
        drop(gone);
        match ticket {
            Some(ticket) => Entered::Waits(Waiter { lane: Arc::clone(self), ticket, slot }),
            None => Entered::Full { wait },
        }
    }

    /// Gives one slot back, to whoever is next.
    fn leave(self: Arc<Self>) {
        loop {
            let state = self.state.load(Ordering::Acquire);
            let (out, waiting) = split(state);
            if waiting == 0 || out > u64::from(self.capacity.load(Ordering::Relaxed)) {
                let left = state.saturating_sub(OUT);
                if self.state.compare_exchange(state, left, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    return;
                }
                continue;
            }
            // The slot stays out and changes hands. A receiver that is gone hands it back, and the next is tried.
            if let Some(next) = self.next() {
                let Err(mut refused) = next.send(Slot { lane: Some(Arc::clone(&self)) }) else { return };
                refused.lane = None;
            }
        }
    }

    fn next(&self) -> Option<oneshot::Sender<Slot>> {
        let mut waiting = self.lock();
        let next = waiting.queue.pop()?;
        self.state.fetch_sub(1, Ordering::AcqRel);
        let now = self.clock.monotonic();
        waiting.rate.served(now);
        if waiting.queue.is_empty() {
            waiting.rate.idle();
        }
        Some(next)
    }

    /// More slots let in at once who waits for them; fewer take none back.
    pub(crate) fn set(self: &Arc<Self>, capacity: u32, places: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
        self.lock().queue.set_places(places);
        loop {
            let state = self.state.load(Ordering::Acquire);
            let (out, waiting) = split(state);
            if waiting == 0 || out >= u64::from(capacity) {
                return;
            }
            let taken = self.state.compare_exchange(state, state + OUT, Ordering::AcqRel, Ordering::Acquire);
            if taken.is_ok() {
                // A slot that is dropped at once goes to whoever is next.
                drop(Slot { lane: Some(Arc::clone(self)) });
            }
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        usize::try_from(split(self.state.load(Ordering::Relaxed)).1).unwrap_or(usize::MAX)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            lane.leave();
        }
    }
}

impl Waiter {
    /// The slot, when it is this one's turn.
    pub(crate) async fn slot(&mut self) -> Result<Slot, Displaced> {
        (&mut self.slot).await.map_err(|_| Displaced)
    }

    /// How long it would still wait: for whoever gives up.
    pub(crate) fn wait(&self, claim: &Claim<ProjectName>) -> Option<Duration> {
        let waiting = self.lane.lock();
        waiting.rate.time_for(waiting.queue.ahead_of(&claim.flow, claim.priority) + 1)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let cancelled = self.lane.lock().queue.cancel(self.ticket);
        if cancelled.is_some() {
            self.lane.state.fetch_sub(1, Ordering::AcqRel);
        }
        // A slot that was sent meanwhile lies in the receiver; its drop hands it on.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hermetic_fair_queue::Priority;
    use std::sync::atomic::AtomicUsize;

    fn claim(project: &str) -> Claim<ProjectName> {
        Claim { flow: project.parse().unwrap(), priority: Priority::Interactive, cost: 1, weight: 1 }
    }

    fn lane(capacity: u32, places: usize) -> Arc<Lane> {
        Lane::new(capacity, places, Clock::manual(0))
    }

    const LONG: Duration = Duration::from_secs(60);

    fn now(entered: Entered) -> Slot {
        match entered {
            Entered::Now(slot) => slot,
            other => panic!("expected a slot, found {other:?}"),
        }
    }

    fn waits(entered: Entered) -> Waiter {
        match entered {
            Entered::Waits(waiter) => waiter,
            other => panic!("expected a place, found {other:?}"),
        }
    }

    #[test]
    fn a_slot_goes_to_whoever_waits_and_not_to_who_hung_up() {
        let lane = lane(1, 10);
        let first = now(lane.enter(claim("a"), LONG));
        let gone = waits(lane.enter(claim("a"), LONG));
        let mut next = waits(lane.enter(claim("b"), LONG));
        assert_eq!(lane.waiting(), 2);
        drop(gone);
        assert_eq!(lane.waiting(), 1);
        assert!(next.slot.try_recv().is_err());
        drop(first);
        let slot = next.slot.try_recv().unwrap();
        // Handed over and then not taken up: it is not lost.
        drop(next);
        drop(slot);
        assert_eq!(lane.state.load(Ordering::SeqCst), 0);
        drop(now(lane.enter(claim("c"), LONG)));
    }

    #[test]
    fn a_slot_in_the_hands_of_one_who_hangs_up_goes_on_to_the_next() {
        let lane = lane(1, 10);
        let first = now(lane.enter(claim("a"), LONG));
        let gone = waits(lane.enter(claim("b"), LONG));
        let mut next = waits(lane.enter(claim("c"), LONG));
        drop(first);
        drop(gone);
        assert!(next.slot.try_recv().is_ok());
    }

    #[test]
    fn more_places_than_there_are_are_refused_and_a_flood_gives_way() {
        let lane = lane(1, 2);
        let _slot = now(lane.enter(claim("a"), LONG));
        let _one = waits(lane.enter(claim("a"), LONG));
        let mut two = waits(lane.enter(claim("a"), LONG));
        assert!(matches!(lane.enter(claim("a"), LONG), Entered::Full { .. }));
        let _other = waits(lane.enter(claim("b"), LONG));
        assert!(matches!(two.slot.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert_eq!(lane.waiting(), 2);
    }

    #[test]
    fn who_would_wait_too_long_is_told_so_at_once() {
        let clock = Clock::manual(0);
        let lane = Lane::new(1, 10, clock.clone());
        let mut slot = now(lane.enter(claim("a"), LONG));
        let mut waiters: Vec<Waiter> = (0..4).map(|_| waits(lane.enter(claim("a"), LONG))).collect();
        for waiter in waiters.iter_mut().take(3) {
            clock.advance(Duration::from_secs(10));
            drop(slot);
            slot = waiter.slot.try_recv().unwrap();
        }
        // One waits, each takes ten seconds.
        let patience = Duration::from_secs(15);
        assert!(
            matches!(lane.enter(claim("a"), patience), Entered::TooLong { wait } if wait == Duration::from_secs(20))
        );
        waits(lane.enter(claim("a"), LONG));
    }

    #[test]
    fn a_capacity_that_is_raised_lets_in_and_one_that_is_lowered_lets_none_in_before_enough_left() {
        let lane = lane(1, 10);
        let first = now(lane.enter(claim("a"), LONG));
        let mut waiters: Vec<Waiter> = (0..3).map(|_| waits(lane.enter(claim("a"), LONG))).collect();
        lane.set(3, 10);
        let second = waiters[0].slot.try_recv().unwrap();
        let third = waiters[1].slot.try_recv().unwrap();
        assert!(waiters[2].slot.try_recv().is_err());
        lane.set(1, 10);
        drop(first);
        drop(second);
        assert!(waiters[2].slot.try_recv().is_err());
        drop(third);
        assert!(waiters[2].slot.try_recv().is_ok());
    }

    #[test]
    fn many_threads_never_hold_more_slots_than_there_are_and_lose_none() {
        let lane = lane(3, 1_000);
        let out = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (lane, out, most) = (&lane, &out, &most);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    for round in 0..500usize {
                        let project = if (thread + round) % 2 == 0 { "a" } else { "b" };
                        let slot = match lane.enter(claim(project), LONG) {
                            Entered::Now(slot) => slot,
                            // Every third hangs up while it waits.
                            Entered::Waits(_) if round % 3 == 0 => continue,
                            Entered::Waits(mut waiter) => runtime.block_on(waiter.slot()).unwrap(),
                            other => panic!("{other:?}"),
                        };
                        let now = out.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        out.fetch_sub(1, Ordering::SeqCst);
                        drop(slot);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 3);
        assert_eq!(lane.state.load(Ordering::SeqCst), 0);
        assert!(lane.lock().queue.is_empty());
    }
}
