//! A record on its way to the disk.

use crate::error::AppendError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use tokio::sync::oneshot;

/// Where a record stands, now that it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub index: u64,
}

pub(crate) type Outcome<T> = Result<T, AppendError>;

/// Resolves when the record is durable or refused. Dropping it does not take the record back.
#[derive(Debug)]
#[must_use = "a record is durable only when this has resolved"]
pub struct PendingAppend {
    stage: Stage,
    place: Option<u64>,
}

#[derive(Debug)]
enum Stage {
    Refused(Option<AppendError>),
    Waiting(oneshot::Receiver<Outcome<u64>>),
    /// Durable, or taken within a window: it has its index and nothing is waited for.
    Settled(u64),
}

impl PendingAppend {
    pub(crate) fn waiting(receiver: oneshot::Receiver<Outcome<u64>>) -> Self {
        Self { stage: Stage::Waiting(receiver), place: None }
    }

    pub(crate) fn refused(error: AppendError) -> Self {
        Self { stage: Stage::Refused(Some(error)), place: None }
    }

    pub(crate) fn taken(index: u64) -> Self {
        Self { stage: Stage::Settled(index), place: Some(index) }
    }

    pub(crate) fn at(self, place: Option<u64>) -> Self {
        Self { place, ..self }
    }

    /// The index the record will have, unless it is refused. It says nothing of the disk; but a record that is
    /// submitted while this is `Some` comes behind it, and is durable only after it. `None` when the record was
    /// refused, or where another process gives out the indices.
    pub fn place(&mut self) -> Option<u64> {
        let place = self.place?;
        match &mut self.stage {
            Stage::Waiting(receiver) => match receiver.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => Some(place),
                Ok(Ok(index)) => {
                    self.stage = Stage::Settled(index);
                    Some(index)
                }
                Ok(Err(error)) => {
                    self.stage = Stage::Refused(Some(error));
                    None
                }
                Err(oneshot::error::TryRecvError::Closed) => {
                    self.stage = Stage::Refused(None);
                    None
                }
            },
            Stage::Settled(index) => Some(*index),
            Stage::Refused(_) => None,
        }
    }

    /// Waits on this thread; for callers outside a runtime.
    pub fn wait(self) -> Result<Appended, AppendError> {
        block_on(self)
    }
}

impl Future for PendingAppend {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.stage {
            Stage::Settled(index) => Poll::Ready(Ok(Appended { index: *index })),
            Stage::Refused(error) => Poll::Ready(Err(error.take().unwrap_or(AppendError::Closed))),
            Stage::Waiting(receiver) => Pin::new(receiver).poll(cx).map(|answer| match answer {
                Ok(outcome) => outcome.map(|index| Appended { index }),
                // The thread that would have answered is gone without an answer.
                Err(_) => Err(AppendError::Closed),
            }),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives one future on this thread, which sleeps until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
