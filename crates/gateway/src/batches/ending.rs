//! The end of a batch: its results are put together, put on record, and seen from the same moment in which it has ended.

use crate::batches::asking::progress;
use crate::batches::assemble::{Assembly, Written};
use crate::batches::journal::Kept;
use crate::batches::refusal::BatchRefusal;
use crate::batches::run::{blocking, change, new_file};
use crate::batches::store::{Batches, Progress};
use crate::context::Thread;
use hermetic_batches::{Batch, ResultLine, Status};
use hermetic_identity::Standing;
use hermetic_ledger::record::{BatchEnded, Event, Record};
use hermetic_metadata::FileRow;
use std::collections::BTreeMap;

/// Where the batch stands when no more lines are asked: finalizing, if all have a result.
pub(crate) async fn settle_status(
    thread: &Thread,
    batches: &Batches,
    batch: &Batch,
    results: &BTreeMap<u64, Kept>,
) -> Result<Batch, BatchRefusal> {
    let now = thread.shared.clock.unix_millis();
    let Progress { completed, failed, usage } = progress(results);
    let all = completed + failed >= batch.counts().total;
    let settle = move |batch: &mut Batch| {
        batch.progress(completed, failed, usage);
        if all && batch.status() == Status::InProgress { batch.finalize(now) } else { Ok(()) }
    };
    Ok(change(batches, batch.id(), now, Vec::new(), settle).await?.0)
}

/// Writes the results and ends the batch.
pub(crate) async fn end(
    thread: &Thread,
    batches: &Batches,
    (mut batch, standing): (Batch, &Standing),
    results: BTreeMap<u64, Kept>,
) -> Result<(), BatchRefusal> {
    let (status, unasked) = match batch.status() {
        Status::Cancelling => (Status::Cancelled, ResultLine::CANCELLED),
        Status::Finalizing => (Status::Completed, ResultLine::EXPIRED),
        _ => (Status::Expired, ResultLine::EXPIRED),
    };
    let Progress { completed, usage, .. } = progress(&results);
    batch.progress(completed, batch.counts().total, usage);
    let assembly = Assembly {
        batches: batches.clone(),
        batch: batch.id(),
        endpoint: batch.endpoint().to_owned(),
        input: batch.input(),
        line_bytes_max: thread.shared.options().body_bytes_max,
        results,
        unasked,
        ids: (new_file()?, new_file()?),
    };
    let (output, errors) = match blocking(move || assembly.write()).await {
        // An input that was removed while the gateway was down leaves nothing to answer.
        Err(BatchRefusal::Content(error)) if error.is_not_found() => (None, None),
        written => written?,
    };
    record_end(thread, &mut batch, (status, output, errors)).await?;
    publish_end(thread, batches, (&batch, standing), (output, errors)).await?;
    thread.shared.metrics.batches.ended(status.as_str());
    batches.set_progress(batch.id(), None);
    let (batches, id) = (batches.clone(), batch.id());
    blocking(move || Ok(batches.remove_logs(id)?)).await
}

/// One transaction: the files can be seen, and the batch has ended.
async fn publish_end(
    thread: &Thread,
    batches: &Batches,
    (batch, standing): (&Batch, &Standing),
    (output, errors): (Option<Written>, Option<Written>),
) -> Result<(), BatchRefusal> {
    let now = thread.shared.clock.unix_millis();
    let kept_for = batch.output_expires_after().map_or(batches.retention_millis(), |seconds| seconds * 1_000);
    let row = |written: Option<Written>, what: &str| {
        written.map(|written| FileRow {
            id: written.file,
            project: standing.owner.project.clone(),
            subject: standing.owner.subject.clone(),
            name: format!("{}_{what}.jsonl", batch.id()),
            purpose: "batch_output".to_owned(),
            bytes: written.bytes,
            created_unix_ms: now,
            expires_unix_ms: now.saturating_add(kept_for),
        })
    };
    let files: Vec<FileRow> = [row(output, "output"), row(errors, "error")].into_iter().flatten().collect();
    let (placing, ids) = (batches.clone(), files.iter().map(|file| file.id).collect::<Vec<_>>());
    blocking(move || ids.into_iter().try_for_each(|id| Ok(placing.place(id)?))).await?;
    let ids = (output.map(|written| written.file), errors.map(|written| written.file));
    let (counts, usage) = (batch.counts(), batch.usage());
    let end = move |batch: &mut Batch| {
        batch.progress(counts.completed, counts.failed, usage);
        batch.end(ids, now)
    };
    let (batch, ended) = change(batches, batch.id(), now, files, end).await?;
    if let Err(refused) = ended {
        tracing::error!(batch = %batch.id(), %refused, "a batch cannot end where it stands");
    }
    Ok(())
}

pub(crate) async fn record_end(
    thread: &Thread,
    batch: &mut Batch,
    (status, output, errors): (Status, Option<Written>, Option<Written>),
) -> Result<(), BatchRefusal> {
    let counts = batch.counts();
    let ended = BatchEnded {
        batch: batch.id(),
        status: status.as_str().to_owned(),
        total: counts.total,
        completed: counts.completed,
        failed: counts.failed,
        output: output.map(|written| written.file),
        errors: errors.map(|written| written.file),
    };
    let record = Record::new(thread.shared.clock.unix_millis(), Event::BatchEnded(ended));
    thread.shared.ledger.append(&record).await.map(|_| ()).map_err(|error| {
        tracing::error!(batch = %batch.id(), %error, "the end of a batch cannot be put on record");
        BatchRefusal::Lost
    })
}
