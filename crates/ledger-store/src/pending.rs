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
pub struct PendingAppend(Stage);

#[derive(Debug)]
enum Stage {
    Refused(Option<AppendError>),
    Waiting(oneshot::Receiver<Outcome<u64>>),
}

impl PendingAppend {
    pub(crate) fn waiting(receiver: oneshot::Receiver<Outcome<u64>>) -> Self {
        Self(Stage::Waiting(receiver))
    }

    pub(crate) fn refused(error: AppendError) -> Self {
        Self(Stage::Refused(Some(error)))
    }

    /// Waits on this thread; for callers outside a runtime.
    pub fn wait(self) -> Result<Appended, AppendError> {
        block_on(self)
    }
}

impl Future for PendingAppend {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
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
