//! One line: asked through the pipeline until it has a result, or until no more lines are asked.

use crate::batches::asking::Run;
use crate::batches::journal::Kept;
use crate::batches::ticket::Ticket;
use crate::body::AnswerBody;
use crate::limit_refusal::LimitRefused;
use crate::pipeline;
use crate::refusal::{RefusalKind, Refused};
use crate::respond;
use bytes::Bytes;
use hermetic_batches::Line;
use hermetic_content_store::ContentError;
use hermetic_identity::Standing;
use hermetic_ids::RequestId;
use hermetic_inference_api::Surface;
use hermetic_ledger::record::BatchLine;
use hermetic_limits::Unit;
use http::{HeaderMap, Response, StatusCode, header};
use std::rc::Rc;

/// How often a line is asked whose engine fails: what failed three times fails again.
const ENGINE_TRIES: u32 = 3;

/// Stands for the request of an attempt that ended before its id was drawn.
const UNDRAWN: RequestId = RequestId::from_bytes([0; 16]);

/// A line as the pipeline takes it.
#[derive(Debug)]
pub(crate) struct LineRequest {
    pub(crate) surface: Surface,
    /// What holds for all lines of the batch.
    pub(crate) headers: HeaderMap,
    pub(crate) ticket: Ticket,
    pub(crate) standing: Rc<Standing>,
    pub(crate) body: String,
}

/// What comes of one attempt.
enum Attempt {
    Result(Kept),
    /// Try again, after so many milliseconds.
    Again {
        after: u64,
    },
    /// The engine failed: again, but not for ever. What it is if it was the last time.
    Failed {
        after: u64,
        last: Final,
    },
    /// The service stops.
    Stopping,
}

/// What ends a line that is not answered.
enum Final {
    /// It was answered, with an error.
    Kept(Kept),
    Refused(Refused),
}

/// Asks until there is a result. `Ok(None)`: no more lines are asked, and this one has none.
pub(crate) async fn ask(run: &Rc<Run>, line: Line) -> Result<Option<Kept>, ContentError> {
    let number = line.number;
    let mut failures = 0;
    while run.may_ask().await {
        let (after, last) = match attempt(run, &line).await? {
            Attempt::Result(kept) => return Ok(Some(kept)),
            Attempt::Stopping => return Ok(None),
            Attempt::Again { after } => (after, None),
            Attempt::Failed { after, last } => {
                failures += 1;
                if failures >= ENGINE_TRIES {
                    return finish(run, number, last).await.map(Some);
                }
                (after, Some(last))
            }
        };
        if let Some(Final::Kept(kept)) = last {
            run.journal.judge(kept.request, false).await;
        }
        run.pause(after);
    }
    Ok(None)
}

async fn attempt(run: &Rc<Run>, line: &Line) -> Result<Attempt, ContentError> {
    let ticket = Ticket::new(BatchLine { batch: run.batch, line: line.number }, run.journal.clone());
    let request = LineRequest {
        surface: run.surface,
        headers: run.headers.clone(),
        ticket: ticket.clone(),
        standing: Rc::clone(&run.standing),
        body: line.body.clone(),
    };
    match pipeline::answer_line(&run.thread, request).await {
        Ok(response) => Ok(answered(&ticket, response)),
        Err(refused) => refusal(run, line.number, refused).await,
    }
}

/// An answer is settled when it comes here.
fn answered(ticket: &Ticket, response: Response<AnswerBody>) -> Attempt {
    let (head, _) = response.into_parts();
    let Some(kept) = ticket.take_kept() else { return Attempt::Again { after: 1_000 } };
    let failed = head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS;
    if !failed {
        return Attempt::Result(kept);
    }
    let said = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Attempt::Failed { after: said.map_or(1_000, |seconds: u64| seconds * 1_000), last: Final::Kept(kept) }
}

async fn refusal(run: &Rc<Run>, number: u64, refused: Refused) -> Result<Attempt, ContentError> {
    let again = refused.kind.retry_after().map(|seconds| u64::from(seconds) * 1_000);
    Ok(match &refused.kind {
        RefusalKind::Draining => Attempt::Stopping,
        RefusalKind::Limit(limit) => match wait_for(run, limit) {
            Some(after) => Attempt::Again { after },
            None => Attempt::Result(finish(run, number, Final::Refused(refused)).await?),
        },
        RefusalKind::Call(_) | RefusalKind::Answer(_) | RefusalKind::EngineTime { .. } => {
            Attempt::Failed { after: again.unwrap_or(1_000), last: Final::Refused(refused) }
        }
        _ => match again {
            Some(after) => Attempt::Again { after },
            None => Attempt::Result(finish(run, number, Final::Refused(refused)).await?),
        },
    })
}

/// How long to wait for a limit. `None`: a budget that is spent, and a limit that leaves room only when the batch is
/// over, are not waited for.
fn wait_for(run: &Run, limit: &LimitRefused) -> Option<u64> {
    let after = limit.retry_after_ms()?;
    if let LimitRefused::Exceeded { exceeded, .. } = limit
        && exceeded.rule.unit == Unit::Money
    {
        return None;
    }
    let room_at = run.thread.shared.clock.unix_millis().saturating_add(after);
    (room_at < run.expires).then_some(after)
}

/// Makes what ends a line durable.
async fn finish(run: &Run, number: u64, last: Final) -> Result<Kept, ContentError> {
    match last {
        Final::Kept(kept) => Ok(kept),
        Final::Refused(refused) => {
            respond::note(&run.thread.shared.metrics, &refused.kind, refused.request);
            let status = refused.kind.status().as_u16();
            let request = refused.request.unwrap_or(UNDRAWN);
            let body = Bytes::from(refused.kind.to_body().told(run.surface, status, &request.to_string()));
            run.journal.refusal((number, request), status, body).await
        }
    }
}
