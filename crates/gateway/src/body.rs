//! The bodies of answers: bytes that are ready, or a stream a task feeds.

use crate::connections::Busy;
use crate::memory::{MemoryBudget, MemoryError, Purpose};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Events between the engine and a slow client. When they are full the engine is no longer read, and its own socket
/// slows it down.
const EVENTS_IN_FLIGHT: usize = 64;

#[derive(Debug)]
pub(crate) enum AnswerBody {
    Whole(Bytes),
    /// Ends when the sender is dropped. Dropping the body is how the feeding task learns that the client left.
    Stream(mpsc::Receiver<Bytes>),
}

/// A body on its connection, which is busy until the body has been handed over.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) body: AnswerBody,
    pub(crate) _busy: Busy,
}

impl Body for Carried {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Feeds a stream. Every event is counted against the memory for requests until the client has taken it.
#[derive(Debug)]
pub(crate) struct EventSender {
    events: mpsc::Sender<Bytes>,
    memory: MemoryBudget,
}

/// Why an event was not handed on.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Nobody takes the stream any more.
    Closed,
    Memory(MemoryError),
}

/// Why an event was not handed on at once.
#[derive(Debug)]
pub(crate) enum TrySendError {
    Closed,
    /// There is no place, or no memory.
    NotNow(Bytes),
}

/// A stream's two ends.
pub(crate) fn events(memory: MemoryBudget) -> (EventSender, mpsc::Receiver<Bytes>) {
    let (events, body) = mpsc::channel(EVENTS_IN_FLIGHT);
    (EventSender { events, memory }, body)
}

/// What leaves in one write at most, but for a single event that is larger.
const GATHERED_MAX: usize = 16 << 10;

/// Events that came together, to leave together.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    first: Bytes,
    joined: BytesMut,
}

impl Gathered {
    pub(crate) fn add(&mut self, event: Bytes) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = event;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&event);
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.first.len().max(self.joined.len()) >= GATHERED_MAX
    }

    /// All of it, if there is any; a single event as it came.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let first = std::mem::take(&mut self.first);
        let gathered = if first.is_empty() { self.joined.split().freeze() } else { first };
        (!gathered.is_empty()).then_some(gathered)
    }
}

impl EventSender {
    /// The usual case, which waits for nothing.
    pub(crate) fn try_send(&self, bytes: Bytes) -> Result<(), TrySendError> {
        match self.events.try_reserve() {
            Ok(place) => match self.memory.grant(Purpose::Answer, bytes.len()) {
                Ok(grant) => {
                    place.send(grant.hold(bytes));
                    Ok(())
                }
                Err(_) => Err(TrySendError::NotNow(bytes)),
            },
            Err(mpsc::error::TrySendError::Closed(())) => Err(TrySendError::Closed),
            Err(mpsc::error::TrySendError::Full(())) => Err(TrySendError::NotNow(bytes)),
        }
    }

    /// Waits for the client where that helps: for a place, and for memory while events of this stream hold some.
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), SendError> {
        let place = self.events.reserve().await.map_err(|_| SendError::Closed)?;
        if let Ok(grant) = self.memory.grant(Purpose::Answer, bytes.len()) {
            place.send(grant.hold(bytes));
            return Ok(());
        }
        drop(place);
        let mut places = self.events.reserve_many(EVENTS_IN_FLIGHT).await.map_err(|_| SendError::Closed)?;
        let grant = self.memory.grant(Purpose::Answer, bytes.len()).map_err(SendError::Memory)?;
        if let Some(place) = places.next() {
            place.send(grant.hold(bytes));
        }
        Ok(())
    }

    /// Resolves when nobody takes the stream any more.
    pub(crate) async fn closed(&self) {
        self.events.closed().await;
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(receiver) => {
                receiver.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
