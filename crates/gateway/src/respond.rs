//! From a refusal, or an engine's answer, to an HTTP response. [`verdict`] is the one map from error to what the
//! caller is told.

use crate::batches::BatchRefusal;
use crate::body::AnswerBody;
use crate::collect::CollectError;
use crate::context::Thread;
use crate::limit_refusal::LimitRefused;
use crate::memory::MemoryError;
use crate::rate_headers;
use crate::refusal::{RefusalKind, Refused};
use crate::stage::accept::Accepted;
use crate::stage::admit::Admitted;
use crate::stage::call::{AnswerHead, CallError};
use crate::stage::count::PromptCount;
use crate::stage::guard::GuardRefusal;
use crate::stage::limit::Reserved;
use crate::stage::queue::QueueRefusal;
use crate::stage::settle::Settled;
use crate::stage::tokens::TokenAnswer;
use crate::stored::StateRefusal;
use bytes::Bytes;
use hermetic_diagnostics::Diagnose;
use hermetic_identity::IdentifyError;
use hermetic_ids::RequestId;
use hermetic_inference_api::{ErrorBody, Surface, messages};
use hermetic_ledger::record::CountedBy;
use hermetic_telemetry::Metrics;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::sync::mpsc;

/// Who counted a prompt's tokens; `bytes`: nobody could, and it is the most they can be.
const X_COUNTED_BY: HeaderName = HeaderName::from_static("x-hermetic-counted-by");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's SDKs look for it.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The OpenAI SDKs obey it before their own rules.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Leaf of the admitting record: what `hermetic audit prove` takes.
const X_ADMITTED: HeaderName = HeaderName::from_static("x-hermetic-admitted");
/// Leaf of the settling record. Only on plain answers: a stream's head leaves before it is settled.
const X_SETTLED: HeaderName = HeaderName::from_static("x-hermetic-settled");

/// The target that answered, where the operator wants callers to know. A stream that was resumed began there.
const X_TARGET: HeaderName = HeaderName::from_static("x-hermetic-target");

/// Who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    Caller,
    Operator,
    Engine,
}

/// What a caller is told besides message and code.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    status: StatusCode,
    /// OpenAI's `type`.
    kind: &'static str,
    blame: Blame,
    /// Seconds after which the same request may succeed; `None` when repeating it is useless.
    retry_after: Option<u32>,
}

impl Verdict {
    fn caller(status: StatusCode, kind: &'static str) -> Self {
        Self { status, kind, blame: Blame::Caller, retry_after: None }
    }

