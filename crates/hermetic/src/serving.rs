//! `hermetic serve`, on one screen: what is opened, in which order, and how it ends.
//!
//! ```text
//! ledger (as its writer) → rows, keys, policies → limits (as the ledger has them) → workers → routes → gateway ┄ signal ┄ drain → workers end → ledger closes
//! ```
//!
//! Order matters at both ends: nothing is served before its record can be written, and the ledger closes last, after
//! every request is settled.

mod error;
mod identity;
mod incidents;
pub(crate) mod limits;
mod models;
mod pages;
mod plans;
mod policies;
mod routes;
mod tokenizers;

use crate::cli::{Context, enclave::Enclave};
use arc_swap::ArcSwap;
use error::ServeError;
use hermetic_clock::Clock;
use hermetic_config::LogFormat;
use hermetic_connector::Connector;
use hermetic_diagnostics::Report;
use hermetic_gateway::{
    CommitmentSecret, Gateway, GatewayOptions, GatewayParts, Limiting, LimitsOnRecord, RoutingTable, Running,
};
use hermetic_identity::Identity;
use hermetic_ledger::record::{Event, Record};
use hermetic_ledger_store::Ledger;
use hermetic_policy::Authorizer;
use hermetic_telemetry::Metrics;
use hermetic_worker::{Supervisor, SupervisorOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Loading reads the whole model once, from a disk that may be slow.
const WORKER_READY_WITHIN: Duration = Duration::from_secs(300);
const WORKER_GRACE: Duration = Duration::from_secs(5);

/// Serves until SIGINT or SIGTERM.
pub(crate) fn serve(enclave: &Enclave, context: &Context) -> Result<(), Report> {
    start_logging(enclave)?;
    let clock = Clock::system();
    let connector = enclave.connector();
    let ledger = enclave.ledger(&clock, &connector)?;
    if !ledger.is_writer() {
        return Err(ServeError::AnotherServes { state: enclave.paths.root.clone() }.into());
    }
    let authorizer = Arc::new(Authorizer::new(policies::load(enclave.config.policy.dir.as_deref())?));
    let started = Event::ServiceStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tier: enclave.config.tier.as_str().to_owned(),
        config_digest: enclave.config_digest,
        policy_digest: authorizer.digest(),
    };
    record(&ledger, &clock, started)?;
    let (limiting, on_record) = limits::open(enclave, &ledger, &clock)?;
    let parts = Parts { clock, connector, ledger, authorizer, limiting };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|source| ServeError::System { action: "start the runtime", source })?;
    let served = runtime.block_on(run(enclave, context, &parts, on_record));
    let reason = served.as_ref().map_or_else(|_| "could not start".to_owned(), |signal| (*signal).to_owned());
    record(&parts.ledger, &parts.clock, Event::ServiceStopped { reason })?;
    parts.ledger.close();
    served.map(|_| ())
}

/// What every part of the service shares.
struct Parts {
    clock: Clock,
    connector: Connector,
    ledger: Ledger,
    authorizer: Arc<Authorizer>,
    limiting: Arc<Limiting>,
}

/// Starts workers and gateway, waits for a signal, and ends both. Returns the signal's name.
async fn run(
    enclave: &Enclave,
    context: &Context,
    parts: &Parts,
    on_record: LimitsOnRecord,
) -> Result<&'static str, Report> {
    let mut stop = StopSignals::listen()?;
    let routes = Arc::new(ArcSwap::from_pointee(RoutingTable::default()));
    let models = models::Models::open(enclave, parts.clock.clone())?;
    let mut supervisor = Supervisor::start(supervisor_options(enclave, parts)?, models.specs());
    let tasks = TaskTracker::new();
    let ending = CancellationToken::new();
    if let Some(incidents) = supervisor.take_incidents() {
        tasks.spawn(incidents::keep_record(
            incidents,
            models.clone(),
            parts.ledger.clone(),
            parts.clock.clone(),
        ));
    }
    tasks.spawn(routes::follow_workers(
        supervisor.status(),
        models.clone(),
        Arc::clone(&routes),
        ending.clone(),
    ));
    tasks.spawn(limits::keep_on_record(on_record, parts.ledger.clone(), ending.clone()));
    let (identity, issuers) = identity::open(enclave, parts)?;
    if let Some(issuers) = issuers {
        tasks.spawn(identity::follow_issuers(issuers, ending.clone()));
    }
    let gateway = start_gateway(enclave, parts, routes, identity)?;
    announce(context, &gateway, enclave.config.gateway.tls.is_some(), &models);
    let signal = tokio::select! {
        signal = stop.wait() => signal,
        never = models.follow_registry(&supervisor) => match never {},
    };
    tracing::info!(signal, "stopping: no new requests, requests in flight end first");
    let drained = tokio::task::spawn_blocking(move || gateway.drain()).await;
    if let Ok(drained) = drained.as_ref().map(|drained| (drained.cut, drained.lost)) {
        tracing::info!(cut = drained.0, lost = drained.1, "drained");
    }
    supervisor.shutdown().await;
    ending.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(signal)
}

