//! One serving thread: accept connections, speak HTTP/1.1 on each, drain.

use crate::body::{AnswerBody, Carried};
use crate::client_io::{ClientIo, Patience, Unread};
use crate::connections::{Connections, Standing};
use crate::context::{GuardScratch, Shared, Thread};
use crate::explanation::Explanation;
use crate::lag::Lag;
use crate::peer::Peer;
use crate::refusal::{RefusalKind, Refused};
use crate::routing::attend;
use crate::stage::read::Wanted;
use crate::upstream::Pool;
use crate::{batches, following, listing, pipeline, probes, respond, stored, tls};
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// Pause after a failed accept. The usual cause is a lack of file descriptors, and trying again at once would only
/// burn the processor that is to free them.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Time for requests that were cut to be settled: a few disk writes.
const CUT_PATIENCE: Duration = Duration::from_secs(5);

/// Time for a connection that makes room to finish what it was sent; the new one is served meanwhile.
const LEAVING_PATIENCE: Duration = Duration::from_secs(1);

/// Time to tell a connection that it is one too many: it costs a task and a socket until then.
const TURN_AWAY_WITHIN: Duration = Duration::from_secs(1);

/// hyper's read buffer may not be smaller.
const READ_BUFFER_MIN: usize = 8 << 10;

/// What a thread left behind.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) cut: usize,
    pub(crate) lost: usize,
}

/// Serves until the drain has ended. `follows`: one thread of the process looks for what changed on disk.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener, follows: bool) -> Ended {
    let thread = Rc::new(Thread {
        shared,
        pool: Pool::default(),
        connections: Connections::default(),
        lag: Lag::default(),
        requests: Rc::new(Cell::new(0)),
        tasks: TaskTracker::new(),
        guard: GuardScratch::default(),
    });
    thread.tasks.spawn_local(watch_lag(Rc::clone(&thread)));
    if follows {
        thread.tasks.spawn_local(following::follow(Rc::clone(&thread)));
        thread.tasks.spawn_local(attend::attend(Rc::clone(&thread)));
        thread.tasks.spawn_local(batches::run(Rc::clone(&thread)));
        thread.tasks.spawn_local(stored::run(Rc::clone(&thread)));
    }
    accept_until_drain(&thread, &listener).await;
    // From here on new connections are refused by the kernel; those that are open end after their present request.
    drop(listener);
    drain(&thread).await
}

async fn accept_until_drain(thread: &Rc<Thread>, listener: &TcpListener) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = thread.shared.draining.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                thread.tasks.spawn_local(connection(Rc::clone(thread), stream, address));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn drain(thread: &Thread) -> Ended {
    thread.tasks.close();
    thread.pool.close();
    let grace = thread.shared.options().drain_grace;
    tokio::select! {
        () = thread.tasks.wait() => return Ended::default(),
        () = tokio::time::sleep(grace) => {}
        // Somebody does not want to wait for it.
        () = thread.shared.cut.cancelled() => {}
    }
    let cut = thread.tasks.len();
    thread.shared.cut.cancel();
    let settled = tokio::time::timeout(CUT_PATIENCE, thread.tasks.wait()).await;
    Ended { cut, lost: if settled.is_ok() { 0 } else { thread.tasks.len() } }
}

async fn watch_lag(thread: Rc<Thread>) {
    tokio::select! {
        () = thread.shared.draining.cancelled() => {}
        never = thread.lag.watch(&thread.shared.clock) => match never {},
    }
}

async fn connection(thread: Rc<Thread>, stream: TcpStream, address: SocketAddr) {
    let shared = Arc::clone(&thread.shared);
    let (max, from_address_max) = {
        let options = shared.options();
        (options.connections_max, options.connections_per_address_max)
    };
    let open = shared.connections.fetch_add(1, Ordering::Relaxed);
    shared.metrics.gateway.connections.inc();
    let counted = shared.addresses.count(address.ip(), from_address_max);
    if counted.is_none() {
        turn_away(&shared, stream, RefusalKind::TooManyFromAddress { max: from_address_max }).await;
    } else if open >= max && !thread.connections.make_room() {
        turn_away(&shared, stream, RefusalKind::TooManyConnections { max }).await;
    } else if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
    } else if let Some(tls) = &shared.tls {
        if let Some((stream, peer)) = tls::accept(&thread, tls, stream, address).await {
            speak(&thread, stream, peer).await;
        }
    } else {
        speak(&thread, stream, Peer::plain(address)).await;
    }
    shared.metrics.gateway.connections.dec();
    shared.connections.fetch_sub(1, Ordering::Relaxed);
}

