//! Why a client certificate lets nobody in.

use crate::grants::GrantError;
use hermetic_clock::{UnixMillis, rfc3339};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ledger::record::Credential;

/// A refusal and the certificate it is about, where it could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CertificateError {
    pub reason: CertificateRefusal,
    pub credential: Option<Box<Credential>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefusal {
    #[error("expected a client certificate that a rule of this site maps to an owner, found none that does")]
    Unmapped,
    #[error("{0}")]
    Grants(GrantError),
    #[error("the client certificate was revoked")]
    Revoked,
    #[error("expected a revocation list in force for the client certificate's issuer, found none")]
    Unchecked,
    #[error("the client certificate expired at {}", rfc3339(*.at))]
    Expired { at: UnixMillis },
    #[error("the client certificate is not valid before {}", rfc3339(*.at))]
    NotYet { at: UnixMillis },
    #[error("expected a client certificate of an authority that counts here, found another")]
    Untrusted,
    #[error("expected a client certificate, found none")]
    Missing,
    #[error("the client certificate cannot be read")]
    Form(CertificateForm),
}

/// Bytes that are no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an X.509 certificate in DER")]
pub struct CertificateForm;

impl Diagnose for CertificateError {
    fn code(&self) -> Code {
        match self.reason {
            CertificateRefusal::Unmapped | CertificateRefusal::Grants(_) => Code::new("E0974"),
            CertificateRefusal::Revoked | CertificateRefusal::Unchecked => Code::new("E0975"),
            CertificateRefusal::Expired { .. } | CertificateRefusal::NotYet { .. } => Code::new("E0976"),
            CertificateRefusal::Untrusted | CertificateRefusal::Missing | CertificateRefusal::Form(_) => {
                Code::new("E0977")
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self.reason {
            CertificateRefusal::Unmapped | CertificateRefusal::Grants(_) => {
                Some("the operator adds a rule under `identity.certificates`".to_owned())
            }
            CertificateRefusal::Unchecked => Some(
                "the operator brings the authority's current revocation list (`gateway.tls.crl`)".to_owned(),
            ),
            CertificateRefusal::Revoked | CertificateRefusal::Expired { .. } => {
                Some("ask your authority for a new certificate".to_owned())
            }
            _ => None,
        }
    }
}
