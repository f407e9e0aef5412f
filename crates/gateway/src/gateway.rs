//! Starting and stopping: a listener and a runtime per thread, and a drain that loses no record.

use crate::batches::Batches;
use crate::commitment::CommitmentSecret;
use crate::context::Shared;
use crate::error::StartError;
use crate::guarding::Guarding;
use crate::limiting::Limiting;
use crate::options::GatewayOptions;
use crate::pages::PageLookup;
use crate::routing::RoutingTable;
use crate::server;
use crate::stored::StoredResponses;
use crate::strangers;
use crate::tls::Tls;
use arc_swap::ArcSwap;
use hermetic_clock::Clock;
use hermetic_connector::Connector;
use hermetic_content_store::ContentStore;
use hermetic_identity::Identity;
use hermetic_ledger_store::Ledger;
use hermetic_policy::Authorizer;
use hermetic_telemetry::Metrics;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::net::TcpSocket;

/// Connections the kernel holds for us while a thread is busy.
const BACKLOG: u32 = 1024;

/// What the composition hands in.
#[derive(Debug)]
pub struct GatewayParts {
    /// As it is started; [`Adjust::options`] puts others in force later.
    pub options: GatewayOptions,
    pub identity: Identity,
    /// `None`: plain HTTP.
    pub tls: Option<Tls>,
    pub authorizer: Arc<Authorizer>,
    /// Filled, and swapped, by whoever watches the engines.
    pub routes: Arc<ArcSwap<RoutingTable>>,
    /// Limits, budgets and prices. Restored from the ledger before the gateway starts.
    pub limiting: Arc<Limiting>,
    pub guarding: Arc<Guarding>,
    pub ledger: Ledger,
    pub connector: Connector,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub commitments: CommitmentSecret,
    /// Where prompts and answers are kept, sealed; `None`: nowhere.
    pub capture: Option<ContentStore>,
    /// Files and batches; `None`: there are none.
    pub batches: Option<Batches>,
    /// Responses that are kept; `None`: there are none.
    pub responses: Option<StoredResponses>,
    pub pages: PageLookup,
}

/// A gateway that is ready to be started.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    threads: Vec<JoinHandle<server::Ended>>,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests and connections that outlived the grace and were cut; the requests are settled as such.
    pub cut: usize,
    /// Tasks that could not even be cut in time.
    pub lost: usize,
}

impl Gateway {
    pub fn new(parts: GatewayParts) -> Self {
        Self { shared: Arc::new(Shared::new(parts)) }
    }

    /// Listens and serves on threads of its own until [`Running::drain`].
    pub fn start(self) -> Result<Running, StartError> {
        let options = self.shared.options();
        let count = options.threads.max(1);
        let mut address = options.listen;
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let socket = bind(address, count > 1).map_err(|source| StartError::Listen { address, source })?;
            // Port 0 became a port; the other threads share it.
            address = socket.local_addr().map_err(|source| StartError::Listen { address, source })?;
            threads.push(start_thread(&self.shared, socket, number, address)?);
        }
        Ok(Running { shared: self.shared, address, threads })
    }
}

fn bind(address: SocketAddr, shared_port: bool) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    if shared_port {
        // The kernel spreads connections over the threads' listeners.
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    Ok(socket)
}

fn start_thread(
    shared: &Arc<Shared>,
    socket: TcpSocket,
    number: usize,
    address: SocketAddr,
) -> Result<JoinHandle<server::Ended>, StartError> {
    let (listening, listens) = std::sync::mpsc::sync_channel(1);
    let shared = Arc::clone(shared);
    let body = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = listening.send(Err(error));
                return server::Ended::default();
            }
        };
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async move {
            match socket.listen(BACKLOG) {
                Ok(listener) => {
                    let _ = listening.send(Ok(()));
                    server::serve(shared, listener, number == 0).await
                }
                Err(error) => {
                    let _ = listening.send(Err(error));
                    server::Ended::default()
                }
            }
        })
    };
    let thread = std::thread::Builder::new()
        .name(format!("gateway-{number}"))
        .spawn(body)
        .map_err(|source| StartError::Thread { source })?;
    match listens.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(source)) => Err(StartError::Listen { address, source }),
        Err(_) => Err(StartError::Thread { source: io::Error::other("the thread ended before it listened") }),
    }
}

impl Running {
    /// Where it listens: the port is real, also when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle that changes what is in force, and ends a drain early.
    pub fn adjust(&self) -> Adjust {
        Adjust { shared: Arc::clone(&self.shared) }
    }

    /// Stops accepting, lets requests in flight end within the grace, cuts the rest, and waits until all is settled.
    /// Blocking; the ledger must outlive it.
    pub fn drain(self) -> Drained {
        self.shared.draining.cancel();
        let mut drained = Drained { cut: 0, lost: 0 };
        for thread in self.threads {
            let ended = thread.join().unwrap_or(server::Ended { cut: 0, lost: 1 });
            drained.cut += ended.cut;
            drained.lost += ended.lost;
        }
        strangers::write_due(&self.shared, true);
        drained
    }
}

/// Changes a gateway that serves. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Adjust {
    shared: Arc<Shared>,
}

impl Adjust {
    /// Puts other limits in force for every request that comes after. The address and the number of threads stay.
    pub fn options(&self, options: GatewayOptions) {
        self.shared.set_options(options);
    }

    /// Ends the grace of a drain now: requests in flight are cut, and settled as such.
    pub fn cut(&self) {
        self.shared.draining.cancel();
        self.shared.cut.cancel();
    }
}
