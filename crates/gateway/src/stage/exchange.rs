//! The exchange: call the engine, hand its answer on once it may rest on the request's records, settle.
//!
//! It runs in a task of its own. The server drops a request's future when its client hangs up; a task goes on, notices
//! that nobody listens, gives the engine up, and settles the request all the same.

use crate::body::AnswerBody;
use crate::capture::Outgoing;
use crate::context::Thread;
use crate::refusal::{RefusalKind, Refused};
use crate::stage::admit::{Admission, Admitted, Admitting, InLine};
use crate::stage::attempts::attempts;
use crate::stage::call::{Answer, AnswerBytes, CallError};
use crate::stage::limit::Reserved;
use crate::stage::settle::{Ending, settle};
use crate::stage::{stream, whole};
use crate::tab::Consumed;
use hermetic_inference_api::AnswerFacts;
use hermetic_ledger::record::Outcome;
use hermetic_ledger_store::AppendError;
use http::Response;
use std::rc::Rc;
use tokio::sync::oneshot;

/// Where the answer goes: to the server's future, which waits for its head.
pub(crate) type Reply = oneshot::Sender<Result<Response<AnswerBody>, Refused>>;

/// What ended the wait for the engine.
#[expect(
    clippy::large_enum_variant,
    reason = "one per request, taken apart at once; a box would be one more allocation"
)]
enum Opening {
    /// The engine's answer as far as it is waited for, or its failure.
    Answered(Result<Answer, CallError>),
    /// The admitting record cannot be written: there is no answer.
    Unrecorded(AppendError),
    /// Nobody waits for the answer.
    ClientLeft,
    /// The engine has taken as long as was held for.
    OutOfTime,
    /// The service stops and the grace is over.
    Cut,
}

pub(crate) async fn exchange(
    thread: &Rc<Thread>,
    admitting: Admitting,
) -> Result<Response<AnswerBody>, Refused> {
    let request = admitting.reserved.asked.accepted.request;
    let (reply, answered) = oneshot::channel();
    // Boxed, for a task is moved several times before it first runs and once when it has ended.
    let task = Box::pin(run(Rc::clone(thread), admitting, reply));
    thread.tasks.spawn_local(task);
    // The task always replies unless it was lost with its thread.
    answered.await.unwrap_or_else(|_| Err(RefusalKind::Draining.of(request)))
}

async fn run(thread: Rc<Thread>, admitting: Admitting, mut reply: Reply) {
    thread.shared.metrics.gateway.in_flight.inc();
    let Admitting { reserved, slot, mut admission } = admitting;
    match open(&thread, &reserved, &mut admission, &mut reply).await {
        Opening::Answered(answered) => hand_on(&thread, &reserved, &mut admission, answered, reply).await,
        Opening::Unrecorded(error) => {
            let _ = reply.send(Err(leave_unrecorded(&thread, &reserved, error)));
        }
        Opening::ClientLeft => {
            // Of a stream nothing had come; of a plain answer nobody knows how much was computed.
            let consumed = if reserved.asked.facts.stream { Consumed::SoFar } else { Consumed::Unknown };
            let end = (Outcome::ClientLeft, CLIENT_CLOSED_REQUEST, consumed);
            settle_early(&thread, &reserved, &mut admission, end).await;
        }
        Opening::OutOfTime => {
            let kind = RefusalKind::EngineTime { after: thread.shared.options().engine_time_max };
            let end = (Outcome::EngineFailed, kind.status().as_u16(), Consumed::SoFar);
            settle_early(&thread, &reserved, &mut admission, end).await;
            let _ = reply.send(Err(kind.of(reserved.asked.accepted.request)));
        }
        Opening::Cut => {
            let end = (Outcome::EngineFailed, RefusalKind::Draining.status().as_u16(), Consumed::SoFar);
            settle_early(&thread, &reserved, &mut admission, end).await;
            let _ = reply.send(Err(RefusalKind::Draining.of(reserved.asked.accepted.request)));
        }
    }
    drop(slot);
    thread.shared.metrics.gateway.in_flight.dec();
}

