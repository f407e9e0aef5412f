//! Call engine: one attempt at one target. The caller's bytes, with at most the edits that were asked for, go out; an
//! answer comes back as far as it must be there before anything of it may leave.
//!
//! A plain answer is read whole. A stream is read up to its first event when the model has other targets or a time to
//! its first token: until then it can still be asked elsewhere.

use crate::collect::{CollectError, Terms, collect};
use crate::context::Thread;
use crate::course::{Ongoing, Reason};
use crate::memory::{GRANT_STEP, Purpose};
use crate::routing::PlannedTarget;
use crate::stage::accept::Accepted;
use crate::stage::limit::Reserved;
use crate::trace::TRACEPARENT;
use crate::upstream::{EngineBody, Lease, UpstreamError};
use bytes::Bytes;
use hermetic_inference_api::{
    AnswerFacts, AnswerMistake, Dialect, EngineEvents, Event, Form, RequestFacts, RequestMistake,
    ask_for_usage, cap_output, replace_model,
};
use hermetic_ledger::record::Outcome;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::sync::Arc;
use std::time::Duration;

/// The version of Messages that its translation speaks.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

const FORM: HeaderValue = HeaderValue::from_static("multipart/form-data");

/// An engine's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: AnswerHead,
    pub(crate) body: AnswerBytes,
    /// We asked for the usage report, the caller did not: it is read and not handed on.
    pub(crate) usage_is_ours: bool,
    pub(crate) attempt: Ongoing,
    pub(crate) timeouts: Patience,
}

#[derive(Debug)]
pub(crate) enum AnswerBytes {
    /// With what it says of itself, and the connection it came over.
    Whole(Bytes, AnswerFacts, Lease),
    Stream(Opened),
}

/// A stream, read up to its first event or not at all.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) incoming: EngineBody,
    pub(crate) events: EngineEvents,
    /// What was read and belongs in front: comments, and the first event.
    pub(crate) read: Vec<Event>,
}

/// The part of an engine's head that is handed on.
#[derive(Debug, Clone)]
pub(crate) struct AnswerHead {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) retry_after: Option<HeaderValue>,
    /// The target that answered.
    pub(crate) target: Arc<str>,
}

/// How long an attempt waits for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) first_token: Duration,
    pub(crate) idle: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Upstream(UpstreamError),
    #[error("the engine was silent for {} s", .after.as_secs())]
    Silent { after: Duration },
    #[error("the request cannot be put to the engine")]
    Request(#[source] http::Error),
    /// The engine has no words for the request.
    #[error("{0}")]
    Unsayable(RequestMistake),
    /// The engine answered something that chat completions have no words for.
    #[error("expected an answer that can be told, found something else")]
    Unheard(#[source] AnswerMistake),
    /// The answer began and did not come whole.
    #[error("the answer did not come whole")]
    Answer(CollectError),
    #[error("expected the answer within {} s, all attempts together", .total.as_secs())]
    OutOfTime { total: Duration },
}

/// What is put to a target: the caller's request, or the rest of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put<'a> {
    pub(crate) body: &'a Bytes,
    pub(crate) facts: &'a RequestFacts,
    pub(crate) reason: Reason,
    /// Tokens of the answer that another target has given.
    pub(crate) said: u64,
}

impl<'a> Put<'a> {
    pub(crate) fn asked(reserved: &'a Reserved, reason: Reason) -> Self {
        Self { body: &reserved.asked.body, facts: &reserved.asked.facts, reason, said: 0 }
    }
}

impl CallError {
    /// How a request ends that got no answer for this.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Answer(error) => error.outcome(),
            Self::Unsayable(_) => Outcome::Rejected,
            Self::Unheard(_)
            | Self::Upstream(_)
            | Self::Silent { .. }
            | Self::OutOfTime { .. }
            | Self::Request(_) => Outcome::EngineFailed,
        }
    }
}

impl Patience {
    fn of(thread: &Thread, planned: &PlannedTarget) -> Self {
        let idle = planned.timeouts.idle.unwrap_or(thread.shared.options().engine_timeout);
        Self { first_token: planned.timeouts.first_token.unwrap_or(idle), idle }
    }
}

