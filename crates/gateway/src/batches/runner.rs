//! Which batches run: all that have not ended, each in a task of its own, on one thread of the process. What they share is
//! the number of lines that are asked at once.

use crate::batches::refusal::BatchRefusal;
use crate::batches::run::{self, blocking};
use crate::batches::store::Batches;
use crate::batches::upkeep;
use crate::context::Thread;
use hermetic_batches::{Batch, Status};
use hermetic_diagnostics::Diagnose;
use hermetic_ids::{BatchId, ProjectName};
use hermetic_metadata::BatchRow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};

/// How often it is looked for batches that nobody told the runner of: another process may cancel some.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After what went wrong with a batch, it is left alone so long.
const PAUSE: Duration = Duration::from_secs(5);
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// Batches that run, or rest after something went wrong.
type Busy = Rc<RefCell<HashSet<BatchId>>>;

/// Runs batches until the service stops.
pub(crate) async fn run(thread: Rc<Thread>) {
    let Some(batches) = thread.shared.batches.clone() else { return };
    let slots = Arc::new(Semaphore::new(batches.options().in_flight.max(1)));
    let busy = Busy::default();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut upkeep_due = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = thread.shared.draining.cancelled() => return,
            () = batches.wake().notified() => {}
            _ = looks.tick() => {}
        }
        if Instant::now() >= upkeep_due {
            upkeep_due = Instant::now() + UPKEEP_EVERY;
            upkeep::upkeep(&thread, &batches).await;
        }
        match waiting(&batches).await {
            Ok(rows) => begin(&thread, rows, &busy, &slots),
            Err(error) => tell(&error, "the batches that run cannot be looked up"),
        }
    }
}

async fn waiting(batches: &Batches) -> Result<Vec<BatchRow>, BatchRefusal> {
    let metadata = batches.metadata().clone();
    blocking(move || Ok(metadata.batches_that_run()?)).await
}

/// As many run as there are lines in flight: more would hold files open and ask nothing.
fn begin(thread: &Rc<Thread>, rows: Vec<BatchRow>, busy: &Busy, slots: &Arc<Semaphore>) {
    let at_once = thread.shared.batches.as_ref().map_or(0, |batches| batches.options().in_flight.max(1));
    let now = thread.shared.clock.unix_millis();
    count(thread, &rows);
    for row in in_turn(rows) {
        let batch = serde_json::from_str::<Batch>(&row.document).ok();
        // What only has to end need not wait.
        let ends = batch.is_some_and(|batch| batch.status() == Status::Cancelling || batch.is_over(now));
        let id = row.id;
        if (busy.borrow().len() >= at_once && !ends) || !busy.borrow_mut().insert(id) {
            continue;
        }
        let (of_thread, busy, slots) = (Rc::clone(thread), Rc::clone(busy), Arc::clone(slots));
        thread.tasks.spawn_local(async move {
            if let Err(error) = Box::pin(run::run(&of_thread, row, &slots)).await {
                tell(&error, "a batch cannot go on; it is tried again shortly");
                tokio::select! {
                    () = of_thread.shared.draining.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            busy.borrow_mut().remove(&id);
        });
    }
}

/// The oldest of each project, then the second of each: whoever hands in a hundred batches keeps nobody out.
fn in_turn(rows: Vec<BatchRow>) -> impl Iterator<Item = BatchRow> {
    let mut of_project: HashMap<ProjectName, usize> = HashMap::new();
    let ranked = rows.into_iter().map(|row| {
        let rank = of_project.entry(row.project.clone()).or_default();
        *rank += 1;
        (*rank, row)
    });
    let mut ranked: Vec<_> = ranked.collect();
    // Stable: among equals the oldest stays first.
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, row)| row)
}

fn count(thread: &Thread, rows: &[BatchRow]) {
    let status = |row: &BatchRow| Some(serde_json::from_str::<Batch>(&row.document).ok()?.status());
    let found: Vec<Status> = rows.iter().filter_map(status).collect();
    for status in Status::ALL.into_iter().filter(|status| !status.has_ended()) {
        let batches = found.iter().filter(|found| **found == status).count();
        let batches = i64::try_from(batches).unwrap_or(i64::MAX);
        thread.shared.metrics.batches.running(status.as_str(), batches);
    }
}

fn tell(error: &BatchRefusal, what: &str) {
    let causes = hermetic_diagnostics::chain(error).join(": ");
    tracing::error!(code = %error.code(), causes, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use hermetic_ids::FileId;

    #[test]
    fn a_project_with_many_batches_keeps_nobody_out() {
        let row = |number: u8, project: &str| BatchRow {
            id: BatchId::from_bytes([number; 16]),
            project: project.parse().unwrap(),
            input: FileId::from_bytes([0; 16]),
            document: String::new(),
            holder: String::new(),
            created_unix_ms: 0,
            ended_unix_ms: None,
        };
        let rows = vec![row(1, "a"), row(2, "a"), row(3, "a"), row(4, "b"), row(5, "b")];
        let turns: Vec<u8> = in_turn(rows).map(|row| row.id.as_bytes()[0]).collect();
        assert_eq!(turns, [1, 4, 2, 5, 3]);
    }
}
