//! Where records wait for the thread that writes them. Bounded in records and bytes; the lock is held for a push or a
//! swap and never across a system call.

use crate::error::AppendError;
use crate::pending::Outcome;
use crate::window::Window;
use hermetic_clock::Clock;
use hermetic_ledger::TreeHash;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Most records and bytes in one batch: one write call, one sync. 4 MiB takes a fast disk a few milliseconds.
pub(crate) const BATCH_RECORDS_MAX: usize = 4096;
pub(crate) const BATCH_BYTES_MAX: usize = 4 << 20;

/// How long records nobody waits for are gathered before they are written, and how many at most. A sync costs the
/// processor about as much as three requests do; at a few hundred a second it is not noticed, and a window of a tenth of
/// a second is still far away.
const GATHER: Duration = Duration::from_millis(5);
const GATHER_RECORDS: usize = 1024;

/// A serialised record, hashed by its caller.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: Vec<u8>,
    pub(crate) leaf: TreeHash,
    /// `None`: nobody waits, the record was taken within a [`Window`].
    pub(crate) done: Option<oneshot::Sender<Outcome<u64>>>,
    /// The index this record was given with its place in line, by a queue that is numbered.
    pub(crate) place: u64,
}

impl Job {
    pub(crate) fn new(record: Vec<u8>, leaf: TreeHash, done: Option<oneshot::Sender<Outcome<u64>>>) -> Self {
        Self { record, leaf, done, place: 0 }
    }

    pub(crate) fn acknowledge(done: Option<oneshot::Sender<Outcome<u64>>>, outcome: Outcome<u64>) {
        // Nobody waiting for the answer is fine.
        let _ = done.map(|done| done.send(outcome));
    }
}

#[derive(Debug)]
pub(crate) enum Work {
    Append(Job),
    /// Sign for everything before this; answers with the signed size.
    Checkpoint(oneshot::Sender<Outcome<u64>>),
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(job) => job.record.len(),
            Self::Checkpoint(_) => 0,
        }
    }

    fn is_waited_for(&self) -> bool {
        match self {
            Self::Append(job) => job.done.is_some(),
            Self::Checkpoint(_) => true,
        }
    }

    pub(crate) fn refuse(self, error: AppendError) {
        match self {
            Self::Append(job) => Job::acknowledge(job.done, Err(error)),
            Self::Checkpoint(done) => drop(done.send(Err(error))),
        }
    }
}

/// A record in line, with its place.
#[derive(Debug)]
pub(crate) enum Taken {
    /// A crash may lose it: so much was allowed.
    Within(u64),
    /// It must be waited for: the window is full.
    Outside(u64, oneshot::Receiver<Outcome<u64>>),
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Work>,
    bytes: usize,
    closed: bool,
    /// The writer is not to gather: somebody waits.
    urgent: bool,
    /// The index of the next record that is put in line, where this process gives them out.
    next: Option<u64>,
    /// Records that are durable.
    durable: u64,
    /// Since when, at the earliest, a record that is not durable has been in line; monotonic clock.
    oldest: Option<Duration>,
    /// When the batch that is being written was taken.
    taken: Duration,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    space: Notify,
    records_max: usize,
    bytes_max: usize,
    clock: Clock,
}

