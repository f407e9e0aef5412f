//! One handshake: bounded in time and number, and put on record where a certificate was refused.

use super::{Tls, witness::Witness};
use crate::context::Thread;
use crate::peer::Peer;
use crate::strangers;
use crate::tls::refusal_of;
use hermetic_clock::Clock;
use hermetic_identity::{CertificateError, IdentifyError};
use rustls::pki_types::UnixTime;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::time_provider::TimeProvider;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Makes a connection a TLS connection. `None`: it came to nothing, and everything to be said was said.
pub(crate) async fn accept(
    thread: &Thread,
    tls: &Tls,
    stream: TcpStream,
    address: SocketAddr,
) -> Option<(TlsStream<TcpStream>, Peer)> {
    let _place = Place::take(&tls.0.handshakes, tls.0.limits.handshakes_max)?;
    let witness = tls.material().clients.clone().map(|clients| Arc::new(Witness::new(clients)));
    // Before the handshake: if the material is swapped meanwhile, the connection is judged again.
    let number = tls.number();
    let config = config(tls, witness.clone()).ok()?;
    let handshake = TlsAcceptor::from(Arc::new(config)).accept(stream);
    let made = tokio::time::timeout(tls.0.limits.handshake_timeout, handshake).await;
    let made = made.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let seen = witness.as_ref().and_then(|witness| witness.seen()).cloned();
    match made {
        Ok(stream) => {
            Some((stream, Peer::over_tls(address, seen, number, thread.shared.clock.unix_millis())))
        }
        Err(error) => {
            thread.shared.metrics.identity.handshake_failed();
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            tracing::debug!(%error, "a TLS handshake failed");
            let cause = cause.filter(|cause| {
                matches!(cause, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
            })?;
            let reason = refusal_of(cause, seen.as_deref(), thread.shared.clock.unix_millis());
            let facts = seen.as_ref().and_then(|seen| seen.facts.as_ref().ok());
            let credential = facts.map(|facts| Box::new(facts.credential()));
            let error = IdentifyError::Certificate(CertificateError { reason, credential });
            strangers::turn_away(thread, &Peer::plain(address), None, error).await;
            None
        }
    }
}

/// A place among the handshakes in flight, given back when dropped.
struct Place<'c>(&'c AtomicUsize);

impl<'c> Place<'c> {
    fn take(count: &'c AtomicUsize, max: usize) -> Option<Self> {
        let place = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The settings of one handshake. Made for each, because the witness is of one connection; it is pointers.
fn config(tls: &Tls, witness: Option<Arc<Witness>>) -> Result<ServerConfig, rustls::Error> {
    let material = tls.material();
    let time = Arc::new(OurTime(tls.0.clock.clone()));
    let builder = ServerConfig::builder_with_details(Arc::clone(&material.provider), time)
        .with_safe_default_protocol_versions()?;
    let builder = match witness {
        Some(witness) => builder.with_client_cert_verifier(witness),
        None => builder.with_client_cert_verifier(Arc::new(NoClientAuth)),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(&material.own) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// This service's clock, for the dates in certificates.
#[derive(Debug)]
struct OurTime(Clock);

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.unix_millis())))
    }
}