/// HTTP/1.1 until one side ends it, the connection has to make room, or the service stops.
async fn speak<S>(thread: &Rc<Thread>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = Arc::new(peer);
    let open = thread.connections.open();
    let standing = Rc::clone(&open.standing);
    let service =
        service_fn(|request| handle(Rc::clone(thread), Rc::clone(&standing), Arc::clone(&peer), request));
    let (builder, patience) = terms(&thread.shared);
    let io = ClientIo::new(stream, patience, standing.unread.clone());
    let connection = builder.serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = thread.shared.draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = after_cut(&thread.shared) => return,
            }
        }
        () = standing.asked_to_close() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                // In the middle of a head it sends too slowly, or not taking the end of its last answer.
                () = tokio::time::sleep(LEAVING_PATIENCE) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client connection ended");
    }
}

/// How HTTP is spoken on a new connection, and how patiently.
fn terms(shared: &Shared) -> (http1::Builder, Patience) {
    let options = shared.options();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_headers(options.headers_max)
        .max_header_size(options.header_bytes_max)
        .max_buf_size(options.header_bytes_max.max(READ_BUFFER_MIN));
    (builder, patience(shared))
}

fn patience(shared: &Shared) -> Patience {
    let options = shared.options();
    Patience {
        stall: options.client_stall_timeout,
        linger: options.linger_timeout,
        linger_bytes: options.linger_bytes_max,
    }
}

/// A client that takes nothing keeps its connection open past the cut; it is closed a little later, so that the others
/// still get their last event.
async fn after_cut(shared: &Shared) {
    shared.cut.cancelled().await;
    tokio::time::sleep(CUT_PATIENCE / 2).await;
}

/// Answers a connection that is one too many without reading a request from it.
async fn turn_away(shared: &Shared, stream: TcpStream, kind: RefusalKind) {
    let refused = respond::refused(&shared.metrics, None, &kind.unnamed());
    let AnswerBody::Whole(body) = refused.body() else { return };
    if shared.tls.is_some() {
        // An answer would first need a handshake, which costs more than is to be spent here.
        return;
    }
    let status = refused.status();
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         x-should-retry: true\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    let answer = [head.as_bytes(), body].concat();
    // Its request may be on the way: unread, it would reset the answer.
    let mut io = ClientIo::new(stream, patience(shared), Unread::waiting());
    let _ = tokio::time::timeout(TURN_AWAY_WITHIN, async {
        io.write_all(&answer).await?;
        io.shutdown().await
    })
    .await;
}

async fn handle(
    thread: Rc<Thread>,
    standing: Rc<Standing>,
    peer: Arc<Peer>,
    mut request: Request<Incoming>,
) -> Result<Response<Carried>, Infallible> {
    let explanation = Explanation::begin(&mut request);
    let busy = thread.connections.begin(&standing);
    let small = request.body().size_hint().upper().is_some_and(|bytes| bytes <= READ_BUFFER_MIN as u64);
    let wanted = Wanted::of_path(request.uri().path());
    let surface = wanted.map(|(surface, _)| surface);
    let answered = match wanted {
        Some((surface, Wanted::Answer)) => pipeline::answer(&thread, &peer, surface, request).await,
        Some((surface, Wanted::TokenCount)) => {
            Box::pin(pipeline::count_tokens(&thread, &peer, surface, request)).await
        }
        Some((surface, Wanted::Tokens(task))) => {
            Box::pin(pipeline::tokens(&thread, &peer, (surface, task), request)).await
        }
        None if batches::is_path(request.uri().path()) => {
            Box::pin(batches::answer(&thread, &peer, request)).await
        }
        None if stored::is_path(request.uri().path()) => {
            Box::pin(stored::answer(&thread, &peer, request)).await
        }
        None => without_engine(&thread, &peer, &request).await,
    };
    let refused = match &answered {
        Ok(_) => false,
        // What is left of a small body is in the buffer already, and the connection goes on.
        Err(refused) => refused.kind.ends_connection() || !small,
    };
    if !refused {
        standing.unread.clear();
    }
    let mut response = match answered {
        Ok(mut response) => {
            if let Some(explanation) = explanation {
                explanation.end(None, &mut response);
            }
            response
        }
        Err(refused) => {
            let mut response = respond::refused(&thread.shared.metrics, surface, &refused);
            if let Some(explanation) = explanation {
                explanation.end(Some(&refused), &mut response);
            }
            response
        }
    };
    if standing.is_leaving() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Carried { body, _busy: busy }))
}

/// Everything that is answered without asking an engine.
async fn without_engine(
    thread: &Thread,
    peer: &Peer,
    request: &Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let path = request.uri().path();
    let page = || thread.shared.pages.find(path);
    let known = listing::is_path(path) || probes::is_path(path);
    if request.method() != Method::GET {
        let kind = if known || page().is_some() {
            RefusalKind::Method { allowed: "GET" }
        } else {
            RefusalKind::NotFound
        };
        return Err(kind.unnamed());
    }
    if listing::is_path(path) {
        return listing::answer(thread, peer, path, request.headers()).await;
    }
    if probes::is_path(path) {
        return Ok(probes::answer(&thread.shared, path));
    }
    let page = page().ok_or_else(|| RefusalKind::NotFound.unnamed())?;
    Ok(probes::ok(page.content_type, page.body))
}
