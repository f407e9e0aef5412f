//! Every limit of the gateway, with its default and its reason.

pub use crate::collect::Pace;
use crate::stage::queue::QueueOptions;
use hermetic_ledger_store::Window;
use std::net::SocketAddr;
use std::time::Duration;

/// How the gateway listens and what it is willing to hold. [`GatewayOptions::new`] fills in the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayOptions {
    /// Where to listen. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Threads that serve requests, each with its own listener, runtime and connections to engines, so that they share
    /// nothing they would have to lock. Default 1: a thread forwards thousands of requests a second, and on the
    /// machine that also runs the model the other cores are better spent there.
    pub threads: usize,
    /// Client connections open at once; one more is answered 503 and closed. Default 4,096: a connection that streams
    /// takes about 100 KiB, so this is about 400 MiB.
    /// When they are full, one that waits for its next request is closed to make room.
    pub connections_max: usize,
    /// Client connections open at once from one address; one more is answered 429 and closed. Default 0, which is no
    /// cap: behind a proxy all callers come from one address.
    pub connections_per_address_max: usize,
    /// Requests between accept and reply, over all threads; one more is answered 503 before its body is read. Default
    /// 8,192: twice the connections, so that it bounds nothing unless it is lowered.
    pub requests_max: usize,
    /// How far a thread's event loop may lag behind before new requests are answered 503. Default 1 s: a caller
    /// that waits a second for its turn waits for every other step too.
    pub lag_max: Duration,
    /// Bytes that all requests together may make us hold: bodies, the copies of them that are edited, plain answers
    /// until the caller has taken them, events of streams. Default 512 MiB: a hundred of the largest bodies or answers,
    /// and nothing to a machine that runs models. The service derives its own from the machine it finds.
    pub memory_bytes_max: usize,
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
    /// The least of a body that must arrive in each stretch of time. Default 2,500 bytes in 5 s: half a kilobyte a
    /// second, which the slowest line exceeds and a client that sends a byte at a time does not.
    pub body_pace: Option<Pace>,
    /// How long, and how much of, the rest of a request that was refused is read and thrown away so that the refusal
    /// reaches a client that is still sending: closing at once would reset the connection under it. Default 5 s and
    /// 64 MiB.
    pub linger_timeout: Duration,
    pub linger_bytes_max: usize,
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
    /// A client that takes nothing of an answer, streamed or plain, for this long has left. Default 60 s.
    pub client_stall_timeout: Duration,
    /// Whether answers name the target they came from (`x-hermetic-target`). Default no: which engine answers is the
    /// operator's affair, and a caller who sees it comes to depend on it.
    pub names_target: bool,
    /// How often the engines of virtual models are looked after: whether they are there, and what they say of their
    /// load. Default 2 s: a queue of a busy engine changes within seconds.
    pub attend_interval: Duration,
    /// Idle connections kept to each engine by each thread. Default 64.
    pub idle_upstream_max: usize,
    /// Largest request whose tokens are counted on the serving thread. Default 32 KiB, so that a long
    /// prompt does not keep others waiting: larger ones are counted beside it.
    pub count_inline_bytes_max: usize,
    /// Time for an engine to count the tokens of a request, where it is asked to. Default 2 s; then its bytes are taken.
    pub tokenize_timeout: Duration,
    /// How often keys are looked for in the database, and so how long a revoked key may still work. Default 250 ms.
    pub key_refresh_interval: Duration,
    /// Whether answers wait for the disk. Default: they do.
    pub durability: Durability,
    /// Time for requests in flight to end when the service stops; then they are cut, and settled as such. Default 30 s.
    pub drain_grace: Duration,
    /// Who waits for an engine, and in which order.
    pub queue: QueueOptions,
}

impl GatewayOptions {
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            threads: 1,
            connections_max: 4_096,
            connections_per_address_max: 0,
            requests_max: 8_192,
            lag_max: Duration::from_secs(1),
            memory_bytes_max: 512 << 20,
            body_bytes_max: 4 << 20,
            headers_max: 64,
            header_bytes_max: 16 << 10,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            body_pace: Some(Pace { bytes: 2_500, within: Duration::from_secs(5) }),
            linger_timeout: Duration::from_secs(5),
            linger_bytes_max: 64 << 20,
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
            durability: Durability::Strict,
            drain_grace: Duration::from_secs(30),
            queue: QueueOptions::default(),
        }
    }
}

/// What an answer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Its records are on the disk.
    Strict,
    /// Its records are in line for the disk, and a crash loses at most so many of them.
    Relaxed(Window),
}
