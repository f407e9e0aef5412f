//! Every limit of the gateway, with its default and its reason.

use std::net::SocketAddr;
use std::time::Duration;

/// How the gateway listens and what it is willing to hold. [`GatewayOptions::new`] fills in the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayOptions {
    /// Where to listen. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Threads that serve requests, each with its own listener, runtime and connections to engines, so that they share
    /// nothing they would have to lock. Default 1: a thread forwards tens of thousands of requests a second, and on the
    /// machine that also runs the model the other cores are better spent there.
    pub threads: usize,
    /// Client connections open at once; one more is answered 503 and closed. Default 4,096: a connection that streams
    /// costs about 30 KiB, so this is about 120 MiB.
    pub connections_max: usize,
    /// Largest request body. Default 4 MiB: a full 128k-token context is about half a megabyte of text; pictures in
    /// messages are the rest.
    pub body_bytes_max: usize,
    /// Most request headers. Default 64: SDKs send about 20.
    pub headers_max: usize,
    /// Largest request head. Default 16 KiB.
    pub header_bytes_max: usize,
    /// Time for a request's head to arrive, and for an idle connection to begin one. Default 30 s. Bounds what a client
    /// that sends a byte a minute can hold (slow loris).
    pub header_timeout: Duration,
    /// Time for a request's body to arrive once its head has. Default 30 s.
    pub body_timeout: Duration,
    /// Largest plain answer, which is held whole so that it leaves only when it is on record. Default 32 MiB: 2,048
    /// embeddings of 1,536 numbers as text.
    pub answer_bytes_max: usize,
    /// Largest single event of a stream. Default 1 MiB.
    pub event_bytes_max: usize,
    /// Silence on a stream after which a comment is sent so that proxies in between do not close it. Default 15 s.
    pub keep_alive_interval: Duration,
    /// Silence of an engine after which it is given up. Default 300 s: reading a long prompt on a CPU takes minutes.
    pub engine_timeout: Duration,
    /// Most time an engine may spend on one request that a limit on engine time counts: so much is held for it, and there
    /// it is cut. Default 300 s.
    pub engine_time_max: Duration,
    /// A client that takes nothing of a stream for this long has left. Default 60 s.
    pub client_stall_timeout: Duration,
    /// Whether answers name the target they came from (`x-hermetic-target`). Default no: which engine answers is the
    /// operator's affair, and a caller who sees it comes to depend on it.
    pub names_target: bool,
    /// How often the engines of virtual models are looked after: whether they are there, and what they say of their
    /// load. Default 2 s: a queue of a busy engine changes within seconds, and a scrape costs it a millisecond.
    pub attend_interval: Duration,
    /// Idle connections kept to each engine by each thread. Default 64.
    pub idle_upstream_max: usize,
    /// Largest request whose tokens are counted on the serving thread. Default 32 KiB: counting that much keeps others
    /// waiting for less than a millisecond; larger ones are counted beside it.
    pub count_inline_bytes_max: usize,
    /// Time for an engine to count the tokens of a request, where it is asked to. Default 2 s; then its bytes are taken.
    pub tokenize_timeout: Duration,
    /// How often keys are looked for in the database, and so how long a revoked key may still work. Default 250 ms.
    pub key_refresh_interval: Duration,
    /// Time for requests in flight to end when the service stops; then they are cut, and settled as such. Default 30 s.
    pub drain_grace: Duration,
}

impl GatewayOptions {
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            threads: 1,
            connections_max: 4_096,
            body_bytes_max: 4 << 20,
            headers_max: 64,
            header_bytes_max: 16 << 10,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            answer_bytes_max: 32 << 20,
            event_bytes_max: 1 << 20,
            keep_alive_interval: Duration::from_secs(15),
            engine_timeout: Duration::from_secs(300),
            engine_time_max: Duration::from_secs(300),
            client_stall_timeout: Duration::from_secs(60),
            names_target: false,
            attend_interval: Duration::from_secs(2),
            idle_upstream_max: 64,
            count_inline_bytes_max: 32 << 10,
            tokenize_timeout: Duration::from_secs(2),
            key_refresh_interval: Duration::from_millis(250),
            drain_grace: Duration::from_secs(30),
        }
    }
}
