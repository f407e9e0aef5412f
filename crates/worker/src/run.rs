//! The worker process: load one model, serve it on one Unix socket, end when told to or when left alone.

use crate::engine::{Engine, LlamaChat, LlamaEmbedding};
use crate::face::Face;
use hermetic_clock::Clock;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_engine_llama::{ChatModel, EmbeddingModel, LlamaOptions, LoadError};
use hermetic_ids::ModelKind;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// Everything a worker is told; it reads no configuration of its own.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    pub socket: PathBuf,
    /// The name answers carry.
    pub model: String,
    /// Digest of the weights, as the registry knows them.
    pub digest: String,
    pub kind: ModelKind,
    pub engine: LlamaOptions,
    /// Process id of the supervisor. Given: the worker ends when that process does.
    pub parent: Option<i32>,
}

/// Why a worker ended otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("cannot load the model")]
    Load(#[from] LoadError),
    #[error("cannot prepare the socket")]
    Socket(#[from] hermetic_bounded_io::FileError),
    #[error("cannot listen on `{path}`", path = path.display())]
    Listen { path: PathBuf, source: io::Error },
    #[error("cannot {action}")]
    System { action: &'static str, source: io::Error },
    #[error("expected to be a child of process {expected}, found {found:?}")]
    Orphan { expected: i32, found: Option<i32> },
    #[error("the engine's thread has ended")]
    EngineStopped,
}

impl Diagnose for WorkerError {
    fn code(&self) -> Code {
        match self {
            Self::Load(error) => error.code(),
            _ => Code::new("E0704"),
        }
    }

    fn hint(&self) -> Option<String> {
        if let Self::Load(error) = self { error.hint() } else { None }
    }
}

/// For open answers to say that the engine is gone.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// Runs until told to end (SIGTERM, SIGINT), until the supervisor is gone, or until the engine is.
pub fn run_worker(options: &WorkerOptions, clock: &Clock) -> Result<(), WorkerError> {
    if let Some(parent) = options.parent {
        tie_to(parent)?;
    }
    let face = Arc::new(load(options, clock)?);
    let system = |action| move |source| WorkerError::System { action, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    runtime.block_on(serve(options, &face))
}

/// Dies with the supervisor, however it dies. The signal is asked for first and the parent looked at second, so that
/// no death falls in between.
fn tie_to(parent: i32) -> Result<(), WorkerError> {
    let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    asked.map_err(|errno| WorkerError::System {
        action: "ask to end with the supervisor",
        source: errno.into(),
    })?;
    let found = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if found == Some(parent) { Ok(()) } else { Err(WorkerError::Orphan { expected: parent, found }) }
}

fn load(options: &WorkerOptions, clock: &Clock) -> Result<Face, WorkerError> {
    let engine: Box<dyn Engine> = match options.kind {
        ModelKind::Chat => Box::new(LlamaChat(ChatModel::load(&options.engine)?)),
        ModelKind::Embedding => Box::new(LlamaEmbedding(EmbeddingModel::load(&options.engine)?)),
        // Other servers do; the gateway reaches them as endpoints.
        other @ (ModelKind::Rerank | ModelKind::Transcription | ModelKind::Image) => {
            let found = format!("a model for {other}");
            return Err(LoadError::Kind { expected: "a model that generates or embeds text", found }.into());
        }
    };
    Ok(Face {
        engine,
        model: options.model.clone(),
        digest: options.digest.clone(),
        kind: options.kind.as_str(),
        clock: clock.clone(),
        started: clock.unix_millis(),
    })
}

async fn serve(options: &WorkerOptions, face: &Arc<Face>) -> Result<(), WorkerError> {
    let system = |action| move |source| WorkerError::System { action, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(system("listen for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("listen for signals"))?;
    // A socket left by a worker that was killed: nobody listens there.
    hermetic_bounded_io::remove_durable(&options.socket)?;
    let listener = UnixListener::bind(&options.socket)
        .map_err(|source| WorkerError::Listen { path: options.socket.clone(), source })?;
    tracing::info!(model = %options.model, kind = %options.kind, "ready");
    let mut connections = JoinSet::new();
    let pipe =
        options.parent.map(|_| lifeline()).transpose().map_err(system("hold the supervisor's pipe"))?;
    let orphaned = left_alone(pipe);
    tokio::pin!(orphaned);
    let outcome = loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(face)))),
                Err(source) => break Err(WorkerError::Listen { path: options.socket.clone(), source }),
            },
            Some(_) = connections.join_next() => {}
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            () = &mut orphaned => break Ok(()),
            () = face.engine.stopped() => break Err(WorkerError::EngineStopped),
        }
    };
    if matches!(outcome, Err(WorkerError::EngineStopped)) {
        // Every open answer still gets its error event.
        let last_words = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS_WITHIN, last_words).await;
    }
    // Dropping the connections drops their generations; the supervisor drains before it signals.
    connections.shutdown().await;
    hermetic_bounded_io::remove_durable(&options.socket)?;
    outcome
}

/// Resolves when the pipe that the supervisor holds open is closed: a second sign of its death, which does not depend
/// on which of its threads started us.
async fn left_alone(pipe: Option<pipe::Receiver>) {
    let Some(mut pipe) = pipe else { return std::future::pending().await };
    let mut byte = [0];
    while matches!(pipe.read(&mut byte).await, Ok(1..)) {}
}

/// The supervisor's pipe, which is our stdin.
fn lifeline() -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)
}

async fn connection(stream: UnixStream, face: Arc<Face>) {
    let service = service_fn(move |request| Arc::clone(&face).answer(request));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        // A client that leaves mid-answer ends here too.
        tracing::debug!(%error, "a connection ended early");
    }
}
