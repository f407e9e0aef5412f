//! `/healthz` (is the process alive), `/readyz` (can it answer requests, and if not why), `/metrics`.

use crate::body::AnswerBody;
use crate::context::Shared;
use crate::routing::RouteState;
use bytes::Bytes;
use hermetic_ledger_store::Health;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use std::collections::BTreeMap;

pub(crate) fn is_path(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

pub(crate) fn answer(shared: &Shared, path: &str) -> Response<AnswerBody> {
    match path {
        "/metrics" => metrics(shared),
        "/readyz" => readiness(shared),
        _ => ok("text/plain; charset=utf-8", Bytes::from_static(b"ok\n")),
    }
}

/// What is known elsewhere is read now, so that no request has to write it down.
fn metrics(shared: &Shared) -> Response<AnswerBody> {
    let gateway = &shared.metrics.gateway;
    let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    gateway.memory_held.set(gauge(shared.memory.held()));
    gateway.memory_limit.set(gauge(shared.memory.limit()));
    gateway.queue_waiting.set(gauge(shared.queues.waiting()));
    ok(hermetic_telemetry::CONTENT_TYPE, Bytes::from(shared.metrics.render()))
}

pub(crate) fn ok(content_type: &'static str, body: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Each condition under which a request would be answered, by name.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    ledger: &'static str,
    keys: &'static str,
    accepting: bool,
    models: BTreeMap<String, &'static str>,
    /// Where the headroom of shared limits comes from; absent when none is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_counters: Option<&'static str>,
}

fn readiness(shared: &Shared) -> Response<AnswerBody> {
    let ledger = match shared.ledger.health() {
        Health::Writing => "writing",
        Health::Full => "disk full",
        Health::Failed(_) => "failed",
    };
    let keys = if shared.identity.keys().fresh().is_ok() { "fresh" } else { "stale" };
    let accepting = !shared.draining.is_cancelled();
    let table = shared.routes.load();
    let state = |state| match state {
        RouteState::Ready => "ready",
        RouteState::Starting => "starting",
        RouteState::Failed => "failed",
    };
    let models: BTreeMap<_, _> = table.routes().map(|r| (r.model.to_string(), state(r.state()))).collect();
    let serves = table.routes().any(|route| route.state() == RouteState::Ready);
    let ready = ledger == "writing" && keys == "fresh" && accepting && serves;
    let shared_counters = shared.limiting.headroom().map(|headroom| headroom.state().as_str());
    let body = serde_json::to_vec(&Readiness { ready, ledger, keys, accepting, models, shared_counters })
        .unwrap_or_default();
    let mut response = ok("application/json", Bytes::from(body));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
