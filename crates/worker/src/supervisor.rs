//! One worker per served model: started, watched, restarted, replaced.
//!
//! A model whose version changes gets its new worker first; the old one is ended when the new one is ready, so that a
//! promotion leaves no moment without an answer.

use hermetic_clock::{Clock, UnixMillis};
use hermetic_connector::Connector;
use hermetic_digest::Digest;
use hermetic_ids::ModelKind;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod child;
mod probe;

/// A model that shall be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSpec {
    pub model: String,
    /// Digest of the weights.
    pub digest: Digest,
    pub kind: ModelKind,
    pub weights: PathBuf,
    /// `None`: the engine's default.
    pub threads: Option<u32>,
    pub context: Option<u32>,
    pub slots: Option<u32>,
    pub queue: Option<u32>,
}

/// How workers are run.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// The program that has the worker's entry point: this same binary.
    pub program: PathBuf,
    /// What comes before the worker's own arguments: `worker`.
    pub arguments: Vec<OsString>,
    /// Where the sockets lie; private to this user.
    pub run_dir: PathBuf,
    pub connector: Connector,
    pub clock: Clock,
    /// From start to ready. Loading reads the whole file once.
    pub ready_within: Duration,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
}

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum WorkerState {
    Starting,
    Ready,
    /// It ended; it is started again when the pause is over.
    Waiting {
        restarts: u32,
    },
    Stopping,
}

/// One worker, as routing and people see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WorkerStatus {
    pub model: String,
    pub digest: Digest,
    pub kind: ModelKind,
    pub socket: PathBuf,
    #[serde(flatten)]
    pub state: WorkerState,
    pub pid: Option<u32>,
}

/// A worker that ended without being asked to, for the record.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Incident {
    pub model: String,
    pub digest: Digest,
    pub at: UnixMillis,
    /// `signal 9 (SIGKILL)`, `exit status 1`, `not ready within 60 s`.
    pub reason: String,
    /// Restarts in a row so far, this one not counted.
    pub restarts: u32,
    pub restart_in_ms: u64,
}

type Key = (String, Digest);

/// What the tasks of all workers share.
#[derive(Debug)]
struct Shared {
    options: SupervisorOptions,
    status: watch::Sender<Vec<WorkerStatus>>,
    incidents: mpsc::UnboundedSender<Incident>,
}

/// The handle; dropping it without [`Supervisor::shutdown`] still ends the workers, with the process.
#[derive(Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
    desired: watch::Sender<Vec<WorkerSpec>>,
    incidents: Option<mpsc::UnboundedReceiver<Incident>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Supervisor {
    /// Starts a worker for each spec. Must be called inside a runtime.
    pub fn start(options: SupervisorOptions, specs: Vec<WorkerSpec>) -> Self {
        let (incident_sender, incidents) = mpsc::unbounded_channel();
        let (status, _) = watch::channel(Vec::new());
        let shared = Arc::new(Shared { options, status, incidents: incident_sender });
        let (desired, wanted) = watch::channel(specs);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let reconciler = Reconciler {
            shared: Arc::clone(&shared),
            tasks: tasks.clone(),
            stop: stop.clone(),
            running: BTreeMap::new(),
        };
        tasks.spawn(reconciler.run(wanted));
        tasks.close();
        Self { shared, desired, incidents: Some(incidents), tasks, stop }
    }

    /// What every worker is doing; changes wake the receiver.
    pub fn status(&self) -> watch::Receiver<Vec<WorkerStatus>> {
        self.shared.status.subscribe()
    }

    /// Unasked-for ends of workers. There is one receiver; the first caller gets it.
    pub fn take_incidents(&mut self) -> Option<mpsc::UnboundedReceiver<Incident>> {
        self.incidents.take()
    }

    /// Changes what is served.
    pub fn set(&self, specs: Vec<WorkerSpec>) {
        self.desired.send_replace(specs);
    }

    /// Ends every worker, politely first, and waits until they are gone.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

struct Reconciler {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
    running: BTreeMap<Key, Running>,
}

struct Running {
    spec: WorkerSpec,
    stop: CancellationToken,
}

impl Reconciler {
    async fn run(mut self, mut wanted: watch::Receiver<Vec<WorkerSpec>>) {
        let mut status = self.shared.status.subscribe();
        loop {
            let specs = wanted.borrow_and_update().clone();
            let statuses = status.borrow_and_update().clone();
            self.reconcile(&specs, &statuses);
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() { return },
                _ = status.changed() => {}
            }
        }
    }

    fn reconcile(&mut self, specs: &[WorkerSpec], statuses: &[WorkerStatus]) {
        for spec in specs {
            let key = (spec.model.clone(), spec.digest);
            if self.running.get(&key).is_some_and(|running| running.spec == *spec) {
                continue;
            }
            // The same weights run otherwise (more slots, another kind): the old worker holds the socket, so it ends first.
            if let Some(old) = self.running.get(&key) {
                old.stop.cancel();
                if statuses.iter().any(|status| status.model == spec.model && status.digest == spec.digest) {
                    continue;
                }
            }
            let stop = self.stop.child_token();
            self.tasks.spawn(child::keep_running(Arc::clone(&self.shared), spec.clone(), stop.clone()));
            self.running.insert(key, Running { spec: spec.clone(), stop });
        }
        self.running.retain(|(model, digest), running| {
            if specs.iter().any(|spec| spec.model == *model && spec.digest == *digest) {
                return true;
            }
            let successor = specs.iter().find(|spec| spec.model == *model);
            let succeeded = successor.is_none_or(|spec| {
                let ready = |status: &&WorkerStatus| {
                    status.digest == spec.digest && status.state == WorkerState::Ready
                };
                statuses.iter().filter(|status| status.model == *model).any(|status| ready(&status))
            });
            if succeeded {
                running.stop.cancel();
            }
            !succeeded
        });
    }
}

impl Shared {
    /// The worker's row, changed or added.
    fn publish(&self, row: WorkerStatus) {
        self.status.send_modify(|rows| {
            match rows.iter_mut().find(|known| known.model == row.model && known.digest == row.digest) {
                Some(known) => *known = row,
                None => rows.push(row),
            }
            rows.sort_by(|a, b| (&a.model, a.digest).cmp(&(&b.model, b.digest)));
        });
    }

    fn withdraw(&self, model: &str, digest: Digest) {
        self.status.send_modify(|rows| rows.retain(|row| row.model != model || row.digest != digest));
    }
}
