//! What requests are served with: shared by all threads, and per thread.

use crate::connections::{Connections, PerAddress};
use crate::gateway::GatewayParts;
use crate::lag::Lag;
use crate::memory::MemoryBudget;
use crate::options::GatewayOptions;
use crate::stage::queue::Queues;
use crate::strangers::Strangers;
use crate::upstream::Pool;
use arc_swap::{ArcSwap, Guard};
use hermetic_guard::{Detectors, Plan, Scratch};
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all threads share: what the composition handed in, and the state of the service. Nothing in here is locked on
/// the way of an answered request, but for the remembered policy decisions, which are read-locked.
#[derive(Debug)]
pub(crate) struct Shared {
    parts: GatewayParts,
    options: ArcSwap<GatewayOptions>,
    pub(crate) memory: MemoryBudget,
    pub(crate) queues: Queues,
    pub(crate) addresses: PerAddress,
    pub(crate) connections: AtomicUsize,
    /// Callers that were not let in and are not on record yet.
    pub(crate) strangers: Strangers,
    /// Cancelled when the service begins to stop: no new requests.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the grace is over: requests in flight are cut.
    pub(crate) cut: CancellationToken,
}

impl Shared {
    pub(crate) fn new(parts: GatewayParts) -> Self {
        let options = parts.options.clone();
        Self {
            memory: MemoryBudget::new(options.memory_bytes_max),
            queues: Queues::new(&options.queue, &parts.clock),
            addresses: PerAddress::default(),
            options: ArcSwap::from_pointee(options),
            parts,
            connections: AtomicUsize::new(0),
            strangers: Strangers::default(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// The limits in force now. Not for holding across an await: what is needed later is copied out.
    pub(crate) fn options(&self) -> Guard<Arc<GatewayOptions>> {
        self.options.load()
    }

    /// Puts other limits in force. Where a thread listens, and how many there are, stays as it was at the start.
    pub(crate) fn set_options(&self, options: GatewayOptions) {
        self.memory.set_limit(options.memory_bytes_max);
        self.queues.set_options(&options.queue);
        self.options.store(Arc::new(options));
    }
}

impl Deref for Shared {
    type Target = GatewayParts;

    fn deref(&self) -> &GatewayParts {
        &self.parts
    }
}

/// What one serving thread owns.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
    pub(crate) connections: Connections,
    pub(crate) lag: Lag,
    /// Requests of this thread between accept and reply.
    pub(crate) requests: Rc<Cell<usize>>,
    /// Connections and exchanges of this thread: it ends when all of them have.
    pub(crate) tasks: TaskTracker,
    pub(crate) guard: GuardScratch,
}

/// What the detectors of this thread work in, and which detectors those are.
#[derive(Debug, Default)]
pub(crate) struct GuardScratch(RefCell<Option<(Arc<Detectors>, Scratch)>>);

impl Thread {
    /// Works with the scratch of this thread. Not for use inside itself.
    pub(crate) fn scratch<T>(&self, plan: &Plan, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut kept = self.guard.0.borrow_mut();
        let detectors = plan.shared_detectors();
        // One that was made for others is of no use.
        let (_, scratch) = match kept.take() {
            Some((of, scratch)) if Arc::ptr_eq(&of, detectors) => kept.insert((of, scratch)),
            _ => kept.insert((Arc::clone(detectors), plan.scratch())),
        };
        work(scratch)
    }
}
