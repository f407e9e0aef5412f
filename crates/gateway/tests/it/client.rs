//! A caller: one connection, one request after the other.

use crate::exchange::Exchange;
use bytes::Bytes;
use hermetic_connector::{AllowList, Connector};
use http::{Extensions, HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    key: String,
    connection: JoinSet<()>,
}

/// Travels with a response to whoever reads it.
#[derive(Clone)]
struct Kept(Arc<Mutex<Exchange>>);

impl Kept {
    fn told(extensions: &Extensions, piece: &[u8]) {
        if let Some(Self(exchange)) = extensions.get() {
            exchange.lock().unwrap().told.extend_from_slice(piece);
        }
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn leaf(&self, header: &str) -> u64 {
        self.headers[header].to_str().unwrap().parse().unwrap()
    }
}

pub(crate) async fn connect(port: u16) -> TcpStream {
    Connector::new(AllowList::loopback()).tcp("127.0.0.1", port).await.unwrap()
}

/// Everything the gateway says until it closes the connection.
pub(crate) async fn said_until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset instead of a close is as closed.
    let _ = stream.read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// One number of the metrics; labels are part of the name.
pub(crate) async fn metric(client: &mut Client, name: &str) -> i64 {
    let text = String::from_utf8(client.get("/metrics").await.body.to_vec()).unwrap();
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

/// The id of a request, as the gateway tells it to callers and engines alike.
pub(crate) const REQUEST: &str = "x-request-id";

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A chat request of the least a caller can say.
pub(crate) fn chat(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"stream":{stream}}}"#)
}

impl Client {
    pub(crate) async fn connect(port: u16, key: &str) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(connect(port).await)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        Self { sender, key: key.to_owned(), connection: tasks }
    }

    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.key)
    }

    pub(crate) fn request(&self, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        Request::post(path)
            .header("host", "gateway")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.key))
            .body(Full::new(body.into()))
            .unwrap()
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.sender.ready().await.unwrap();
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let sent = request.body().clone().collect().await.unwrap().to_bytes().to_vec();
        let mut response = self.sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let request = response.headers().get(REQUEST).map_or("", |id| id.to_str().unwrap()).to_owned();
        let exchange = Exchange { scripted: false, request, method, path, sent, status, told: Vec::new() };
        response.extensions_mut().insert(Kept(Arc::new(Mutex::new(exchange))));
        response
    }

    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Answer {
        let request = self.request(path, body);
        whole(self.send(request).await).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let mut request = self.request(path, Bytes::new());
        *request.method_mut() = http::Method::GET;
        whole(self.send(request).await).await
    }

    /// Closes the connection at once, answer or no answer.
    pub(crate) fn hang_up(mut self) {
        self.connection.abort_all();
    }
}

pub(crate) async fn whole(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Kept::told(&head.extensions, &body);
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

/// The next piece of a stream, `None` at its end.
pub(crate) async fn piece(response: &mut Response<Incoming>) -> Option<Bytes> {
    let piece = response.body_mut().frame().await?.unwrap().into_data().unwrap();
    Kept::told(response.extensions(), &piece);
    Some(piece)
}
