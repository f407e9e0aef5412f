//! A supervised worker and a small HTTP client over its socket.

use super::exchange::Exchange;
use super::fixture::models;
use bytes::Bytes;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_digest::Digest;
use hermetic_worker::{ModelKind, Supervisor, SupervisorOptions, WorkerSpec, WorkerState, WorkerStatus};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

pub(crate) fn connector() -> Connector {
    Connector::new(AllowList::new(Vec::new(), Vec::new()))
}

pub(crate) fn spec(kind: ModelKind) -> WorkerSpec {
    let weights = match kind {
        ModelKind::Chat => models().chat.clone(),
        ModelKind::Embedding => models().embedding.clone(),
        other => panic!("the embedded engine has no {other} models"),
    };
    WorkerSpec {
        model: format!("demo-{kind}"),
        digest: Digest::of(kind.as_str().as_bytes()),
        kind,
        weights,
        threads: Some(1),
        context: Some(1024),
        slots: Some(2),
        queue: Some(2),
    }
}

pub(crate) fn options(run_dir: &Path) -> SupervisorOptions {
    SupervisorOptions {
        program: env!("CARGO_BIN_EXE_worker-under-test").into(),
        arguments: Vec::new(),
        run_dir: run_dir.to_owned(),
        connector: connector(),
        clock: Clock::system(),
        ready_within: Duration::from_secs(120),
        grace: Duration::from_secs(10),
    }
}

/// Waits until a row looks as wanted.
pub(crate) async fn until(supervisor: &Supervisor, wanted: impl Fn(&WorkerStatus) -> bool) -> WorkerStatus {
    let mut status = supervisor.status();
    let rows = status.wait_for(|rows| rows.iter().any(&wanted)).await.unwrap().clone();
    rows.into_iter().find(|row| wanted(row)).unwrap()
}

pub(crate) async fn ready(supervisor: &Supervisor, model: &str) -> WorkerStatus {
    until(supervisor, |row| row.model == model && row.state == WorkerState::Ready).await
}

pub(crate) async fn send(socket: &Path, method: &str, path: &str, body: String) -> http::Response<Incoming> {
    let stream = connector().unix(socket).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    // The connection ends when the sender and the answer's body are gone: dropping the answer closes it.
    tokio::task::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "worker");
    sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap()
}

pub(crate) async fn post(socket: &Path, path: &str, body: &Value) -> (StatusCode, Value) {
    let response = send(socket, "POST", path, body.to_string()).await;
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    keep(path, body, status, &bytes);
    (status, serde_json::from_slice(&bytes).unwrap())
}

fn keep(path: &str, sent: &Value, status: StatusCode, told: &Bytes) {
    let (method, path, sent) = ("POST".to_owned(), path.to_owned(), sent.to_string().into_bytes());
    let (request, told) = (String::new(), told.to_vec());
    drop(Exchange { scripted: false, request, method, path, sent, status: status.as_u16(), told });
}

pub(crate) async fn get(socket: &Path, path: &str) -> Value {
    let bytes =
        send(socket, "GET", path, String::new()).await.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

/// The `data:` lines of a streamed answer.
pub(crate) async fn post_stream(socket: &Path, path: &str, body: &Value) -> Vec<String> {
    let response = send(socket, "POST", path, body.to_string()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    keep(path, body, status, &bytes);
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.ends_with("\n\n"));
    text.split("\n\n")
        .filter(|e| !e.is_empty())
        .map(|e| e.strip_prefix("data: ").unwrap().to_owned())
        .collect()
}