    fn busy(blame: Blame, after: u32) -> Self {
        let (status, kind) = (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error");
        Self { status, kind, blame, retry_after: Some(after) }
    }

    fn rate(after: u32) -> Self {
        let (status, kind) = (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error");
        Self { status, kind, blame: Blame::Caller, retry_after: Some(after) }
    }

    fn engine(status: StatusCode, retry_after: Option<u32>) -> Self {
        Self { status, kind: "server_error", blame: Blame::Engine, retry_after }
    }
}

/// The one map. A new refusal does not compile until it has a line here.
fn verdict(refusal: &RefusalKind) -> Verdict {
    use StatusCode as S;
    let (caller, busy, rate, engine) = (Verdict::caller, Verdict::busy, Verdict::rate, Verdict::engine);
    match refusal {
        RefusalKind::NotFound => caller(S::NOT_FOUND, "invalid_request_error"),
        RefusalKind::Method { .. } => caller(S::METHOD_NOT_ALLOWED, "invalid_request_error"),
        RefusalKind::MediaType { .. } => caller(S::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error"),
        RefusalKind::Body(CollectError::TooLarge { .. }) => {
            caller(S::PAYLOAD_TOO_LARGE, "invalid_request_error")
        }
        RefusalKind::Body(CollectError::Memory(MemoryError::NeverFits { .. })) => {
            caller(S::PAYLOAD_TOO_LARGE, "invalid_request_error")
        }
        RefusalKind::Body(CollectError::Memory(_)) | RefusalKind::Answer(CollectError::Memory(_)) => {
            busy(Blame::Operator, 1)
        }
        RefusalKind::Body(_) => caller(S::REQUEST_TIMEOUT, "invalid_request_error"),
        RefusalKind::Mistake(_)
        | RefusalKind::WrongSurface { .. }
        | RefusalKind::PromptTooLong { .. }
        | RefusalKind::Classification { .. } => caller(S::BAD_REQUEST, "invalid_request_error"),
        RefusalKind::Guard(refusal) => guard_verdict(refusal),
        RefusalKind::Identity(error @ IdentifyError::ShutOut { .. }) => {
            Verdict { retry_after: error.retry_after(), ..caller(S::TOO_MANY_REQUESTS, "rate_limit_error") }
        }
        RefusalKind::Identity(error) if error.is_ours() => busy(Blame::Operator, 5),
        RefusalKind::Identity(_) => caller(S::UNAUTHORIZED, "authentication_error"),
        RefusalKind::UnknownModel { .. } => caller(S::NOT_FOUND, "invalid_request_error"),
        RefusalKind::Limit(refused) => Verdict {
            status: limit_status(refused),
            kind: "rate_limit_error",
            blame: limit_blame(refused),
            retry_after: refused
                .retry_after_ms()
                .map(|ms| u32::try_from(ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1)),
        },
        RefusalKind::Overrun(_) | RefusalKind::NoAnswer => engine(S::BAD_GATEWAY, None),
        RefusalKind::NoTokens { .. } => caller(S::NOT_IMPLEMENTED, "invalid_request_error"),
        RefusalKind::EngineTime { .. } => engine(S::GATEWAY_TIMEOUT, None),
        RefusalKind::Policy(_) | RefusalKind::OutOfScope { .. } => caller(S::FORBIDDEN, "permission_error"),
        RefusalKind::ModelStarting { .. } => busy(Blame::Operator, 5),
        RefusalKind::ModelFailed { .. } => busy(Blame::Engine, 30),
        RefusalKind::Ledger(_) | RefusalKind::Content(_) => busy(Blame::Operator, 5),
        RefusalKind::Call(CallError::Silent { .. } | CallError::OutOfTime { .. })
        | RefusalKind::Answer(CollectError::Silent { .. } | CollectError::Slow { .. }) => {
            engine(S::GATEWAY_TIMEOUT, None)
        }
        RefusalKind::Call(CallError::Answer(CollectError::Memory(_))) => busy(Blame::Operator, 1),
        RefusalKind::NoTarget { after, .. } => {
            busy(Blame::Engine, u32::try_from(after.as_secs()).unwrap_or(u32::MAX).max(1))
        }
        RefusalKind::Call(_) => engine(S::BAD_GATEWAY, Some(1)),
        RefusalKind::Answer(CollectError::BrokenOff) => engine(S::BAD_GATEWAY, Some(1)),
        RefusalKind::Answer(CollectError::TooLarge { .. }) => engine(S::BAD_GATEWAY, None),
        RefusalKind::Draining => busy(Blame::Operator, 5),
        RefusalKind::TooManyConnections { .. }
        | RefusalKind::TooManyRequests { .. }
        | RefusalKind::Lagging => busy(Blame::Operator, 1),
        RefusalKind::TooManyFromAddress { .. } => rate(1),
        RefusalKind::Framing { .. } => caller(S::BAD_REQUEST, "invalid_request_error"),
        // Too many of one caller is the caller's to mend; a wait that was too long is not.
        RefusalKind::Queue(QueueRefusal::Full { retry_after, .. }) => rate(*retry_after),
        RefusalKind::Queue(QueueRefusal::TooLong { retry_after, .. }) => busy(Blame::Operator, *retry_after),
        RefusalKind::Batch(refusal) => batch_verdict(refusal),
        RefusalKind::State(refusal) => state_verdict(refusal),
        RefusalKind::NoRandomness => Verdict {
            status: S::INTERNAL_SERVER_ERROR,
            kind: "server_error",
            blame: Blame::Operator,
            retry_after: None,
        },
    }
}

/// What a caller sent is theirs to mend; what an engine said is not.
fn guard_verdict(refusal: &GuardRefusal) -> Verdict {
    match refusal {
        GuardRefusal::Input { .. } | GuardRefusal::Unreadable { .. } | GuardRefusal::ToldTwice { .. } => {
            Verdict::caller(StatusCode::BAD_REQUEST, "invalid_request_error")
        }
        GuardRefusal::Output { .. } | GuardRefusal::Answer => Verdict::engine(StatusCode::BAD_GATEWAY, None),
    }
}

fn batch_verdict(refusal: &BatchRefusal) -> Verdict {
    Verdict {
        status: refusal.status(),
        kind: refusal.kind(),
        blame: if refusal.is_ours() { Blame::Operator } else { Blame::Caller },
        retry_after: refusal.is_ours().then_some(5),
    }
}

fn state_verdict(refusal: &StateRefusal) -> Verdict {
    Verdict {
        status: refusal.status(),
        kind: refusal.kind(),
        blame: if refusal.is_ours() { Blame::Operator } else { Blame::Caller },
        retry_after: refusal.is_ours().then_some(5),
    }
}

fn limit_status(refused: &LimitRefused) -> StatusCode {
    match refused {
        LimitRefused::Exceeded { .. } | LimitRefused::Exhausted { .. } => StatusCode::TOO_MANY_REQUESTS,
        LimitRefused::CountersFull { .. } | LimitRefused::Away | LimitRefused::DowngradesWithoutEnd => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn limit_blame(refused: &LimitRefused) -> Blame {
    match refused {
        LimitRefused::Exceeded { .. } | LimitRefused::Exhausted { .. } => Blame::Caller,
        LimitRefused::CountersFull { .. } | LimitRefused::Away | LimitRefused::DowngradesWithoutEnd => {
            Blame::Operator
        }
    }
}

impl RefusalKind {
    pub(crate) fn status(&self) -> StatusCode {
        verdict(self).status
    }

    /// Seconds after which the same request may succeed; `None` when repeating it is useless.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        verdict(self).retry_after
    }

    /// The word clients branch on, where it is another than our code.
    fn word(&self) -> Option<&'static str> {
        match self {
            Self::State(refusal) => refusal.word(),
            _ => None,
        }
    }

    pub(crate) fn to_body(&self) -> ErrorBody<'_> {
        let code = self.code().as_str();
        ErrorBody {
            message: self.to_string(),
            kind: verdict(self).kind,
            param: self.field(),
            code: self.word().unwrap_or(code),
            hint: Some(match self.hint() {
                Some(hint) => format!("{hint}. More: hermetic explain {code}"),
                None => format!("More: hermetic explain {code}"),
            }),
        }
    }
}

/// Counts, logs (operator's and engine's errors only: callers' mistakes are theirs to read) and answers a refusal.
pub(crate) fn refused(
    metrics: &Metrics,
    surface: Option<Surface>,
    refused: &Refused,
) -> Response<AnswerBody> {
    let Refused { kind, request } = refused;
    let verdict = verdict(kind);
    note(metrics, kind, *request);
    let body = match surface {
        Some(surface) => {
            let request = request.map(|request| request.to_string()).unwrap_or_default();
            kind.to_body().told(surface, verdict.status.as_u16(), &request)
        }
        None => kind.to_body().to_json(),
    };
    let mut response = Response::new(AnswerBody::Whole(Bytes::from(body)));
    *response.status_mut() = verdict.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let retry = HeaderValue::from_static(if verdict.retry_after.is_some() { "true" } else { "false" });
    headers.insert(X_SHOULD_RETRY, retry);
    if let Some(seconds) = verdict.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if verdict.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if kind.ends_connection() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let RefusalKind::Limit(refused) = kind
        && let Some(quota) = refused.quota()
    {
        rate_headers::insert_refused(headers, &quota);
    }
    if let RefusalKind::Method { allowed } = kind {
        headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    if let Some(request) = request {
        insert_request_id(headers, surface, *request);
    }
    response
}

/// Counts and logs a refusal, also one that travels inside a stream.
pub(crate) fn note(metrics: &Metrics, kind: &RefusalKind, request: Option<RequestId>) {
    let code = kind.code().as_str();
    metrics.gateway.refused(code);
    if verdict(kind).blame != Blame::Caller {
        let request = request.map(|id| id.to_string());
        let causes = hermetic_diagnostics::chain(kind).join(": ");
        tracing::warn!(code, request, causes, "a request was not answered");
    }
}

/// A plain answer of an engine, with the proof that it may rest on both of its records.
pub(crate) fn whole(
    thread: &Thread,
    reserved: &Reserved,
    head: AnswerHead,
    body: Bytes,
    settled: Settled,
) -> Response<AnswerBody> {
    let mut response = from_engine((thread, reserved), head, AnswerBody::Whole(body), settled.admitted());
    response.headers_mut().insert(X_SETTLED, HeaderValue::from(settled.leaf()));
    response
}

/// The head of a stream, with the proof that it may rest on its admitting record.
pub(crate) fn stream(
    thread: &Thread,
    reserved: &Reserved,
    (head, events): (AnswerHead, mpsc::Receiver<Bytes>),
    admitted: Admitted,
) -> Response<AnswerBody> {
    let mut response =
        from_engine((thread, reserved), head, AnswerBody::Stream(events), admitted.in_line().leaf());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx, where one stands in front, would otherwise hold events back until its buffer is full.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn from_engine(
    (thread, reserved): (&Thread, &Reserved),
    head: AnswerHead,
    body: AnswerBody,
    admitted: u64,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    let headers = response.headers_mut();
    let content_type = head.content_type.unwrap_or(HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Some(retry_after) = head.retry_after {
        headers.insert(header::RETRY_AFTER, retry_after);
    }
    if thread.shared.options().names_target
        && let Ok(target) = HeaderValue::from_str(&head.target)
    {
        headers.insert(X_TARGET, target);
    }
    headers.insert(X_ADMITTED, HeaderValue::from(admitted));
    rate_headers::insert(headers, reserved);
    let Accepted { surface, request, .. } = &reserved.asked.accepted;
    insert_request_id(headers, Some(*surface), *request);
    response
}

fn insert_request_id(headers: &mut HeaderMap, surface: Option<Surface>, request: RequestId) {
    let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(request.to_string())) else { return };
    if surface == Some(Surface::Messages) {
        headers.insert(REQUEST_ID, value.clone());
    }
    headers.insert(X_REQUEST_ID, value);
}

/// The answer to a request that only wants to know how many tokens it is.
pub(crate) fn token_count(prompt: PromptCount, surface: Surface, request: RequestId) -> Response<AnswerBody> {
    let body = messages::count_tokens_answer(prompt.tokens());
    let mut response = Response::new(AnswerBody::Whole(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let by = match prompt.by() {
        CountedBy::Tokenizer => "tokenizer",
        CountedBy::Engine => "engine",
        CountedBy::Bytes => "bytes",
    };
    headers.insert(X_COUNTED_BY, HeaderValue::from_static(by));
    insert_request_id(headers, Some(surface), request);
    response
}

/// What an engine says about tokens.
pub(crate) fn about_tokens(answer: TokenAnswer, request: RequestId) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    insert_request_id(headers, None, request);
    response
}

/// An engine's status that says the request itself is wrong.
pub(crate) fn is_callers_fault(status: StatusCode) -> bool {
    status.is_client_error()
}