fn start_gateway(
    enclave: &Enclave,
    parts: &Parts,
    routes: Arc<ArcSwap<RoutingTable>>,
    identity: Identity,
) -> Result<Running, Report> {
    let secret = enclave.commitment_secret()?;
    let gateway = Gateway::new(GatewayParts {
        options: gateway_options(enclave),
        identity,
        tls: identity::tls(enclave, &parts.clock)?,
        authorizer: Arc::clone(&parts.authorizer),
        routes,
        limiting: Arc::clone(&parts.limiting),
        ledger: parts.ledger.clone(),
        connector: parts.connector.clone(),
        clock: parts.clock.clone(),
        metrics: Arc::new(Metrics::new()),
        commitments: CommitmentSecret::from_bytes(secret.bytes()),
        capture: enclave.capture()?,
        pages: pages::manual(),
    });
    Ok(gateway.start()?)
}

fn gateway_options(enclave: &Enclave) -> GatewayOptions {
    let settings = &enclave.config.gateway;
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut options = GatewayOptions::new(settings.listen);
    options.drain_grace = settings.drain_grace;
    options.keep_alive_interval = settings.keep_alive;
    options.names_target = settings.target_header;
    options.body_bytes_max = bytes(settings.limits.request_body_bytes);
    options.header_bytes_max = bytes(settings.limits.header_bytes);
    options.connections_max = bytes(settings.limits.connections.into());
    options.header_timeout = settings.limits.header_timeout;
    options.body_timeout = settings.limits.body_timeout;
    options.engine_timeout = settings.limits.engine_timeout;
    options.engine_time_max = settings.limits.engine_time;
    options.client_stall_timeout = settings.limits.client_stall_timeout;
    options.threads = usize::try_from(settings.threads).unwrap_or(1);
    options
}

fn supervisor_options(enclave: &Enclave, parts: &Parts) -> Result<SupervisorOptions, Report> {
    let program = std::env::current_exe()
        .map_err(|source| ServeError::System { action: "find this program", source })?;
    Ok(SupervisorOptions {
        program,
        arguments: vec!["worker".into()],
        run_dir: enclave.paths.run(),
        connector: parts.connector.clone(),
        clock: parts.clock.clone(),
        ready_within: WORKER_READY_WITHIN,
        grace: WORKER_GRACE,
    })
}

fn record(ledger: &Ledger, clock: &Clock, event: Event) -> Result<(), Report> {
    ledger.append_blocking(&Record { v: 1, at_unix_ms: clock.unix_millis(), event })?;
    Ok(())
}

fn start_logging(enclave: &Enclave) -> Result<(), Report> {
    let format = match enclave.config.log.format {
        LogFormat::Text => hermetic_telemetry::LogFormat::Text,
        LogFormat::Json => hermetic_telemetry::LogFormat::Json,
    };
    let level = enclave.config.log.level.as_str();
    hermetic_telemetry::start_logging(format, level).map_err(|source| ServeError::Logging { source }.into())
}

fn announce(context: &Context, gateway: &Running, tls: bool, models: &models::Models) {
    let scheme = if tls { "https" } else { "http" };
    context.out.note(format!("serving on {scheme}://{}/v1", gateway.address()));
    let names: Vec<String> = models.names();
    if names.is_empty() {
        context
            .out
            .note("no model is in production yet: import a bundle, then stage and promote its release");
    } else {
        context.out.note(format!("models: {}", names.join(", ")));
    }
}

/// SIGINT and SIGTERM, listened for from the start so that an early Ctrl-C is not lost.
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn listen() -> Result<Self, ServeError> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen =
            |kind| signal(kind).map_err(|source| ServeError::System { action: "listen for signals", source });
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
