//! A revocation list (CRL, RFC 5280 §5) before it is put in force: whether it is one, and whether its authority signed
//! it. Which certificates it revokes is for the library that verifies chains to read.

use crate::certificate::error::CertificateForm;
use hermetic_clock::UnixMillis;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::{Decode, Encode};

/// A list taken apart.
#[derive(Debug, Clone)]
pub struct RevocationList {
    list: CertificateList,
}

impl RevocationList {
    /// Reads a list in DER.
    pub fn read(der: &[u8]) -> Result<Self, CertificateForm> {
        CertificateList::from_der(der).map(|list| Self { list }).map_err(|_| CertificateForm)
    }

    /// The authority it is of, RFC 4514.
    pub fn issuer(&self) -> String {
        self.list.tbs_cert_list.issuer.to_string()
    }

    /// When the next one is due.
    pub fn next_update(&self) -> Option<UnixMillis> {
        let time = self.list.tbs_cert_list.next_update.as_ref()?;
        u64::try_from(time.to_unix_duration().as_millis()).ok()
    }

    /// Whether the authority with this certificate (DER) is the one it names.
    pub fn is_of(&self, authority: &[u8]) -> bool {
        Certificate::from_der(authority)
            .is_ok_and(|certificate| certificate.tbs_certificate.subject == self.list.tbs_cert_list.issuer)
    }

    /// Whether the authority with this certificate (DER) signed it.
    pub fn is_signed_by(&self, authority: &[u8]) -> bool {
        self.verified(authority).unwrap_or(false)
    }

    fn verified(&self, authority: &[u8]) -> Option<bool> {
        let authority = Certificate::from_der(authority).ok()?;
        let key = &authority.tbs_certificate.subject_public_key_info;
        let message = self.list.tbs_cert_list.to_der().ok()?;
        let (signed_with, key_kind) = (body(&self.list.signature_algorithm)?, body(&key.algorithm)?);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut fitting = provider.signature_verification_algorithms.all.iter().filter(|algorithm| {
            algorithm.signature_alg_id().as_ref() == signed_with.as_slice()
                && algorithm.public_key_alg_id().as_ref() == key_kind.as_slice()
        });
        let (key, signature) = (key.subject_public_key.as_bytes()?, self.list.signature.as_bytes()?);
        Some(fitting.any(|a| a.verify_signature(key, &message, signature).is_ok()))
    }
}

/// The content of an algorithm identifier, without tag and length, as the TLS library compares it.
fn body(algorithm: &x509_cert::spki::AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let mut out = algorithm.oid.to_der().ok()?;
    if let Some(parameters) = &algorithm.parameters {
        out.extend(parameters.to_der().ok()?);
    }
    Some(out)
}
