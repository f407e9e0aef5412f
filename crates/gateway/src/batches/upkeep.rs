//! What goes when its time is over: files, and the rows of batches that ended.

use crate::batches::refusal::BatchRefusal;
use crate::batches::run::blocking;
use crate::batches::store::Batches;
use crate::context::Thread;
use hermetic_ledger::record::{Credential, Event, Record};
use hermetic_metadata::FileRow;

/// Removes files whose time is over and forgets batches that ended long ago. What fails is tried again the next time.
pub(crate) async fn upkeep(thread: &Thread, batches: &Batches) {
    if let Err(error) = remove_due(thread, batches).await {
        let causes = hermetic_diagnostics::chain(&error).join(": ");
        tracing::warn!(causes, "files whose time is over could not be removed");
    }
}

async fn remove_due(thread: &Thread, batches: &Batches) -> Result<(), BatchRefusal> {
    let now = thread.shared.clock.unix_millis();
    let (looking, retention) = (batches.clone(), batches.retention_millis());
    let due = blocking(move || {
        looking.metadata().forget_batches(now.saturating_sub(retention))?;
        Ok(looking.metadata().files_due(now)?)
    })
    .await?;
    for file in due {
        remove(thread, batches, &file, None).await?;
    }
    Ok(())
}

/// The record first, then the row, after which nobody sees the file, then what is in it.
pub(crate) async fn remove(
    thread: &Thread,
    batches: &Batches,
    file: &FileRow,
    by: Option<Credential>,
) -> Result<(), BatchRefusal> {
    let event = Event::FileDeleted { file: file.id, by };
    let record = Record::new(thread.shared.clock.unix_millis(), event);
    thread.shared.ledger.append(&record).await.map_err(|error| {
        tracing::error!(file = %file.id, %error, "that a file is deleted cannot be put on record");
        BatchRefusal::Lost
    })?;
    let (batches, id) = (batches.clone(), file.id);
    blocking(move || {
        batches.metadata().delete_file(id)?;
        Ok(batches.remove(id)?)
    })
    .await
}
