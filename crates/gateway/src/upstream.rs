//! Connections to engines: HTTP/1.1, kept open between requests, one set per serving thread.
//!
//! A thread owns its connections, so taking one and putting it back locks nothing. A connection is put back only when
//! the answer before was read to its end; dropping one in the middle of an answer closes it, which is how an engine
//! learns that nobody waits any more.

use crate::context::Shared;
use crate::routing::{Place, Target};
use bytes::Bytes;
use hermetic_connector::ConnectError;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

type Sender = SendRequest<Full<Bytes>>;

/// Idle connections by the target's key.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<Arc<str>, Vec<Sender>>>,
    /// Nothing is kept any more.
    closed: Cell<bool>,
}

/// A connection that is being used for one request.
#[derive(Debug)]
pub(crate) struct Lease {
    target: Arc<Target>,
    sender: Sender,
    reused: bool,
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
        tasks: &TaskTracker,
        target: &Arc<Target>,
        within: Option<Duration>,
    ) -> Result<Lease, UpstreamError> {
        while let Some(mut sender) = self.take_idle(target) {
            // Ready at once, but for the moment in which the connection's task notices that the answer has ended.
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Ok(Lease { target: Arc::clone(target), sender, reused: true });
            }
        }
        self.connect(shared, tasks, target, within).await
    }

    /// A new connection to `target`, in the connector's own time or `within` less.
    pub(crate) async fn connect(
        &self,
        shared: &Shared,
        tasks: &TaskTracker,
        target: &Arc<Target>,
        within: Option<Duration>,
    ) -> Result<Lease, UpstreamError> {
        let connecting = self.dial(shared, tasks, target);
        let Some(after) = within else { return connecting.await };
        let connected = tokio::time::timeout(after, connecting).await;
        connected.unwrap_or(Err(UpstreamError::ConnectSilent { after }))
    }

    async fn dial(
        &self,
        shared: &Shared,
        tasks: &TaskTracker,
        target: &Arc<Target>,
    ) -> Result<Lease, UpstreamError> {
        let sender = match &target.place {
            Place::Unix(path) => {
                let stream = shared.connector.unix(path).await.map_err(UpstreamError::Connect)?;
                handshake(tasks, TokioIo::new(stream)).await
            }
            Place::Tcp { host, port } => {
                let stream = shared.connector.tcp(host, *port).await.map_err(UpstreamError::Connect)?;
                handshake(tasks, TokioIo::new(stream)).await
            }
        };
        shared.metrics.gateway.upstream_connections.inc();
        let sender = sender.map_err(UpstreamError::Broken)?;
        Ok(Lease { target: Arc::clone(target), sender, reused: false })
    }

    fn take_idle(&self, target: &Arc<Target>) -> Option<Sender> {
        self.idle.borrow_mut().get_mut(&target.key)?.pop()
    }

    /// Puts a connection back whose answer was read to the end.
    pub(crate) fn put_back(&self, lease: Lease, idle_max: usize) {
        if self.closed.get() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let senders = idle.entry(Arc::clone(&lease.target.key)).or_default();
        if !lease.sender.is_closed() && senders.len() < idle_max {
            senders.push(lease.sender);
        }
    }

    /// Closes the idle connections, and those in use when they are put back.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.idle.borrow_mut().clear();
    }
}

async fn handshake<T>(tasks: &TaskTracker, io: T) -> Result<Sender, hyper::Error>
where
    T: Read + Write + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new().handshake(io).await?;
    tasks.spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an engine ended");
        }
    });
    Ok(sender)
}

impl Lease {
    /// Whether the connection has carried a request before: then the engine may have closed it without our having
    /// noticed, and a request that got no answer at all may be sent once more on a new one.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        self.sender.send_request(request).await.map_err(UpstreamError::Broken)
    }
}
