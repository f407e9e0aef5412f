//! What requests are served with: shared by all threads, and per thread.

use crate::gateway::GatewayParts;
use crate::strangers::Strangers;
use crate::upstream::Pool;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all threads share: what the composition handed in, and the state of the service. Nothing in here is locked on
/// the way of an answered request, but for the remembered policy decisions, which are read-locked.
#[derive(Debug)]
pub(crate) struct Shared {
    parts: GatewayParts,
    pub(crate) connections: AtomicUsize,
    /// Callers that were not let in and are not on record yet.
    pub(crate) strangers: Strangers,
    /// Cancelled when the service begins to stop: no new requests.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the grace is over: requests in flight are cut.
    pub(crate) cut: CancellationToken,
}

impl Shared {
    pub(crate) fn new(parts: GatewayParts) -> Self {
        Self {
            parts,
            connections: AtomicUsize::new(0),
            strangers: Strangers::default(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }
}

impl Deref for Shared {
    type Target = GatewayParts;

    fn deref(&self) -> &GatewayParts {
        &self.parts
    }
}

/// What one serving thread owns.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
    /// Connections and exchanges of this thread: it ends when all of them have.
    pub(crate) tasks: TaskTracker,
}
