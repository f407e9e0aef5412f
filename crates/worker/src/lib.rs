//! Engines in subprocesses, and the face they show the gateway.
//!
//! What it is for: [`run_worker`] is the subprocess: one model behind the one [`Engine`] trait, served as OpenAI's API
//! over HTTP/1.1 on a Unix socket. [`Supervisor`] is the other half, in the serving process: it starts a worker per
//! model, knows when it is ready, restarts it when it dies and says so.
//!
//! What it must not know: who asks, whether they may, what is recorded.
//!
//! Invariants:
//! - native inference code never runs in the serving process;
//! - a worker opens no socket but the one it listens on, and ends when its supervisor does;
//! - a client that leaves ends its generation; a generation that fails says so on the wire: never silence;
//! - a worker's death is an [`Incident`] before its restart is tried.

mod engine;
mod face;
mod run;
mod supervisor;
mod wire;

pub use engine::{Engine, EngineFuture, LlamaChat, LlamaEmbedding};
pub use hermetic_ids::ModelKind;
pub use run::{WorkerError, WorkerOptions, run_worker};
pub use supervisor::{Incident, Supervisor, SupervisorOptions, WorkerSpec, WorkerState, WorkerStatus};
