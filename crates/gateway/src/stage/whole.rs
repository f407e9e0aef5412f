//! A plain answer: held whole until both of its records are durable, then sent as it came.

use crate::capture::Outgoing;
use crate::collect::{CollectError, Terms, collect};
use crate::context::Thread;
use crate::memory::{GRANT_STEP, Purpose};
use crate::refusal::RefusalKind;
use crate::respond;
use crate::stage::admit::Admitted;
use crate::stage::call::Answer;
use crate::stage::exchange::{CLIENT_CLOSED_REQUEST, Reply};
use crate::stage::route::Routed;
use crate::stage::settle::{Ending, settle};
use bytes::Bytes;
use hermetic_inference_api::AnswerFacts;
use hermetic_ledger::record::Outcome;
use http::StatusCode;
use http_body::Body;
use hyper::body::Incoming;

/// What came of reading the answer.
enum Reading {
    Whole(Bytes),
    Failed(CollectError),
    ClientLeft,
    Cut,
}

pub(crate) async fn hand_on(
    thread: &Thread,
    routed: &Routed,
    admitted: Admitted,
    mut answer: Answer,
    mut reply: Reply,
) {
    let reading = read(thread, &mut answer.body, &mut reply).await;
    let request = routed.asked.accepted.request;
    let failed = |outcome, status| Ending::without_answer(thread, routed, outcome, status);
    let (ending, result) = match reading {
        Reading::Whole(body) => (ending_of(thread, routed, answer.status, &body), Ok(body)),
        Reading::Failed(error) => {
            let kind = RefusalKind::Answer(error);
            (failed(error.outcome(), kind.status().as_u16()), Err(kind))
        }
        Reading::ClientLeft => {
            (failed(Outcome::ClientLeft, CLIENT_CLOSED_REQUEST), Err(RefusalKind::Draining))
        }
        Reading::Cut => {
            let kind = RefusalKind::Draining;
            (failed(Outcome::EngineFailed, kind.status().as_u16()), Err(kind))
        }
    };
    let settled = settle(thread, routed, admitted, ending).await;
    let response = match (settled, result) {
        (Err(unsettled), _) => Err(unsettled.of(request)),
        (Ok(_), Err(kind)) => Err(kind.of(request)),
        (Ok(settled), Ok(body)) => {
            let (head, lease) = answer.into_head();
            thread.pool.put_back(lease, thread.shared.options().idle_upstream_max);
            Ok(respond::whole(&routed.asked.accepted, head, body, (admitted, settled)))
        }
    };
    let _ = reply.send(response);
}

async fn read(thread: &Thread, body: &mut Incoming, reply: &mut Reply) -> Reading {
    let terms = {
        let options = thread.shared.options();
        Terms { cap: options.answer_bytes_max, patience: options.engine_timeout, pace: None }
    };
    let declared = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    if declared.is_some_and(|bytes| bytes > terms.cap) {
        return Reading::Failed(CollectError::TooLarge { cap: terms.cap });
    }
    let mut grant = match thread.shared.memory.grant(Purpose::Answer, declared.unwrap_or(GRANT_STEP)) {
        Ok(grant) => grant,
        Err(error) => return Reading::Failed(CollectError::Memory(error)),
    };
    let collecting = collect(body, terms, &mut grant);
    let collected = tokio::select! {
        biased;
        collected = collecting => collected,
        () = reply.closed() => return Reading::ClientLeft,
        () = thread.shared.cut.cancelled() => return Reading::Cut,
    };
    // Counted until the client has taken it, however slowly.
    collected.map_or_else(Reading::Failed, |body| Reading::Whole(grant.hold(body)))
}

fn ending_of(thread: &Thread, routed: &Routed, status: StatusCode, body: &Bytes) -> Ending {
    let outcome = match status {
        status if status.is_success() => Outcome::Completed,
        status if respond::is_callers_fault(status) => Outcome::Rejected,
        _ => Outcome::EngineFailed,
    };
    Ending {
        outcome,
        status: status.as_u16(),
        begun: false,
        facts: AnswerFacts::of_answer(body),
        answer: Outgoing::start(thread, routed.asked.accepted.request),
        last: Some(body.clone()),
        first_byte: Some(thread.shared.clock.monotonic()),
    }
}
