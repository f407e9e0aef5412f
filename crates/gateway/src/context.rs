//! What requests are served with: shared by all threads, and per thread.

use crate::commitment::CommitmentSecret;
use crate::options::GatewayOptions;
use crate::pages::PageLookup;
use crate::routing::RoutingTable;
use crate::upstream::Pool;
use arc_swap::ArcSwap;
use hermetic_clock::Clock;
use hermetic_connector::Connector;
use hermetic_content_store::ContentStore;
use hermetic_identity::Keys;
use hermetic_ledger_store::Ledger;
use hermetic_policy::Authorizer;
use hermetic_telemetry::Metrics;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all threads share. Nothing in here is locked on the way of an answered request, but for the remembered policy
/// decisions, which are read-locked.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: GatewayOptions,
    pub(crate) keys: Keys,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) routes: Arc<ArcSwap<RoutingTable>>,
    pub(crate) ledger: Ledger,
    pub(crate) connector: Connector,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) commitments: CommitmentSecret,
    /// Where content is kept; `None`: nowhere.
    pub(crate) capture: Option<ContentStore>,
    pub(crate) pages: PageLookup,
    pub(crate) connections: AtomicUsize,
    /// Cancelled when the service begins to stop: no new requests.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the grace is over: requests in flight are cut.
    pub(crate) cut: CancellationToken,
}

/// What one serving thread owns.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
    /// Connections and exchanges of this thread: it ends when all of them have.
    pub(crate) tasks: TaskTracker,
}
