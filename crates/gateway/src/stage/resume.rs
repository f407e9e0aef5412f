//! Resume: a stream that broke off goes on from another target.
//!
//! While nothing of the answer has left, the same request is put to the next target, as any other attempt. Once some has,
//! only a target that continues the beginning of an answer can take over, and only where that is exact
//! (`hermetic_inference_api::StreamSoFar`); otherwise the client is told, as ever, that the engine broke off.

use crate::collect::CollectError;
use crate::context::Thread;
use crate::course::Reason;
use crate::stage::attempts::{Tried, attempt};
use crate::stage::call::{Answer, AnswerBytes, Put};
use crate::stage::limit::Reserved;
use crate::stage::stream::{End, Flow, Source};
use bytes::Bytes;
use hermetic_inference_api::{AnswerFacts, Event, RequestFacts, Rewritten, StreamSoFar, may_continue};
use hermetic_ledger::record::Usage;

/// Text beyond this is not held for a resumption: it is sent again as a prompt, and a context of 128k tokens is about
/// half a megabyte.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What of an answer another target could go on from. Where that is not configured or not possible, nothing is held and
/// no event is looked at twice.
pub(crate) struct Continuation {
    so_far: Option<StreamSoFar>,
    /// What was said before the present target took over.
    before: Option<StreamSoFar>,
}

impl Continuation {
    pub(crate) fn of(reserved: &Reserved) -> Self {
        let (plan, asked) = (&reserved.route.plan, &reserved.asked);
        let wanted = plan.has_choice() && plan.targets().iter().any(|target| target.continues);
        let possible = wanted && may_continue(asked.accepted.surface.call(), &asked.body);
        Self { so_far: possible.then(StreamSoFar::default), before: None }
    }

    /// An event on its way to the client: as it came or, once another target has taken over, as the first would have
    /// sent it. `None`: it is not to be sent.
    pub(crate) fn pass(&mut self, event: Event) -> Option<Bytes> {
        let Some(so_far) = &mut self.so_far else { return Some(event.raw) };
        let Some(data) = event.data() else { return Some(event.raw) };
        so_far.add(&data);
        if so_far.text_bytes() > TEXT_BYTES_MAX && self.before.is_none() {
            self.so_far = None;
        }
        match &self.before {
            None => Some(event.raw.clone()),
            Some(before) => match before.rewrite(&data) {
                Rewritten::Event(raw) => Some(raw),
                Rewritten::Nothing => None,
            },
        }
    }

    /// What the attempt used: what its engine said or, when it broke off before it could, what it sent.
    pub(crate) fn attempt_usage(&self, said: Usage) -> Usage {
        let sent = self.so_far.as_ref().map(StreamSoFar::tokens).unwrap_or_default();
        let before = self.before.as_ref().map(StreamSoFar::tokens).unwrap_or_default();
        let sent = sent.saturating_sub(before);
        if said == Usage::default() && sent > 0 {
            return Usage { input_tokens: None, output_tokens: Some(sent) };
        }
        said
    }

    /// The facts of the whole answer, from those of the part that ended it: that engine counted what was said before as
    /// prompt.
    pub(crate) fn of_the_whole(&self, facts: AnswerFacts) -> AnswerFacts {
        let Some(before) = &self.before else { return facts };
        let said = before.tokens();
        AnswerFacts {
            input_tokens: facts.input_tokens.map(|tokens| tokens.saturating_sub(said)),
            output_tokens: Some(match (facts.output_tokens, &self.so_far) {
                (Some(tokens), _) => tokens.saturating_add(said),
                (None, so_far) => so_far.as_ref().map_or(said, StreamSoFar::tokens),
            }),
            ..facts
        }
    }
}

/// The request for the rest.
struct Rest {
    body: Bytes,
    facts: RequestFacts,
    said: u64,
}

/// Lets another target take over. `None`: one has, the flow can go on. `Some`: this is the end.
pub(crate) async fn resume(reserved: &Reserved, flow: &mut Flow<'_>, end: End) -> Option<End> {
    if !is_worth_it(flow, &end) {
        return Some(end);
    }
    let rest = if flow.has_begun() {
        let Some(rest) = rest(reserved, flow) else { return Some(end) };
        Some(rest)
    } else {
        None
    };
    let thread = flow.thread;
    let taking_over = take_over(thread, reserved, rest.as_ref());
    let taken = tokio::select! {
        biased;
        taken = taking_over => taken,
        () = flow.client_left() => return Some(End::ClientLeft),
        () = thread.shared.cut.cancelled() => return Some(End::Cut),
        () = flow.time_is_up() => return Some(End::Late),
        () = reserved.tab.time_up(thread.shared.clock.monotonic()) => return Some(End::OutOfTime),
    };
    let Some(source) = taken else { return Some(end) };
    if rest.is_some() {
        thread.shared.metrics.routing.resumptions.inc();
        let continuation = &mut flow.continuation;
        continuation.before.clone_from(&continuation.so_far);
    }
    flow.facts = AnswerFacts::default();
    flow.source = source;
    None
}

/// Whether the target failed, and did so in the middle.
fn is_worth_it(flow: &Flow<'_>, end: &End) -> bool {
    match end {
        End::Closed(_) => flow.facts.finish_reason.is_none(),
        End::EngineError(_)
        | End::Failed(CollectError::BrokenOff | CollectError::Silent { .. } | CollectError::Slow { .. }) => {
            true
        }
        End::Failed(CollectError::TooLarge { .. })
        | End::Done(_)
        | End::Guarded(_)
        | End::Full(_)
        | End::ClientLeft
        | End::Cut
        | End::OutOfTime
        | End::Late
        | End::Failed(CollectError::Memory(_)) => false,
    }
}

fn rest(reserved: &Reserved, flow: &Flow<'_>) -> Option<Rest> {
    let so_far = flow.continuation.so_far.as_ref().filter(|so_far| so_far.is_continuable())?;
    let (asked, said) = (&reserved.asked, so_far.tokens());
    let body = Bytes::from(so_far.request(asked.accepted.surface.call(), &asked.body)?);
    let facts = RequestFacts::read(asked.accepted.surface.call(), &body).ok()?;
    // Those that cannot go on are as good as asked.
    let targets = reserved.route.plan.targets().iter().enumerate();
    let cannot = targets.filter(|(_, target)| !target.continues).map(|(index, _)| index);
    reserved.course.borrow_mut().tried.extend(cannot);
    Some(Rest { body, facts, said })
}

/// Tries targets until one takes over.
async fn take_over(thread: &Thread, reserved: &Reserved, rest: Option<&Rest>) -> Option<Source> {
    loop {
        let index = reserved.retry(thread)?;
        let put = match rest {
            Some(Rest { body, facts, said }) => Put { body, facts, reason: Reason::Resume, said: *said },
            None => Put::asked(reserved, Reason::Next),
        };
        let Tried { result, elsewhere } = attempt(thread, reserved, index, put).await;
        let Ok(Answer { body, usage_is_ours, attempt, timeouts, .. }) = result else { continue };
        match body {
            AnswerBytes::Stream(opened) if !elsewhere => {
                return Some(Source { opened, usage_is_ours, attempt, timeouts });
            }
            AnswerBytes::Stream(_) | AnswerBytes::Whole(..) => {}
        }
    }
}
