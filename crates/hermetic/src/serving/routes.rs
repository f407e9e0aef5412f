//! Turns the state of the workers into the gateway's routing table.

use super::models::Models;
use arc_swap::ArcSwap;
use hermetic_gateway::RoutingTable;
use hermetic_worker::WorkerStatus;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Puts a new table in place whenever a worker, or what shall be served, changes.
pub(crate) async fn follow_workers(
    mut workers: watch::Receiver<Vec<WorkerStatus>>,
    models: Models,
    routes: Arc<ArcSwap<RoutingTable>>,
    ending: CancellationToken,
) {
    let mut changes = models.changes();
    loop {
        let table = models.routes(&workers.borrow_and_update());
        routes.store(Arc::new(table));
        tokio::select! {
            () = ending.cancelled() => return,
            changed = workers.changed() => if changed.is_err() { return },
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}
