//! One batch, from its input to its results. It may begin anywhere in between: what was done before a restart is found in
//! its row and its journal.

use crate::batches::asking::ask_all;
use crate::batches::ending::{end, record_end, settle_status};
use crate::batches::journal::{self, Found};
use crate::batches::lines::{self, Lines};
use crate::batches::reconcile::answered;
use crate::batches::refusal::BatchRefusal;
use crate::batches::store::Batches;
use crate::context::Thread;
use hermetic_batches::{Batch, Mistake, Status, WrongStatus};
use hermetic_identity::Standing;
use hermetic_ids::{BatchId, FileId};
use hermetic_metadata::{BatchChange, BatchRow, FileRow};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Who handed a batch in, and what was said with it that holds for each line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) standing: Standing,
    pub(crate) headers: Vec<(String, String)>,
}

/// Runs a batch until it has ended or the service stops.
pub(crate) async fn run(
    thread: &Rc<Thread>,
    row: BatchRow,
    slots: &Arc<Semaphore>,
) -> Result<(), BatchRefusal> {
    let Some(batches) = thread.shared.batches.clone() else { return Ok(()) };
    let holder: Holder = serde_json::from_str(&row.holder).map_err(|_| BatchRefusal::Lost)?;
    let mut batch: Batch = serde_json::from_str(&row.document).map_err(|_| BatchRefusal::Lost)?;
    if batch.status() == Status::Validating && !batch.is_over(thread.shared.clock.unix_millis()) {
        batch = validate(thread, &batches, &batch).await?;
    }
    if batch.status().has_ended() {
        return Ok(());
    }
    let mut found = look(thread, &batches, batch.id()).await?;
    if batch.status() == Status::InProgress {
        ask_all(thread, (&batches, &batch, &holder), &mut found, slots).await?;
        batch = settle_status(thread, &batches, &batch, &found.results).await?;
        if batch.status() == Status::InProgress && !batch.is_over(thread.shared.clock.unix_millis()) {
            // The service stops; the next start goes on.
            return Ok(());
        }
    }
    end(thread, &batches, (batch, &holder.standing), found.results).await
}

/// Looks for mistakes in the input.
async fn validate(thread: &Thread, batches: &Batches, batch: &Batch) -> Result<Batch, BatchRefusal> {
    let terms = (batches.options().lines_max, thread.shared.options().body_bytes_max);
    let (input, endpoint, opened) = (batch.input(), batch.endpoint().to_owned(), batches.clone());
    let checked = blocking(move || {
        let mut lines = Lines::open(&opened, input, terms.1)?;
        lines::check(&mut lines, &endpoint, terms)
    })
    .await;
    let checked = match checked {
        Err(BatchRefusal::Content(error)) if error.is_not_found() => Err(vec![gone()]),
        checked => checked?,
    };
    let now = thread.shared.clock.unix_millis();
    let (batch, changed) = match checked {
        Ok(total) => {
            change(batches, batch.id(), now, Vec::new(), move |batch| batch.begin(total, now)).await?
        }
        Err(mistakes) => {
            record_end(thread, &mut batch.clone(), (Status::Failed, None, None)).await?;
            change(batches, batch.id(), now, Vec::new(), move |batch| batch.fail(mistakes, now)).await?
        }
    };
    if let Err(refused) = changed {
        // Cancelled meanwhile.
        tracing::debug!(batch = %batch.id(), %refused, "a batch was changed while its input was looked at");
    }
    Ok(batch)
}

fn gone() -> Mistake {
    Mistake {
        code: "file_not_found".to_owned(),
        message: "expected the input file to be there, found that it was removed".to_owned(),
        param: Some("input_file_id".to_owned()),
        line: None,
    }
}

/// What was done before, by the journal and, where that does not say it, by the ledger.
async fn look(thread: &Thread, batches: &Batches, batch: BatchId) -> Result<Found, BatchRefusal> {
    let (batches, ledger) = (batches.clone(), thread.shared.ledger.clone());
    blocking(move || {
        let mut found = journal::read(&batches, batch)?;
        let answered = answered(&ledger, &found.doubtful).map_err(|error| {
            tracing::error!(%batch, %error, "the ledger cannot be asked for the answers of a batch");
            BatchRefusal::Lost
        })?;
        for doubtful in std::mem::take(&mut found.doubtful) {
            let confirmed = answered.contains(&doubtful.kept.request);
            found.judged.push((doubtful.kept.request, confirmed));
            if confirmed {
                found.results.insert(doubtful.line, doubtful.kept);
            }
        }
        Ok(found)
    })
    .await
}

pub(crate) fn new_file() -> Result<FileId, BatchRefusal> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| BatchRefusal::Lost)?;
    Ok(FileId::from_bytes(random))
}

/// Changes a batch in its row, together with the files that appear with the change. What the state machine refuses
/// changes nothing.
pub(crate) async fn change<T: Send + 'static>(
    batches: &Batches,
    id: BatchId,
    now: u64,
    files: Vec<FileRow>,
    change: impl FnOnce(&mut Batch) -> Result<T, WrongStatus> + Send + 'static,
) -> Result<(Batch, Result<T, WrongStatus>), BatchRefusal> {
    let metadata = batches.metadata().clone();
    blocking(move || {
        let changed = metadata.change_batch(id, |document| {
            let mut batch: Batch = serde_json::from_str(document).map_err(|_| BatchRefusal::Lost)?;
            let told = change(&mut batch);
            let document = serde_json::to_string(&batch).map_err(|_| BatchRefusal::Lost)?;
            let ended_unix_ms = batch.status().has_ended().then_some(now);
            let written = told.is_ok().then_some(BatchChange { document, ended_unix_ms, files });
            Ok::<_, BatchRefusal>((written, (batch, told)))
        });
        changed?.ok_or(BatchRefusal::Missing { what: "batch" })
    })
    .await
}

/// On a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BatchRefusal> + Send + 'static,
) -> Result<T, BatchRefusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(BatchRefusal::Lost))
}