/// Hands on what the engine said. A stream's head leaves at once and needs a durable admitting record; a plain answer
/// leaves when it is settled, which includes that, so it is settled without waiting for the disk in between.
async fn hand_on(
    thread: &Thread,
    reserved: &Reserved,
    admission: &mut Admission,
    answered: Result<Answer, CallError>,
    reply: Reply,
) {
    let unrecorded = |error| Err(leave_unrecorded(thread, reserved, error));
    match answered {
        Ok(Answer { head, body: AnswerBytes::Whole(body, facts, lease), .. }) => {
            match placed(reserved, admission).await {
                Ok(admitting) => {
                    let plain = whole::Plain { head, body, facts, lease };
                    whole::hand_on(thread, reserved, admitting, plain, reply).await;
                }
                Err(error) => drop(reply.send(unrecorded(error))),
            }
        }
        Ok(Answer { head, body: AnswerBytes::Stream(opened), usage_is_ours, attempt, timeouts }) => {
            match admission.durable().await {
                Ok(admitted) => {
                    let source = stream::Source { opened, usage_is_ours, attempt, timeouts };
                    // Boxed: a plain answer, which has no use for it, need not carry the room for it around.
                    Box::pin(stream::hand_on(thread, reserved, admitted, (head, source), reply)).await;
                }
                Err(error) => drop(reply.send(unrecorded(error))),
            }
        }
        Err(error) => {
            let asked = reserved.course.borrow().was_asked();
            let consumed = if asked { Consumed::SoFar } else { Consumed::Nothing };
            let outcome = error.outcome();
            let kind = RefusalKind::of_call(error);
            let end = (outcome, kind.status().as_u16(), consumed);
            let ending = Ending::without_answer(thread, reserved, end);
            let refused = match admission.in_line().await {
                Ok(admitting) => {
                    let settled = settle(thread, reserved, admitting, ending).await;
                    let kind = settled.map_or_else(|unsettled| unsettled, |_| kind);
                    kind.of(reserved.asked.accepted.request)
                }
                Err(error) => leave_unrecorded(thread, reserved, error),
            };
            let _ = reply.send(Err(refused));
        }
    }
}

/// The admitting record's place in line. Of a request whose response is kept it is durable by then: a start knows by it what
/// became of a request that left a response behind.
async fn placed(reserved: &Reserved, admission: &mut Admission) -> Result<InLine, AppendError> {
    if reserved.asked.is_kept() {
        return admission.durable().await.map(Admitted::in_line);
    }
    admission.in_line().await
}

/// There is no admitting record, so there is no answer.
fn leave_unrecorded(thread: &Thread, reserved: &Reserved, error: AppendError) -> Refused {
    reserved.tab.close(&AnswerFacts::default(), unrecorded(&error), thread.shared.clock.monotonic());
    RefusalKind::Ledger(error).of(reserved.asked.accepted.request)
}

/// What limits are charged when the admitting record was not written. A disk that is full must not eat budgets; a record
/// that may be on the disk all the same is found there by the next start, and charged whole.
fn unrecorded(error: &AppendError) -> Consumed {
    match error {
        AppendError::DiskFull
        | AppendError::QueueFull { .. }
        | AppendError::Closed
        | AppendError::Record(_)
        | AppendError::Forwarded { .. } => Consumed::Nothing,
        AppendError::Failed(_) | AppendError::WriterGone(_) => Consumed::Unknown,
    }
}

/// Asks the plan's targets while the disk makes the admitting record durable. Dropping the call closes its connection, which
/// tells the engine to stop.
async fn open(thread: &Thread, reserved: &Reserved, admission: &mut Admission, reply: &mut Reply) -> Opening {
    tokio::select! {
        // In the order written: an answer that is there is not thrown away because the client left a moment ago.
        biased;
        answered = attempts(thread, reserved) => Opening::Answered(answered),
        error = admission.refused() => Opening::Unrecorded(error),
        () = reply.closed() => Opening::ClientLeft,
        () = reserved.tab.time_up(thread.shared.clock.monotonic()) => Opening::OutOfTime,
        () = thread.shared.cut.cancelled() => Opening::Cut,
    }
}

/// Settles a request of which no byte was answered.
async fn settle_early(
    thread: &Thread,
    reserved: &Reserved,
    admission: &mut Admission,
    end: (Outcome, u16, Consumed),
) {
    let ending = Ending::without_answer(thread, reserved, end);
    let settled = match admission.in_line().await {
        Ok(admitting) => settle(thread, reserved, admitting, ending).await.map(|_| ()),
        Err(error) => Err(RefusalKind::Ledger(error)),
    };
    if let Err(error) = settled {
        let causes = hermetic_diagnostics::chain(&error).join(": ");
        tracing::error!(request = %reserved.asked.accepted.request, causes, "a request could not be settled");
    }
}

/// Recorded where no status was sent: the widespread convention for "the client closed the request".
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Ending {
    pub(crate) fn without_answer(
        thread: &Thread,
        reserved: &Reserved,
        (outcome, status, consumed): (Outcome, u16, Consumed),
    ) -> Self {
        let answer = Outgoing::start(thread, reserved.asked.accepted.request);
        let facts = AnswerFacts::default();
        Self {
            outcome,
            status,
            begun: false,
            facts,
            answer,
            last: None,
            first_byte: None,
            consumed,
            cut: false,
        }
    }
}
