//! Who was seen in a handshake: the verifier of one connection, which remembers what it was shown and what came of it,
//! so that a refusal can be recorded with the certificate it is about and a connection can be judged again.

use hermetic_clock::UnixMillis;
use hermetic_identity::{CertificateFacts, CertificateForm, CertificateRefusal};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The verifier of one connection.
#[derive(Debug)]
pub(super) struct Witness {
    clients: Arc<dyn ClientCertVerifier>,
    seen: OnceLock<Arc<Seen>>,
}

/// A certificate a peer showed, and the ones it sent along.
#[derive(Debug)]
pub(crate) struct Seen {
    chain: Vec<CertificateDer<'static>>,
    pub(crate) facts: Result<CertificateFacts, CertificateForm>,
}

impl Witness {
    pub(super) fn new(clients: Arc<dyn ClientCertVerifier>) -> Self {
        Self { clients, seen: OnceLock::new() }
    }

    pub(super) fn seen(&self) -> Option<&Arc<Seen>> {
        self.seen.get()
    }
}

impl Seen {
    /// What the authorities in force now say of it.
    pub(super) fn judge(
        &self,
        clients: Option<&Arc<dyn ClientCertVerifier>>,
        now: UnixMillis,
    ) -> Result<(), CertificateRefusal> {
        let (Some(clients), Some((own, others))) = (clients, self.chain.split_first()) else {
            return Err(CertificateRefusal::Untrusted);
        };
        let at = UnixTime::since_unix_epoch(Duration::from_millis(now));
        match clients.verify_client_cert(own, others, at) {
            Ok(_) => Ok(()),
            Err(error) => Err(refusal_of(&error, Some(self), now)),
        }
    }
}

/// The TLS library's words in ours.
pub(crate) fn refusal_of(error: &Error, seen: Option<&Seen>, now: UnixMillis) -> CertificateRefusal {
    let facts = match seen.map(|seen| &seen.facts) {
        Some(Ok(facts)) => Some(facts),
        Some(Err(form)) => return CertificateRefusal::Form(*form),
        None => None,
    };
    match error {
        Error::NoCertificatesPresented => CertificateRefusal::Missing,
        Error::InvalidCertificate(error) => match error {
            CertificateError::Revoked => CertificateRefusal::Revoked,
            CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => CertificateRefusal::Unchecked,
            // One in between may be the one that expired; then this one's dates are not the reason.
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                facts.filter(|facts| facts.not_after < now).map_or(CertificateRefusal::Untrusted, |facts| {
                    CertificateRefusal::Expired { at: facts.not_after }
                })
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                facts.filter(|facts| facts.not_before > now).map_or(CertificateRefusal::Untrusted, |facts| {
                    CertificateRefusal::NotYet { at: facts.not_before }
                })
            }
            _ => CertificateRefusal::Untrusted,
        },
        _ => CertificateRefusal::Untrusted,
    }
}

impl ClientCertVerifier for Witness {
    fn offer_client_auth(&self) -> bool {
        self.clients.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.clients.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let others = intermediates.iter().map(|certificate| certificate.clone().into_owned());
        let chain = std::iter::once(end_entity.clone().into_owned()).chain(others).collect();
        let facts = CertificateFacts::read(end_entity);
        let _ = self.seen.set(Arc::new(Seen { chain, facts }));
        self.clients.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}
