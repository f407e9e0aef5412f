//! `hermetic serve`, on one screen: what is opened, in which order, and how it ends.
//!
//! ```text
//! ledger (as its writer) → rows, keys, policies → limits (as the ledger has them) → workers → routes → gateway
//! ┄ reloads ┄ signal ┄ drain → workers end → ledger closes
//! ```
//!
//! Order matters at both ends: nothing is served before its record can be written, and the ledger closes last, after
//! every request is settled.

mod error;
pub(crate) mod guardrails;
mod identity;
mod incidents;
pub(crate) mod limits;
mod models;
mod options;
pub(crate) mod outcome;
mod pages;
pub(crate) mod plans;
mod policies;
pub(crate) mod profiles;
mod reload;
mod routes;
mod shared;
mod tokenizers;

use crate::cli::{Context, enclave::Enclave};
use arc_swap::ArcSwap;
use error::ServeError;
use hermetic_clock::Clock;
use hermetic_config::LogFormat;
use hermetic_connector::Connector;
use hermetic_diagnostics::Report;
use hermetic_gateway::{
    Adjust, CommitmentSecret, Gateway, GatewayParts, Guarding, Limiting, LimitsOnRecord, RoutingTable,
    Running, policy_commit,
};
use hermetic_identity::Identity;
use hermetic_ledger::record::{Event, Record};
use hermetic_ledger_store::Ledger;
use hermetic_policy::Authorizer;
use hermetic_shared_counters::Replica;
use hermetic_telemetry::{LogLevelHandle, Metrics};
use hermetic_worker::{Supervisor, SupervisorOptions};
use reload::{Handles, Reload};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Loading reads the whole model once, from a disk that may be slow.
const WORKER_READY_WITHIN: Duration = Duration::from_secs(300);
const WORKER_GRACE: Duration = Duration::from_secs(5);

/// Serves until SIGINT or SIGTERM.
pub(crate) fn serve(enclave: &Enclave, context: &Context) -> Result<(), Report> {
    let log = start_logging(enclave)?;
    let clock = Clock::system();
    let connector = enclave.connector();
    let ledger = enclave.ledger(&clock, &connector)?;
    if !ledger.is_writer() {
        return Err(ServeError::AnotherServes { state: enclave.paths.root.clone() }.into());
    }
    let announced = outcome::Serving::announce(&enclave.paths)
        .map_err(|source| ServeError::Announce { state: enclave.paths.root.clone(), source })?;
    let authorizer = Arc::new(Authorizer::new(enclave.policies()?));
    let started = Event::ServiceStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tier: enclave.config.tier.as_str().to_owned(),
        config_digest: enclave.config_digest,
        policy_digest: authorizer.digest(),
        policy_commit: policy_commit(&authorizer.revision()),
    };
    record(&ledger, &clock, started)?;
    let (limiting, on_record) = limits::open(enclave, &ledger, &clock)?;
    let metrics = Arc::new(Metrics::new());
    let (limiting, replica) = shared::open(enclave, limiting, (&connector, &clock, &metrics))?;
    let place = policies::Place { folder: enclave.config.policy.dir.clone(), levels: enclave.levels()? };
    let parts = Parts {
        clock,
        connector,
        ledger,
        authorizer,
        policies: Arc::new(tokio::sync::Mutex::new(place)),
        limiting: Arc::new(limiting),
        guarding: guardrails::open(enclave)?,
        log,
        metrics,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|source| ServeError::System { action: "start the runtime", source })?;
    let served = runtime.block_on(run(enclave, context, &parts, (on_record, replica)));
    let reason = served.as_ref().map_or_else(|_| "could not start".to_owned(), |signal| (*signal).to_owned());
    record(&parts.ledger, &parts.clock, Event::ServiceStopped { reason })?;
    parts.ledger.close();
    drop(announced);
    served.map(|_| ())
}

/// What every part of the service shares.
struct Parts {
    clock: Clock,
    connector: Connector,
    ledger: Ledger,
    authorizer: Arc<Authorizer>,
    limiting: Arc<Limiting>,
    guarding: Arc<Guarding>,
    log: LogLevelHandle,
    metrics: Arc<Metrics>,
    /// Where the policies in force come from.
    policies: Arc<tokio::sync::Mutex<policies::Place>>,
}

