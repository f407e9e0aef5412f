//! What goes: responses that are deleted, and those whose time is over.

use crate::context::Thread;
use crate::refusal::RefusalKind;
use crate::stored::store::{StoredResponses, blocking};
use hermetic_ledger::record::{Credential, Event, Record};
use hermetic_metadata::ResponseRow;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often it is looked for responses whose time is over. Nobody is shown one in between.
const EVERY: Duration = Duration::from_secs(60);

/// Removes what is due until the service stops, also where nothing new is kept any more.
pub(crate) async fn run(thread: Rc<Thread>) {
    let Some(responses) = thread.shared.responses.clone() else { return };
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = thread.shared.draining.cancelled() => return,
            _ = looks.tick() => {}
        }
        if let Err(error) = remove_due(&thread, &responses).await {
            let causes = hermetic_diagnostics::chain(&error).join(": ");
            tracing::warn!(causes, "responses whose time is over could not be removed");
        }
    }
}

/// What fails is tried again the next time.
async fn remove_due(thread: &Thread, responses: &StoredResponses) -> Result<(), RefusalKind> {
    let (looking, now) = (responses.clone(), thread.shared.clock.unix_millis());
    loop {
        let looking = looking.clone();
        let due = blocking(move || Ok(looking.metadata().responses_due(now)?));
        let due = due.await.map_err(RefusalKind::State)?;
        if due.is_empty() || thread.shared.draining.is_cancelled() {
            return Ok(());
        }
        for row in &due {
            remove(thread, responses, row, None).await?;
        }
    }
}

/// The record first, then the row, after which nobody sees the response, then what is in it.
pub(crate) async fn remove(
    thread: &Thread,
    responses: &StoredResponses,
    row: &ResponseRow,
    by: Option<Credential>,
) -> Result<(), RefusalKind> {
    let event = Event::ResponseDeleted { response: row.id, by };
    let record = Record::new(thread.shared.clock.unix_millis(), event);
    thread.shared.ledger.append(&record).await.map_err(RefusalKind::Ledger)?;
    let (responses, row) = (responses.clone(), row.clone());
    blocking(move || responses.remove(&row)).await.map_err(RefusalKind::State)
}
