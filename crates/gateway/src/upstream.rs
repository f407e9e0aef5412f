//! Connections to engines: HTTP/1.1, kept open between requests, one set per serving thread.
//!
//! A thread owns its connections, so taking one and putting it back locks nothing. A connection is put back only when
//! the answer before was read to its end; dropping one in the middle of an answer closes it, which is how an engine
//! learns that nobody waits any more. An idle one is looked at when it is taken: one that its engine has closed by then
//! is dropped.

mod driven;

use self::driven::Driven;
use crate::context::Shared;
use crate::routing::{Place, Target};
use bytes::Bytes;
use hermetic_connector::ConnectError;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Both halves of a connection.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Full<Bytes>>,
    driven: Driven,
}

/// Idle connections by the target's key.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<Arc<str>, Vec<Line>>>,
    /// Nothing is kept any more.
    closed: Cell<bool>,
}

/// A connection that is being used for one request.
#[derive(Debug)]
pub(crate) struct Lease {
    target: Arc<Target>,
    line: Line,
    reused: bool,
}

/// An answer's body, with the connection it comes over.
#[derive(Debug)]
pub(crate) struct EngineBody {
    incoming: Incoming,
    lease: Lease,
}

/// Why an engine could not be spoken with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("the engine cannot be reached")]
    Connect(#[source] ConnectError),
    #[error("the engine accepted no connection within {} ms", .after.as_millis())]
    ConnectSilent { after: Duration },
    #[error("the engine broke off")]
    Broken(#[source] hyper::Error),
}

impl Pool {
    /// A connection to `target`: one that is idle, or a new one.
    pub(crate) async fn lease(
        &self,
        shared: &Shared,
        target: &Arc<Target>,
        within: Option<Duration>,
    ) -> Result<Lease, UpstreamError> {
        while let Some(mut line) = self.take_idle(target) {
            if line.is_ready().await {
                return Ok(Lease { target: Arc::clone(target), line, reused: true });
            }
        }
        self.connect(shared, target, within).await
    }

    /// A new connection to `target`, in the connector's own time or `within` less.
    pub(crate) async fn connect(
        &self,
        shared: &Shared,
        target: &Arc<Target>,
        within: Option<Duration>,
    ) -> Result<Lease, UpstreamError> {
        let connecting = dial(shared, target);
        let Some(after) = within else { return connecting.await };
        let connected = tokio::time::timeout(after, connecting).await;
        connected.unwrap_or(Err(UpstreamError::ConnectSilent { after }))
    }

    fn take_idle(&self, target: &Arc<Target>) -> Option<Line> {
        self.idle.borrow_mut().get_mut(&target.key)?.pop()
    }

    /// Puts a connection back whose answer was read to the end.
    pub(crate) fn put_back(&self, lease: Lease, idle_max: usize) {
        if self.closed.get() {
            return;
        }
        let Lease { target, line, .. } = lease;
        let mut idle = self.idle.borrow_mut();
        let lines = idle.entry(Arc::clone(&target.key)).or_default();
        if !line.sender.is_closed() && lines.len() < idle_max {
            line.driven.rest();
            lines.push(line);
        }
    }

    /// Closes the idle connections, and those in use when they are put back.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.idle.borrow_mut().clear();
    }
}

async fn dial(shared: &Shared, target: &Arc<Target>) -> Result<Lease, UpstreamError> {
    let line = match &target.place {
        Place::Unix(path) => {
            let stream = shared.connector.unix(path).await.map_err(UpstreamError::Connect)?;
            handshake(TokioIo::new(stream)).await
        }
        Place::Tcp { host, port } => {
            let stream = shared.connector.tcp(host, *port).await.map_err(UpstreamError::Connect)?;
            handshake(TokioIo::new(stream)).await
        }
    };
    shared.metrics.gateway.upstream_connections.inc();
    let line = line.map_err(UpstreamError::Broken)?;
    Ok(Lease { target: Arc::clone(target), line, reused: false })
}

async fn handshake<T>(io: T) -> Result<Line, hyper::Error>
where
    T: Read + Write + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new().handshake(io).await?;
    let driven = Driven::new(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an engine ended");
        }
    });
    Ok(Line { sender, driven })
}

impl Line {
    /// Whether it can carry a request: it can at once, if its engine has not closed it.
    async fn is_ready(&mut self) -> bool {
        let Self { sender, driven } = self;
        !sender.is_closed() && poll_fn(|cx| driven.poll(cx, |cx| sender.poll_ready(cx))).await.is_ok()
    }
}

impl Lease {
    /// Whether the connection has carried a request before: then the engine may have closed it without our having
    /// noticed, and a request that got no answer at all may be sent once more on a new one.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Dropping what is returned, finished or not, closes the connection.
    pub(crate) async fn send(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<EngineBody>, UpstreamError> {
        let Line { sender, driven } = &mut self.line;
        let response = {
            let mut sending = pin!(sender.send_request(request));
            poll_fn(|cx| driven.poll(cx, |cx| sending.as_mut().poll(cx))).await
        };
        let response = response.map_err(UpstreamError::Broken)?;
        Ok(response.map(|incoming| EngineBody { incoming, lease: self }))
    }
}

impl EngineBody {
    /// The connection, once the body was read to its end.
    pub(crate) fn into_lease(self) -> Lease {
        self.lease
    }
}

impl Body for EngineBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { incoming, lease } = self.get_mut();
        lease.line.driven.poll(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