/// One attempt, up to the point described above. What it was like is in the log when this returns; a stream's attempt
/// goes on.
pub(crate) async fn call(
    thread: &Thread,
    reserved: &Reserved,
    planned: &PlannedTarget,
    put: Put<'_>,
) -> (Ongoing, Result<Called, CallError>) {
    let attempt = reserved.course.borrow().begin(thread, planned, put.reason);
    let patience = Patience::of(thread, planned);
    let streams = put.facts.stream;
    let first = if streams { patience.first_token } else { patience.idle };
    let calling = async {
        let sending = tokio::time::timeout(first, send(thread, reserved, planned, put));
        let (response, usage_is_ours) = sending.await.map_err(|_| CallError::Silent { after: first })??;
        attempt.status(response.status());
        let (mut head, mut incoming) = response.into_parts();
        let head = AnswerHead {
            status: head.status,
            content_type: head.headers.remove(header::CONTENT_TYPE),
            retry_after: head.headers.remove(header::RETRY_AFTER),
            target: Arc::clone(&planned.name),
        };
        let body = if is_stream(&head) {
            let waits = reserved.route.plan.has_choice() || planned.timeouts.first_token.is_some();
            let events = events(thread, planned.dialect);
            AnswerBytes::Stream(open(thread, (incoming, events), waits.then_some(first)).await?)
        } else {
            let body = whole(thread, &mut incoming, patience.idle).await.map_err(CallError::Answer)?;
            let body = heard(thread, planned.dialect, (head.status, body))?;
            let facts = AnswerFacts::of_answer(&body);
            AnswerBytes::Whole(body, facts, incoming.into_lease())
        };
        Ok(Called { head, body, usage_is_ours, patience })
    };
    let called = calling.await;
    (attempt, called)
}

/// An [`Answer`] of which it is not yet said how its attempt went.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) head: AnswerHead,
    pub(crate) body: AnswerBytes,
    usage_is_ours: bool,
    patience: Patience,
}

impl Called {
    pub(crate) fn with(self, attempt: Ongoing) -> Answer {
        let Self { head, body, usage_is_ours, patience } = self;
        Answer { head, body, usage_is_ours, attempt, timeouts: patience }
    }
}

/// A plain answer in memory that was granted for it, counted until the client has taken it, however slowly.
async fn whole(thread: &Thread, body: &mut EngineBody, patience: Duration) -> Result<Bytes, CollectError> {
    let terms = Terms { cap: thread.shared.options().answer_bytes_max, patience, pace: None };
    let declared = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    if declared.is_some_and(|bytes| bytes > terms.cap) {
        return Err(CollectError::TooLarge { cap: terms.cap });
    }
    let grant = thread.shared.memory.grant(Purpose::Answer, declared.unwrap_or(GRANT_STEP));
    let mut grant = grant.map_err(CollectError::Memory)?;
    let collected = collect(body, terms, &mut grant).await?;
    Ok(grant.hold(collected))
}

fn is_stream(head: &AnswerHead) -> bool {
    let event_stream =
        head.content_type.as_ref().is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream"));
    head.status.is_success() && event_stream
}

/// The events of a stream that begins now.
fn events(thread: &Thread, dialect: Dialect) -> EngineEvents {
    EngineEvents::new(dialect, thread.shared.options().event_bytes_max, unix_seconds(thread))
}

fn unix_seconds(thread: &Thread) -> u64 {
    thread.shared.clock.unix_millis() / 1_000
}

/// A plain answer in the words of chat completions. It is about as long as it was: the one word of a field is as long as
/// the other.
fn heard(thread: &Thread, dialect: Dialect, (status, body): (StatusCode, Bytes)) -> Result<Bytes, CallError> {
    match dialect {
        Dialect::ChatCompletions => Ok(body),
        _ if !status.is_success() => Ok(dialect.hear_rejection(body)),
        _ => dialect.hear(body, unix_seconds(thread)).map_err(CallError::Unheard),
    }
}

/// Reads a stream up to its first event, if that comes before the client has to be given a sign of life.
async fn open(
    thread: &Thread,
    (incoming, events): (EngineBody, EngineEvents),
    wait: Option<Duration>,
) -> Result<Opened, CallError> {
    let keep_alive_interval = thread.shared.options().keep_alive_interval;
    let mut opened = Opened { incoming, events, read: Vec::new() };
    let Some(wait) = wait else { return Ok(opened) };
    let patience = wait.min(keep_alive_interval);
    match tokio::time::timeout(patience, opened.read_first()).await {
        Ok(read) => read.map(|()| opened).map_err(CallError::Answer),
        Err(_) if wait > keep_alive_interval => Ok(opened),
        Err(_) => Err(CallError::Silent { after: wait }),
    }
}

