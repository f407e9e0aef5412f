//! Counters shared with other gateways: from the configuration to the side that speaks with the server.

use super::error::ServeError;
use crate::cli::enclave::Enclave;
use hermetic_bounded_io::{FileError, Mode, read_text_capped, write_atomic};
use hermetic_clock::Clock;
use hermetic_config::{LimitsStore, OnLoss};
use hermetic_connector::Connector;
use hermetic_diagnostics::Report;
use hermetic_gateway::Limiting;
use hermetic_shared_counters::{Replica, Secret, SharedCounters, SharedOptions};
use hermetic_telemetry::Metrics;
use std::path::Path;
use std::sync::Arc;

/// Longest password; longer is not one.
const PASSWORD_BYTES_MAX: u64 = 4_096;
const ID_BYTES_MAX: u64 = 128;

/// Gives the limits their headroom from the configured server, if there is one. The replica has to be run.
pub(super) fn open(
    enclave: &Enclave,
    limiting: Limiting,
    (connector, clock, metrics): (&Connector, &Clock, &Metrics),
) -> Result<(Limiting, Option<Replica>), Report> {
    let Some(store) = &enclave.config.limits_store else { return Ok((limiting, None)) };
    let options = options(store, &replica_id(&enclave.paths.replica_id())?)?;
    let watched = (clock.clone(), Arc::clone(&metrics.shared_counters));
    let limits = Arc::clone(limiting.limits());
    let (shared, replica) = SharedCounters::new(options, connector.clone(), limits, watched, random()?);
    Ok((limiting.with_headroom(Arc::new(shared)), Some(replica)))
}

fn options(store: &LimitsStore, replica: &str) -> Result<SharedOptions, Report> {
    let read = |path: &Path| {
        let fail = |source| ServeError::SharedPassword { path: path.to_owned(), source };
        read_text_capped(path, PASSWORD_BYTES_MAX).map_err(fail)
    };
    let password = store.password_file.as_deref().map(read).transpose()?;
    let secret = |text: String| Secret::new(text.trim_end_matches(['\r', '\n']).as_bytes().to_vec());
    Ok(SharedOptions {
        database: store.database,
        user: store.user.clone(),
        password: password.map(secret),
        namespace: store.namespace.clone(),
        on_loss: match store.on_loss {
            OnLoss::FailClosed => hermetic_shared_counters::OnLoss::FailClosed,
            OnLoss::LastLease => hermetic_shared_counters::OnLoss::LastLease,
        },
        ..SharedOptions::new(&store.host, store.port, replica, store.replicas)
    })
}

/// Drawn once, and kept for as long as the state folder lives.
fn replica_id(path: &Path) -> Result<String, Report> {
    let fail = |source: FileError| ServeError::ReplicaId { path: path.to_owned(), source };
    match read_text_capped(path, ID_BYTES_MAX) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.is_not_found() => {
            let id = hex::encode(random()?);
            write_atomic(path, id.as_bytes(), Mode::Private).map_err(fail)?;
            Ok(id)
        }
        Err(error) => Err(fail(error).into()),
    }
}

fn random() -> Result<[u8; 16], ServeError> {
    let mut bytes = [0; 16];
    let drawn = aws_lc_rs::rand::fill(&mut bytes);
    drawn.map_err(|_| ServeError::System {
        action: "draw a random id",
        source: std::io::Error::other("the system gives no random bytes"),
    })?;
    Ok(bytes)
}