/// Starts workers and gateway, waits for a signal, and ends both. Returns the signal's name.
async fn run(
    enclave: &Enclave,
    context: &Context,
    parts: &Parts,
    (on_record, replica): (LimitsOnRecord, Option<Replica>),
) -> Result<&'static str, Report> {
    let mut signals = Signals::listen()?;
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
    if let Some(replica) = replica {
        tasks.spawn(replica.run(ending.clone()));
    }
    let (identity, issuers) = identity::open(enclave, parts)?;
    if let Some(issuers) = issuers {
        tasks.spawn(identity::follow_issuers(issuers, ending.clone()));
    }
    let followed = policies::Followed {
        place: Arc::clone(&parts.policies),
        authorizer: Arc::clone(&parts.authorizer),
        ledger: parts.ledger.clone(),
        clock: parts.clock.clone(),
    };
    tasks.spawn(policies::follow(followed, ending.clone()));
    let gateway = start_gateway(enclave, parts, routes, identity)?;
    announce(context, &gateway, enclave.config.gateway.tls.is_some(), &models);
    let adjust = gateway.adjust();
    let reload = reload(enclave, context, parts, &models, adjust.clone());
    let signal = tokio::select! {
        signal = signals.stop.wait() => signal,
        never = models.follow_registry(&supervisor) => match never {},
        never = reload.follow(&supervisor, &mut signals.reload) => match never {},
    };
    drain(gateway, signal, &adjust, &mut signals.stop).await;
    supervisor.shutdown().await;
    ending.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(signal)
}

/// Lets requests in flight end, or, when a second signal comes, cuts them. They are settled either way.
async fn drain(gateway: Running, signal: &'static str, adjust: &Adjust, stop: &mut StopSignals) {
    tracing::info!(signal, "stopping: no new requests, requests in flight end first");
    let mut drained = tokio::task::spawn_blocking(move || gateway.drain());
    let ended = tokio::select! {
        ended = &mut drained => ended,
        signal = stop.wait() => {
            tracing::warn!(signal, "stopping at once: requests in flight are cut");
            adjust.cut();
            drained.await
        }
    };
    if let Ok(drained) = ended {
        tracing::info!(cut = drained.cut, lost = drained.lost, "drained");
    }
}

fn reload<'a>(
    enclave: &Enclave,
    context: &Context,
    parts: &'a Parts,
    models: &models::Models,
    gateway: Adjust,
) -> Reload<'a> {
    let (log, metrics) = (parts.log.clone(), Arc::clone(&parts.metrics));
    let handles = Handles { models: models.clone(), gateway, log, metrics };
    Reload::new(enclave, context.config_path.clone(), parts, handles)
}

fn start_gateway(
    enclave: &Enclave,
    parts: &Parts,
    routes: Arc<ArcSwap<RoutingTable>>,
    identity: Identity,
) -> Result<Running, Report> {
    let secret = enclave.commitment_secret()?;
    let gateway = Gateway::new(GatewayParts {
        options: options::of(&enclave.config),
        identity,
        tls: identity::tls(enclave, &parts.clock)?,
        authorizer: Arc::clone(&parts.authorizer),
        routes,
        limiting: Arc::clone(&parts.limiting),
        guarding: Arc::clone(&parts.guarding),
        ledger: parts.ledger.clone(),
        connector: parts.connector.clone(),
        clock: parts.clock.clone(),
        metrics: Arc::clone(&parts.metrics),
        commitments: CommitmentSecret::from_bytes(secret.bytes()),
        capture: enclave.capture()?,
        batches: Some(enclave.batches()?),
        responses: enclave.responses()?,
        pages: pages::manual(),
    });
    Ok(gateway.start()?)
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

fn start_logging(enclave: &Enclave) -> Result<LogLevelHandle, Report> {
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

/// Listened for from the start, so that an early Ctrl-C is not lost and an early SIGHUP does not end the process.
struct Signals {
    stop: StopSignals,
    /// SIGHUP.
    reload: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, ServeError> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen =
            |kind| signal(kind).map_err(|source| ServeError::System { action: "listen for signals", source });
        Ok(Self {
            stop: StopSignals {
                interrupt: listen(SignalKind::interrupt())?,
                terminate: listen(SignalKind::terminate())?,
            },
            reload: listen(SignalKind::hangup())?,
        })
    }
}

/// SIGINT and SIGTERM.
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl StopSignals {
    async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
