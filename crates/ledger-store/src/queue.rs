//! Where records wait for the thread that writes them. Bounded in records and bytes; the lock is held for a push or a
//! swap and never across a system call.

use crate::error::AppendError;
use crate::pending::Outcome;
use hermetic_ledger::TreeHash;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// Most records and bytes in one batch: one write call, one sync. 4 MiB takes a fast disk a few milliseconds.
pub(crate) const BATCH_RECORDS_MAX: usize = 4096;
pub(crate) const BATCH_BYTES_MAX: usize = 4 << 20;

/// A serialised record, hashed by its caller.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: Vec<u8>,
    pub(crate) leaf: TreeHash,
    pub(crate) done: oneshot::Sender<Outcome<u64>>,
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

    pub(crate) fn refuse(self, error: AppendError) {
        // Nobody waiting for the answer is fine.
        let _ = match self {
            Self::Append(job) => job.done.send(Err(error)),
            Self::Checkpoint(done) => done.send(Err(error)),
        };
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Work>,
    bytes: usize,
    closed: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    space: Notify,
    records_max: usize,
    bytes_max: usize,
}

impl Queue {
    pub(crate) fn new(records_max: usize, bytes_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            space: Notify::new(),
            records_max,
            bytes_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that could panic: a poisoned lock is still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts work at the end, or hands it back with the reason why not.
    pub(crate) fn push(&self, work: Work) -> Result<(), (Work, AppendError)> {
        let mut state = self.lock();
        if state.closed {
            return Err((work, AppendError::Closed));
        }
        // A record is always let in when nothing waits: no limit may make it impossible.
        let full = state.waiting.len() >= self.records_max || state.bytes + work.bytes() > self.bytes_max;
        if full && !state.waiting.is_empty() {
            return Err((work, AppendError::QueueFull { records: self.records_max }));
        }
        state.bytes += work.bytes();
        state.waiting.push_back(work);
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Like [`Queue::push`], but waits for room.
    pub(crate) async fn push_when_room(&self, mut work: Work) -> Result<(), (Work, AppendError)> {
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

    /// Waits for work and takes a batch of it; empty when the queue is closed and nothing is left.
    pub(crate) fn take(&self) -> Vec<Work> {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.closed {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
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
        Work::Append(Job { record, leaf, done: oneshot::channel().0 })
    }

    fn is_full(pushed: Result<(), (Work, AppendError)>) -> bool {
        matches!(pushed, Err((_, AppendError::QueueFull { .. })))
    }

    #[test]
    fn a_full_queue_refuses_by_records_and_by_bytes() {
        let queue = Queue::new(2, 100);
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
        let queue = Arc::new(Queue::new(1, 1000));
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
        let queue = Arc::new(Queue::new(10, 1000));
        let (done, answer) = oneshot::channel();
        let record = b"x".to_vec();
        let leaf = TreeHash::leaf(&record);
        assert!(queue.push(Work::Append(Job { record, leaf, done })).is_ok());
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
        let queue = Queue::new(usize::MAX, usize::MAX);
        for _ in 0..5 {
            assert!(queue.push(append(BATCH_BYTES_MAX / 2)).is_ok());
        }
        let sizes: Vec<usize> = std::iter::repeat_with(|| queue.take().len()).take(3).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
