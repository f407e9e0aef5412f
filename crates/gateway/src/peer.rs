//! Who is at the other end of a connection: an address, and the certificate it showed.

use crate::tls::{Seen, Tls};
use hermetic_clock::UnixMillis;
use hermetic_identity::{CertificateError, CertificateFacts, CertificateRefusal, Source};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a judgement of a certificate counts while nothing changes: revocation lists go overdue by themselves.
const JUDGED_FOR_MILLIS: u64 = 60_000;

#[derive(Debug)]
pub(crate) struct Peer {
    source: Source,
    certificate: Option<Certificate>,
}

/// A certificate whose chain verified in the handshake.
#[derive(Debug)]
struct Certificate {
    seen: Arc<Seen>,
    judged: Mutex<Judged>,
}

/// What came of the last time the certificate was judged.
#[derive(Debug, Clone)]
struct Judged {
    /// Under which material.
    number: u64,
    at: UnixMillis,
    verdict: Result<(), CertificateRefusal>,
}

impl Peer {
    /// A connection without TLS, or without a certificate.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { source: Source::of(address.ip()), certificate: None }
    }

    /// No connection at all: what is asked on somebody's behalf later.
    pub(crate) fn nobody() -> Self {
        Self { source: Source::of(IpAddr::V4(Ipv4Addr::LOCALHOST)), certificate: None }
    }

    /// A connection over TLS, made under the material of this number.
    pub(crate) fn over_tls(
        address: SocketAddr,
        seen: Option<Arc<Seen>>,
        number: u64,
        now: UnixMillis,
    ) -> Self {
        let judged = || Mutex::new(Judged { number, at: now, verdict: Ok(()) });
        let certificate = seen.map(|seen| Certificate { seen, judged: judged() });
        Self { source: Source::of(address.ip()), certificate }
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// The certificate, if the peer showed one and it is in force now: not expired, not revoked since, of an authority
    /// that still counts.
    pub(crate) fn certificate(
        &self,
        tls: Option<&Tls>,
        now: UnixMillis,
    ) -> Result<Option<&CertificateFacts>, CertificateError> {
        let (Some(certificate), Some(tls)) = (&self.certificate, tls) else { return Ok(None) };
        let facts = match &certificate.seen.facts {
            Ok(facts) => facts,
            Err(form) => {
                return Err(CertificateError { reason: CertificateRefusal::Form(*form), credential: None });
            }
        };
        certificate
            .judge(tls, facts, now)
            .map_err(|reason| CertificateError { reason, credential: Some(Box::new(facts.credential())) })?;
        Ok(Some(facts))
    }
}

impl Certificate {
    fn judge(&self, tls: &Tls, facts: &CertificateFacts, now: UnixMillis) -> Result<(), CertificateRefusal> {
        if now > facts.not_after {
            return Err(CertificateRefusal::Expired { at: facts.not_after });
        }
        let number = tls.number();
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if judged.number != number || now.saturating_sub(judged.at) > JUDGED_FOR_MILLIS {
            *judged = Judged { number, at: now, verdict: tls.judge(&self.seen) };
        }
        judged.verdict.clone()
    }
}
