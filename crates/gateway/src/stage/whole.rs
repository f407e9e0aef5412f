//! A plain answer: held whole until both of its records are durable, then sent as it came.

use crate::capture::Outgoing;
use crate::collect::{CollectError, collect};
use crate::context::Thread;
use crate::refusal::RefusalKind;
use crate::respond;
use crate::stage::admit::Admitted;
use crate::stage::call::Answer;
use crate::stage::exchange::{CLIENT_CLOSED_REQUEST, Reply};
use crate::stage::limit::Reserved;
use crate::stage::settle::{Ending, settle};
use crate::tab::Consumed;
use bytes::Bytes;
use hermetic_inference_api::AnswerFacts;
use hermetic_ledger::record::Outcome;
use http::StatusCode;
use hyper::body::Incoming;

/// What came of reading the answer.
enum Reading {
    Whole(Bytes),
    Failed(CollectError),
    ClientLeft,
    OutOfTime,
    Cut,
}

pub(crate) async fn hand_on(
    thread: &Thread,
    reserved: &Reserved,
    admitted: Admitted,
    mut answer: Answer,
    mut reply: Reply,
) {
    let reading = read((thread, reserved), &mut answer.body, &mut reply).await;
    let request = reserved.asked.accepted.request;
    let failed =
        |outcome, status, consumed| Ending::without_answer(thread, reserved, (outcome, status, consumed));
    let (ending, result) = match reading {
        Reading::Whole(body) => ending_of(thread, reserved, answer.status, body),
        Reading::Failed(error) => {
            let kind = RefusalKind::Answer(error);
            (failed(Outcome::EngineFailed, kind.status().as_u16(), Consumed::SoFar), Err(kind))
        }
        Reading::ClientLeft => {
            // Nobody knows how much was computed, and a caller must not save by not waiting for it.
            let ending = failed(Outcome::ClientLeft, CLIENT_CLOSED_REQUEST, Consumed::Unknown);
            (ending, Err(RefusalKind::Draining))
        }
        Reading::OutOfTime => {
            let kind = RefusalKind::EngineTime { after: thread.shared.options.engine_time_max };
            (failed(Outcome::EngineFailed, kind.status().as_u16(), Consumed::SoFar), Err(kind))
        }
        Reading::Cut => {
            let kind = RefusalKind::Draining;
            (failed(Outcome::EngineFailed, kind.status().as_u16(), Consumed::SoFar), Err(kind))
        }
    };
    let settled = settle(thread, reserved, admitted, ending).await;
    let response = match (settled, result) {
        (Err(unsettled), _) => Err(unsettled.of(request)),
        (Ok(_), Err(kind)) => Err(kind.of(request)),
        (Ok(settled), Ok(body)) => {
            let options = &thread.shared.options;
            let (head, lease) = answer.into_head();
            thread.pool.put_back(lease, options.idle_upstream_max);
            Ok(respond::whole(reserved, head, body, (admitted, settled)))
        }
    };
    let _ = reply.send(response);
}

async fn read((thread, reserved): (&Thread, &Reserved), body: &mut Incoming, reply: &mut Reply) -> Reading {
    let options = &thread.shared.options;
    let collecting = collect(body, options.answer_bytes_max, options.engine_timeout);
    tokio::select! {
        biased;
        collected = collecting => collected.map_or_else(Reading::Failed, Reading::Whole),
        () = reply.closed() => Reading::ClientLeft,
        () = reserved.tab.time_up(thread.shared.clock.monotonic()) => Reading::OutOfTime,
        () = thread.shared.cut.cancelled() => Reading::Cut,
    }
}

/// How a request with a whole answer ends, and what of the answer may leave.
fn ending_of(
    thread: &Thread,
    reserved: &Reserved,
    status: StatusCode,
    body: Bytes,
) -> (Ending, Result<Bytes, RefusalKind>) {
    let facts = AnswerFacts::of_answer(&body);
    let (outcome, consumed) = match status {
        status if status.is_success() => (Outcome::Completed, Consumed::Answer),
        // What an engine refuses it has not computed.
        status if respond::is_callers_fault(status) => (Outcome::Rejected, Consumed::Nothing),
        _ => (Outcome::EngineFailed, Consumed::Nothing),
    };
    let ending = Ending {
        outcome,
        status: status.as_u16(),
        begun: false,
        facts,
        answer: Outgoing::start(thread, reserved.asked.accepted.request),
        last: Some(body.clone()),
        first_byte: Some(thread.shared.clock.monotonic()),
        consumed,
        cut: false,
    };
    if consumed != Consumed::Answer {
        return (ending, Ok(body));
    }
    match reserved.tab.admits_answer(&body, &ending.facts) {
        Ok(()) => (ending, Ok(body)),
        Err(overrun) => {
            let kind = RefusalKind::Overrun(overrun);
            let status = kind.status().as_u16();
            (Ending { outcome: Outcome::Withheld, status, last: None, ..ending }, Err(kind))
        }
    }
}
