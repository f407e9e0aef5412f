//! A plain answer: held whole until both of its records are durable, then sent as it came.

use crate::capture::Outgoing;
use crate::context::Thread;
use crate::refusal::RefusalKind;
use crate::respond;
use crate::stage::admit::InLine;
use crate::stage::call::AnswerHead;
use crate::stage::exchange::Reply;
use crate::stage::guard::guard_answer;
use crate::stage::limit::Reserved;
use crate::stage::settle::{Ending, settle};
use crate::tab::Consumed;
use crate::upstream::Lease;
use bytes::Bytes;
use hermetic_inference_api::AnswerFacts;
use hermetic_ledger::record::Outcome;
use http::StatusCode;

/// A plain answer that has come.
pub(crate) struct Plain {
    pub(crate) head: AnswerHead,
    pub(crate) body: Bytes,
    pub(crate) facts: AnswerFacts,
    pub(crate) lease: Lease,
}

pub(crate) async fn hand_on(
    thread: &Thread,
    reserved: &Reserved,
    admitting: InLine,
    plain: Plain,
    reply: Reply,
) {
    let Plain { head, body, facts, lease } = plain;
    thread.pool.put_back(lease, thread.shared.options().idle_upstream_max);
    let request = reserved.asked.accepted.request;
    let (ending, result) = ending_of(thread, reserved, (head.status, facts), body);
    let settled = settle(thread, reserved, admitting, ending).await;
    let response = match (settled, result) {
        (Err(unsettled), _) => Err(unsettled.of(request)),
        (Ok(_), Err(kind)) => Err(kind.of(request)),
        (Ok(settled), Ok(body)) => Ok(respond::whole(thread, reserved, head, body, settled)),
    };
    let _ = reply.send(response);
}

/// How a request with a whole answer ends, and what of the answer may leave.
fn ending_of(
    thread: &Thread,
    reserved: &Reserved,
    (status, facts): (StatusCode, AnswerFacts),
    body: Bytes,
) -> (Ending, Result<Bytes, RefusalKind>) {
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
        last: None,
        first_byte: Some(thread.shared.clock.monotonic()),
        consumed,
        cut: false,
    };
    let mut teller = reserved.asked.teller();
    let told = if consumed == Consumed::Answer {
        let within = reserved.tab.admits_answer(&body, &ending.facts).map_err(RefusalKind::Overrun);
        let guarded = within.and_then(|()| guard_answer(thread, &reserved.asked, body));
        guarded.and_then(|body| teller.whole(body).ok_or(RefusalKind::NoAnswer))
    } else {
        let request = reserved.asked.accepted.request.to_string();
        // An engine that says why it refuses may say it with words of the prompt.
        let guarded = guard_answer(thread, &reserved.asked, body);
        guarded.map(|body| teller.rejection(body, status.as_u16(), &request))
    };
    match told {
        Ok(told) => {
            let mut ending = Ending { last: Some(told.clone()), ..ending };
            ending.answer.store(teller.take_stored());
            (ending, Ok(told))
        }
        Err(kind) => {
            let status = kind.status().as_u16();
            (Ending { outcome: Outcome::Withheld, status, last: None, ..ending }, Err(kind))
        }
    }
}
