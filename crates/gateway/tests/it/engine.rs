//! An engine that plays the wire: every request it receives is handed to the test, which answers it as it likes.

use crate::client::REQUEST;
use crate::exchange::Exchange;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub(crate) struct Engine {
    requests: mpsc::UnboundedReceiver<Received>,
    _serving: JoinSet<()>,
}

/// A request as it arrived, waiting for its answer.
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    reply: oneshot::Sender<Response<Pieces>>,
}

/// The pieces of an answer, as the test sends them. An error breaks the connection off.
pub(crate) struct Pieces(mpsc::UnboundedReceiver<io::Result<Bytes>>);

/// The test's end of an answer.
pub(crate) struct Answering {
    pieces: mpsc::UnboundedSender<io::Result<Bytes>>,
    said: Mutex<Exchange>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.get_mut().0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

impl Answering {
    pub(crate) fn send(&self, piece: impl Into<Bytes>) {
        assert!(self.try_send(piece), "the gateway gave the engine up");
    }

    /// False when nobody takes it any more.
    pub(crate) fn try_send(&self, piece: impl Into<Bytes>) -> bool {
        let piece = piece.into();
        self.said.lock().unwrap().told.extend_from_slice(&piece);
        self.pieces.send(Ok(piece)).is_ok()
    }

    /// The engine dies.
    pub(crate) fn break_off(self) {
        self.pieces.send(Err(io::Error::other("killed"))).unwrap();
    }

    /// Resolves when the gateway has given the engine up.
    pub(crate) async fn given_up(&self) {
        self.pieces.closed().await;
    }
}

/// What an engine is about to say, for whom.
fn said(path: &str, headers: &HeaderMap, sent: &Bytes, status: u16) -> Exchange {
    let request = headers.get(REQUEST).map_or("", |id| id.to_str().unwrap()).to_owned();
    let (method, path, sent) = ("POST".to_owned(), path.to_owned(), sent.to_vec());
    Exchange { scripted: true, request, method, path, sent, status, told: Vec::new() }
}

impl Received {
    pub(crate) fn answer(self, status: u16, content_type: &str, body: impl Into<Bytes>) {
        self.begin(status, content_type).send(body);
    }

    pub(crate) fn stream(self) -> Answering {
        self.begin(200, "text/event-stream; charset=utf-8")
    }

    pub(crate) fn begin(self, status: u16, content_type: &str) -> Answering {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut response = Response::builder().status(status).body(Pieces(receiver)).unwrap();
        // A test that has no use for a media type asks for the connection to be closed with it.
        let name = if content_type == "close" { "connection" } else { "content-type" };
        response.headers_mut().insert(name, content_type.parse().unwrap());
        let said = Mutex::new(said(&self.path, &self.headers, &self.body, status));
        assert!(self.reply.send(response).is_ok(), "the gateway gave the engine up before its answer");
        Answering { pieces: sender, said }
    }

    /// Answers, if somebody still wants it.
    pub(crate) fn try_answer(self, body: &str) {
        if let Some(answering) = self.try_begin("application/json") {
            answering.try_send(body.to_owned());
        }
    }

    pub(crate) fn try_stream(self) -> Option<Answering> {
        self.try_begin("text/event-stream")
    }

    fn try_begin(self, content_type: &str) -> Option<Answering> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let response =
            Response::builder().header("content-type", content_type).body(Pieces(receiver)).unwrap();
        let said = Mutex::new(said(&self.path, &self.headers, &self.body, 200));
        self.reply.send(response).ok().map(|()| Answering { pieces: sender, said })
    }

    /// Resolves when the gateway has given the engine up before it answered.
    pub(crate) async fn given_up(mut self) {
        self.reply.closed().await;
    }
}

impl Engine {
    pub(crate) fn on_unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        Self::serve(move |accepted| async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(speak(TokioIo::new(stream), accepted.clone()));
            }
        })
    }

    pub(crate) async fn on_tcp() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let engine = Self::serve(move |accepted| async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(speak(TokioIo::new(stream), accepted.clone()));
            }
        });
        (engine, port)
    }

    fn serve<F, Fut>(accepting: F) -> Self
    where
        F: FnOnce(mpsc::UnboundedSender<Received>) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (sender, requests) = mpsc::unbounded_channel();
        let mut serving = JoinSet::new();
        serving.spawn(accepting(sender));
        Self { requests, _serving: serving }
    }

    pub(crate) async fn next(&mut self) -> Received {
        self.requests.recv().await.unwrap()
    }

    /// The next request, if it comes within a moment.
    pub(crate) async fn soon(&mut self) -> Option<Received> {
        let moment = std::time::Duration::from_millis(100);
        tokio::time::timeout(moment, self.requests.recv()).await.ok().flatten()
    }

    pub(crate) fn nothing_arrived(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

async fn speak<T>(io: TokioIo<T>, received: mpsc::UnboundedSender<Received>)
where
    TokioIo<T>: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let service = service_fn(|request: Request<Incoming>| {
        let received = received.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (reply, answered) = oneshot::channel();
            let path = head.uri.path().to_owned();
            received.send(Received { path, headers: head.headers, body, reply }).unwrap();
            Ok::<_, Infallible>(answered.await.unwrap())
        }
    });
    let _ = http1::Builder::new().serve_connection(io, service).await;
}