impl Opened {
    /// Cancel-safe: what was read is kept.
    async fn read_first(&mut self) -> Result<(), CollectError> {
        loop {
            let next = self.events.next_event().map_err(|large| CollectError::TooLarge { cap: large.cap })?;
            if let Some(event) = next {
                let is_event = event.data().is_some();
                self.read.push(event);
                if is_event {
                    return Ok(());
                }
                continue;
            }
            match self.incoming.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.events.push(data);
                    }
                }
                Some(Err(_)) | None => return Err(CollectError::BrokenOff),
            }
        }
    }

    /// The first event, once it is there.
    pub(crate) fn first(&self) -> Option<&Event> {
        self.read.iter().find(|event| event.data().is_some())
    }
}

type Sent = (Response<EngineBody>, bool);

async fn send(
    thread: &Thread,
    reserved: &Reserved,
    planned: &PlannedTarget,
    put: Put<'_>,
) -> Result<Sent, CallError> {
    let (body, usage_is_ours) = body_for_engine(reserved, planned, put);
    let call = reserved.asked.accepted.surface.call();
    let most = thread.shared.limiting.terms(&reserved.route.model).output_tokens(None);
    let body = planned.dialect.ask(call, &body, most).map_err(CallError::Unsayable)?;
    let request = || request_for_engine(reserved, planned, body.clone()).map_err(CallError::Request);
    let (shared, target) = (&thread.shared, &planned.target);
    let connect = planned.timeouts.connect;
    let lease = thread.pool.lease(shared, target, connect).await.map_err(CallError::Upstream)?;
    let reused = lease.is_reused();
    let response = match lease.send(request()?).await {
        Err(_) if reused => {
            // The engine closed the idle connection while we wrote to it; it has not begun to answer.
            let lease = thread.pool.connect(shared, target, connect).await.map_err(CallError::Upstream)?;
            lease.send(request()?).await
        }
        sent => sent,
    };
    response.map(|response| (response, usage_is_ours)).map_err(CallError::Upstream)
}

/// The bytes for this target, edited where that is needed, and whether an edit asks for a usage report.
fn body_for_engine(reserved: &Reserved, planned: &PlannedTarget, put: Put<'_>) -> (Bytes, bool) {
    let asked = &reserved.asked;
    let call = asked.accepted.surface.call();
    // Each edit moves the places of the next, so the facts are read again behind each.
    let again = |body: Vec<u8>| {
        let body = Bytes::from(body);
        put.facts.again(call, &body).ok().map(|facts| (body, facts))
    };
    let cap = reserved.tab.output_cap().filter(|_| call.streams());
    let capped =
        cap.and_then(|cap| again(cap_output(put.body, put.facts, cap.saturating_sub(put.said).max(1))?));
    let (body, facts) = capped.as_ref().map_or((put.body, put.facts), |(body, facts)| (body, facts));
    let route = &reserved.route;
    let handed_down = (route.model != asked.facts.model).then_some(route.model.as_str());
    let name = planned.upstream_name.as_deref().or(handed_down);
    let renamed = name.and_then(|name| again(replace_model(body, facts, name)));
    let (body, facts) = renamed.as_ref().map_or((body, facts), |(body, facts)| (body, facts));
    match ask_for_usage(body, facts) {
        Some(edited) => (Bytes::from(edited), true),
        None => (body.clone(), false),
    }
}

fn request_for_engine(
    reserved: &Reserved,
    planned: &PlannedTarget,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let accepted = &reserved.asked.accepted;
    let target = &planned.target;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri_for_engine(&target.base_path, planned.dialect.path(accepted.surface.call()))?)
        .header(header::HOST, &target.host)
        .header(header::CONTENT_TYPE, content_type(accepted))
        .header("x-request-id", accepted.request.to_string());
    if let Some(trace) = accepted.trace.to_header(accepted.span) {
        request = request.header(TRACEPARENT, trace);
    }
    if planned.dialect == Dialect::Messages {
        request = request.header("anthropic-version", ANTHROPIC_VERSION);
    }
    request.body(Full::new(body))
}

/// A form is parted by what its content type says.
fn content_type(accepted: &Accepted) -> HeaderValue {
    match accepted.surface.call().form() {
        Form::Json => HeaderValue::from_static("application/json"),
        Form::Multipart => accepted.headers.get(header::CONTENT_TYPE).cloned().unwrap_or(FORM),
    }
}

fn uri_for_engine(base_path: &str, path: &'static str) -> Result<Uri, http::Error> {
    if base_path.is_empty() {
        return Ok(Uri::from_static(path));
    }
    Ok(format!("{base_path}{path}").parse::<Uri>()?)
}
