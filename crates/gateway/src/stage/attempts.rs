//! Attempts: the targets of the plan, one after the other or, when the first is slow to begin, two beside each other.
//!
//! Asking again is safe up to the point where something of an answer has left: engines hold no state of a request. It
//! is done only when the failure was the target's, another target is left, the model's budget has it, and the request
//! still has time.

use crate::collect::CollectError;
use crate::context::Thread;
use crate::course::{Ongoing, Reason};
use crate::respond;
use crate::routing::Ended;
use crate::stage::call::{Answer, AnswerBytes, CallError, Called, Put, call};
use crate::stage::limit::Reserved;
use crate::upstream::UpstreamError;
use hermetic_inference_api::{AnswerFacts, EventFacts};
use hermetic_ledger::record::{AttemptOutcome, Usage};
use http::{HeaderValue, StatusCode};
use std::pin::pin;
use std::time::Duration;

/// What came of an attempt.
pub(crate) struct Tried {
    pub(crate) result: Result<Answer, CallError>,
    /// Another target may do better.
    pub(crate) elsewhere: bool,
}

/// Tries until there is an answer, or nothing is left to try; then the last result stands.
pub(crate) async fn attempts(thread: &Thread, reserved: &Reserved) -> Result<Answer, CallError> {
    let trying = async {
        let (mut next, _) = reserved.first();
        loop {
            let tried = hedged(thread, reserved, next).await;
            match tried.elsewhere.then(|| reserved.retry(thread)).flatten() {
                Some(another) => {
                    next = another;
                    give_back(thread, tried);
                }
                None => return tried.result,
            }
        }
    };
    let Some(left) = reserved.time_left() else { return trying.await };
    tokio::time::timeout(left, trying).await.unwrap_or_else(|_| {
        reserved.course.borrow().out_of_time();
        Err(CallError::OutOfTime { total: reserved.route.plan.rules.total.unwrap_or(left) })
    })
}

/// An answer that is not handed on was read to its end all the same: its connection can carry another request.
fn give_back(thread: &Thread, tried: Tried) {
    if let Ok(Answer { body: AnswerBytes::Whole(.., lease), .. }) = tried.result {
        thread.pool.put_back(lease, thread.shared.options().idle_upstream_max);
    }
}

/// One attempt, and a second beside it when the first is slow and the plan says so. Only streams begin before they are
/// computed, so only they tell slow from long.
async fn hedged(thread: &Thread, reserved: &Reserved, index: usize) -> Tried {
    let after = reserved.asked.facts.stream.then(|| reserved.route.plan.hedge_after()).flatten();
    match after {
        None => attempt(thread, reserved, index, Put::asked(reserved, Reason::Next)).await,
        // Boxed: it holds two attempts, and few plans hedge.
        Some(after) => Box::pin(beside(thread, reserved, index, after)).await,
    }
}

/// One attempt, and after a while a second.
async fn beside(thread: &Thread, reserved: &Reserved, index: usize, after: Duration) -> Tried {
    let asked = |reason| Put::asked(reserved, reason);
    let first_entry = reserved.course.borrow().next_entry();
    let mut first = pin!(attempt(thread, reserved, index, asked(Reason::Next)));
    if let Ok(tried) = tokio::time::timeout(after, first.as_mut()).await {
        return tried;
    }
    let Some(beside) = reserved.hedge(thread) else { return first.await };
    let second_entry = reserved.course.borrow().next_entry();
    let mut second = pin!(attempt(thread, reserved, beside, asked(Reason::Hedge)));
    // The loser is dropped with this function, which closes its connection and so ends its work.
    let overtaken = |entry| reserved.course.borrow().overtaken(entry);
    tokio::select! {
        biased;
        tried = first.as_mut() => {
            if tried.elsewhere {
                return second.await;
            }
            overtaken(second_entry);
            tried
        }
        tried = second.as_mut() => {
            if tried.elsewhere {
                return first.await;
            }
            overtaken(first_entry);
            tried
        }
    }
}

