//! Call engine: the caller's bytes, with at most the edits that were asked for, to the engine that serves the model.

use crate::context::Thread;
use crate::stage::limit::Reserved;
use crate::trace::TRACEPARENT;
use crate::upstream::{Lease, UpstreamError};
use bytes::Bytes;
use hermetic_inference_api::{RequestFacts, Surface, ask_for_usage, cap_output, replace_model};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use std::time::Duration;

/// The head of an engine's answer, and the connection its body will come over.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) retry_after: Option<HeaderValue>,
    pub(crate) body: Incoming,
    pub(crate) lease: Lease,
    /// We asked for the usage report, the caller did not: it is read and not handed on.
    pub(crate) usage_is_ours: bool,
}

impl Answer {
    /// What is said of the answer to the caller, and the connection, to be put back.
    pub(crate) fn into_head(self) -> (AnswerHead, Lease) {
        let Self { status, content_type, retry_after, lease, .. } = self;
        (AnswerHead { status, content_type, retry_after }, lease)
    }

    /// [`Answer::into_head`], and the body that is still to come.
    pub(crate) fn into_stream(self) -> (AnswerHead, Incoming, Lease) {
        let Self { status, content_type, retry_after, body, lease, .. } = self;
        (AnswerHead { status, content_type, retry_after }, body, lease)
    }
}

/// The part of an engine's head that is handed on.
#[derive(Debug)]
pub(crate) struct AnswerHead {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) retry_after: Option<HeaderValue>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Upstream(UpstreamError),
    #[error("the engine was silent for {} s", .after.as_secs())]
    Silent { after: Duration },
    #[error("the request cannot be put to the engine")]
    Request(#[source] http::Error),
}

impl CallError {
    /// Whether the engine can have begun to compute.
    pub(crate) fn was_asked(&self) -> bool {
        match self {
            Self::Upstream(UpstreamError::Connect(_)) | Self::Request(_) => false,
            Self::Upstream(UpstreamError::Broken(_)) | Self::Silent { .. } => true,
        }
    }
}

pub(crate) async fn call(thread: &Thread, reserved: &Reserved) -> Result<Answer, CallError> {
    let after = thread.shared.options.engine_timeout;
    tokio::time::timeout(after, send(thread, reserved)).await.map_err(|_| CallError::Silent { after })?
}

async fn send(thread: &Thread, reserved: &Reserved) -> Result<Answer, CallError> {
    let target = &reserved.route.target;
    let (body, usage_is_ours) = body_for_engine(reserved);
    let request = || request_for_engine(reserved, body.clone()).map_err(CallError::Request);
    let mut lease =
        thread.pool.lease(&thread.shared, &thread.tasks, target).await.map_err(CallError::Upstream)?;
    let response = match lease.send(request()?).await {
        Err(_) if lease.is_reused() => {
            // The engine closed the idle connection while we wrote to it; it has not begun to answer.
            lease = thread
                .pool
                .connect(&thread.shared, &thread.tasks, target)
                .await
                .map_err(CallError::Upstream)?;
            lease.send(request()?).await
        }
        sent => sent,
    };
    let (mut head, body) = response.map(Response::into_parts).map_err(CallError::Upstream)?;
    Ok(Answer {
        status: head.status,
        content_type: head.headers.remove(header::CONTENT_TYPE),
        retry_after: head.headers.remove(header::RETRY_AFTER),
        body,
        lease,
        usage_is_ours,
    })
}

/// The caller's bytes, edited where that is needed, and whether the edit asks for a usage report.
fn body_for_engine(reserved: &Reserved) -> (Bytes, bool) {
    let asked = &reserved.asked;
    let surface = asked.accepted.surface;
    // Each edit moves the places of the next, so the facts are read again behind each.
    let again = |body: Vec<u8>| {
        let body = Bytes::from(body);
        RequestFacts::read(surface, &body).ok().map(|facts| (body, facts))
    };
    let capped = reserved.tab.output_cap().filter(|_| surface.streams());
    let capped = capped.and_then(|cap| again(cap_output(&asked.body, &asked.facts, cap)?));
    let (body, facts) = capped.as_ref().map_or((&asked.body, &asked.facts), |(body, facts)| (body, facts));
    let route = &reserved.route;
    let handed_down = (route.model != asked.facts.model).then_some(route.model.as_str());
    let name = route.upstream_name.as_deref().or(handed_down);
    let renamed = name.and_then(|name| again(replace_model(body, facts, name)));
    let (body, facts) = renamed.as_ref().map_or((body, facts), |(body, facts)| (body, facts));
    match ask_for_usage(body, facts) {
        Some(edited) => (Bytes::from(edited), true),
        None => (body.clone(), false),
    }
}

fn request_for_engine(reserved: &Reserved, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
    let accepted = &reserved.asked.accepted;
    let target = &reserved.route.target;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri_for_engine(&target.base_path, accepted.surface)?)
        .header(header::HOST, &target.host)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header("x-request-id", accepted.request.to_string());
    if let Some(trace) = accepted.trace.to_header(accepted.span) {
        request = request.header(TRACEPARENT, trace);
    }
    request.body(Full::new(body))
}

fn uri_for_engine(base_path: &str, surface: Surface) -> Result<Uri, http::Error> {
    if base_path.is_empty() {
        return Ok(Uri::from_static(surface.path()));
    }
    Ok(format!("{base_path}{}", surface.path()).parse::<Uri>()?)
}
