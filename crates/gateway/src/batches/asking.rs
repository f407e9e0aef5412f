//! The lines of one batch, asked a few at a time.

use crate::batches::ask::ask;
use crate::batches::assemble::is_answer;
use crate::batches::journal::{Appending, Found, Kept};
use crate::batches::lines::Lines;
use crate::batches::refusal::BatchRefusal;
use crate::batches::run::{Holder, blocking, change};
use crate::batches::store::{Batches, Progress};
use crate::context::Thread;
use hermetic_batches::{Batch, Line, Status};
use hermetic_content_store::ContentError;
use hermetic_identity::Standing;
use hermetic_ids::{BatchId, FileId};
use hermetic_inference_api::Surface;
use http::HeaderMap;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a batch was cancelled or its time is over.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Every so many looks, how far it is is written down for other processes.
const NOTE_EVERY: u32 = 8;

/// What the lines of a batch share that is being asked.
pub(crate) struct Run {
    pub(crate) thread: Rc<Thread>,
    pub(crate) batch: BatchId,
    pub(crate) surface: Surface,
    pub(crate) headers: HeaderMap,
    pub(crate) standing: Rc<Standing>,
    pub(crate) expires: u64,
    pub(crate) journal: Appending,
    batches: Batches,
    /// No more lines are asked.
    stop: CancellationToken,
    /// On the wall clock: until then nothing is asked.
    paused_until: Cell<u64>,
}

impl Run {
    /// Waits until a line may be asked. `false`: no more are.
    pub(crate) async fn may_ask(&self) -> bool {
        loop {
            let now = self.thread.shared.clock.unix_millis();
            if self.stop.is_cancelled() || now >= self.expires {
                return false;
            }
            let Some(wait) = self.paused_until.get().checked_sub(now).filter(|wait| *wait > 0) else {
                return true;
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                // The wall clock may be set meanwhile.
                () = tokio::time::sleep(Duration::from_millis(wait).min(LOOK_EVERY)) => {}
            }
        }
    }

    /// All lines of the batch wait: what one was refused for, the others would be as well.
    pub(crate) fn pause(&self, millis: u64) {
        let until = self.thread.shared.clock.unix_millis().saturating_add(millis);
        self.paused_until.set(self.paused_until.get().max(until));
    }
}

/// Asks every line that has no result, a few at a time, until all have one or no more are asked.
pub(crate) async fn ask_all(
    thread: &Rc<Thread>,
    (batches, batch, holder): (&Batches, &Batch, &Holder),
    found: &mut Found,
    slots: &Arc<Semaphore>,
) -> Result<(), BatchRefusal> {
    let Some(surface) = Surface::of_path(batch.endpoint()) else { return Err(BatchRefusal::Lost) };
    let (journal, writer) = Appending::new(batches.clone(), batch.id(), found);
    thread.tasks.spawn_local(writer);
    for (request, confirmed) in std::mem::take(&mut found.judged) {
        journal.judge(request, confirmed).await;
    }
    let run = Rc::new(Run {
        thread: Rc::clone(thread),
        batch: batch.id(),
        surface,
        headers: headers(&holder.headers),
        standing: Rc::new(holder.standing.clone()),
        expires: batch.expires_unix_ms(),
        journal,
        batches: batches.clone(),
        stop: CancellationToken::new(),
        paused_until: Cell::new(0),
    });
    let asking = Asking { run: Rc::clone(&run), tasks: JoinSet::new(), results: &mut found.results };
    tokio::select! {
        asked = asking.all((batch.input(), batch.endpoint()), slots) => asked,
        never = watch(&run) => match never {},
    }
}

/// What every line of the batch is sent with.
fn headers(said: &[(String, String)]) -> HeaderMap {
    let parsed = said.iter().filter_map(|(name, value)| {
        Some((name.parse::<http::HeaderName>().ok()?, value.parse::<http::HeaderValue>().ok()?))
    });
    let mut headers: HeaderMap = parsed.collect();
    headers.insert(crate::stage::queue::PRIORITY, http::HeaderValue::from_static("batch"));
    headers
}

/// The lines that are being asked.
struct Asking<'a> {
    run: Rc<Run>,
    tasks: JoinSet<Result<Option<(u64, Kept)>, ContentError>>,
    results: &'a mut BTreeMap<u64, Kept>,
}