/// One attempt and what it was like.
pub(crate) async fn attempt(thread: &Thread, reserved: &Reserved, index: usize, put: Put<'_>) -> Tried {
    let Some(planned) = reserved.route.plan.get(index) else {
        let gone = CallError::Silent { after: Duration::ZERO };
        return Tried { result: Err(gone), elsewhere: false };
    };
    let (mut attempt, called) = call(thread, reserved, planned, put).await;
    let called = match called {
        Ok(called) => called,
        Err(error) => {
            let (outcome, ended, elsewhere) = judge_error(&error);
            attempt.end(outcome, ended);
            return Tried { result: Err(error), elsewhere };
        }
    };
    let elsewhere = judge(reserved, &called, &mut attempt);
    Tried { result: Ok(called.with(attempt)), elsewhere }
}

fn judge_error(error: &CallError) -> (AttemptOutcome, Ended, bool) {
    match error {
        CallError::Upstream(UpstreamError::Connect(_)) => (AttemptOutcome::Unreachable, Ended::Fault, true),
        CallError::Upstream(UpstreamError::ConnectSilent { .. }) => {
            (AttemptOutcome::Unreachable, Ended::Fault, true)
        }
        CallError::Upstream(UpstreamError::Broken(_)) | CallError::Answer(CollectError::BrokenOff) => {
            (AttemptOutcome::BrokenOff, Ended::Fault, true)
        }
        CallError::Silent { .. }
        | CallError::Answer(CollectError::Silent { .. } | CollectError::Slow { .. }) => {
            (AttemptOutcome::Silent, Ended::Fault, true)
        }
        // Another engine may have words for it.
        CallError::Unsayable(_) => (AttemptOutcome::Rejected, Ended::Unknown, true),
        CallError::Unheard(_) => (AttemptOutcome::Malformed, Ended::Fault, true),
        // Another engine would send as much.
        CallError::Answer(CollectError::TooLarge { .. }) => (AttemptOutcome::Malformed, Ended::Well, false),
        // The engine did its part, and another's answer would find no more room.
        CallError::Answer(CollectError::Memory(_)) => (AttemptOutcome::Answered, Ended::Well, false),
        CallError::Request(_) | CallError::OutOfTime { .. } => {
            (AttemptOutcome::Abandoned, Ended::Unknown, false)
        }
    }
}

/// Ends the attempt, unless it is a stream in good order. `true` when another target may do better.
fn judge(reserved: &Reserved, called: &Called, attempt: &mut Ongoing) -> bool {
    let status = called.head.status;
    if !status.is_success() {
        let (outcome, ended, elsewhere) = judge_status(status, called.head.retry_after.as_ref());
        attempt.end(outcome, ended);
        return elsewhere;
    }
    match &called.body {
        AnswerBytes::Whole(body, facts, _) => {
            attempt.first_arrived();
            if reserved.route.plan.has_choice() && !looks_like_json(body) {
                attempt.end(AttemptOutcome::Malformed, Ended::Fault);
                return true;
            }
            attempt.used(usage(facts));
            attempt.end(AttemptOutcome::Answered, Ended::Well);
            false
        }
        AnswerBytes::Stream(opened) => {
            let Some(data) = opened.first().and_then(|event| event.data()) else { return false };
            let took = attempt.first_arrived();
            if AnswerFacts::default().add_event(&data) == EventFacts::Error {
                attempt.end(AttemptOutcome::Failed, Ended::Fault);
                return true;
            }
            if !looks_like_json(&data) && data.as_ref() != b"[DONE]" {
                attempt.end(AttemptOutcome::Malformed, Ended::Fault);
                return true;
            }
            reserved.route.plan.state.observe_first_token(took);
            false
        }
    }
}

fn judge_status(status: StatusCode, retry_after: Option<&HeaderValue>) -> (AttemptOutcome, Ended, bool) {
    let busy = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some());
    if busy {
        // A date instead of seconds is as good as nothing said: the pause has a default.
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = seconds.map(Duration::from_secs);
        return (AttemptOutcome::Busy, Ended::Busy { retry_after }, true);
    }
    if respond::is_callers_fault(status) || status == StatusCode::NOT_IMPLEMENTED {
        return (AttemptOutcome::Rejected, Ended::Well, false);
    }
    (AttemptOutcome::Failed, Ended::Fault, true)
}

/// An object, by its first byte: pages of a proxy in between and truncated bodies are not.
fn looks_like_json(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

pub(crate) fn usage(facts: &AnswerFacts) -> Usage {
    Usage { input_tokens: facts.input_tokens, output_tokens: facts.output_tokens }
}
