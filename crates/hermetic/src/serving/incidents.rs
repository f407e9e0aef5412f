//! A worker that ended without being asked to is put on record.

use super::models::Models;
use hermetic_clock::Clock;
use hermetic_ledger::record::{Event, Record};
use hermetic_ledger_store::Ledger;
use hermetic_worker::Incident;
use tokio::sync::mpsc::UnboundedReceiver;

/// Records incidents until the supervisor is gone. A ledger that refuses stops the gateway by itself; here it is logged.
pub(crate) async fn keep_record(
    mut incidents: UnboundedReceiver<Incident>,
    models: Models,
    ledger: Ledger,
    clock: Clock,
) {
    while let Some(incident) = incidents.recv().await {
        tracing::error!(
            model = incident.model,
            reason = incident.reason,
            restarts = incident.restarts,
            restart_in_ms = incident.restart_in_ms,
            "a worker ended and is restarted"
        );
        let digest = models.manifest_of(&incident.model, incident.digest);
        let Ok(model) = incident.model.parse() else { continue };
        let event = Event::WorkerFailed {
            model,
            model_digest: digest,
            detail: incident.reason,
            restarts: incident.restarts,
        };
        let record = Record { v: 1, at_unix_ms: clock.unix_millis(), event };
        if let Err(error) = ledger.append(&record).await {
            tracing::error!(error = %error, "a worker's end could not be recorded");
        }
    }
}
