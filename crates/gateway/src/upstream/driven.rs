//! A connection to an engine, moved by whoever waits for it.
//!
//! hyper parts a connection in two: a sender, and a future that reads and writes the socket. Given a task of its own, that
//! future costs two more turns of the scheduler for each piece of an answer, and takes turns with the task that hands
//! the pieces on, one by one. Here the request's own task moves it: what the socket holds is taken in one go, and a
//! request that is given up drops the connection at once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// The reading and writing half of a connection, and who is woken for it.
pub(super) struct Driven {
    connection: Pin<Box<dyn Future<Output = ()>>>,
    ended: bool,
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
}

/// Wakes the task that waits, unless that task is at work on the connection just now: the two halves wake each other at every
/// step, and to answer that with another turn of the task would be to poll everything twice.
#[derive(Debug, Default)]
struct Bell {
    task: AtomicWaker,
    attended: AtomicBool,
    rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        if !self.attended.load(Ordering::Acquire) {
            self.task.wake();
        }
    }
}

impl Driven {
    pub(super) fn new(connection: impl Future<Output = ()> + 'static) -> Self {
        let bell = Arc::<Bell>::default();
        let waker = Waker::from(Arc::clone(&bell));
        Self { connection: Box::pin(connection), ended: false, bell, waker }
    }

    /// Polls `other`, something that the connection brings about, and moves the connection for as long as that helps.
    pub(super) fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        mut other: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.bell.task.register(cx.waker());
        self.bell.attended.store(true, Ordering::Release);
        let mut within = Context::from_waker(&self.waker);
        let polled = loop {
            let polled = other(&mut within);
            if polled.is_ready() || self.ended {
                break polled;
            }
            self.bell.rung.store(false, Ordering::Release);
            self.ended = self.connection.as_mut().poll(&mut within).is_ready();
            if !self.ended && !self.bell.rung.load(Ordering::Acquire) {
                break Poll::Pending;
            }
        };
        self.bell.attended.store(false, Ordering::Release);
        if polled.is_pending() && !self.ended && self.bell.rung.load(Ordering::Acquire) {
            // It rang behind the last look and before anybody listened again.
            cx.waker().wake_by_ref();
        }
        polled
    }

    /// Nobody waits any more: the task that did can be forgotten.
    pub(super) fn rest(&self) {
        drop(self.bell.task.take());
    }
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").field("ended", &self.ended).finish_non_exhaustive()
    }
}