impl Queue {
    /// In front of a ledger that another process writes.
    pub(crate) fn new(records_max: usize, bytes_max: usize, clock: Clock) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            space: Notify::new(),
            records_max,
            bytes_max,
            clock,
        }
    }

    /// In front of this process's writer, which goes on at `size` records: a place in line is an index.
    pub(crate) fn numbered(records_max: usize, bytes_max: usize, clock: Clock, size: u64) -> Self {
        let queue = Self::new(records_max, bytes_max, clock);
        {
            let mut state = queue.lock();
            (state.next, state.durable) = (Some(size), size);
        }
        queue
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that could panic: a poisoned lock is still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts work at the end and says which index its place is, or hands it back with the reason why not.
    pub(crate) fn push(&self, work: Work) -> Result<Option<u64>, (Work, AppendError)> {
        self.put(self.lock(), work)
    }

    /// [`Queue::push`] for a record that need not be waited for while fewer and younger records than `window` allows are
    /// not durable yet.
    pub(crate) fn push_within(&self, mut job: Job, window: &Window) -> Result<Taken, AppendError> {
        let state = self.lock();
        let Some(next) = state.next else { return Err(AppendError::Closed) };
        let age = state.oldest.map_or(Duration::ZERO, |oldest| self.clock.monotonic().saturating_sub(oldest));
        let within = next - state.durable < window.records && age <= window.age;
        let answer = (!within).then(|| {
            let (done, answer) = oneshot::channel();
            job.done = Some(done);
            answer
        });
        self.put(state, Work::Append(job)).map_err(|(_, error)| error)?;
        Ok(answer.map_or(Taken::Within(next), |answer| Taken::Outside(next, answer)))
    }

    fn put(
        &self,
        mut state: MutexGuard<'_, State>,
        mut work: Work,
    ) -> Result<Option<u64>, (Work, AppendError)> {
        if state.closed {
            return Err((work, AppendError::Closed));
        }
        // A record is always let in when nothing waits: no limit may make it impossible.
        let full = state.waiting.len() >= self.records_max || state.bytes + work.bytes() > self.bytes_max;
        if full && !state.waiting.is_empty() {
            return Err((work, AppendError::QueueFull { records: self.records_max }));
        }
        let mut place = None;
        if let Work::Append(job) = &mut work {
            place = state.next;
            job.place = place.unwrap_or_default();
            state.next = place.map(|place| place + 1);
            if state.oldest.is_none() {
                state.oldest = Some(self.clock.monotonic());
            }
        }
        let newly_urgent = work.is_waited_for() && !state.urgent;
        state.urgent |= newly_urgent;
        state.bytes += work.bytes();
        state.waiting.push_back(work);
        let wake = newly_urgent || matches!(state.waiting.len(), 1 | GATHER_RECORDS);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(place)
    }

    /// Everything up to `size` is durable.
    pub(crate) fn made_durable(&self, size: u64) {
        let mut state = self.lock();
        state.durable = size;
        // What waits now came after the batch was taken: its age is not known exactly, and never taken for less.
        state.oldest = if state.waiting.is_empty() { None } else { Some(state.taken) };
    }

    /// Refuses the records in line and gives the next one that comes the index `next`: the ones refused have lost their
    /// places. Under the lock, so that whoever still holds a lost place has been told before anybody gets it anew.
    pub(crate) fn refuse_waiting(&self, error: &AppendError, next: u64) {
        let mut state = self.lock();
        let (appends, others) =
            std::mem::take(&mut state.waiting).into_iter().partition(|work| matches!(work, Work::Append(_)));
        let appends: VecDeque<Work> = appends;
        state.waiting = others;
        (state.bytes, state.oldest) = (0, None);
        (state.next, state.durable) = (Some(next), next);
        appends.into_iter().for_each(|work| work.refuse(error.clone()));
        drop(state);
        self.space.notify_waiters();
    }

    /// Like [`Queue::push`], but waits for room.
    pub(crate) async fn push_when_room(&self, mut work: Work) -> Result<Option<u64>, (Work, AppendError)> {
        loop {
            // Registered before looking: room made between looking and waiting is not missed.
            let mut room = std::pin::pin!(self.space.notified());
            room.as_mut().enable();
            match self.push(work) {
                Err((back, AppendError::QueueFull { .. })) => work = back,
                done => return done,
            }
            room.await;
        }
    }

    /// Waits for work and takes a batch of it, for a moment larger where nobody waits for it; empty when the queue is closed and nothing is left.
    pub(crate) fn take(&self) -> Vec<Work> {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.closed {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let gathers =
            |state: &mut State| !state.urgent && !state.closed && state.waiting.len() < GATHER_RECORDS;
        if gathers(&mut state) {
            let gathered = self.arrived.wait_timeout_while(state, GATHER, gathers);
            state = gathered.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (mut count, mut bytes) = (0, 0);
        for work in state.waiting.iter().take(BATCH_RECORDS_MAX) {
            bytes += work.bytes();
            if count > 0 && bytes > BATCH_BYTES_MAX {
                break;
            }
            count += 1;
        }
        let batch: Vec<Work> = state.waiting.drain(..count).collect();
        state.bytes -= batch.iter().map(Work::bytes).sum::<usize>();
        state.taken = self.clock.monotonic();
        state.urgent = state.waiting.iter().any(Work::is_waited_for);
        drop(state);
        self.space.notify_waiters();
        batch
    }

    /// Takes nothing new; what waits is still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
        self.space.notify_waiters();
    }
}

/// Held by the thread that serves a queue. When that thread ends, by return or panic, nobody is left waiting for it.
pub(crate) struct Serving<'a>(pub(crate) &'a Queue);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.close();
        loop {
            let left = self.0.take();
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(|work| work.refuse(AppendError::Closed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pending::block_on;
    use std::sync::Arc;

    fn append(bytes: usize) -> Work {
        let record = vec![b'x'; bytes];
        let leaf = TreeHash::leaf(&record);
        Work::Append(Job::new(record, leaf, Some(oneshot::channel().0)))
    }

    fn is_full(pushed: Result<Option<u64>, (Work, AppendError)>) -> bool {
        matches!(pushed, Err((_, AppendError::QueueFull { .. })))
    }

    #[test]
    fn a_full_queue_refuses_by_records_and_by_bytes() {
        let queue = Queue::new(2, 100, Clock::manual(0));
        assert!(queue.push(append(10)).is_ok() && queue.push(append(10)).is_ok());
        assert!(is_full(queue.push(append(10))));
        assert_eq!(queue.take().len(), 2);
        assert!(queue.push(append(60)).is_ok());
        assert!(is_full(queue.push(append(60))));
        assert_eq!(queue.take().len(), 1);
        assert!(queue.push(append(500)).is_ok(), "what is larger than the queue still gets through alone");
    }

    #[test]
    fn who_waits_for_room_gets_in_when_there_is_some_and_out_when_it_closes() {
        let queue = Arc::new(Queue::new(1, 1000, Clock::manual(0)));
        assert!(queue.push(append(1)).is_ok());
        let waiting = Arc::clone(&queue);
        let waiter = std::thread::spawn(move || block_on(waiting.push_when_room(append(2))));
        assert_eq!(queue.take().len(), 1);
        assert!(waiter.join().unwrap().is_ok());
        let waiting = Arc::clone(&queue);
        let waiter = std::thread::spawn(move || block_on(waiting.push_when_room(append(3))));
        queue.close();
        assert!(matches!(waiter.join().unwrap(), Err((_, AppendError::Closed))));
        assert_eq!((queue.take().len(), queue.take().len()), (1, 0), "what was in line is still served");
    }

    #[test]
    fn nobody_waits_for_a_serving_thread_that_panicked() {
        let queue = Arc::new(Queue::new(10, 1000, Clock::manual(0)));
        let (done, answer) = oneshot::channel();
        let record = b"x".to_vec();
        let leaf = TreeHash::leaf(&record);
        assert!(queue.push(Work::Append(Job::new(record, leaf, Some(done)))).is_ok());
        let served = Arc::clone(&queue);
        let thread = std::thread::spawn(move || {
            let _serving = Serving(&served);
            panic!("as a bug would");
        });
        assert!(thread.join().is_err());
        assert!(matches!(block_on(answer), Ok(Err(AppendError::Closed))));
        assert!(matches!(queue.push(append(1)), Err((_, AppendError::Closed))));
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_keeps_the_order() {
        let queue = Queue::new(usize::MAX, usize::MAX, Clock::manual(0));
        for _ in 0..5 {
            assert!(queue.push(append(BATCH_BYTES_MAX / 2)).is_ok());
        }
        let sizes: Vec<usize> = std::iter::repeat_with(|| queue.take().len()).take(3).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }

    fn numbered(size: u64) -> (Queue, Clock) {
        let clock = Clock::manual(0);
        (Queue::numbered(100, 10_000, clock.clone(), size), clock)
    }

    #[test]
    fn places_follow_the_order_of_the_line_and_only_records_have_one() {
        let (queue, _) = numbered(7);
        assert!(matches!(queue.push(append(1)), Ok(Some(7))));
        assert!(matches!(queue.push(Work::Checkpoint(oneshot::channel().0)), Ok(None)));
        assert!(matches!(queue.push(append(1)), Ok(Some(8))));
    }

    #[test]
    fn places_that_were_refused_are_given_anew_after_everybody_was_told() {
        let (queue, _) = numbered(7);
        let (done, mut answer) = oneshot::channel();
        assert!(queue.push(Work::Append(Job::new(b"x".to_vec(), TreeHash::leaf(b"x"), Some(done)))).is_ok());
        assert!(queue.push(Work::Checkpoint(oneshot::channel().0)).is_ok());
        queue.refuse_waiting(&AppendError::DiskFull, 8);
        assert!(matches!(answer.try_recv(), Ok(Err(AppendError::DiskFull))));
        assert!(matches!(queue.push(append(1)), Ok(Some(8))));
        assert_eq!(queue.take().len(), 2, "what is not a record stays in line");
    }

    #[test]
    fn outside_the_window_by_records_or_by_age_a_record_is_waited_for_until_the_disk_caught_up() {
        let (queue, clock) = numbered(0);
        let window = Window { records: 2, age: Duration::from_millis(50) };
        let next = || Job::new(b"x".to_vec(), TreeHash::leaf(b"x"), None);
        let place = |waited_for: bool| match queue.push_within(next(), &window) {
            Ok(Taken::Within(place)) if !waited_for => place,
            Ok(Taken::Outside(place, _)) if waited_for => place,
            other => panic!("{other:?}"),
        };
        assert_eq!((place(false), place(false), place(true)), (0, 1, 2));
        assert_eq!(queue.take().len(), 3);
        assert_eq!(place(true), 3, "taken is not durable");
        queue.made_durable(3);
        assert_eq!(place(false), 4);
        assert_eq!(queue.take().len(), 2);
        queue.made_durable(5);
        assert_eq!(place(false), 5);
        clock.advance(Duration::from_millis(51));
        assert_eq!(place(true), 6);
        assert_eq!(queue.take().len(), 2);
        queue.made_durable(7);
        assert_eq!(place(false), 7);
    }
}