impl Asking<'_> {
    async fn all(
        mut self,
        (input, endpoint): (FileId, &str),
        slots: &Arc<Semaphore>,
    ) -> Result<(), BatchRefusal> {
        let begun = self.begin_each((input, endpoint), slots).await;
        if begun.is_err() {
            self.run.stop.cancel();
        }
        // Also after an error: what is in flight is to be settled before the journal is read again.
        let mut ended = begun;
        while let Some(done) = self.tasks.join_next().await {
            let took = self.take(done);
            if took.is_err() {
                self.run.stop.cancel();
                ended = ended.and(took);
            }
        }
        ended
    }

    async fn begin_each(
        &mut self,
        (input, endpoint): (FileId, &str),
        slots: &Arc<Semaphore>,
    ) -> Result<(), BatchRefusal> {
        self.publish();
        let bytes_max = self.run.thread.shared.options().body_bytes_max;
        let own = Arc::new(Semaphore::new(self.run.batches.options().in_flight_per_batch.max(1)));
        let (batches, endpoint) = (self.run.batches.clone(), endpoint.to_owned());
        let mut lines = blocking(move || Lines::open(&batches, input, bytes_max)).await?;
        let run = Rc::clone(&self.run);
        while self.taking(run.may_ask()).await? {
            let (back, line) = next(lines, endpoint.clone()).await?;
            lines = back;
            let Some(line) = line else { break };
            if self.results.contains_key(&line.number) {
                // There may be thousands, and none of them waits for anything.
                tokio::task::yield_now().await;
                continue;
            }
            let Some(places) = self.taking(places(&run, &own, slots)).await? else { break };
            let run = Rc::clone(&run);
            self.tasks.spawn_local(async move {
                let number = line.number;
                let asked = ask(&run, line).await;
                drop(places);
                Ok(asked?.map(|kept| (number, kept)))
            });
        }
        Ok(())
    }

    /// Waits, and takes the results of lines that end meanwhile.
    async fn taking<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, BatchRefusal> {
        let mut wait = std::pin::pin!(wait);
        loop {
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => self.take(done)?,
                waited = &mut wait => return Ok(waited),
            }
        }
    }

    fn take(
        &mut self,
        done: Result<Result<Option<(u64, Kept)>, ContentError>, tokio::task::JoinError>,
    ) -> Result<(), BatchRefusal> {
        let done = done.map_err(|_| BatchRefusal::Lost)??;
        if let Some((number, kept)) = done {
            self.results.insert(number, kept);
            self.run.thread.shared.metrics.batches.line(is_answer(kept.status));
            self.publish();
        }
        Ok(())
    }

    fn publish(&self) {
        self.run.batches.set_progress(self.run.batch, Some(progress(self.results)));
    }
}

/// The next line that is a request, read on a thread that may block.
async fn next(mut lines: Lines, endpoint: String) -> Result<(Lines, Option<Line>), BatchRefusal> {
    if let Some(line) = lines.at_hand(&endpoint) {
        return Ok((lines, Some(line)));
    }
    blocking(move || {
        let line = lines.next_request(&endpoint)?;
        Ok((lines, line))
    })
    .await
}

/// A place among the batch's own lines and one among all lines. `None`: no more are asked.
async fn places(
    run: &Run,
    own: &Arc<Semaphore>,
    slots: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
    let both = async {
        let own = Arc::clone(own).acquire_owned().await.ok()?;
        Some((own, Arc::clone(slots).acquire_owned().await.ok()?))
    };
    tokio::select! {
        places = both => places,
        () = run.stop.cancelled() => None,
    }
}

/// Stops the asking when the batch is cancelled, its time is over or the service stops.
async fn watch(run: &Run) -> Infallible {
    let mut noted = Progress::default();
    for looks in 1u32.. {
        tokio::select! {
            () = run.thread.shared.draining.cancelled() => run.stop.cancel(),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if run.stop.is_cancelled() {
            break;
        }
        let progress = run.batches.progress(run.batch).unwrap_or_default();
        let notes = looks.is_multiple_of(NOTE_EVERY) && progress != noted;
        let status = if notes { note(run, progress).await } else { status(run).await };
        if notes {
            noted = progress;
        }
        let over = run.thread.shared.clock.unix_millis() >= run.expires;
        if over || status.is_some_and(|status| status != Status::InProgress) {
            run.stop.cancel();
        }
    }
    std::future::pending().await
}

async fn status(run: &Run) -> Option<Status> {
    let (batches, id) = (run.batches.clone(), run.batch);
    let row = blocking(move || Ok(batches.metadata().batch(id)?)).await.ok()??;
    serde_json::from_str::<Batch>(&row.document).ok().map(|batch| batch.status())
}

/// Writes down how far the batch is.
async fn note(run: &Run, progress: Progress) -> Option<Status> {
    let now = run.thread.shared.clock.unix_millis();
    let set = move |batch: &mut Batch| {
        batch.progress(progress.completed, progress.failed, progress.usage);
        Ok(())
    };
    let changed = change(&run.batches, run.batch, now, Vec::new(), set).await;
    changed.ok().map(|(batch, _)| batch.status())
}

/// How far the batch is, by its results.
pub(crate) fn progress(results: &BTreeMap<u64, Kept>) -> Progress {
    let mut progress = Progress::default();
    for kept in results.values() {
        if is_answer(kept.status) {
            progress.completed += 1;
            progress.usage.input_tokens += kept.usage.input_tokens;
            progress.usage.output_tokens += kept.usage.output_tokens;
        } else {
            progress.failed += 1;
        }
    }
    progress
}
