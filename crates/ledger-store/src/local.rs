//! The writing end: lock, threads, socket, and taking them down in order.

use crate::error::OpenError;
use crate::forward::server::Server;
use crate::handover::handover;
use crate::last_signed::LastSigned;
use crate::layout::Layout;
use crate::options::LedgerOptions;
use crate::publisher::Means;
use crate::queue::Queue;
use crate::recover::{Recovered, recover};
use crate::segment::clamp_bytes;
use crate::shared::Shared;
use crate::writer::Writer;
use hermetic_bounded_io::FileLock;
use hermetic_ledger::VerifierKey;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Records that may wait for the publisher. Then the writer waits, and its queue fills.
const BYTES_WAITING: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct Local {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    server: Server,
    writer: JoinHandle<()>,
    publisher: JoinHandle<()>,
    _lock: FileLock,
}

impl Local {
    pub(crate) fn start(layout: Layout, options: LedgerOptions, lock: FileLock) -> Result<Self, OpenError> {
        // Listening comes first: others that find the lock taken can connect at once and wait for recovery to end.
        let listener = Server::listen(&layout)?;
        let shared = Arc::new(Shared::default());
        let verifier =
            VerifierKey::new(&options.origin, *options.key.public().as_bytes()).map_err(OpenError::Origin)?;
        let segment_bytes = clamp_bytes(options.segment_bytes);
        let Recovered { publisher, frontier, segment, next_batch } = recover(Means {
            layout: layout.clone(),
            key: options.key,
            verifier,
            last_signed: LastSigned::new(&options.last_signed, &options.origin),
            segment_bytes,
            interval: options.checkpoint_interval,
            clock: options.clock.clone(),
            shared: Arc::clone(&shared),
        })?;
        shared.set_size(frontier.size());
        let (records, bytes, clock) = (options.queue_records, options.queue_bytes, options.clock.clone());
        let queue = Arc::new(Queue::numbered(records, bytes, clock, frontier.size()));
        let (sender, receiver) = handover(BYTES_WAITING);
        let writer = Writer {
            layout,
            segment_bytes,
            segment,
            frontier,
            next_batch,
            clock: options.clock,
            shared: Arc::clone(&shared),
            publisher: sender,
            full: false,
            buffer: Vec::new(),
        };
        let publisher = spawn("ledger-publish", move || publisher.run(&receiver))?;
        let to_write = Arc::clone(&queue);
        let writer = spawn("ledger-write", move || writer.run(&to_write))?;
        let server = Server::start(listener, Arc::clone(&queue))?;
        let running = Running { server, writer, publisher, _lock: lock };
        Ok(Self { queue, shared, running: Mutex::new(Some(running)) })
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// First nobody can hand over records any more, then what waits is written, then it is signed for, then the lock
    /// goes.
    pub(crate) fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        running.server.stop();
        self.queue.close();
        for thread in [running.writer, running.publisher] {
            if thread.join().is_err() {
                tracing::error!(code = "E0601", "a thread of the ledger has panicked");
            }
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.close();
    }
}

pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(OpenError::Thread)
}
